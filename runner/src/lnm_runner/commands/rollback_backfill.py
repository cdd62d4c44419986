"""`lnm rollback 21-102`: removes what the backfill has written and nobody has touched since, newest run first (§5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lnm_runner import execution, history, lease, ledger, migrations, mongo, privileges
from lnm_runner.backfill import rollback, runs
from lnm_runner.backfill.rollback import Tally
from lnm_runner.commands import Result
from lnm_runner.commands.apply import details
from lnm_runner.errors import StoppedError
from lnm_runner.history import NEVER
from lnm_runner.kit import VerifiedKit
from lnm_runner.ledger import BACK, Entry, Run
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Database, Topology
from lnm_runner.options import Options


def run(options: Options, kit: VerifiedKit, migration: Migration) -> Result:
    """Takes every run of the backfill back.

    Raises: RunnerError.
    """
    from lnm_runner.commands.rollback import require_last  # noqa: PLC0415 - it imports this module

    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER)
        database = server.database
        story = ledger.story(database)
        history.require(story, migrations.known(kit), None, options.again)
        require_last(story, migrations.known(kit), migration)
        rows = list(reversed(runs.standing(database)))
        rollback.require_known(database)
        known = ledger.entry(database, migration.id)
        said = {"database": database.name, "delivery": migration.delivery, "migration": migration.id, "state": known.state}
        if known.state in NEVER and not rows:
            told = f"{migration.id} is {known.state}: nothing to take back, nothing was written."
            return Result({**said, "executed": options.execute, "writes": False}, [told])
        rollback.require_unpublished(database, rows, options.force_reason)
        if not options.execute:
            return Result({**said, "executed": False, "runs": [row["_id"] for row in rows]}, described(database, rows))
        privileges.require(server, f"rollback {migration.delivery}")
        kept = details(kit, migration, options, ledger.settings(database, options))
        with lease.held(
            database, f"rollback {migration.delivery}", lasts_s=options.lease_s, wait_s=options.wait_s, say=options.progress.line
        ) as held:
            rows = list(reversed(runs.standing(database)))
            rollback.require_unpublished(database, rows, options.force_reason)
            in_ledger = Run(held, migration.id, migration.summary)
            names = list(dict.fromkeys((*begun(ledger.entry(database, migration.id)), *(row["_id"] for row in rows))))
            ledger.begin(in_ledger, BACK, {**kept, "actions": names}, ())
            try:
                tallies = [rollback.take_back(held, row, options.progress, options.force_reason) for row in rows]
                held.check()
                ended = ledger.finish(in_ledger, "rolled-back", {"score": {"runs": len(names)}, "made": []})
            except BaseException as err:
                told_error = execution.ended(in_ledger, err)
                if told_error is err:
                    raise
                raise told_error from err
        left = list(dict.fromkeys(line for name in names for line in rollback.touched(database, name)))
    return done(said, ended, tallies, left)


def begun(known: Entry) -> Sequence[str]:
    """The runs that a rollback which was not ended set out to take back: it may have done so, and have left something."""
    row = known.row if known.state in {"applying", "failed"} and known.direction == BACK else None
    return row.get("actions", ()) if row is not None else ()


def described(database: Database, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What would be taken back, in words."""
    lines = []
    for row in rows:
        lines.append(f"run {row['_id']} ({row['state']}) would be taken back:")
        counts = {name: database[name].count_documents({"backfill.runId": row["_id"]}) for name in rollback.ORDER}
        lines += [f"  {name}: {count:,} documents, less those that were changed since" for name, count in counts.items()]
    return [*lines, "Nothing was written; add --execute to do it."]


def done(said: Mapping[str, Any], row: Mapping[str, Any], tallies: Sequence[Tally], left: Sequence[str]) -> Result:
    """What was taken back."""
    removed: dict[str, int] = {}
    for tally in tallies:
        for name, count in tally.removed.items():
            removed[name] = removed.get(name, 0) + count
    restored, gone = (sum(getattr(tally, name) for tally in tallies) for name in ("restored", "gone"))
    lines = [
        f"{said['migration']} is {row['state']}",
        *(f"  removed from {name}: {count:,}" for name, count in removed.items()),
        *([f"  set back to what an earlier run had made: {restored:,}"] if restored else []),
        *([f"  not there any more: {gone:,}"] if gone else []),
        f"  left, since somebody has changed them: {len(left):,}",
        *(f"    {line}" for line in left[:10]),
    ]
    if left:
        lines.append(
            'next: all of them: db.lnm_backfill_errors.find({stage: "rollback"}); decide about each; nothing else is left'
        )
    data = {
        **said, "state": row["state"], "executed": True, "writes": True, "removed": removed, "restored": restored, "gone": gone,
        "touched": list(left), "durationMs": row["durationMs"],
    }  # fmt: skip
    return Result(data, lines, StoppedError.exit_code if left else 0)

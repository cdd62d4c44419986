"""`lnm rollback DELIVERY`: takes back what applying has made; without --execute it says what that would be.

What is the runner's own work, 21-102, is taken back by rollback_backfill.py.

21-101: indexes, validators, expiries and empty collections go back to what was there before (undo.py); no document is ever
removed. It is refused while a later migration stands on it, and where a collection that was made holds documents.
"""

from __future__ import annotations

from typing import Any

from lnm_runner import actions, execution, history, ledger, migrations, mongo, privileges, undo
from lnm_runner.commands import Result, rollback_backfill
from lnm_runner.commands.apply import details
from lnm_runner.commands.plan import steps
from lnm_runner.errors import InputError, PlanError, StillNeededError
from lnm_runner.execution import Job
from lnm_runner.history import NEVER, Known, Story
from lnm_runner.kit import open_kit
from lnm_runner.ledger import BACK, Entry
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options
from lnm_runner.planning import Plan


def run(options: Options) -> Result:
    """Rolls one delivery back.

    Raises: RunnerError.
    """
    if options.delivery is None:
        raise InputError("no delivery was named", hint="lnm rollback 21-101")
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    (migration,) = migrations.chosen(kit, options.delivery)
    if migration.transformation is not None:
        return rollback_backfill.run(options, kit, migration)
    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER)

        def look() -> Plan:
            story = ledger.story(server.database)
            history.require(story, migrations.known(kit), None, options.again)
            require_last(story, migrations.known(kit), migration)
            require_known(story, migration)
            return undo.plan(server.database, ledger.entry(server.database, migration.id).made)

        settings = ledger.settings(server.database, options)
        known = ledger.entry(server.database, migration.id)
        if known.state in NEVER:
            history.require(ledger.story(server.database), migrations.known(kit), None, options.again)
            told = f"{migration.id} is {known.state}: nothing to take back, nothing was written."
            return Result({**summary(server, migration, known, Plan(())), "executed": options.execute, "writes": False}, [told])
        plan = look()
        said = summary(server, migration, known, plan)
        if not options.execute:
            return Result({**said, "executed": False}, [*described(migration, known, plan), *filter(None, [kit.warning])])
        privileges.require(server, f"rollback {migration.delivery}")
        job = Job(server.database, migration, BACK, look, details(kit, migration, options, settings), options)
        execution.require_free(job, known, plan)
        outcome = execution.carry_out(job)
    lines = [
        f"{migration.id} is {outcome.row['state']}: {execution.summary_of(outcome)[0]}",
        *(f"note: {note}" for note in outcome.plan.notes),
    ]
    return Result(
        {**said, "executed": True, "writes": True, "state": outcome.row["state"], "durationMs": outcome.row["durationMs"]}, lines
    )


def require_known(story: Story, migration: Migration) -> None:
    """Refuses where the list of what was made has been lost: nothing would be taken back, and it would look done.

    Raises: PlanError.
    """
    if story.rows.get(migration.id, {}).get("recordedAnew"):
        raise PlanError(
            f"{migration.id}: its entry was lost and recorded anew, so that nobody knows what the migration has made",
            hint=f"restore the backup, or drop by hand what migrations/{migration.delivery}/README.md lists",
        )


def require_last(story: Story, kit: list[Known], migration: Migration) -> None:
    """Refuses while a later migration stands on this one.

    Raises: StillNeededError.
    """
    place = next(place for place, part in enumerate(kit) if part.migration == migration.id)
    later = {part.delivery: story.state(part.migration) for part in kit[place + 1 :] if story.state(part.migration) not in NEVER}
    if later:
        raise StillNeededError(migration.delivery, later)


def summary(server: Server, migration: Migration, known: Entry, plan: Plan) -> dict[str, Any]:
    """What every result says."""
    return {
        "database": server.database.name,
        "delivery": migration.delivery,
        "migration": migration.id,
        "state": known.state,
        "actions": [actions.described(action) for action in plan.actions],
        "forecastMs": plan.duration_ms,
        "ttlDeletes": plan.ttl_deletes,
        "notes": list(plan.notes),
    }


def described(migration: Migration, known: Entry, plan: Plan) -> list[str]:
    """What would be taken back, in words."""
    lines = [f"{migration.delivery} ({migration.id}): {known.state}; going back would:", *steps(plan)]
    lines += [f"  note: {note}" for note in plan.notes]
    if not plan.actions:
        what = "nothing of what was made is there any more" if known.made else "all of it was there before, nothing was made"
        lines.append(f"  {what}; only the ledger has to be written")
    return [*lines, "Nothing was written; add --execute to do it."]

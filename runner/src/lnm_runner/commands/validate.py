"""`lnm validate`: whether what the backfill has left fits together, by equations (decisions §6). Read-only.

Exit 0 where every equation holds. Else every failed one is told, the first as the error and the others with it, exit 2. It
belongs between the backfill and the outbox: rows of an outbox that were published die by their TTL, and would be missed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lnm_runner import lease, migrations, mongo
from lnm_runner.backfill import runs
from lnm_runner.commands import Result
from lnm_runner.durations import SECOND_MS
from lnm_runner.errors import EquationError, NotFoundError, gathered
from lnm_runner.kit import open_kit
from lnm_runner.options import BACKFILL, Options
from lnm_runner.validation import equations, proof, reading, skeleton
from lnm_runner.validation.equations import ENDED, FAILS, Checked
from lnm_runner.validation.findings import Look, Stored

SCHEMA = "21-101"
OTHERS = {
    name: f"SELECT count(*) FROM {table} WHERE run IS NULL"  # noqa: S608 - names of ours
    for name, table in (
        ("observations", "observation"),
        ("linksets", "linkset"),
        ("events", "event"),
        ("tombstones", "tombstone"),
    )
}


def run(options: Options) -> Result:
    """Validates the runs that stand.

    Raises: RunnerError.
    """
    _ = options.settings  # a wrong one is told before anything is asked
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    (schema,), (backfill,) = (migrations.chosen(kit, delivery) for delivery in (SCHEMA, BACKFILL))
    with mongo.connect(options) as server:
        standing = runs.standing(server.database)
        if not standing:
            raise NotFoundError(
                f"{server.database.name}: no run of {BACKFILL} stands here", hint=f"first: {options.going('apply', BACKFILL)}"
            )
        found, data = examined(Look(server, schema, backfill, options, standing))
        holder = lease.holder(server.database)
    failed = [one for one in found if one.verdict == FAILS]
    if failed:
        for one in found:
            if one not in failed:
                options.progress.line(one.line())
        raise gathered([refused(one, data if one is failed[0] else {}, options) for one in failed])
    others = ", ".join(f"{count:,} {name}" for name, count in data["others"].items() if count)
    last = [
        f"  of somebody else, and not judged: {others or 'none'}",
        *([f"another runner is at work: {lease.described(holder)}"] if holder is not None and holder["isHeld"] else []),
        *filter(None, [kit.warning]),
        f"{len(found)} equations, none fails: {data['documents']:,} documents, {data['documentsPerSecond']:,}/s",
        "Nothing was written.",
    ]
    return Result(data, [*(one.line() for one in found), *last])


def examined(look: Look) -> tuple[list[Checked], dict[str, Any]]:
    """Every equation, and what was found, for a program; where a run has not ended, that alone.

    Raises: RunnerError, PyMongoError.
    """
    began, options = time.monotonic(), look.options
    ended = Checked(*ENDED, proof.ended(look))
    if ended.verdict == FAILS:
        return [ended], {}
    numbers = {row["_id"]: number for number, row in enumerate(look.runs, 1)}
    with skeleton.made(look.database, numbers, options.state_folder, options.progress, reading.READERS) as made:
        found = [ended, *equations.checked(Stored(look, made))]
        others = {name: made.work.execute(query).fetchone()[0] for name, query in OTHERS.items()}
    options.progress.wipe()
    took_ms = round((time.monotonic() - began) * SECOND_MS)
    documents = sum(made.read.values())
    return found, {
        "database": look.database.name,
        "runs": list(numbers),
        "full": options.is_full,
        "equations": [one.as_json() for one in found],
        "documents": documents,
        "others": others,
        "durationMs": took_ms,
        "documentsPerSecond": round(documents * SECOND_MS / max(took_ms, 1)),
    }


def refused(failed: Checked, data: Mapping[str, Any], options: Options) -> EquationError:
    """A failed equation as an error; the first of them carries all that was found."""
    return EquationError(
        failed.name,
        failed.says,
        [one.line() for one in failed.finding.defects],
        hint=hint(failed.name, options),
        facts={**failed.as_json(), **data},
    )


def hint(name: str, options: Options) -> str:
    """What to do next."""
    if name == ENDED[0]:
        return f"use the kit that the runs were made by; one that has not ended: {options.going('apply', BACKFILL)}"
    if name == "schema":
        return f"look: {options.command('plan', SCHEMA)}; then: {options.going('apply', SCHEMA)}"
    if name == "balance":
        return "let the balancer run (sh.balancerCollectionStatus says how far it is), then validate again"
    back, anew = options.going("rollback", BACKFILL), options.going("apply", BACKFILL)
    return f"find out who has changed them; nothing depends on them yet: {back}, then {anew}; or restore the backup"

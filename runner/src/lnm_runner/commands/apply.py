"""`lnm apply DELIVERY`: without --execute the plan; with it, the plan is carried out and the ledger says so.

Read-only come first: the kit, the ledger's story, the plan. Where nothing is to be done nothing is written, neither lease nor
ledger.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

from lnm_runner import execution, history, ledger, migrations, mongo, privileges
from lnm_runner.commands import Result
from lnm_runner.commands.plan import described, planned
from lnm_runner.errors import InputError, RetryableError
from lnm_runner.execution import Job
from lnm_runner.kit import VerifiedKit, open_kit
from lnm_runner.ledger import UP, Entry
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options, Settings
from lnm_runner.planning import Plan


def run(options: Options) -> Result:
    """Applies one delivery.

    Raises: RunnerError.
    """
    if options.delivery is None:
        raise InputError("no delivery was named", hint="lnm apply 21-101")
    _ = options.settings, options.lease_s  # wrong ones are told before anything is asked
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    (migration,) = migrations.chosen(kit, options.delivery)
    if migration.transformation is not None:
        raise InputError(
            f"{migration.delivery} is a backfill, which has a command of its own", hint=options.again(migration.delivery)
        )
    with mongo.connect(options) as server:
        planned_for = () if options.execute else (Topology.STANDALONE,)
        server.require(Topology.REPLICA_SET, Topology.ROUTER, *planned_for)

        settings = ledger.settings(server.database, options)
        told = ledger.story(server.database)
        is_anew = migration.id in told.published and migration.id not in told.rows

        def look() -> Plan:
            story = ledger.story(server.database)
            history.require(story, migrations.known(kit), migration.delivery, options.again, resume=options.resume)
            if ledger.settings(server.database, options) != settings:
                said = "another runner has meanwhile changed how long published events are kept"
                raise RetryableError(said, hint="run the same command again; nothing was changed by this one")
            return migration.plan(server.database, settings)

        known = ledger.entry(server.database, migration.id)
        plan = look()
        said = summary(server, migration, known, plan)
        if not options.execute:
            last = [kept(settings, options), kit.warning, f"sharding: {said['sharding']}"]
            last.append("Nothing was written; add --execute to do it.")
            return Result({**said, "executed": False}, [*described(migration, known, plan), *filter(None, last)])
        if known.is_complete and not plan.actions:
            nothing = f"{migration.id} is applied and the schema is as declared: nothing to do, nothing was written."
            return Result({**said, "executed": True, "writes": False}, [nothing, f"sharding: {said['sharding']}"])
        privileges.require(server, migration.delivery)
        kept_of_run = details(kit, migration, options, settings) | ({"recordedAnew": True} if is_anew else {})
        job = Job(server.database, migration, UP, look, kept_of_run, options)
        execution.require_free(job, known, plan)
        outcome = execution.carry_out(job)
        return done({**said, "sharding": server.sharding}, job, outcome, [kept(settings, options), kit.warning])


def kept(settings: Settings, options: Options) -> str:
    """How long published events are kept, and who says so."""
    days = f"{settings.events_ttl_days} days" if settings.events_ttl_days else "for ever"
    source = "as LNM_EVENTS_TTL_DAYS says" if options.names_events_ttl else "as before, or by default"
    return f"published events are kept {days}, {source}"


def done(said: dict[str, Any], job: Job, outcome: execution.Outcome, notes: list[str]) -> Result:
    """What was done."""
    row = outcome.row
    kit = row.get("kit", {})
    lines = [
        f"{job.migration.id} is {row['state']}: {execution.summary_of(outcome)[0]}",
        *execution.summary_of(outcome)[1:],
        f"kit {kit.get('version')}, rootHash {kit.get('rootHash')}, signed by {kit.get('signer')}",
        *filter(None, notes),
        f"sharding: {said['sharding']}",
        f"next: lnm doctor, and the role of this stage can be taken away again; back: lnm rollback {job.migration.delivery}",
    ]
    scored = {"score": outcome.score.as_json(), "scores": [score.as_json() for score in outcome.scores]}
    fields = {name: row[name] for name in ("state", "durationMs", "kit") if name in row}
    return Result({**said, "executed": True, "writes": True, "published": True, **fields, **scored}, lines)


def summary(server: Server, migration: Migration, known: Entry, plan: Plan) -> dict[str, Any]:
    """What every result says."""
    return {"database": server.database.name, "sharding": server.sharding, **planned(migration, known, plan)}


def details(kit: VerifiedKit, migration: Migration, options: Options, settings: Settings) -> dict[str, Any]:
    """What the ledger keeps of a run."""
    return {
        "delivery": migration.delivery,
        "migrationDigest": migration.digest,
        "kit": {
            "version": kit.manifest.version,
            "rootHash": f"sha256:{kit.manifest.root_hash}",
            "signer": f"sha256:{kit.signer}",
            "trust": kit.manifest.trust,
        },
        "runner": importlib.metadata.version("lnm-runner"),
        "settings": {
            "eventsTtlDays": settings.events_ttl_days,
            "acceptTtlDeletes": options.accept_ttl_deletes,
        },
    }

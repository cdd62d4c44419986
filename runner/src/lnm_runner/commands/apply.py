"""`lnm apply DELIVERY`: without --execute the plan; with it, the plan is carried out and the ledger says so.

Order: (1) plan, read-only; (2) nothing to do: nothing is written, not even the ledger; (3) TTL fuse; (4) ledger `applying`;
(5) each action; (6) a second look, which must find nothing left; (7) ledger `applied`; (8) upstream's row.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import PyMongoError

from lnm_runner import ledger, migrations, mongo
from lnm_runner.commands import Result
from lnm_runner.commands.plan import described, planned
from lnm_runner.errors import InputError, RetryableError, RunnerError, StoppedError, TtlFuseError
from lnm_runner.kit import VerifiedKit, open_kit
from lnm_runner.ledger import Entry, Run
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options
from lnm_runner.planning import Plan


@dataclass(frozen=True)
class Job:
    """A migration, where it goes, and what there is to do."""

    server: Server
    kit: VerifiedKit
    migration: Migration
    known: Entry
    plan: Plan
    options: Options

    @property
    def is_done(self) -> bool:
        """True when there is nothing to write, neither schema nor ledger."""
        return self.known.is_complete and not self.plan.actions


def run(options: Options) -> Result:
    """Applies one delivery.

    Raises: RunnerError.
    """
    if options.delivery is None:
        raise InputError("no delivery was named", hint="lnm apply 21-101")
    settings = options.settings
    kit = open_kit(options.kit_path, options.trusted_keys)
    (migration,) = migrations.chosen(kit, options.delivery)
    with mongo.connect(options) as server:
        planned_for = () if options.execute else (Topology.STANDALONE,)
        server.require(Topology.REPLICA_SET, Topology.ROUTER, *planned_for)
        known = ledger.entry(server.database, migration.id)
        ledger.check(known, migration)
        job = Job(server, kit, migration, known, migration.plan(server.database, settings), options)  # (1)
        return carried_out(job) if options.execute else shown(job)


def shown(job: Job) -> Result:
    """The plan, and that nothing was written."""
    lines = described(job.migration, job.known, job.plan)
    told = [f"sharding: {job.server.sharding}", "Nothing was written; add --execute to do it."]
    return Result({**summary(job), "executed": False}, [*lines, *told])


def summary(job: Job) -> dict[str, Any]:
    """What every result says."""
    return {
        "database": job.server.database.name,
        "sharding": job.server.sharding,
        **planned(job.migration, job.known, job.plan),
    }


def carried_out(job: Job) -> Result:
    """Carries the plan out, unless there is nothing to do.

    Raises: RunnerError.
    """
    sharding, migration = f"sharding: {job.server.sharding}", job.migration.id
    if job.is_done:  # (2)
        told = f"{migration} is applied and the schema is as declared: nothing to do, nothing was written."
        return Result({**summary(job), "executed": True, "writes": False}, [told, sharding])
    if job.plan.ttl_deletes > job.options.accept_ttl_deletes:  # (3)
        raise TtlFuseError(job.plan.ttl_deletes, job.options.accept_ttl_deletes)
    row = execute(job)
    outcome = {name: row[name] for name in ("state", "durationMs", "kit")}
    lines = [
        f"{migration} is applied: {len(job.plan.actions)} actions in {row['durationMs']} ms of the server's time.",
        f"kit {row['kit']['version']}, rootHash {row['kit']['rootHash']}, signed by {row['kit']['signer']}",
        sharding,
    ]
    return Result({**summary(job), "executed": True, "writes": True, "published": True, **outcome}, lines)


def execute(job: Job) -> Mapping[str, Any]:
    """Carries the plan out between two rows of the ledger; returns the last.

    Raises: RunnerError; the ledger then says `failed` and why.
    """
    database = job.server.database
    row = job.known.row
    if row is None or job.known.state != "applied" or job.plan.actions:
        if row is not None and job.known.state == "applying" and not job.options.resume:
            raise ledger.locked(row)
        began = ledger.begin(database, job.migration.id, job.known, details(job))  # (4)
        try:
            act(job)  # (5) (6)
        except BaseException as err:
            told = ended(job, began, err)
            if told is err:
                raise
            raise told from err
        row = ledger.finish(database, began, "applied")  # (7)
    ledger.publish(database, job.migration)  # (8)
    return row


def details(job: Job) -> dict[str, Any]:
    """What the ledger keeps of a run."""
    return {
        "delivery": job.migration.delivery,
        "migrationDigest": job.migration.digest,
        "kit": {
            "version": job.kit.manifest.version,
            "rootHash": f"sha256:{job.kit.manifest.root_hash}",
            "signer": f"sha256:{job.kit.signer}",
            "trust": job.kit.manifest.trust,
        },
        "runner": importlib.metadata.version("lnm-runner"),
        "settings": {"eventsTtlDays": job.options.settings.events_ttl_days},
        "actions": job.plan.describe(),
    }


def act(job: Job) -> None:
    """Does the actions, one after the other, and looks again.

    Raises: RunnerError, PyMongoError.
    """
    for number, action in enumerate(job.plan.actions, 1):
        for line in action.describe():
            job.options.progress(f"[{number}/{len(job.plan.actions)}] {line}")
        action.apply(job.server.database)
    left = job.migration.plan(job.server.database, job.options.settings)
    if left.actions:
        raise StoppedError(
            f"after the last action there is still something to do: {'; '.join(left.describe())}",
            hint="somebody else is changing the schema; when that is over, apply again",
        )


def ended(job: Job, began: Run, err: BaseException) -> BaseException:
    """Writes `failed` and returns the error to raise: the first one, even where the ledger cannot be written."""
    if isinstance(err, PyMongoError):
        found: RunnerError = mongo.translated(err)
    elif isinstance(err, RunnerError):
        found = err
    else:
        found = RunnerError("it was cancelled" if isinstance(err, KeyboardInterrupt) else type(err).__name__)
    try:
        cause = {"type": type(found).__name__, "message": found.message}
        ledger.finish(job.server.database, began, "failed", cause)
        note = "the ledger says `failed`; what was done is done, and applying again goes on"
    except (PyMongoError, RunnerError):
        note = "the ledger could not be written and still says `applying`: go on with --resume"
    if not isinstance(err, PyMongoError | RunnerError):
        return err
    kind = RetryableError if isinstance(found, RetryableError) else StoppedError
    hint = f"{found.hint}; {note}" if found.hint else note
    return kind(f"{began.migration} stopped: {found.message}", hint=hint, facts={**found.facts, "cause": type(found).__name__})

"""A whole run of 21-102: under the lease, between two rows of the ledger, stage after stage, to its report.

Order: (1) the lease; (2) the inventory, or the work file of a run that was stopped; (3) ledger `applying`, `lnm_runs` running;
(4) the stages, partition by partition; (5) what came late is counted; (6) the report; (7) `lnm_runs` done, ledger `applied`.
Whatever goes wrong between (3) and (7) is in the ledger, and the same command goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnm_runner import execution, lease, ledger
from lnm_runner.backfill import crew, heap, inventory, report, rollback, runlog, runs, workfile
from lnm_runner.backfill.batches import ERRORS
from lnm_runner.backfill.leaves import CHECKPOINTS
from lnm_runner.backfill.making import STAGES
from lnm_runner.backfill.worker import Place
from lnm_runner.errors import LedgerError, RetryableError, StoppedError
from lnm_runner.lease import Lease
from lnm_runner.ledger import UP, Entry, Run
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Database
from lnm_runner.options import Options
from lnm_runner.target import target


@dataclass(frozen=True)
class Job:
    """What is to be done."""

    database: Database
    migration: Migration
    details: Mapping[str, Any]
    """What the ledger keeps of the run."""
    settings: Mapping[str, Any]
    """batchSize, stopOnError, maxErrors, maxLagSeconds."""
    workers: int
    folder: Path
    """Of the work file and the report, of this database alone."""
    options: Options


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    run: Mapping[str, Any]
    """The row of `lnm_runs`."""
    report: Mapping[str, Any]
    sha256: str
    late: int
    """Documents that came behind the inventory."""
    is_new: bool
    """False where the same input was done before, and nothing was written."""


def carry_out(job: Job) -> Outcome:
    """Does a run, or the rest of one.

    Raises: RunnerError; the ledger then says `failed` and why, if it can be written.
    """
    options = job.options
    with lease.held(
        job.database, "backfill 21-102", lasts_s=options.lease_s, wait_s=options.wait_s, say=options.progress.line
    ) as held:  # (1)
        entry = require_forward(job.database, job.migration, options)
        about = taken(job, held)  # (2)
        known = next((row for row in runs.all_of(job.database) if row["_id"] == about["runId"]), None)
        done = known if known is not None and known["state"] == runs.DONE else None
        if done is not None and entry.is_complete:
            return again(job, done, about, is_new=False)
        in_ledger = Run(held, job.migration.id, job.migration.summary)
        ledger.begin(in_ledger, UP, {**job.details, "actions": [f"backfill run {about['runId']}"]}, ())  # (3)
        try:
            outcome = staged(job, held, about) if done is None else again(job, done, about, is_new=True)
            ending = {"report": outcome.sha256, "errors": outcome.report["errors"]["leaves"]}
            ledger.finish(in_ledger, "applied", {"score": ending})  # (7)
        except BaseException as err:
            runlog.append(job.folder, "stopped", error=type(err).__name__)
            told = execution.ended(in_ledger, err)
            if told is err:
                raise
            raise told from err
    return outcome


def require_forward(database: Database, migration: Migration, options: Options) -> Entry:
    """Refuses to go forward over a rollback that was not ended; returns what the ledger says.

    Raises: StoppedError, LedgerError.
    """
    known = ledger.entry(database, migration.id)
    if known.state in {"applying", "failed"} and known.direction != UP:
        raise StoppedError(
            f"{migration.id}: a rollback of it was not ended",
            hint=f"end it first: {options.going('rollback', migration.delivery)}",
        )
    return known


def again(job: Job, done: Mapping[str, Any], about: Mapping[str, Any], *, is_new: bool) -> Outcome:
    """The report of a run that is done, made anew; the ledger may not know yet that it is.

    Raises: LedgerError where it would be another one, and that of the run stays; RetryableError.
    """
    made = report.made(job.database, done)
    if (found := report.digest_of(made)) != done["report"]:
        raise LedgerError(
            f"the report of run {done['_id']} would be another one now: {found}, when it ended it was {done['report']}",
            hint=f"somebody has changed {CHECKPOINTS} or {ERRORS}: restore them from the backup; the report was not written anew",
        )
    return Outcome(done, made, report.written(job.folder, made), late(job.database, about), is_new=is_new)


def taken(job: Job, held: Lease) -> Mapping[str, Any]:
    """What the work file says, which is made where there is none, or where its run is over.

    Raises: LeaseLostError, also where another runner has meanwhile made its own in the same folder; RetryableError, PyMongoError.
    """
    if workfile.exists(job.folder):
        with workfile.opened(job.folder) as work:
            about = workfile.recall(work)
        row = job.database[runs.RUNS].find_one({"_id": about["runId"]})
        if about["migrationDigest"] == job.migration.digest and row is not None and row["state"] == runs.RUNNING:
            return about
    progress, began = job.options.progress, time.monotonic()
    total = job.database[inventory.RAW].estimated_document_count()
    try:
        found = inventory.take(
            job.database,
            job.folder,
            job.migration.digest,
            lambda count: progress.show("inventory", count, total, time.monotonic() - began),
        )
    except RetryableError:
        held.check()
        raise
    heap.give_back()  # this process lives as long as the workers do
    took_ms = round((time.monotonic() - began) * 1000)
    progress.line(f"inventory: {found.documents:,} documents and {found.legacy:,} merged ones, run {found.run}")
    runlog.append(job.folder, "inventory", run=found.run, documents=found.documents, legacy=found.legacy, tookMs=took_ms)
    with workfile.opened(job.folder) as work:
        return workfile.recall(work)


def staged(job: Job, held: Lease, about: Mapping[str, Any]) -> Outcome:
    """(3) to (7) for a run that is not done."""
    names = ("documents", "legacy")
    described = {
        "migration": job.migration.id,
        "migrationDigest": job.migration.digest,
        "transformation": job.migration.transformation,
        "inventory": {
            **{name: about[name] for name in names},
            "root": about["inventoryRoot"],
            "blocks": about["inventoryBlocks"],
        },
    }
    rollback.claim_all(held)
    row = runs.begin(held, about["runId"], described, job.settings)
    runlog.append(job.folder, "begin", run=row["_id"], workers=job.workers, **job.settings)
    follower = runlog.Follower(job.folder)
    with workfile.opened(job.folder) as work:
        partitions = {stage: numbers(work, stage) for stage in STAGES}
        totals = {"observations": about["documents"], "tombstones": about["legacy"]}
    with crew.hired(Place(job.folder, target(job.options)), job.workers) as hands:
        before = 0
        for stage, parts in partitions.items():  # (4)
            began = time.monotonic()

            def show(done: int, stage: str = stage, began: float = began, before: int = before) -> None:
                for line in follower.lines():
                    if "said" in line:
                        job.options.progress.line(line["said"])
                job.options.progress.show(
                    stage, done - before, max(totals.get(stage, 0), done - before), time.monotonic() - began
                )

            before += hands.do(stage, parts, show)
            held.check()
    missed = late(job.database, about)  # (5)
    made = report.made(job.database, row)  # (6)
    digest = report.written(job.folder, made)
    runs.changed(held, row["_id"], {"state": runs.DONE, "report": digest})  # (7)
    runlog.append(job.folder, "end", run=row["_id"], report=digest, late=missed, errors=made["errors"]["leaves"])
    return Outcome(row, made, digest, missed, is_new=True)


def numbers(work: Any, stage: str) -> list[int]:
    """The partitions of a stage."""
    return [number for (number,) in work.execute("SELECT number FROM partition WHERE stage = ? ORDER BY number", (stage,))]


def late(database: Database, about: Mapping[str, Any]) -> int:
    """How many documents there are more than at the inventory; the next run takes them."""
    found = database[inventory.RAW].count_documents({}) + database[inventory.LEGACY].count_documents({})
    return max(found - int(about["documents"]) - int(about["legacy"]), 0)

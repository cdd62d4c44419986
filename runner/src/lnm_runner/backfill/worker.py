"""Does one partition of a stage: what it needs is the work file, the connection and the number; all else stands in `lnm_runs`.

Workers are processes of their own; whoever starts them, here or in a cluster, has to hold the lease meanwhile. One whose lease
is gone writes nothing, as each partition is fenced.
"""

from __future__ import annotations

import contextlib
import gc
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo.errors import PyMongoError

from lnm_runner import driver_errors, mongo
from lnm_runner.backfill import lag, pace, runlog, runs, workfile
from lnm_runner.backfill.batches import BATCH_BYTES, ERRORS, Batch, Partition, Written
from lnm_runner.backfill.making import STAGES, Input
from lnm_runner.backfill.pace import Limits, State
from lnm_runner.durations import SECOND_MS
from lnm_runner.errors import DocumentsFailedError, LedgerError, RetryableError
from lnm_runner.lease import Lease
from lnm_runner.mongo import Database
from lnm_runner.target import Target

SETTINGS, PACE = "lnm_settings", "backfill-pace"
MEASURE_EVERY_S = 1.0


@dataclass(frozen=True)
class Place:
    """Where a worker works."""

    folder: Path
    """Of the work file."""
    target: Target


@dataclass
class Hand:
    """A worker at work: its connection and its view of the work file."""

    place: Place
    database: Database
    work: sqlite3.Connection
    lease: Lease
    run: Mapping[str, Any]
    has_earlier: bool
    shards: Mapping[str, Any] | None
    """The `admin` of each shard, where they have to be asked one by one."""
    stop: Callable[[], bool]
    """True where it should end after the present batch."""
    tell: Callable[[int], None]
    """Hears of inputs that are done."""
    state: State = field(default_factory=lambda: State(pace.DEFAULT_BATCH))
    measured_at: float = float("-inf")

    def earlier(self, identity: ObjectId) -> bytes | None:
        """What an earlier run has made under an id."""
        found = self.work.execute("SELECT sha256 FROM earlier WHERE id = ?", (identity.binary,)).fetchone()
        return bytes(found[0]) if found else None

    def do(self, stage: str, number: int) -> bool:
        """Does a partition, from where it was left; False where it was asked to stop before its end.

        Raises: DocumentsFailedError, RetryableError, LeaseLostError, PyMongoError.
        """
        low, high = self.work.execute(
            "SELECT low, high FROM partition WHERE stage = ? AND number = ?", (stage, number)
        ).fetchone()
        earlier = self.earlier if self.has_earlier else None
        partition = Partition(self.database, self.lease, self.run["_id"], stage, number, earlier)
        after, carry = partition.begin()
        if self.stop() or not self.may_go_on():  # also the first batch waits for a lag that is known
            return False
        began, count = time.monotonic(), 0
        batch = Batch()
        for item in STAGES[stage](Input(self.database, self.work, self.run["_id"]), low, high, after, carry):
            batch.add(item)
            if len(batch.items) < self.state.batch_size and batch.size < BATCH_BYTES:
                continue
            count += self.write(partition, batch)
            batch = Batch()
            if self.stop() or not self.may_go_on():
                partition.end()
                return False
        if batch.items:
            count += self.write(partition, batch)
        partition.end()
        took_ms = round((time.monotonic() - began) * 1000)
        runlog.append(self.place.folder, "partition", stage=stage, number=number, inputs=count, tookMs=took_ms)
        return True

    def write(self, partition: Partition, batch: Batch) -> int:
        """Writes a batch; returns how many inputs it had.

        Raises: DocumentsFailedError.
        """
        written = partition.write(batch)
        touched = partition.unverified["touched"] if partition.unverified else ()
        self.tell(len(batch.items))
        settings = self.run["settings"]
        if (written.failures or touched) and (settings["stopOnError"] or self.too_many(settings["maxErrors"])):
            partition.end()
            raise failed(written, touched)
        return len(batch.items)

    def too_many(self, most: int | None) -> bool:
        """True where more inputs have failed than may."""
        return most is not None and failures(self.database, self.run["_id"], most + 1) > most

    def may_go_on(self) -> bool:
        """Keeps the pace; False where it was asked to stop while it paused.

        Raises: RetryableError after a pause that was too long.
        """
        if time.monotonic() - self.measured_at < MEASURE_EVERY_S:
            return True
        while True:
            elapsed_s = time.monotonic() - self.measured_at if self.state.paused_s else 0.0
            self.measured_at = time.monotonic()
            sample = lag.measured(self.database.client.admin, self.shards)
            runlog.append(self.place.folder, "lag", lagMs=None if sample.lag_s is None else round(sample.lag_s * SECOND_MS))
            decision = pace.decide(self.state, self.limits(), sample, elapsed_s)
            self.state = decision.state
            if decision.said:
                runlog.append(self.place.folder, "pace", said=decision.said)
            if decision.action == "stop":
                raise RetryableError(
                    f"the backfill {decision.said}", hint="see to the members of the replica set, then run the same command again"
                )
            if decision.action == "go":
                return True
            until = time.monotonic() + pace.PAUSE_S
            while time.monotonic() < until:
                if self.stop():
                    return False
                time.sleep(0.05)

    def limits(self) -> Limits:
        """What is allowed now."""
        settings = self.run["settings"]
        control = self.database[SETTINGS].find_one({"_id": PACE})
        return Limits(settings["batchSize"], settings["maxLagSeconds"]).changed(control)


def failures(database: Database, run: str, limit: int) -> int:
    """How many inputs have failed, up to a limit."""
    return database[ERRORS].count_documents({"runId": run, "stage": {"$in": list(STAGES)}}, limit=limit)


def failed(written: Written, touched: Any) -> DocumentsFailedError:
    """The error of a batch."""
    said = [f"{' '.join(one.key)}: {one.code} {one.reason}" for one in written.failures]
    said += [f"{one['collection']} {one['id']}: {one['found']} by somebody else while it was written" for one in touched]
    return DocumentsFailedError(said)


@contextlib.contextmanager
def translating() -> Iterator[None]:
    """Turns what the driver says into errors of ours, which can travel between processes.

    Raises: RunnerError.
    """
    try:
        yield
    except PyMongoError as err:
        raise driver_errors.translated(err) from err


@contextlib.contextmanager
def hired(place: Place, stop: Callable[[], bool], tell: Callable[[int], None]) -> Iterator[Hand]:
    """A worker.

    Raises: RunnerError, as everything of the driver is translated.
    """
    client = mongo.make_client(place.target)
    gc.freeze()  # modules, which no collection has to look at again
    gc.set_threshold(100_000, 50, 50)
    try:
        with translating(), workfile.opened(place.folder) as work, contextlib.ExitStack() as stack:
            server = mongo.look(client, place.target.database)
            run = server.database[runs.RUNS].find_one({"_id": workfile.recall(work)["runId"]})
            if run is None or run["state"] != runs.RUNNING:
                raise LedgerError(
                    "lnm_runs: the run of the work file is not under way", hint="lnm backfill begins it, or goes on"
                )
            lease = Lease(server.database, int(run["epoch"]), run["owner"], run["leaseSeconds"])
            shards = stack.enter_context(shards_of(place.target, server))
            hand = Hand(place, server.database, work, lease, run, has_earlier(server.database, run), shards, stop, tell)
            hand.state = State(hand.limits().batch_size)
            yield hand
    finally:
        client.close()


@contextlib.contextmanager
def shards_of(target: Target, server: mongo.Server) -> Iterator[dict[str, Any] | None]:
    """`{shard: its admin}` behind a router."""
    clients = mongo.shard_clients(target, server)
    try:
        yield None if clients is None else {name: None if client is None else client.admin for name, client in clients.items()}
    finally:
        for client in (clients or {}).values():
            if client is not None:
                client.close()


def has_earlier(database: Database, run: Mapping[str, Any]) -> bool:
    """True where another run has written something that stands."""
    wanted = {"_id": {"$ne": run["_id"]}, "state": {"$ne": runs.ROLLED_BACK}}
    return database[runs.RUNS].find_one(wanted, {"_id": 1}) is not None

"""One runner at a time: the lease, and the fences behind it (collection `lnm_lease`, decisions §12).

The lease is the document `runner`: `{_id, epoch, owner: {host, pid, run}, purpose, acquiredAt, renewedAt, expiresAt}`; a
publisher holds another one, `publisher`, by the same rules:
(1) only the server's clock (`$$NOW`) says whether it is free; (2) each acquisition has a higher epoch, and the document is
never removed; (3) while it is held a thread renews it; who cannot renew it until it runs out stops itself, also where a link has
stalled and no socket fails: nothing that is sent after that, or to part, is waited for; (4) documents are written in transactions
that touch a fence, `_id: "fence:<partition>"`: a fence with a higher epoch makes the whole transaction match nothing, so that a
runner which was paused and comes back writes nothing, whatever it believes; (5) DDL cannot be fenced: `check` asks the server
right before it, and a second runner that does the same converges.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar

import pymongo
from bson import Int64
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from lnm_runner.errors import LeaseLostError, LedgerError, LockedError, RetryableError, RunnerError
from lnm_runner.mongo import PARTING_S, Database

COLLECTION = "lnm_lease"
RUNNER = "runner"
LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
RENEWALS = 3  # in the time that a lease lasts: two may fail
WAIT_STEP_S = 0.5
LONGEST_TRANSACTION_S = 60  # the server's transactionLifetimeLimitSeconds, unless it was changed
SLACK_S = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Lease:
    """A lease that was acquired; whether it is still held is known to the server alone."""

    database: Database
    epoch: int
    owner: Mapping[str, Any]
    """`{host, pid, run}`: this process."""
    lasts_s: float
    say: Callable[[str], None] = field(default=lambda _: None, repr=False)
    """Takes a line about what is waited for."""
    name: str = RUNNER
    """`_id` of its document: who publishes holds another one than who migrates."""
    lost: threading.Event = field(default_factory=threading.Event)
    """Set once this process knows that it is gone."""
    unanswered: threading.Event = field(default_factory=threading.Event)
    """Set while the server does not answer when it is to be renewed."""
    committing: threading.Event = field(default_factory=threading.Event)
    """Set while a transaction is being committed; where it stays so, nobody here knows whether it was."""
    asked_at: float = field(default_factory=time.monotonic)
    """When it was asked for, by the clock of this process: it never lasts longer here than for the server."""

    @property
    def run(self) -> str:
        """Invented for this acquisition."""
        return str(self.owner["run"])

    @property
    def mine(self) -> dict[str, Any]:
        """Matches the lease as long as nobody has taken it over."""
        return {"_id": self.name, "epoch": self.epoch, "owner.run": self.run}

    def check(self) -> None:
        """Asks the server whether it is held.

        Raises: LeaseLostError.
        """
        held = {**self.mine, "$expr": {"$gt": ["$expiresAt", "$$NOW"]}}
        if self.lost.is_set() or self.database[COLLECTION].find_one(held, {"_id": 1}) is None:
            raise gone(self)

    def renew(self) -> bool:
        """Renews it by the server's clock; False where it has run out or was taken over."""
        held = {**self.mine, "$expr": {"$gt": ["$expiresAt", "$$NOW"]}}
        renewed = [{"$set": {"renewedAt": "$$NOW", "expiresAt": later(self.lasts_s)}}]
        return self.database[COLLECTION].update_one(held, renewed).matched_count == 1

    def release(self) -> None:
        """Lets it go, as far as it is held; after its time it has run out in any case."""
        with pymongo.timeout(min(self.lasts_s, SLACK_S)):
            self.database[COLLECTION].update_one(self.mine, [{"$set": {"releasedAt": "$$NOW", "expiresAt": "$$NOW"}}])

    def fence(self, partition: str) -> None:
        """Claims a partition of the work: from here on no transaction of an earlier epoch in it can be committed.

        A transaction that a killed runner has left open keeps it waiting until the server ends that one.

        Raises: LeaseLostError where a later epoch has claimed it; RetryableError where the server does not end the transaction.
        """
        deadline = time.monotonic() + LONGEST_TRANSACTION_S + SLACK_S
        while time.monotonic() < deadline:
            try:
                with pymongo.timeout(SLACK_S):
                    return self.claim(partition)
            except PyMongoError as err:
                if not err.timeout:
                    raise
            self.check()
            self.say("waiting for the server to end the transaction of a runner that is gone; that takes up to a minute")
        raise RetryableError(
            "a transaction that another runner has left open is not ended by the server",
            hint="wait for its transactionLifetimeLimitSeconds (60, unless changed), then run the same command again",
        )

    def claim(self, partition: str) -> None:
        """Claims a partition in one attempt."""
        mine = {"_id": f"fence:{partition}", "epoch": {"$lte": self.epoch}}
        try:
            self.database[COLLECTION].update_one(mine, {"$set": {"epoch": Int64(self.epoch)}}, upsert=True)
        except DuplicateKeyError as err:
            row = self.database[COLLECTION].find_one({"_id": mine["_id"]}) or {}
            if not isinstance(row.get("epoch"), int):
                hint = f"see that no runner is at work, then remove it: db.{COLLECTION}.deleteOne({{_id: '{mine['_id']}'}})"
                raise LedgerError(f"{COLLECTION}: the document {mine['_id']} is none that a runner wrote", hint=hint) from err
            raise gone(self) from err

    def transaction(self, partition: str, work: Callable[[ClientSession], T]) -> T:
        """Does the writes of `work` in a short transaction behind the fence of a partition; `work` may be called again.

        Raises: LeaseLostError, and nothing was written; PyMongoError.
        """

        def fenced(session: ClientSession) -> T:
            self.committing.clear()
            mine = {"_id": f"fence:{partition}", "epoch": self.epoch}
            if not self.database[COLLECTION].update_one(mine, {"$inc": {"writes": Int64(1)}}, session=session).matched_count:
                raise gone(self)
            if self.database[COLLECTION].find_one(self.mine, {"_id": 1}, session=session) is None:
                raise gone(self)  # a fence that nobody else has claimed yet does not know of a later epoch
            done = work(session)
            self.committing.set()
            return done

        with self.database.client.start_session() as session:
            committed = session.with_transaction(
                fenced,
                read_concern=ReadConcern("snapshot"),
                write_concern=WriteConcern("majority", j=True),
            )
        self.committing.clear()
        return committed


def later(seconds: float) -> dict[str, Any]:
    """So long after the server's now, as an expression."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": Int64(int(seconds * 1000))}}


def holder(database: Database, name: str = RUNNER) -> Mapping[str, Any] | None:
    """The lease's document with `isHeld` and `expiresInMs`, both by the server's clock; None where there never was one.

    Raises: LedgerError for a document that no runner wrote.
    """
    row = next(iter(database[COLLECTION].aggregate([{"$match": {"_id": name}}, {"$set": {"now": "$$NOW"}}])), None)
    if row is None:
        return None
    times = all(isinstance(row.get(name), dt.datetime) for name in ("acquiredAt", "renewedAt", "expiresAt"))
    if not times or not isinstance(row.get("owner"), dict) or not isinstance(row.get("epoch"), int):
        raise LedgerError(
            f"{COLLECTION}: the document {name} is none that a runner wrote",
            hint=f"see that no runner is at work, then remove it: db.{COLLECTION}.deleteOne({{_id: '{name}'}})",
        )
    left = (row["expiresAt"] - row["now"]) // dt.timedelta(milliseconds=1)
    return {**row, "isHeld": left > 0, "expiresInMs": left}


def acquire(
    database: Database, purpose: str, *, lasts_s: float, say: Callable[[str], None] = lambda _: None, name: str = RUNNER
) -> Lease:
    """Takes the lease if it is free.

    Raises: LockedError that names its holder; PyMongoError, also where the server does not answer in the time of the lease.
    """
    with pymongo.timeout(max(lasts_s, SLACK_S)):
        return asked(database, purpose, lasts_s=lasts_s, say=say, name=name)


def asked(database: Database, purpose: str, *, lasts_s: float, say: Callable[[str], None], name: str) -> Lease:
    """The same, for as long as it takes."""
    owner = {"host": platform.node(), "pid": os.getpid(), "run": uuid.uuid4().hex}
    # higher than any that was ever seen here: the document of the lease may have been removed by hand, the fences have not
    claimed = [row["epoch"] for row in database[COLLECTION].find({"epoch": {"$type": "number"}}, {"epoch": 1})]
    highest = Int64(int(max(claimed, default=0)))
    taken = {
        "epoch": {"$add": [{"$max": ["$epoch", highest]}, Int64(1)]},
        "owner": {"$literal": owner},
        "purpose": {"$literal": purpose},
        "acquiredAt": "$$NOW",
        "renewedAt": "$$NOW",
        "expiresAt": later(lasts_s),
    }
    # an upsert must not have $expr in its filter, so the pipeline decides; one that changes nothing writes nothing
    update: list[Mapping[str, Any]] = [
        {"$set": {"free": {"$lte": [{"$ifNull": ["$expiresAt", LONG_AGO]}, "$$NOW"]}}},
        {"$set": {name: {"$cond": ["$free", value, f"${name}"]} for name, value in taken.items()}},
        {"$unset": "free"},
    ]
    asked_at = time.monotonic()
    row = database[COLLECTION].find_one_and_update({"_id": name}, update, upsert=True, return_document=ReturnDocument.AFTER)
    if row is None:
        raise RunnerError(f"{COLLECTION}: an upsert has returned nothing")
    if row.get("owner") != owner:
        raise locked(holder(database, name) or row)
    return Lease(database, int(row["epoch"]), owner, lasts_s, say, name, asked_at=asked_at)


def acquired(database: Database, purpose: str, *, lasts_s: float, wait_s: float, say: Callable[[str], None]) -> Lease:
    """Takes the lease as soon as it is free.

    Raises: LockedError where it is not so in time.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return acquire(database, purpose, lasts_s=lasts_s, say=say)
        except LockedError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(WAIT_STEP_S)


@contextlib.contextmanager
def held(
    database: Database, purpose: str, *, lasts_s: float, wait_s: float = 0, say: Callable[[str], None] = lambda _: None
) -> Iterator[Lease]:
    """Holds the lease for a block, and stops the block when it cannot be renewed any more.

    It waits up to `wait_s` for another runner to end.

    Raises: LockedError; LeaseLostError, from anywhere in the block.
    """
    with kept(acquired(database, purpose, lasts_s=lasts_s, wait_s=wait_s, say=say)) as lease:
        yield lease


@contextlib.contextmanager
def kept(lease: Lease) -> Iterator[Lease]:
    """Keeps a lease for a block, and lets it go at its end.

    Raises: LeaseLostError, from anywhere in the block.
    """
    try:
        with renewed(lease):
            yield lease
    finally:
        with contextlib.suppress(PyMongoError):
            if not lease.lost.is_set():
                lease.release()


@contextlib.contextmanager
def renewed(lease: Lease) -> Iterator[None]:
    """Renews a lease in a thread; where that fails for too long, the main thread gets a LeaseLostError wherever it is."""
    over = threading.Event()
    parting = contextlib.ExitStack()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if lease.lost.is_set() and not over.is_set():
            # what the driver sends yet, as that a transaction is over, may find no answer: that ends it, too
            parting.enter_context(pymongo.timeout(PARTING_S))
            raise gone(lease)

    main = threading.main_thread().ident
    thread = threading.Thread(target=keep, args=(lease, over, main), name="lease", daemon=True)
    before = signal.signal(signal.SIGUSR1, stop)
    thread.start()
    try:
        with parting:
            yield
    finally:
        over.set()
        thread.join(timeout=lease.lasts_s)
        signal.signal(signal.SIGUSR1, before)


def keep(lease: Lease, over: threading.Event, main: int | None) -> None:
    """Renews until it is over; the last success counts from before it was sent, so that it never lasts longer here than there."""
    until = lease.asked_at + lease.lasts_s
    while not over.wait(min(lease.lasts_s / RENEWALS, max(until - time.monotonic(), 0))):
        sent, is_held = time.monotonic(), sent_in_time(lease, until)
        until = sent + lease.lasts_s if is_held else until
        if is_held is False or time.monotonic() >= until:
            lease.lost.set()
            if main is not None and not over.is_set():
                signal.pthread_kill(main, signal.SIGUSR1)  # a real signal: the thread may be waiting for an answer of the server
            return


def sent_in_time(lease: Lease, until: float) -> bool | None:
    """Renews once; None where the server did not answer: it may do so at the next attempt."""
    try:
        with pymongo.timeout(max(min(lease.lasts_s / RENEWALS, until - time.monotonic()), 0.05)):
            is_held = lease.renew()
    except PyMongoError:
        lease.unanswered.set()
        return None
    lease.unanswered.clear()
    return is_held


def gone(lease: Lease) -> LeaseLostError:
    """The error of a runner whose lease is gone."""
    lease.lost.set()
    unanswered = f"MongoDB did not answer for {lease.lasts_s:g} s, so that it has run out"
    why = unanswered if lease.unanswered.is_set() else "it ran out, or another runner has taken it over"
    in_doubt = lease.unanswered.is_set() or lease.committing.is_set()
    last = "what it sent last may be done, or not: lnm status tells" if in_doubt else "nothing more was written by this one"
    return LeaseLostError(
        f"this runner no longer holds the lease (epoch {lease.epoch}): {why}",
        hint=f"{last}; look: lnm doctor",
        facts={"epoch": lease.epoch},
    )


def locked(row: Mapping[str, Any]) -> LockedError:
    """The error for a lease that another runner holds."""
    left = max(int(row.get("expiresInMs", 0)), 0) // 1000 + 1
    return LockedError(
        f"another runner is at work: {described(row)}",
        hint=f"wait for it (--wait SECONDS); where it is gone, its lease runs out in {left} s, unless it is renewed",
        facts={"holder": shown(row)},
    )


def described(row: Mapping[str, Any]) -> str:
    """The holder in words."""
    owner = row.get("owner") or {}
    since = row["acquiredAt"].isoformat(timespec="seconds")
    return (
        f"process {owner.get('pid', '?')} on {owner.get('host', '?')} since {since}, «{row.get('purpose')}», epoch {row['epoch']}"
    )


def shown(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The lease for a program."""
    if row is None:
        return None
    names = ("epoch", "owner", "purpose", "acquiredAt", "renewedAt", "releasedAt", "expiresAt", "expiresInMs", "isHeld")
    return {name: row[name] for name in names if name in row}

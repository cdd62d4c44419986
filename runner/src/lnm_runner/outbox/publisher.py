"""The reference publisher: takes rows of the outboxes in order, writes each as an event, and marks it (facts 3.4).

Rules: (1) observations first, then linksets, each by `replayCursor` and `_id`; (2) a batch is written and synced before its rows
are marked, by the server's clock: an event is published at least once, and a reader knows it again by its `eventId`; (3) in a
file each event is once: what a killed publisher has written and not marked is only marked; (4) one publisher works at a time, by
the lease `publisher`; (5) nothing is written while the switch is off, a backfill is half-way, or the cluster refuses the mark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from lnm_runner import lease, privileges
from lnm_runner.errors import StageError
from lnm_runner.lease import Lease
from lnm_runner.mongo import Database, Server
from lnm_runner.options import Options
from lnm_runner.outbox import events, sinks, switch
from lnm_runner.outbox.backlog import OUTBOXES
from lnm_runner.outbox.sinks import Sink

LEASE = "publisher"
PRIVILEGES = "outbox publish"
BATCH = 500  # rows; so many lines at most are written and not marked after a kill
LOOK_EVERY_S = 1.0
PENDING = {"publishedAt": None}


@dataclass
class Told:
    """What a publisher has done."""

    written: int = 0
    only_marked: int = 0
    """Those that an earlier one had written."""


def publish(server: Server, options: Options) -> Told:
    """Publishes what waits; with --follow goes on until it is stopped.

    Raises: StageError while it may not; LockedError; RunnerError.
    """
    require(server, options)
    may = partial(require_open, server, options)
    with sinks.opened(options, BATCH) as sink:
        mine = lease.acquire(server.database, "publish", lasts_s=options.lease_s, say=options.progress.line, name=LEASE)
        with lease.kept(mine) as held:
            told = Told(only_marked=mark_known(server.database, sink))
            while True:
                done = told.written
                for name in OUTBOXES:
                    drain(held, may, sink, name, told)
                if told.written == done:
                    if not options.runbook.follows:
                        return told
                    time.sleep(LOOK_EVERY_S)
                    may()


def require(server: Server, options: Options) -> None:
    """Sees that it may publish.

    Raises: StageError, PrivilegeError.
    """
    privileges.require(server, PRIVILEGES)
    require_open(server, options)


def require_open(server: Server, options: Options) -> None:
    """Refuses while the switch is off, or a run of the backfill or of its rollback is half-way.

    Raises: StageError.
    """
    switch.require_settled(server, options)
    if not switch.is_on(server.database):
        raise StageError(
            "the outbox is switched off: nothing is published", hint="lnm runbook status says what comes before enable-outbox"
        )


def mark_known(database: Database, sink: Sink) -> int:
    """Marks what an earlier publisher has written into the same file and could not mark; how many.

    Raises: PyMongoError.
    """
    wanted = {**PENDING, "eventId": {"$in": list(sink.known)}}
    return sum(mark(database, name, wanted) for name in OUTBOXES) if sink.known else 0


def drain(held: Lease, may: Callable[[], None], sink: Sink, collection: str, told: Told) -> None:
    """Publishes what waits in one outbox now, batch by batch; `may` refuses where it may not.

    Raises: StageError once it is switched off, or a backfill or its rollback has begun; LeaseLostError, InputError, PyMongoError.
    """
    database = held.database
    for ids in in_batches(database, collection):
        may()
        held.check()
        rows = {row["_id"]: row for row in database[collection].find({**PENDING, "_id": {"$in": ids}})}
        lines: dict[Any, bytes] = {}
        try:
            for one in ids:
                if one in rows:
                    lines[one] = events.line(collection, rows[one])
        finally:  # what stands before a row of which no event can be made is published
            if lines:
                sink.write(b"".join(lines.values()))
                mark(database, collection, {**PENDING, "_id": {"$in": list(lines)}})
                told.written += len(lines)


def in_batches(database: Database, collection: str) -> Iterator[Sequence[Any]]:
    """The ids of what waits, in order: the server sorts these alone, on its disk where they are many.

    Raises: PyMongoError.
    """
    ordered: list[dict[str, Any]] = [
        {"$match": PENDING},
        {"$project": {"replayCursor": 1}},
        {"$sort": {"replayCursor": 1, "_id": 1}},
    ]
    with database[collection].aggregate(ordered, allowDiskUse=True, batchSize=BATCH) as cursor:
        while ids := [row["_id"] for row in islice(cursor, BATCH)]:
            yield ids


def mark(database: Database, collection: str, wanted: dict[str, Any]) -> int:
    """Marks rows as published, by the server's clock; how many were not yet.

    Raises: PyMongoError.
    """
    return database[collection].update_many(wanted, [{"$set": {"publishedAt": "$$NOW"}}]).modified_count

"""Writes what a stage makes, batch by batch: behind a fence, read back, and only then past its checkpoint (decisions §4).

A batch is one short transaction: (1) the fence; (2) its documents; (3) its failures; (4) its row in `lnm_checkpoints` with the
hash of each document, so that whatever this run has written is known by its hash from the same moment on. Then (5) all of it is
read with the concern `majority` and compared with those hashes; (6) `isVerified` of the row follows with the next transaction.
Who begins again does (5) for the last row and goes on behind it. What stands in the way of a document is looked at, kept or
told, and never overwritten; only what an earlier run has made, and nobody has touched since, is replaced, and kept in
`lnm_backfill_before`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from lnm_runner.backfill import existing
from lnm_runner.backfill.existing import Decided, Earlier
from lnm_runner.backfill.items import Failure, Item, Position
from lnm_runner.backfill.leaves import CHECKPOINTS, RAW, packed_leaves, touched
from lnm_runner.errors import RetryableError
from lnm_runner.lease import Lease
from lnm_runner.mongo import Database

ERRORS, BEFORE = "lnm_backfill_errors", "lnm_backfill_before"
BATCH_BYTES = 8 * 1024 * 1024
"""A batch is written when it has so many, however few documents that are; a transaction must stay short."""
DUPLICATE_KEY = 11000
ATTEMPTS = 5


@dataclass
class Batch:
    """Items that are written together."""

    items: list[Item] = field(default_factory=list)
    size: int = 0

    def add(self, item: Item) -> None:
        """Takes one more."""
        self.items.append(item)
        self.size += item.size


@dataclass(frozen=True)
class Written:
    """What became of a batch."""

    row: Mapping[str, Any]
    failures: Sequence[Failure]


@dataclass
class Partition:
    """One part of a stage's work, and who writes it."""

    database: Database
    lease: Lease
    run: str
    stage: str
    number: int
    earlier: Earlier | None = None
    """What earlier runs have made; None where there were none, so that nothing should be in the way."""
    rows: int = 0
    unverified: Mapping[str, Any] | None = None

    @property
    def fence(self) -> str:
        """What it is fenced by."""
        return f"21-102/{self.stage}/{self.number}"

    def begin(self) -> tuple[Position | None, Mapping[str, Any] | None]:
        """Claims it; where an earlier attempt came to, and what it carried on."""
        self.lease.fence(self.fence)
        mine = {"runId": self.run, "stage": self.stage, "partition": self.number}
        found = self.database[CHECKPOINTS].find_one(mine, sort=[("_id", -1)])
        if found is None:
            return None, None
        self.rows = found["index"] + 1
        if not found["isVerified"]:
            self.unverified = {**found, "touched": touched(self.database, found)}
        return (found["last"][0], found["last"][1]), found["carry"]

    def write(self, batch: Batch) -> Written:
        """Writes a batch and reads it back.

        Raises: LeaseLostError, PyMongoError; nothing of it is written then, or all of it.
        """
        look = self.earlier is not None
        for _ in range(ATTEMPTS):
            decided = (
                existing.decided(self.database, batch.items, self.earlier or nothing) if look else existing.untouched(batch.items)
            )
            row = self.row(batch, decided)
            try:
                self.lease.transaction(self.fence, lambda session: self.send(session, row, decided))  # noqa: B023 - called at once
            except BulkWriteError as err:
                codes = {error.get("code") for error in (err.details or {}).get("writeErrors", ())}
                if codes != {DUPLICATE_KEY}:
                    raise
                look = True
                continue
            self.rows += 1
            self.unverified = {**row, "touched": touched(self.database, row)}
            return Written(row, [failure for _, failure in decided.failures])
        raise RetryableError(
            f"documents appear in the way faster than they can be looked at ({self.stage}, partition {self.number})",
            hint="somebody else writes into the same collections: see that ingestion is frozen, then run the same command again",
        )

    def end(self) -> None:
        """Lets the last row say that it was read back."""
        if self.unverified is not None:
            self.lease.transaction(self.fence, self.settle)
            self.unverified = None

    def send(self, session: ClientSession, row: Mapping[str, Any], decided: Decided) -> None:
        """The writes of a batch."""
        self.settle(session)
        for collection, documents in decided.inserts().items():
            self.database[collection].insert_many([RawBSONDocument(one.data) for one in documents], session=session)
        for collection, replaced in decided.replacements().items():
            identities = [{"run": self.run, "collection": collection, "id": one.made.id} for one in replaced]
            images = [
                {"_id": identity, "document": RawBSONDocument(one.before)}
                for identity, one in zip(identities, replaced, strict=True)
            ]
            self.database[BEFORE].insert_many(images, session=session)
            changes: list[ReplaceOne[RawBSONDocument]] = [
                ReplaceOne({"_id": one.made.id}, RawBSONDocument(one.made.data)) for one in replaced
            ]
            self.database[collection].with_options(codec_options=RAW).bulk_write(changes, ordered=False, session=session)
        if decided.failures:
            rows = [error_row(self, item, failure) for item, failure in decided.failures]
            self.database[ERRORS].insert_many(rows, session=session)
        self.database[CHECKPOINTS].insert_one(dict(row), session=session)

    def settle(self, session: ClientSession) -> None:
        """What was found when the row before was read back."""
        if self.unverified is not None:
            said = {"isVerified": True, "touched": self.unverified["touched"]}
            self.database[CHECKPOINTS].update_one({"_id": self.unverified["_id"]}, {"$set": said}, session=session)

    def row(self, batch: Batch, decided: Decided) -> dict[str, Any]:
        """The row of a batch."""
        last = batch.items[-1]
        return {
            "_id": f"{self.run}/{self.stage}/{self.number:06}/{self.rows:08}",
            "runId": self.run,
            "stage": self.stage,
            "partition": self.number,
            "index": self.rows,
            "last": list(last.position),
            "carry": last.carry,
            "leaves": [packed_leaves(collection, leaves) for collection, leaves in decided.leaves().items()],
            "tallies": [[tenant, word, many] for (tenant, word), many in sorted(decided.tallies.items())],
            "failures": len(decided.failures),
            "isVerified": False,
            "touched": [],
        }


def nothing(_identity: object) -> None:
    """No earlier run has made anything."""


def error_row(partition: Partition, item: Item, failure: Failure) -> dict[str, Any]:
    """A failure as it is stored."""
    return {
        "_id": f"{partition.run}/{partition.stage}/{item.position[0]:012}/{item.position[1]:08}",
        "runId": partition.run,
        "stage": partition.stage,
        "tenantId": item.tenant,
        "key": list(failure.key),
        "code": failure.code,
        "reason": failure.reason,
    }

"""What a backfill has put into the database and into the oplog, asked of the server.

The oplog has each inserted document whole, and something around it; a backfill inserts, so the sum of both is the oplog's growth,
and nobody needs to read `local`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import OperationFailure

from lnm_runner.backfill import events, tombstones
from lnm_runner.driver_errors import UNAUTHORIZED
from lnm_runner.mongo import Database

WRITTEN: Final = (
    "advisory_observations",
    "advisory_linksets",
    events.OF_OBSERVATIONS,
    events.OF_LINKSETS,
    tombstones.COLLECTION,
)
AROUND: Final = 175
"""Bytes of the oplog beside each document: its part of the transaction (op, ns, ui, o2), of fences and checkpoints; measured by
tests/runner/test_evidence_measured.py on 6.0.5, 174 of 1,040 for each of 1,650 documents."""
NAMESPACE_NOT_FOUND: Final = 26


@dataclass(frozen=True)
class Written:
    """Bytes; None where this user may not ask (`collStats`, role lnmPreflight)."""

    oplog_bytes: int | None
    stored_bytes: int | None
    """On the disk, compressed, with the indexes."""


def written(database: Database) -> Written:
    """What lies in the collections that a backfill writes."""
    found = [stats for name in WRITTEN if (stats := asked(database, name)) is not None]
    if any(not stats for stats in found):
        return Written(None, None)
    return Written(
        sum(int(stats["size"]) + AROUND * int(stats["count"]) for stats in found),
        sum(int(stats["storageSize"]) + int(stats["totalIndexSize"]) for stats in found),
    )


def asked(database: Database, collection: str) -> dict[str, Any] | None:
    """What the server says; None where there is no such collection, nothing at all where this user may not ask."""
    try:
        return dict(database.command("collStats", collection))
    except OperationFailure as err:
        if err.code == NAMESPACE_NOT_FOUND:
            return None
        if err.code == UNAUTHORIZED:
            return {}
        raise

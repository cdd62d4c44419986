"""What waits in the outboxes, and for how long. Read-only.

A row of the backfill carries the dates of what it was made of, and could not be published before it was allowed. So it waits
since its own date, since the switch was set, or since the cluster was unfrozen, whichever came last; while the switch is off
nothing waits.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnm_runner import freeze, mongo, switches
from lnm_runner.backfill.events import OF_LINKSETS, OF_OBSERVATIONS
from lnm_runner.lease import LONG_AGO
from lnm_runner.mongo import Database
from lnm_runner.outbox import switch

OUTBOXES = {OF_OBSERVATIONS: "ingestedAt", OF_LINKSETS: "createdAt"}
"""`{collection: the date of a row}`; in this order they are published: a linkset comes behind its observations."""
HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Backlog:
    """What waits in one outbox, or in all."""

    rows: int
    oldest_ms: int | None
    """How long the oldest has waited; None where nothing waits."""


def of(database: Database, collection: str, since: dt.datetime | None, now: dt.datetime) -> Backlog:
    """What waits in one outbox; `since` when it may be published, None: it may not.

    Raises: PyMongoError.
    """
    date = f"${OUTBOXES[collection]}"
    found = next(
        iter(
            database[collection].aggregate(
                [{"$match": {"publishedAt": None}}, {"$group": {"_id": None, "rows": {"$sum": 1}, "oldest": {"$min": date}}}]
            )
        ),
        None,
    )
    if found is None:
        return Backlog(0, None)
    if since is None:
        return Backlog(int(found["rows"]), None)
    oldest = found["oldest"] if isinstance(found["oldest"], dt.datetime) else since
    waited = (now - max(oldest, since)) // dt.timedelta(milliseconds=1)
    return Backlog(int(found["rows"]), max(waited, 0))


def since(database: Database) -> dt.datetime | None:
    """Since when events may be published; None while they may not.

    Raises: PyMongoError.
    """
    set_at = switch.read(database)
    if set_at.get("enabled") is not True:
        return None
    unfrozen: Mapping[str, Any] = switches.read(database, freeze.MARKER) or {}
    return max(at for at in (set_at.get("at"), unfrozen.get("at"), LONG_AGO) if isinstance(at, dt.datetime))


def measured(database: Database) -> dict[str, Backlog]:
    """`{collection: what waits}`.

    Raises: PyMongoError.
    """
    at, now = since(database), mongo.now(database)
    return {name: of(database, name, at, now) for name in OUTBOXES}


def together(found: Mapping[str, Backlog]) -> Backlog:
    """Of all outboxes."""
    oldest = [one.oldest_ms for one in found.values() if one.oldest_ms is not None]
    return Backlog(sum(one.rows for one in found.values()), max(oldest, default=None))


def published(database: Database, collection: str, since: dt.datetime | None = None) -> int:
    """How many rows were published, ever or since then.

    Raises: PyMongoError.
    """
    return database[collection].count_documents({"publishedAt": {"$gt": since or LONG_AGO}})

"""Tombstones: for each merged document of the old model, where its content is now (decisions §4). The document itself is never changed.

`reason`, the first that holds: `raw-missing`, no linkset speaks of it; `duplicate`, an earlier merged document of the tenant is about the
same advisories; `superseded-by-linkset`.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from lnm_runner.backfill import identity
from lnm_runner.backfill import linksets as of_linksets
from lnm_runner.backfill.observations import TASK
from lnm_runner.mongo import Database

COLLECTION = "advisory_linkset_tombstones"
MISSING, DUPLICATE, SUPERSEDED = "raw-missing", "duplicate", "superseded-by-linkset"

KEYS = """
SELECT DISTINCT raw.tenant, raw.source, raw.advisory FROM member JOIN raw ON raw.lead = member.lead
WHERE member.component = ? AND raw.problem IS NULL
"""


def components(work: sqlite3.Connection, n: int) -> list[int]:
    """The components of the alias graph that a merged document names."""
    return [found for (found,) in work.execute("SELECT component FROM burial WHERE n = ? ORDER BY component", (n,))]


def linksets(database: Database, work: sqlite3.Connection, inside: Sequence[int]) -> list[Mapping[str, Any]]:
    """The linksets of components that are stored: `_id` and createdAt, by id."""
    wanted = [identity.linkset_id(*key) for one in inside for key in work.execute(KEYS, (one,))]
    return (
        list(database[of_linksets.COLLECTION].find({"_id": {"$in": wanted}}, {"createdAt": 1}).sort("_id", 1)) if wanted else []
    )


def reason(work: sqlite3.Connection, n: int, inside: Sequence[int], there: Sequence[Mapping[str, Any]]) -> str:
    """Why the document is buried."""
    if not there:
        return MISSING
    earlier = "SELECT 1 FROM burial WHERE component = ? AND n < ? LIMIT 1"
    return DUPLICATE if any(work.execute(earlier, (one, n)).fetchone() for one in inside) else SUPERSEDED


def document(
    tenant: str, key: str, legacy_id: Any, why: str, there: Sequence[Mapping[str, Any]], recorded_at: dt.datetime, run: str
) -> dict[str, Any]:
    """The tombstone; its date is that of the newest linkset, or the newest one of the document itself."""
    return {
        "_id": identity.object_id(COLLECTION, tenant, key),
        "tenantId": tenant,
        "legacyAdvisoryKey": key,
        "legacyId": legacy_id,
        "reason": why,
        "linksetIds": [one["_id"] for one in there],
        "createdAt": max((one["createdAt"] for one in there), default=recorded_at),
        "backfill": {"runId": run, "task": TASK},
    }

"""Tombstones: for each merged document of the old model, where its content is now (decisions §4). It is never changed.

`reason`, the first that holds: `raw-missing`, no linkset speaks of it; `duplicate`, an earlier merged document of the tenant is
about the same advisories; `superseded-by-linkset`.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lnm_runner.backfill import identity
from lnm_runner.backfill import linksets as of_linksets
from lnm_runner.backfill.observations import TASK
from lnm_runner.backfill.workfile import unpacked
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


def linksets(database: Database, work: sqlite3.Connection, inside: Iterable[int]) -> dict[int, list[Mapping[str, Any]]]:
    """`{component: its linksets that are stored}`, of each `_id` and createdAt."""
    owners = {identity.linkset_id(*key): one for one in inside for key in work.execute(KEYS, (one,))}
    found: dict[int, list[Mapping[str, Any]]] = {}
    for linkset in database[of_linksets.COLLECTION].find({"_id": {"$in": list(owners)}}, {"createdAt": 1}) if owners else ():
        found.setdefault(owners[linkset["_id"]], []).append(linkset)
    return found


def reason(work: sqlite3.Connection, n: int, inside: Sequence[int], there: Sequence[Mapping[str, Any]]) -> str:
    """Why the document is buried."""
    if not there:
        return MISSING
    earlier = "SELECT 1 FROM burial WHERE component = ? AND n < ? LIMIT 1"
    return DUPLICATE if any(work.execute(earlier, (one, n)).fetchone() for one in inside) else SUPERSEDED


def document(row: Mapping[str, Any], why: str, there: Sequence[Mapping[str, Any]], run: str) -> dict[str, Any]:
    """The tombstone of a row of the work file; its date is the newest linkset's, else the document's own newest."""
    recorded_at = identity.EPOCH + dt.timedelta(milliseconds=row["recorded_ms"])
    return {
        "_id": identity.object_id(COLLECTION, row["tenant"], row["key"]),
        "tenantId": row["tenant"],
        "legacyAdvisoryKey": row["key"],
        "legacyId": unpacked(row["legacy_id"]),
        "reason": why,
        "linksetIds": [one["_id"] for one in there],
        "createdAt": max((one["createdAt"] for one in there), default=recorded_at),
        "backfill": {"runId": run, "task": TASK},
    }

"""Tombstones: for each merged document of the old model, where its content is now (decisions §4). It is never changed.

`reason`, the first that holds: `raw-missing`, no linkset speaks of it; `duplicate`, an earlier merged document of the tenant is
about the same advisories; `superseded-by-linkset`.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lnm_runner.backfill import identity
from lnm_runner.backfill import linksets as of_linksets
from lnm_runner.backfill.observations import TASK
from lnm_runner.backfill.workfile import unpacked
from lnm_runner.mongo import Database

COLLECTION = "advisory_linkset_tombstones"
MISSING, DUPLICATE, SUPERSEDED = "raw-missing", "duplicate", "superseded-by-linkset"

BURIED = "SELECT n, component FROM burial WHERE n BETWEEN ? AND ? ORDER BY n, component"
KEYS = """
SELECT DISTINCT member.component, raw.tenant, raw.source, raw.advisory FROM member JOIN raw ON raw.lead = member.lead
WHERE member.component IN (SELECT component FROM burial WHERE n BETWEEN ? AND ?) AND raw.problem IS NULL
"""
AGAIN = """
SELECT DISTINCT n FROM burial WHERE n BETWEEN ? AND ?
AND EXISTS (SELECT 1 FROM burial AS earlier WHERE earlier.component = burial.component AND earlier.n < burial.n)
"""
SAME_KEY = """
SELECT n FROM legacy WHERE n BETWEEN ? AND ?
AND EXISTS (
    SELECT 1 FROM legacy AS earlier WHERE earlier.tenant = legacy.tenant AND earlier.key = legacy.key AND earlier.n < legacy.n)
"""


@dataclass(frozen=True)
class Known:
    """What has to be known of merged documents whose n follow each other."""

    inside: Mapping[int, Sequence[int]]
    """`{n: the components of the alias graph that it names}`"""
    linksets: Mapping[int, Sequence[Mapping[str, Any]]]
    """`{component: its linksets that are stored}`, of each `_id` and createdAt."""
    again: frozenset[int]
    """Those that name a component which an earlier one names."""
    same_key: frozenset[int]
    """Those whose advisoryKey an earlier one of the tenant has."""

    def there(self, n: int) -> list[Mapping[str, Any]]:
        """The linksets of a merged document, by `_id`."""
        found = (one for component in self.inside.get(n, ()) for one in self.linksets.get(component, ()))
        return sorted(found, key=lambda one: one["_id"])

    def reason(self, n: int, there: Sequence[Mapping[str, Any]]) -> str:
        """Why it is buried."""
        return MISSING if not there else DUPLICATE if n in self.again else SUPERSEDED


def known(database: Database, work: sqlite3.Connection, first: int, last: int) -> Known:
    """The same of those from the first n to the last."""
    inside: dict[int, list[int]] = {}
    for n, component in work.execute(BURIED, (first, last)):
        inside.setdefault(n, []).append(component)
    again, same_key = (frozenset(n for (n,) in work.execute(query, (first, last))) for query in (AGAIN, SAME_KEY))
    return Known(inside, linksets(database, work.execute(KEYS, (first, last))), again, same_key)


def linksets(database: Database, keys: Iterable[tuple[Any, ...]]) -> dict[int, list[Mapping[str, Any]]]:
    """`{component: its linksets that are stored}`, of `(component, tenant, source, advisory)`."""
    owners = {identity.linkset_id(*key): component for component, *key in keys}
    found: dict[int, list[Mapping[str, Any]]] = {}
    for linkset in database[of_linksets.COLLECTION].find({"_id": {"$in": list(owners)}}, {"createdAt": 1}) if owners else ():
        found.setdefault(owners[linkset["_id"]], []).append(linkset)
    return found


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

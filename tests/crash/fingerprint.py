"""What a database holds, told by the server and independent of the runner: two states are the same when these are equal.

Counted: kind, options and validator of each collection, its indexes with every field that the server lists and whether they are
built to the end, its documents by `_id` and by the SHA-256 of their BSON. Not counted: the order of anything but an index's
keys, UUIDs, the server's own `system.*`, and what the options say of a validator where there is none (lnm_runner/undo.py). Of the
runner's state only what two runs have in common is compared: of a row what STATE names, but not times, owners and epochs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.errors import OperationFailure

INDEX_NOT_FOUND = 27  # mongo/src/mongo/base/error_codes.yml
STATE: Mapping[str, tuple[str, ...]] = {
    "lnm_lease": (),
    "lnm_migrations": ("state", "migrationDigest"),
    "schema_migrations": (),
    "lnm_runs": ("state", "migration", "migrationDigest", "transformation", "inventory", "report", "touched"),
    "lnm_checkpoints": (
        "runId", "stage", "partition", "index", "last", "carry", "leaves", "tallies", "failures", "isVerified", "touched", "takenBack",
    ),
    "lnm_backfill_errors": ("runId", "stage", "tenantId", "key", "code", "reason"),
    "lnm_backfill_before": ("document",),
}  # fmt: skip
"""`{collection of the runner's own: what is compared of its rows}`"""
NO_VALIDATOR = {"validator": {}, "validationLevel": "strict", "validationAction": "error"}
"""The server's defaults; it keeps the words once there was a validator."""


@dataclass(frozen=True)
class Fingerprint:
    """The state of a database."""

    collections: Mapping[str, Mapping[str, Any]]
    """All but the runner's own: `{name: {type, options, indexes, documents}}`."""
    state: Mapping[str, Mapping[str, Any]]
    """The runner's own: the same, with what is compared of each document."""

    def documents(self, name: str) -> Mapping[str, Any]:
        """The documents in a collection of the runner's own; none where it is not there."""
        found: Mapping[str, Any] = self.state.get(name, {}).get("documents", {})
        return found


def fingerprint(database: Database[dict[str, Any]]) -> Fingerprint:
    """Looks at everything."""
    found = {entry["name"]: entry for entry in database.list_collections() if not entry["name"].startswith("system.")}
    collections, state = {}, {}
    for name, entry in sorted(found.items()):
        seen = {"type": entry["type"], "options": options(entry["options"]), "indexes": indexes(database, name)}
        if name in STATE:
            state[name] = {**seen, "documents": rows(database, name)}
        else:
            collections[name] = {**seen, "documents": documents(database, name)}
    return Fingerprint(collections, state)


def options(found: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a collection, less what says that it has no validator."""
    if found.get("validator"):
        return dict(found)
    return {name: value for name, value in found.items() if value != NO_VALIDATOR.get(name)}


def indexes(database: Database[dict[str, Any]], collection: str) -> dict[str, dict[str, Any]]:
    """`{name: specification}`; keys in their order, and `building` where an index is not built to its end."""
    building = {row["name"] for row in index_stats(database, collection) if row.get("building")}
    return {
        index["name"]: {
            **index,
            "key": list(index["key"].items()),
            **({"building": True} if index["name"] in building else {}),
        }
        for index in database[collection].list_indexes()
    }


def index_stats(database: Database[dict[str, Any]], collection: str) -> list[dict[str, Any]]:
    """What the server says of each index; while a build begins, it may not find one that it has just listed."""
    while True:
        try:
            return list(database[collection].aggregate([{"$indexStats": {}}]))
        except OperationFailure as err:
            if err.code != INDEX_NOT_FOUND:
                raise


def documents(database: Database[dict[str, Any]], collection: str) -> dict[str, str]:
    """`{_id: SHA-256 of the document's bytes}`."""
    raw = database[collection].with_options(codec_options=bson.CodecOptions(document_class=RawBSONDocument))
    return {repr(document["_id"]): hashlib.sha256(document.raw).hexdigest() for document in raw.find({})}


def rows(database: Database[dict[str, Any]], collection: str) -> dict[str, dict[str, Any]]:
    """`{_id: what is compared}`."""
    compared = STATE[collection]
    return {str(row["_id"]): {name: row[name] for name in compared if name in row} for row in database[collection].find({})}

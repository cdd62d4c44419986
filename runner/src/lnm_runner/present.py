"""What is in a database: the collections, their options and indexes, as the server tells them. Read-only.

An index that the server is still building is listed by it like one that stands (seen on 6.0.5: `listIndexes` names it without a
word), and so it would be taken for done after a crash, though the build can still fail. So the builds are asked for, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

from lnm_runner.mongo import Database
from lnm_runner.options import LONGEST_TTL_S

NO_PART_OF_A_SPECIFICATION = {"v", "ns", "background"}
"""What the server adds by itself, or took in older versions and ignores."""
FALSE_BY_DEFAULT = {"unique", "sparse", "hidden"}
NAMESPACE_NOT_FOUND, UNKNOWN_FIELD = 26, 40415  # mongo/src/mongo/base/error_codes.yml
MOST_INDEXES = 200  # more than the server allows (64), so that one answer holds them all


@dataclass(frozen=True)
class Found:
    """A collection as it is in the database."""

    options: Mapping[str, Any]
    """As listCollections gives them, and `type`: collection, view or timeseries."""
    indexes: tuple[Mapping[str, Any], ...]
    """The specifications, as the server lists them; those that it is building, too."""
    building: frozenset[str] = frozenset()
    """The names of the indexes that are not complete."""
    shard_key: Mapping[str, Any] | None = None
    """Behind a router: the key that the collection is sharded on."""

    @property
    def validator(self) -> dict[str, Any]:
        """`{validator, validationLevel, validationAction}`, with the server's defaults."""
        return {
            "validator": self.options.get("validator") or {},
            "validationLevel": self.options.get("validationLevel", "strict"),
            "validationAction": self.options.get("validationAction", "error"),
        }


def without_validator(found: Found) -> bool:
    """True where any document is taken."""
    return not found.validator["validator"]


def read(database: Database, names: set[str]) -> dict[str, Found]:
    """The collections of these names, as far as they are there."""
    wanted = {"name": {"$in": sorted(names)}}
    listed = {entry["name"]: entry for entry in database.list_collections(filter=wanted)}
    found = {}
    for name, entry in sorted(listed.items()):
        # a view has no indexes, and asking for them is an error
        indexes, building = indexes_of(database, name) if entry["type"] == "collection" else ((), frozenset())
        found[name] = Found({"type": entry["type"], **entry["options"]}, indexes, building)
    return found


def indexes_of(database: Database, name: str) -> tuple[tuple[Mapping[str, Any], ...], frozenset[str]]:
    """The indexes of a collection, and the names of those that are being built."""
    command = {"listIndexes": name, "cursor": {"batchSize": MOST_INDEXES}}
    try:
        answer = database.command({**command, "includeBuildUUIDs": True})
    except OperationFailure as err:
        if err.code == NAMESPACE_NOT_FOUND:  # dropped since it was listed
            return (), frozenset()
        if err.code != UNKNOWN_FIELD:
            raise
        answer = database.command(command)
    entries = answer["cursor"]["firstBatch"]
    specifications = tuple(dict(entry.get("spec", entry)) for entry in entries)
    return specifications, frozenset(entry["spec"]["name"] for entry in entries if "buildUUID" in entry)


def content(specification: Mapping[str, Any]) -> dict[str, Any]:
    """What an index is, apart from its name and its expiry; the order of the fields counts."""
    left_out = NO_PART_OF_A_SPECIFICATION | {"name", "expireAfterSeconds", "key"}
    kept = {
        name: value
        for name, value in specification.items()
        if name not in left_out and not (name in FALSE_BY_DEFAULT and not value)
    }
    return {"key": list(specification["key"].items()), **kept}


def expiry(specification: Mapping[str, Any]) -> int | None:
    """The expiry of an index in seconds, or None for never."""
    seconds = specification.get("expireAfterSeconds")
    # NaN, which old servers took, compares with nothing: whatever such an index does, no number of seconds is set
    return int(seconds) if seconds is not None and seconds < LONGEST_TTL_S else None


def shown(specification: Mapping[str, Any]) -> dict[str, Any]:
    """A found index as it is shown to the operator."""
    kept = {name: value for name, value in specification.items() if name not in NO_PART_OF_A_SPECIFICATION}
    return {**kept, "key": dict(specification["key"])}

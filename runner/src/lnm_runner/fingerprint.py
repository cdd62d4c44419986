"""What a database holds, in one hash: two states are the same where their fingerprints are equal. Read-only; memory stays flat.

Of a collection: SHA-256 of the concatenated BSON bytes of its documents in the order of `_id`, which is the SHA-256 of its
uncompressed .bson file in a dump. Of a database: SHA-256 over one line a collection, sorted by name, `[name, type, options,
indexes, count, sha256]` as JSON (ASCII, no spaces, LF). Options and index specifications are Extended JSON v2, canonical
(github.com/mongodb/specifications, «Extended JSON»), as the server lists them and in its order of fields, their outermost
fields sorted.

Counted: kind, options and validator of each collection, every field of its indexes (`v`, too), its documents. Not counted: UUIDs,
`ns`, the server's own `system.*`, shard keys, and what the options say of a validator where there is none (undo.py). A capped
collection is read in the order in which it was written. A view has options alone. A time-series collection is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS
from pymongo.errors import OperationFailure

from lnm_runner.errors import InputError
from lnm_runner.mongo import Database, Document

STATE: Final = frozenset(
    {
        "lnm_backfill_before",
        "lnm_backfill_errors",
        "lnm_checkpoints",
        "lnm_lease",
        "lnm_migrations",
        "lnm_object_map",
        "lnm_runs",
        "lnm_settings",
        "schema_migrations",
    }
)
"""The runner's own collections (decisions §12)."""
LEASE: Final = frozenset({"lnm_lease"})
SWITCHES: Final[Mapping[str, Sequence[str]]] = {"lnm_settings": ("environment", "ingest")}
"""`{collection: _ids}` of switches that are about now: a restore leaves them, and the lease, as they are."""
ID_INDEX: Final = "_id_"
SERVERS_OWN: Final = "system."
NO_VALIDATOR: Final[Mapping[str, Any]] = {"validator": {}, "validationLevel": "strict", "validationAction": "error"}
"""The server's defaults; it keeps the words once there was a validator."""
NAMESPACE_NOT_FOUND: Final = 26  # mongo/src/mongo/base/error_codes.yml
BATCH: Final = 1000  # documents; without it the server fills 16 MB each time, which the driver holds three times over
LENGTH: Final = 4  # bytes of a BSON document's own length, little-endian (bsonspec.org)
MOST_SHOWN: Final = 300  # characters of options in a difference


@dataclass(frozen=True)
class Seen:
    """What one collection holds."""

    type: str
    """collection or view."""
    options: str
    """Extended JSON."""
    indexes: Sequence[str]
    """Extended JSON, sorted by name."""
    count: int
    """Documents."""
    bytes: int
    """Of their BSON."""
    sha256: str
    """`sha256:<hex>` of it."""


@dataclass(frozen=True)
class Fingerprint:
    """The state of a database."""

    collections: Mapping[str, Seen]
    """Sorted by name."""

    @property
    def sha256(self) -> str:
        """`sha256:<hex>` of all of it."""
        digest = hashlib.sha256()
        for name, seen in sorted(self.collections.items()):
            line = [name, seen.type, seen.options, list(seen.indexes), seen.count, seen.sha256]
            digest.update(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        return f"sha256:{digest.hexdigest()}"

    @property
    def documents(self) -> int:
        """How many documents there are in all collections."""
        return sum(seen.count for seen in self.collections.values())

    @property
    def bytes(self) -> int:
        """How many bytes of BSON they have."""
        return sum(seen.bytes for seen in self.collections.values())

    def as_json(self) -> dict[str, Any]:
        """For a file; `from_json` reads it."""
        return {
            "collections": {name: {**asdict(seen), "indexes": list(seen.indexes)} for name, seen in self.collections.items()},
            "sha256": self.sha256,
        }


def from_json(value: Mapping[str, Any]) -> Fingerprint:
    """What `as_json` gave.

    Raises: KeyError, TypeError for anything else.
    """
    found = sorted(value["collections"].items())
    return Fingerprint({name: Seen(**{**seen, "indexes": tuple(seen["indexes"])}) for name, seen in found})


def database(
    database: Database, *, without: Collection[str] = STATE, apart: Mapping[str, Sequence[str]] | None = None
) -> Fingerprint:
    """Looks at everything but the collections `without`, and the documents `apart` (`{collection: _ids}`).

    A collection that has nothing but documents that stand apart counts as not there.

    Raises: InputError for a time-series collection; PyMongoError.
    """
    left_out = apart or {}
    found = {}
    for name, entry in listed(database).items():
        if name in without:
            continue
        seen = look(database, name, entry, left_out.get(name, ()))
        if seen.count or name not in left_out:
            found[name] = seen
    return Fingerprint(found)


def restorable(held: Database) -> Fingerprint:
    """All that a backup brings back: everything but the lease and the switches of now."""
    return database(held, without=LEASE, apart=SWITCHES)


def listed(database: Database) -> dict[str, Mapping[str, Any]]:
    """`{name: what listCollections says}`, sorted by name, less what is the server's own.

    Raises: InputError for a time-series collection.
    """
    found = {entry["name"]: entry for entry in exact(database).list_collections()}
    series = sorted(name for name, entry in found.items() if entry["type"] == "timeseries")
    if series:
        raise InputError(
            f"{database.name}: time-series collections are neither compared nor backed up here: {', '.join(series)}",
            hint="none is part of the product: move it to a database of its own (mongodump, mongorestore --nsFrom --nsTo)",
            facts={"collections": series},
        )
    return {name: entry for name, entry in sorted(found.items()) if not name.startswith(SERVERS_OWN)}


def exact(database: Database) -> Database:
    """The same database, read so that no date of it can fail to be one of Python's."""
    return database.with_options(CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO))


def look(database: Database, name: str, entry: Mapping[str, Any], apart: Sequence[str] = ()) -> Seen:
    """One collection, all of its documents read."""
    digest, count, size = hashlib.sha256(), 0, 0
    for batch in batches(database, name, entry, apart):
        digest.update(batch)
        count, size = count + documents_in(batch), size + len(batch)
    return made(entry, indexes(database, name, entry), count, size, digest.hexdigest())


def made(entry: Mapping[str, Any], specifications: Iterable[Mapping[str, Any]], count: int, size: int, sha256: str) -> Seen:
    """What was seen of a collection, here or in a dump: its `type` and `options`, its indexes, its documents; `sha256` is hex."""
    options = entry["options"]
    kept = {key: value for key, value in options.items() if options.get("validator") or value != NO_VALIDATOR.get(key)}
    return Seen(entry["type"], extended(kept), in_order(specifications), count, size, f"sha256:{sha256}")


def batches(database: Database, name: str, entry: Mapping[str, Any], apart: Sequence[str] = ()) -> Iterator[bytes]:
    """The documents as the server stores them, some concatenated at a time (at most 16 MB, and one document more)."""
    if entry["type"] == "view":
        return
    wanted = {"_id": {"$nin": list(apart)}} if apart else {}
    found = database[name].find_raw_batches(wanted).batch_size(BATCH)
    yield from found.hint([("$natural", 1)]) if entry["options"].get("capped") else found.sort("_id", 1).hint([("_id", 1)])


def documents_in(batch: bytes) -> int:
    """How many documents stand in concatenated BSON."""
    return sum(1 for _ in split(batch))


def split(batch: bytes) -> Iterator[memoryview]:
    """The documents in concatenated BSON."""
    view, start = memoryview(batch), 0
    while start < len(batch):
        end = start + int.from_bytes(view[start : start + LENGTH], "little")
        yield view[start:end]
        start = end


def indexes(database: Database, name: str, entry: Mapping[str, Any]) -> list[Document]:
    """The index specifications, less `ns`, which old servers list; a view has none."""
    if entry["type"] == "view":
        return []
    try:
        found = list(exact(database)[name].list_indexes())
    except OperationFailure as err:
        if err.code != NAMESPACE_NOT_FOUND:  # dropped since it was listed
            raise
        return []
    return [{key: value for key, value in index.items() if key != "ns"} for index in found]


def in_order(specifications: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Index specifications as Extended JSON, sorted by name."""
    return tuple(extended(index) for index in sorted(specifications, key=lambda index: str(index["name"])))


def extended(value: Mapping[str, Any]) -> str:
    """Extended JSON, the outermost fields sorted and no others: inside, as in an index's key, their order has a meaning."""
    ordered = dict(sorted(value.items()))
    return json_util.dumps(ordered, json_options=CANONICAL_JSON_OPTIONS, separators=(",", ":"))


def differences(before: Fingerprint, after: Fingerprint) -> list[str]:
    """In words, what is not as it was; empty where nothing is."""
    were, are = before.collections, after.collections
    found = [f"{name}: is not there" for name in sorted(were.keys() - are.keys())]
    found += [f"{name}: has come: {are[name].count:,} documents" for name in sorted(are.keys() - were.keys())]
    for name in sorted(were.keys() & are.keys()):
        found += [f"{name}: {what}" for what in changes(were[name], are[name])]
    return found


def changes(was: Seen, now: Seen) -> Iterator[str]:
    """In words, what is not the same in a collection."""
    if was.type != now.type:
        yield f"is a {now.type}, was a {was.type}"
    if was.options != now.options:
        yield f"options are {now.options[:MOST_SHOWN]}, were {was.options[:MOST_SHOWN]}"
    old, new = ({json.loads(text)["name"]: text for text in seen.indexes} for seen in (was, now))
    yield from (f"the index {name} is not there" for name in sorted(old.keys() - new.keys()))
    yield from (f"the index {name} has come" for name in sorted(new.keys() - old.keys()))
    yield from (
        f"the index {name} is {new[name]}, was {old[name]}" for name in sorted(old) if new.get(name, old[name]) != old[name]
    )
    if was.count != now.count:
        yield f"{now.count:,} documents, were {was.count:,}"
    elif was.sha256 != now.sha256:
        yield f"as many documents ({now.count:,}), but with other content"

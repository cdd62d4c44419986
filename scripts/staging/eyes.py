"""What a database holds, as somebody sees it who knows nothing of `lnm`: a picture, and what two pictures differ in.

Of a collection: kind, options, validator, indexes with every field that the server lists, the number of documents, and the sum
of the SHA-256 of each document's BSON, which sees every byte of each and does not depend on their order. `lnm` hashes otherwise
(in the order of `_id`), so that one mistake is not made twice. Not counted: UUIDs, the server's own `system.*`, and what the
options say of a validator where there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

Store: TypeAlias = Database[dict[str, Any]]
WIDTH = 1 << 256
RAW = CodecOptions(document_class=RawBSONDocument)
NO_VALIDATOR = {"validator": {}, "validationLevel": "strict", "validationAction": "error"}
"""The server's defaults; it keeps the words once there was a validator."""
OF_THE_RUNNER = frozenset(
    {"lnm_migrations", "schema_migrations", "lnm_lease", "lnm_runs", "lnm_checkpoints", "lnm_backfill_errors"}
    | {"lnm_backfill_before", "lnm_settings"}
)
"""decisions §12: what the runner keeps for itself."""


@dataclass(frozen=True)
class Seen:
    """A collection."""

    shape: str
    """Kind, options and indexes, as text that is equal where they are."""
    documents: int
    digest: str


Picture: TypeAlias = Mapping[str, Seen]
"""`{collection: what was seen of it}`"""


def picture(database: Store, *, without: Iterable[str] = OF_THE_RUNNER) -> Picture:
    """Looks at every collection but some.

    Raises: PyMongoError.
    """
    left_out = frozenset(without)
    listed = {entry["name"]: entry for entry in database.list_collections() if not entry["name"].startswith("system.")}
    return {name: seen(database, entry) for name, entry in sorted(listed.items()) if name not in left_out}


def seen(database: Store, entry: Mapping[str, Any]) -> Seen:
    """Looks at one collection, by what the server lists of it."""
    name, kind = str(entry["name"]), str(entry["type"])
    if kind == "view":
        return Seen(repr((kind, options(entry["options"]))), 0, "")
    indexes = sorted(repr(sorted(index_fields(index))) for index in database[name].list_indexes())
    count, total = 0, 0
    raw: Collection[RawBSONDocument] = database.get_collection(name, RAW)  # type: ignore[assignment]  # other documents
    for document in raw.find({}):
        count += 1
        total = (total + int.from_bytes(hashlib.sha256(document.raw).digest(), "big")) % WIDTH
    return Seen(repr((kind, options(entry["options"]), indexes)), count, f"{total:064x}")


def index_fields(index: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of an index's specification; the keys in their order."""
    for name, value in index.items():
        yield name, list(value.items()) if name == "key" else value


def options(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The options of a collection, less what says that it has no validator."""
    kept = found if found.get("validator") else {name: said for name, said in found.items() if said != NO_VALIDATOR.get(name)}
    return sorted(kept.items())


def differences(before: Picture, after: Picture) -> list[str]:
    """What is another in the second, in words; empty where they are equal."""
    said: list[str] = []
    for name in sorted({*before, *after}):
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            said.append(f"{name} {'was not there before' if one is None else 'is gone'}")
        elif one.shape != two.shape:
            said.append(f"{name} has other options or indexes")
        elif one != two:
            said.append(f"{name} has other documents ({one.documents:,} before, {two.documents:,} now)")
    return said


def counts(database: Store, names: Iterable[str]) -> dict[str, int]:
    """`{collection: documents}`."""
    return {name: database[name].count_documents({}) for name in names}

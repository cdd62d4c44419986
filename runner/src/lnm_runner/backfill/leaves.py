"""The documents of a run by their hashes: kept in `lnm_checkpoints` as they are written, and compared with what is stored.

A row holds, for each collection, ids and hashes close together: 44 bytes a document. The hash is over the BSON bytes (decisions
§3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import bson
from bson import Binary, ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.read_concern import ReadConcern

from lnm_runner.mongo import Database

CHECKPOINTS = "lnm_checkpoints"
SHA = 32  # bytes of a SHA-256
ID = 12  # bytes of an ObjectId
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class Leaf(NamedTuple):
    """A document of a run, by its hashes: what a report proves. There are so many that it is a tuple."""

    id: ObjectId
    before: bytes | None
    """None where there was none."""
    after: bytes


def packed_leaves(collection: str, leaves: Sequence[Leaf]) -> dict[str, Any]:
    """The leaves of a collection, close together: ids, hashes, and `[place, hash before]` where there was one."""
    return {
        "collection": collection,
        "ids": Binary(b"".join(leaf.id.binary for leaf in leaves)),
        "after": Binary(b"".join(leaf.after for leaf in leaves)),
        "before": [[place, Binary(leaf.before)] for place, leaf in enumerate(leaves) if leaf.before is not None],
    }


def sha256(data: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(data).digest()


def leaves_of(row: Mapping[str, Any], collection: str) -> Iterator[Leaf]:
    """The leaves of a row that are of a collection."""
    for part in row["leaves"]:
        if part["collection"] == collection:
            before = dict(part["before"])
            for place in range(len(part["ids"]) // ID):
                identity = ObjectId(part["ids"][place * ID : (place + 1) * ID])
                yield Leaf(identity, before.get(place), part["after"][place * SHA : (place + 1) * SHA])


def collections_of(row: Mapping[str, Any]) -> list[str]:
    """The collections that a row has leaves of."""
    return [part["collection"] for part in row["leaves"]]


def touched(database: Database, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The documents of a row that are not in the database as they were written."""
    found = []
    for collection in collections_of(row):
        leaves = {leaf.id: leaf.after for leaf in leaves_of(row, collection)}
        stored = hashes(database, collection, leaves)
        wrong = [identity for identity, wanted in leaves.items() if stored.get(identity) != wanted]
        found += [{"collection": collection, "id": one, "found": "gone" if one not in stored else "changed"} for one in wrong]
    return found


def hashes(database: Database, collection: str, ids: Iterable[ObjectId]) -> dict[ObjectId, bytes]:
    """`{_id: SHA-256 of the BSON}` of stored documents."""
    source = database[collection].with_options(codec_options=RAW, read_concern=ReadConcern("majority"))
    found: dict[ObjectId, bytes] = {}
    blocks: Iterable[Any] = source.find_raw_batches({"_id": {"$in": list(ids)}})
    for block in blocks:
        for data in split(block):
            found[id_of(data)] = sha256(data)
    return found


def split(block: bytes) -> Iterator[bytes]:
    """The documents of a raw batch (BSON specification: each begins with its length)."""
    at = 0
    while at < len(block):
        length = int.from_bytes(block[at : at + 4], "little")
        yield block[at : at + length]
        at += length


ID_FIRST = b"\x07_id\x00"
"""How a document begins, behind its length, whose `_id` is an ObjectId and stands first, as the server stores it."""


def id_of(data: bytes) -> Any:
    """The `_id` of a document."""
    if data[4:9] == ID_FIRST:
        return ObjectId(data[9 : 9 + ID])
    return bson.decode(data)["_id"]

"""The equation of hashes: what is stored has the BSON bytes that were written, and its ids and hashes follow from it. Read-only.

Looked at is a sample, every so many-th document in the order of the ids, which are hashes themselves; with --full all. A row of
an outbox that was published differs by `publishedAt`, and by nothing else. Where the payload of a document lies in GridFS, it is
read and hashed again. What is not there at all is told by the equation that misses it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson

from lnm_runner.advisories.record import PayloadError
from lnm_runner.backfill import events, linksets, observations, source, tombstones
from lnm_runner.backfill.inventory import OF_THE_INPUT, inside
from lnm_runner.backfill.inventory import RAW as INPUT
from lnm_runner.backfill.leaves import RAW, sha256
from lnm_runner.backfill.workfile import packed, unpacked
from lnm_runner.validation import recomputed
from lnm_runner.validation.findings import Defect, Finding, Stored, gathered

SAMPLE = 1_000
"""Documents of each collection that are looked at without --full, where it has so many."""
CHUNK = 500
OUTBOXES = (events.OF_OBSERVATIONS, events.OF_LINKSETS)
TABLES: Mapping[str, str] = {
    observations.COLLECTION: "SELECT id, run FROM observation",
    linksets.COLLECTION: "SELECT id, run FROM linkset",
    **{name: f"SELECT id, run FROM event WHERE collection = '{name}'" for name in OUTBOXES},  # noqa: S608 - names of ours
    tombstones.COLLECTION: "SELECT id, run FROM tombstone",
}
UNTOLD = """
SELECT id FROM ({}) AS one WHERE run IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM leaf WHERE leaf.collection = ? AND leaf.id = one.id)
"""


@dataclass
class Looked:
    """What was looked at, and what is wrong with it."""

    count: int = 0
    size: int = 0
    """Bytes."""
    payloads: int = 0
    changed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    def defects(self) -> Iterator[Defect]:
        """All of it."""
        yield from gathered(
            len(self.changed), "documents are not as they were written", "the BSON bytes of their hash", self.changed
        )
        yield from gathered(
            len(self.wrong), "documents hold an id or a hash that does not follow from them", "it does", self.wrong
        )
        yield from gathered(len(self.torn), "payloads in GridFS are not what was hashed", "their bytes", self.torn)


def same(stored: Stored) -> Finding:
    """Hashes."""
    looked, is_full = Looked(), stored.look.options.is_full
    untold = [
        defect
        for collection, query in TABLES.items()
        for defect in stored.defects(
            f"documents of {collection} carry a run, and no checkpoint tells of them",
            "each is told of",
            UNTOLD.format(query),
            collection,
        )
    ]
    for collection in TABLES:
        for chunk in chosen(stored, collection, is_full=is_full):
            look_at(stored, collection, chunk, looked)
            if collection == observations.COLLECTION:
                payloads(stored, list(chunk), looked)
    said = f"{'all' if is_full else 'a sample'}: {looked.count:,} documents, {looked.payloads:,} payloads in GridFS"
    return Finding(
        said, (*untold, *looked.defects()), facts={"compared": looked.count, "bytes": looked.size, "payloads": looked.payloads}
    )


def chosen(stored: Stored, collection: str, *, is_full: bool) -> Iterator[dict[bytes, bytes]]:
    """`{id: hash}` of those to look at, some at a time, in the order of their ids."""
    total = stored.count("SELECT count(*) FROM leaf WHERE collection = ?", collection)
    stride = 1 if is_full else max(total // SAMPLE, 1)
    rows = stored.skeleton.work.execute("SELECT id, sha256 FROM leaf WHERE collection = ? ORDER BY id", (collection,))
    picked, done, began = itertools.islice(rows, 0, None, stride), 0, time.monotonic()
    while chunk := dict(itertools.islice(picked, CHUNK)):
        yield chunk
        done += len(chunk)
        stored.look.options.progress.show(f"hashing {collection}", done, -(-total // stride), time.monotonic() - began)


def look_at(stored: Stored, collection: str, wanted: Mapping[bytes, bytes], looked: Looked) -> None:
    """Compares documents with their hashes, and with themselves."""
    found = stored.database[collection].with_options(codec_options=RAW)
    for raw in found.find({"_id": {"$in": [unpacked(one) for one in wanted]}}).sort("_id", 1):
        data = bytes(raw.raw)
        document = bson.decode(data, OF_THE_INPUT)
        looked.count += 1
        looked.size += len(data)
        if wanted[packed(document["_id"])] not in {sha256(data), sha256(unpublished(collection, data, document))}:
            looked.changed.append(f"{collection} {document['_id']}")
        if "backfill" in document:
            looked.wrong += [f"{collection} {document['_id']}: {said}" for said in recomputed.wrong(collection, document)]


def unpublished(collection: str, data: bytes, document: Mapping[str, Any]) -> bytes:
    """A row of an outbox as it was before it was published; any other document as it is."""
    if collection not in OUTBOXES or document.get("publishedAt") is None:
        return data
    return bson.encode({**document, "publishedAt": None}, codec_options=OF_THE_INPUT)


def payloads(stored: Stored, ids: Sequence[bytes], looked: Looked) -> None:
    """Reads the payloads in GridFS that observations were made of."""
    marks = ", ".join("?" * len(ids))
    rows = stored.skeleton.work.execute(f"SELECT id FROM raw WHERE state = 'done' AND observation IN ({marks})", ids)  # noqa: S608
    raws = stored.database[INPUT].with_options(codec_options=OF_THE_INPUT)
    fields = {"content.gridFsId": 1, "upstream.content_hash": 1}
    lying = {"_id": {"$in": [unpacked(one) for (one,) in rows]}, "content.raw": None, "content.gridFsId": {"$ne": None}}
    found = list(raws.find(lying, fields).sort("_id", 1))
    read = source.payloads(stored.database, [inside(one, "content.gridFsId") for one in found])
    for document in found:
        pointer, digest = inside(document, "content.gridFsId"), str(inside(document, "upstream.content_hash"))
        looked.payloads += 1
        try:
            looked.size += len(read.read(pointer, digest.removeprefix("sha256:")))
        except (source.ChecksumError, PayloadError) as err:
            looked.torn.append(f"{document['_id']}: {err}")

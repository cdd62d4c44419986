"""Fills an empty database with a corpus, batch by batch, so that memory does not grow with the number of documents.

A database that holds anything where the demo would write is refused. What was begun and not ended is not gone on with: the same
corpus on an empty database gives the same bytes.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import IndexModel

from lnm_runner.demo import corpus, documents, payloads
from lnm_runner.demo.corpus import Corpus
from lnm_runner.demo.documents import CHUNKS, FILES, KINDS, LEGACY, RAW, Stored, Tenant
from lnm_runner.demo.synthetic import Invented
from lnm_runner.errors import MOST_SHOWN, InputError
from lnm_runner.mongo import Database
from lnm_runner.progress import Progress

ORDER = (CHUNKS, FILES, RAW, LEGACY)
"""So that nothing that is written points to nothing."""
BATCH_DOCUMENTS, BATCH_BYTES = 1000, 8 << 20
RAW_BSON = CodecOptions(RawBSONDocument, tz_aware=True)
LARGEST = 16 << 20
"""Bytes of a document («MongoDB Limits» in the MongoDB manual)."""
IDEMPOTENCY = ("source.vendor", "upstream.upstream_id", "upstream.content_hash", "tenant")
INDEXES = {
    RAW: IndexModel(IDEMPOTENCY, name="advisory_raw_idempotency", unique=True),
    FILES: IndexModel(["filename", "uploadDate"]),
    CHUNKS: IndexModel(["files_id", "n"], unique=True),
}
"""The product's idempotency index (facts 1.3; its name is not known), and those of a GridFS bucket (MongoDB manual, «GridFS»)."""


@dataclass(frozen=True)
class Demo:
    """What is to be in a database."""

    corpus: Corpus
    tenants: Sequence[Tenant]
    most: int | None = None
    """How many raw documents; None: the corpus once."""

    def stored(self) -> Iterator[Stored]:
        """Every document in the order of writing; the raw ones of a smaller demo are the first ones of a larger."""
        raws = 0
        for number in itertools.count() if self.most else range(1):
            for stored in self.round(number):
                yield stored
                raws += stored.collection == RAW
                if raws == self.most:
                    return

    def round(self, number: int) -> Iterator[Stored]:
        """The documents of one round of the corpus."""
        for entry in self.corpus.round(number):
            holders = [tenant for tenant in self.tenants if tenant.has(entry.component)]
            linkset = documents.linkset(entry.advisory)
            revisions = [documents.revision(each, linkset) for each in payloads.revisions(entry.advisory)]
            for tenant in holders:
                if entry.is_first:
                    yield from documents.legacy(entry.component, tenant)
                before = None
                for revision in revisions:
                    yield from documents.raw(revision, tenant, before)
                    before = documents.raw_id(revision, tenant)

    def count(self) -> int:
        """How many raw documents it has."""
        return self.most or sum(
            payloads.count(entry.advisory.id) * sum(tenant.has(entry.component) for tenant in self.tenants)
            for entry in self.corpus.round(0)
        )


@dataclass
class Counts:
    """What was written, or would be."""

    documents: Counter[str] = field(default_factory=Counter)
    """`{collection: documents}`"""
    sizes: Counter[str] = field(default_factory=Counter)
    """`{collection: bytes of BSON}`"""
    raw: Counter[str] = field(default_factory=Counter)
    """`{tenant: raw documents}`"""
    legacy: Counter[str] = field(default_factory=Counter)
    """`{tenant: merged documents}`"""
    formats: Counter[str] = field(default_factory=Counter)
    """`{format: raw documents}`"""
    kinds: Counter[str] = field(default_factory=Counter)
    """`{one of KINDS: merged documents}`"""
    revisions: int = 0
    """Raw documents that supersede another."""
    gridfs_bytes: int = 0

    def add(self, stored: Stored, size: int) -> None:
        """Counts a document of so many bytes."""
        document = stored.document
        self.documents[stored.collection] += 1
        self.sizes[stored.collection] += size
        if stored.collection == RAW:
            self.raw[document["tenant"]] += 1
            self.formats[document["content"]["format"]] += 1
            self.revisions += document["supersedes"] is not None
        elif stored.collection == LEGACY:
            self.legacy[document["tenantId"]] += 1
            self.kinds[stored.kind] += 1
        elif stored.collection == FILES:
            self.gridfs_bytes += document["length"]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "collections": {name: {"documents": self.documents[name], "bytes": self.sizes[name]} for name in ORDER},
            "tenants": [{"tenant": name, "raw": count, "legacy": self.legacy[name]} for name, count in self.raw.items()],
            "formats": dict(self.formats),
            "revisions": self.revisions,
            "gridFs": {"files": self.documents[FILES], "bytes": self.gridfs_bytes},
            "legacy": {name: self.kinds[name] for name in KINDS},
        }


@dataclass
class Writer:
    """Collects documents, and writes them when there are enough."""

    database: Database
    batches: dict[str, list[RawBSONDocument]] = field(default_factory=lambda: {name: [] for name in ORDER})
    size: int = 0

    def add(self, collection: str, encoded: bytes) -> None:
        """Takes a document.

        Raises: PyMongoError.
        """
        self.batches[collection].append(RawBSONDocument(encoded))
        self.size += len(encoded)
        if self.size >= BATCH_BYTES or len(self.batches[collection]) == BATCH_DOCUMENTS:
            self.flush()

    def flush(self) -> None:
        """Writes what there is.

        Raises: PyMongoError.
        """
        for name in ORDER:
            if self.batches[name]:
                self.database.get_collection(name, RAW_BSON).insert_many(self.batches[name])
                self.batches[name] = []
        self.size = 0


def demo(files: Sequence[Path] = (), tenants: int = 2, most: int | None = None) -> Demo:
    """A demo of some files, or of the invented corpus.

    Raises: RunnerError for files that are no corpus.
    """
    return Demo(corpus.files(files) if files else Invented(), documents.tenants(tenants), most)


def require_empty(database: Database) -> None:
    """Refuses a database that holds something where the demo would write.

    Raises: InputError, PyMongoError.
    """
    if held := [name for name in ORDER if database[name].find_one({}, {"_id": True}) is not None]:
        raise InputError(
            f"{database.name}: {' and '.join(held)} hold documents; a demo is never poured over what is there",
            hint="name an empty database: --db NAME; what an earlier demo left goes with its database: db.dropDatabase()",
            facts={"database": database.name, "collections": held},
        )


def prepare(database: Database) -> None:
    """Makes the indexes that the product would have made.

    Raises: PyMongoError.
    """
    for name, index in INDEXES.items():
        database[name].create_indexes([index])


def count(wanted: Demo, progress: Progress | None = None) -> Counts:
    """What a demo would write."""
    counts = Counts()
    for _ in encoded(wanted, counts, "counting", progress or Progress()):
        pass
    return counts


def write(database: Database, wanted: Demo, progress: Progress | None = None) -> Counts:
    """Writes a demo into a database.

    Raises: InputError for one that is not empty, PyMongoError.
    """
    require_empty(database)
    prepare(database)
    counts, writer = Counts(), Writer(database)
    for collection, data in encoded(wanted, counts, "writing", progress or Progress()):
        writer.add(collection, data)
    writer.flush()
    return counts


def encoded(wanted: Demo, counts: Counts, doing: str, progress: Progress) -> Iterator[tuple[str, bytes]]:
    """The documents as BSON, counted and told.

    Raises: InputError for one that is too large.
    """
    total, began = wanted.count(), time.monotonic()
    for stored in wanted.stored():
        data = bson.encode(stored.document)
        if len(data) > LARGEST:
            said = f"{str(stored.document['_id'])[:MOST_SHOWN]}: {len(data)} bytes, more than a document may have"
            raise InputError(said, hint="leave this advisory out")
        counts.add(stored, len(data))
        yield stored.collection, data
        if stored.collection == RAW and counts.documents[RAW] % BATCH_DOCUMENTS == 0:
            progress.show(doing, counts.documents[RAW], total, time.monotonic() - began)
    progress.wipe()


def seed(
    database: Database,
    files: Sequence[Path] = (),
    *,
    tenants: int = 2,
    documents: int | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Fills an empty database: with advisories from files, or with the invented ones.

    Raises: RunnerError, PyMongoError.
    """
    return write(database, demo(files, tenants, documents), progress)

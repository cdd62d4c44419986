"""The first pass: one scan of the input that fixes what a run is about, and writes the work file (decisions §4). Read-only.

Order: the idempotency index of `advisory_raw`, then `_id` of `advisory`. What arrives behind the scan is late and left to the
next run. **Inventory root**: the Merkle root of the leaves `[[vendor, upstream id, content hash, tenant], payload sha256]`,
behind them those of the merged documents, `[["advisory", tenant, key], sha256 of its BSON]`; a value that is no text stands as
extended JSON. **runId**: the first 32 hex digits of the SHA-256 of the canonical JSON of [migration digest, inventory root].
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from lnm_runner.backfill import (
    aoc,
    chains,
    components,
    identity,
    leaves,
    linksets,
    merkle,
    observations,
    runs,
    tombstones,
    workfile,
)
from lnm_runner.mongo import Database

RAW, LEGACY = "advisory_raw", "advisory"
ORDER = (("source.vendor", 1), ("upstream.upstream_id", 1), ("upstream.content_hash", 1), ("tenant", 1))
FIELDS = {
    "_id": 1, "tenant": 1, "source.vendor": 1, "upstream.upstream_id": 1, "upstream.content_hash": 1, "upstream.fetched_at": 1,
    "identifiers": 1, "linkset.aliases": 1, "supersedes": 1, "size": {"$bsonSize": "$$ROOT"},
}  # fmt: skip
REPLACEABLE = (linksets.COLLECTION, tombstones.COLLECTION)
PARTITION = 2_000
"""Rows of a partition; what is made does not depend on it."""
RUN_ID_DIGITS = 32
CHUNK = 1_000
"""Documents that are held at once; the server would send 16 MiB of them, which are many times that once they are decoded."""
CURSOR_GONE = {43, 237}  # CursorNotFound, CursorKilled (mongo/src/mongo/base/error_codes.yml)
OF_THE_INPUT: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
"""Reads what somebody else wrote: a date out of Python's range stays a number and is no error of the driver."""

T = TypeVar("T")


@dataclass(frozen=True)
class Taken:
    """What an inventory found."""

    run: str
    root: str
    documents: int
    legacy: int


def take(database: Database, folder: Path, migration_digest: str, tell: Callable[[int], None] = lambda _: None) -> Taken:
    """Makes the work file.

    Raises: RetryableError where the disk is full; PyMongoError.
    """
    tree = merkle.Tree()
    with workfile.created(folder) as work:
        documents = scan_raw(database, work, tree, tell)
        legacy = scan_legacy(database, work, tree)
        root = f"sha256:{tree.root().hex()}"
        run = run_id(migration_digest, root)
        remember_earlier(database, work, run)
        group(work)
        components.join_names(work, folder)
        components.join_legacy(work)
        divide(work)
        workfile.remember(
            work, runId=run, migrationDigest=migration_digest, inventoryRoot=root, documents=documents, legacy=legacy,
            inventoryBlocks=[made.hex() for made in (*tree.blocks, *filter(None, [tree.last_block()]))],
        )  # fmt: skip
    return Taken(run, root, documents, legacy)


def run_id(migration_digest: str, root: str) -> str:
    """What a run is called: it depends on the migration and on its input alone."""
    return identity.canonical_sha256([migration_digest, root]).removeprefix("sha256:")[:RUN_ID_DIGITS]


def scan_raw(database: Database, work: sqlite3.Connection, tree: merkle.Tree, tell: Callable[[int], None]) -> int:
    """Fills `raw` and `name`; returns how many there are."""
    count = 0
    for chunk in chunked(in_order(database), CHUNK):
        rows, names = [], []
        for document in chunk:
            row = row_of(count, document)
            row["leaf"] = merkle.leaf_hash(identity.canonical(leaf_of(document, row.get("sha256"))))
            tree.add_hash(row["leaf"])
            rows.append(tuple(row.get(name) for name in ROW))
            if row["problem"] is None:
                names += [(row["tenant"], name, count) for name in names_of(document)]
            count += 1
        work.executemany(f"INSERT INTO raw ({', '.join(ROW)}) VALUES ({', '.join('?' * len(ROW))})", rows)  # noqa: S608 - names of ours
        work.executemany("INSERT INTO name VALUES (?, ?, ?)", names)
        tell(count)
    return count


ROW = (
    "n",
    "raw_id",
    "size",
    "tenant",
    "source",
    "advisory",
    "sha256",
    "fetched_ms",
    "supersedes",
    "problem",
    "lead",
    "place",
    "leaf",
)


def in_order(database: Database, fields: Mapping[str, Any] = FIELDS) -> Iterator[Mapping[str, Any]]:
    """Every document in the order of the index, also where the server forgets the cursor on the way."""
    collection = database[RAW].with_options(codec_options=OF_THE_INPUT)
    indexed = any(tuple(index["key"].items()) == ORDER for index in database[RAW].list_indexes()) if exists(database) else False
    last: Mapping[str, Any] | None = None
    while True:
        cursor = collection.find({}, fields, batch_size=CHUNK, allow_disk_use=True).sort(
            [*ORDER, *([] if indexed else [("_id", 1)])]
        )
        if indexed:
            cursor = cursor.hint(list(ORDER))
            if last is not None:
                cursor = cursor.min([(name, inside(last, name)) for name, _ in ORDER])
        try:
            for document in behind(cursor, last):
                yield document
                last = document
        except OperationFailure as err:
            if not indexed or err.code not in CURSOR_GONE:
                raise
            continue
        return


def behind(documents: Iterable[Mapping[str, Any]], last: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Those behind the last one that was seen."""
    return (one for one in documents if last is None or one["_id"] != last["_id"])


def exists(database: Database) -> bool:
    """True where there is something to read."""
    return bool(database.list_collection_names(filter={"name": RAW}))


def inside(document: Mapping[str, Any], path: str) -> Any:
    """A value by its path."""
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def row_of(n: int, document: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a document; what it breaks so that it has no place is told in full when it is built."""
    row: dict[str, Any] = {"n": n, "raw_id": workfile.packed(document["_id"]), "size": document["size"], "lead": n, "place": 0}
    broken = next(aoc.provenance(document), None)
    row["problem"] = f"{broken.code} {broken.what}" if broken else None
    if broken is None:
        replaced = document.get("supersedes")
        row |= {
            "tenant": document["tenant"],
            "source": document["source"]["vendor"].lower(),
            "advisory": document["upstream"]["upstream_id"],
            "sha256": document["upstream"]["content_hash"].removeprefix("sha256:"),
            "fetched_ms": milliseconds(document["upstream"]["fetched_at"]),
            "supersedes": None if replaced is None else workfile.packed(replaced),
        }
    return row


def as_list(value: Any) -> list[Any]:
    """A list as it is; anything else is none."""
    return value if isinstance(value, list) else []


def milliseconds(at: dt.datetime) -> int:
    """Since 1970."""
    return (identity.in_utc(at) - identity.EPOCH) // identity.MILLISECOND


def leaf_of(document: Mapping[str, Any], sha256: str | None) -> list[Any]:
    """The leaf of a document."""
    return [[as_text(inside(document, name)) for name, _ in ORDER], sha256]


def as_text(value: Any) -> str:
    """A text as it is; another value as canonical extended JSON."""
    return value if isinstance(value, str) else json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS)


def names_of(document: Mapping[str, Any]) -> set[str]:
    """What it is called, in capitals: its upstream id, CVE, GHSA and aliases."""
    found = [document["upstream"]["upstream_id"]]
    given = document.get("identifiers")
    if isinstance(given, Mapping):
        for name in ("cve", "ghsa", "aliases"):
            value = given.get(name)
            found += value if isinstance(value, list) else [value]
    hints = inside(document, "linkset.aliases")
    found += hints if isinstance(hints, list) else []
    return {name.strip().upper() for name in found if isinstance(name, str) and name.strip()}


def scan_legacy(database: Database, work: sqlite3.Connection, tree: merkle.Tree) -> int:
    """Fills `legacy` and `legacy_name`."""
    count = 0
    source = database[LEGACY].with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    for chunk in chunked(source.find(batch_size=CHUNK).sort("_id", 1), CHUNK):
        rows, names = [], []
        for raw in chunk:
            row, called = legacy_row(count, bytes(raw.raw))
            tree.add_hash(row[-1])
            rows.append(row)
            names += [(count, name) for name in sorted(called)]
            count += 1
        work.executemany("INSERT INTO legacy VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        work.executemany("INSERT INTO legacy_name VALUES (?, ?)", names)
    work.execute("CREATE INDEX legacy_name_by_n ON legacy_name (n)")
    work.execute("CREATE INDEX legacy_by_key ON legacy (tenant, key)")
    return count


def legacy_row(n: int, data: bytes) -> tuple[tuple[Any, ...], set[str]]:
    """The row of a merged document, and what it is called, in capitals."""
    document = bson.decode(data, OF_THE_INPUT)
    tenant, key, problem = document.get("tenantId"), document.get("advisoryKey"), None
    if not aoc.is_text(tenant) or not aoc.is_text(key):
        tenant, key, problem = None, None, "tenantId and advisoryKey: wanted texts"
    names = (key, *as_list(document.get("aliases"))) if problem is None else ()
    dates = [inside(one, "recordedAt") for one in as_list(document.get("provenance"))]
    recorded = max((milliseconds(at) for at in dates if isinstance(at, dt.datetime)), default=0)
    shown = [as_text(document.get("tenantId")), as_text(document.get("advisoryKey"))]
    leaf = merkle.leaf_hash(identity.canonical([["advisory", *shown], hashlib.sha256(data).hexdigest()]))
    called = {name.strip().upper() for name in names if isinstance(name, str) and name.strip()}
    return (n, workfile.packed(document["_id"]), tenant, key, recorded, problem, leaf), called


def group(work: sqlite3.Connection) -> None:
    """Finds the revisions of each advisory and their order."""
    work.execute("CREATE INDEX raw_by_advisory ON raw (source, advisory, tenant, fetched_ms, sha256) WHERE problem IS NULL")
    rows = work.execute(
        "SELECT source, advisory, tenant, n, raw_id, sha256, fetched_ms, supersedes FROM raw"
        " WHERE problem IS NULL ORDER BY source, advisory, tenant, fetched_ms, sha256"
    )
    work.execute("CREATE TEMP TABLE found (n INTEGER PRIMARY KEY, lead INTEGER, place INTEGER, twin INTEGER, problem TEXT)")
    work.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", revised(rows, functools.partial(stood_since, work)))
    work.execute(
        "UPDATE raw SET (lead, place, twin, problem) = (SELECT lead, place, twin, problem FROM found WHERE found.n = raw.n)"
        " WHERE n IN (SELECT n FROM found)"
    )
    work.execute("DROP TABLE found")
    work.execute("CREATE INDEX raw_by_place ON raw (lead, place)")


def stood_since(work: sqlite3.Connection, source: str, advisory: str, tenant: str, sha256: str) -> int:
    """The sequence of the run that has made the observation of a document."""
    made = identity.observation_id(tenant, source, advisory, sha256)
    found = work.execute("SELECT sequence FROM stood WHERE id = ?", (made.binary,)).fetchone()
    return found[0] if found else chains.NEVER


def revised(rows: Iterable[Any], stood: Callable[[str, str, str, str], int]) -> Iterator[tuple[Any, ...]]:
    """`(n, lead, place, twin, problem)` of every document that is not alone."""
    for (source, advisory, tenant), same in itertools.groupby(rows, key=lambda row: row[:3]):
        found = list(same)
        if len(found) > 1 or found[0][-1] is not None:
            revisions = [
                chains.Revision(row[3], row[4], row[5], row[6], row[7], stood(source, advisory, tenant, row[5])) for row in found
            ]
            lead = min(one.n for one in revisions)
            yield from ((one.n, lead, one.place, one.twin, one.problem) for one in chains.placed(revisions))


def remember_earlier(database: Database, work: sqlite3.Connection, run: str) -> None:
    """Notes what earlier runs have made: observations, which stay in their line, and what this run may replace, by its hash."""
    for row in runs.standing(database):
        if row["_id"] == run:
            continue
        for checkpoint in database[leaves.CHECKPOINTS].find({"runId": row["_id"]}).sort("_id", 1):
            stood = ((leaf.id.binary, row["sequence"]) for leaf in leaves.leaves_of(checkpoint, observations.COLLECTION))
            work.executemany("INSERT OR IGNORE INTO stood VALUES (?, ?)", stood)
            found = (leaf for name in REPLACEABLE for leaf in leaves.leaves_of(checkpoint, name))
            work.executemany("INSERT OR REPLACE INTO earlier VALUES (?, ?)", ((leaf.id.binary, leaf.after) for leaf in found))


def divide(work: sqlite3.Connection) -> None:
    """Cuts the work of each stage into partitions."""
    for stage, query in (
        ("observations", "SELECT lead, count(*) FROM raw GROUP BY lead ORDER BY lead"),
        ("linksets", "SELECT component, count(*) FROM member GROUP BY component ORDER BY component"),
        ("tombstones", "SELECT n, 1 FROM legacy ORDER BY n"),
    ):
        bounds, filled, last = [0], 0, -1
        for at, many in work.execute(query):
            if filled >= PARTITION:
                bounds.append(at)
                filled = 0
            filled, last = filled + many, at
        if last >= 0:
            pairs = itertools.pairwise([*bounds, last + 1])
            work.executemany("INSERT INTO partition VALUES (?, ?, ?, ?)", [(stage, k, *pair) for k, pair in enumerate(pairs)])


def chunked(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to so many."""
    rest = iter(values)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk

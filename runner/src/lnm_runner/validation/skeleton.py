"""What is stored, less its content, in a work file: each collection is read once, and the equations are questions to it.

So memory does not grow with the documents (sqlite in the state folder, gone at the end), and a question is a join that needs
no index of the server's. An id stands as the BSON of {_id}, whatever its type; a text that must name an ObjectId, as that one.
Tables:

    leaf         what the runs wrote, by their checkpoints: collection, id, sha256, run; of each document the newest
    failed       inputs of which nothing was made: run, stage (`twin`: it has the key of one), collection, about: an id as text
    raw          a document of advisory_raw, in inventory order: n, id, observation: that of its key, state, forbidden
    legacy       a merged document: n, id, tombstone: that of its key, state
    observation  id, run, mine, tenant, source, advisory, name (observationId), supersedes, event and event_id: those that it
                 must have, linkset: that of its advisory, forbidden
    linkset      id, run, mine, tenant, source, advisory, event, event_id, forbidden
    linked       linkset, observation
    event        collection, id, run, about: what it announces, event_id
    tombstone    id, run, mine, tenant, key, legacy, reason
    buried       tombstone, linkset

`run` is the number of a run that stands, 0 one that does not, NULL where a document carries none or stood in a run's way; `mine`
also says yes to what a run has found as it must be, and kept. `state` is `done`, `failed`, or `late`: nothing tells of it, so
that it came behind the inventory, which the inventory's root proves over all the others (`proof.inventory`). `forbidden` are
derived fields.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnm_runner.backfill import workfile
from lnm_runner.backfill.inventory import OF_THE_INPUT, inside
from lnm_runner.errors import RetryableError
from lnm_runner.mongo import Database
from lnm_runner.progress import Progress

SCHEMA = """
CREATE TABLE leaf (collection TEXT, id BLOB, sha256 BLOB, run INTEGER, PRIMARY KEY (collection, id)) WITHOUT ROWID;
CREATE TABLE failed (
    run INTEGER, stage TEXT, collection TEXT, about TEXT, PRIMARY KEY (collection, about, run, stage)) WITHOUT ROWID;
CREATE TABLE raw (n INTEGER PRIMARY KEY, id BLOB, observation BLOB, state TEXT, forbidden TEXT);
CREATE TABLE legacy (n INTEGER PRIMARY KEY, id BLOB, tombstone BLOB, state TEXT);
CREATE TABLE observation (
    id BLOB PRIMARY KEY, run INTEGER, mine INTEGER, tenant TEXT, source TEXT, advisory TEXT, name TEXT, supersedes BLOB,
    event BLOB, event_id TEXT, linkset BLOB, forbidden TEXT) WITHOUT ROWID;
CREATE TABLE linkset (
    id BLOB PRIMARY KEY, run INTEGER, mine INTEGER, tenant TEXT, source TEXT, advisory TEXT, event BLOB, event_id TEXT,
    forbidden TEXT) WITHOUT ROWID;
CREATE TABLE linked (linkset BLOB, observation BLOB);
CREATE TABLE event (collection TEXT, id BLOB, run INTEGER, about BLOB, event_id TEXT, PRIMARY KEY (collection, id)) WITHOUT ROWID;
CREATE TABLE tombstone (
    id BLOB PRIMARY KEY, run INTEGER, mine INTEGER, tenant TEXT, key TEXT, legacy BLOB, reason TEXT) WITHOUT ROWID;
CREATE TABLE buried (tombstone BLOB, linkset BLOB);
"""
INDEXES = """
CREATE INDEX raw_by_observation ON raw (observation);
CREATE INDEX legacy_by_tombstone ON legacy (tombstone);
CREATE INDEX observation_by_supersedes ON observation (supersedes);
CREATE INDEX observation_by_event ON observation (event);
CREATE INDEX linkset_by_event ON linkset (event);
CREATE INDEX linked_by_observation ON linked (observation);
CREATE INDEX linked_by_linkset ON linked (linkset);
CREATE INDEX buried_by_linkset ON buried (linkset);
CREATE INDEX buried_by_tombstone ON buried (tombstone);
"""
CHUNK = 1_000
UNKNOWN_RUN = 0


@dataclass
class Skeleton:
    """The work file, and what was summed up on the way."""

    work: sqlite3.Connection
    database: Database
    runs: Mapping[str, int]
    """`{runId: its number}` of those that stand, in their order."""
    progress: Progress
    tallies: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    """`{(run, stage, word): how many}`, as the checkpoints tell."""
    root: str = ""
    """Of the inventory, made anew over what did not come late."""
    read: Counter[str] = field(default_factory=Counter)
    """`{collection: documents}`"""

    @property
    def newest(self) -> int:
        """The number of the newest run."""
        return max(self.runs.values())

    def run_of(self, document: Mapping[str, Any]) -> int | None:
        """The run that a document carries."""
        if "backfill" not in document:
            return None
        carried = inside(document, "backfill.runId")
        return self.runs.get(carried, UNKNOWN_RUN) if isinstance(carried, str) else UNKNOWN_RUN

    def is_mine(self, collection: str, packed: bytes, run: int | None) -> bool:
        """True for what a run that stands has written, or kept."""
        return bool(run) or self.has("SELECT 1 FROM leaf WHERE collection = ? AND id = ?", collection, packed)

    def has(self, query: str, *values: Any) -> bool:
        """True where a question has an answer."""
        return self.work.execute(query, values).fetchone() is not None

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Writes rows, a chunk at a time."""
        rest = iter(rows)
        while chunk := list(itertools.islice(rest, CHUNK)):
            marks = ", ".join("?" * len(chunk[0]))
            self.work.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", chunk)  # noqa: S608 - names of ours

    def documents(self, collection: str, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every document of a collection by its id, less what is not asked for."""
        source = self.database[collection].with_options(codec_options=OF_THE_INPUT)
        yield from self.told(collection, source.find({}, fields, batch_size=CHUNK).sort("_id", 1))

    def told(self, collection: str, found: Iterable[Any]) -> Iterator[Any]:
        """The same documents, counted and told."""
        total, began = self.database[collection].estimated_document_count(), time.monotonic()
        for document in found:
            self.read[collection] += 1
            if self.read[collection] % CHUNK == 0:
                self.progress.show(f"reading {collection}", self.read[collection], total, time.monotonic() - began)
            yield document


@contextlib.contextmanager
def made(
    database: Database, runs: Mapping[str, int], folder: Path, progress: Progress, readers: Iterable[Callable[[Skeleton], None]]
) -> Iterator[Skeleton]:
    """Lets everything be read; the work file is there while the block runs.

    Raises: RetryableError where the disk does not take it, PyMongoError.
    """
    with worked(folder) as work:
        skeleton = Skeleton(work, database, runs, progress)
        work.execute("BEGIN")
        for read in readers:
            read(skeleton)
        work.execute("COMMIT")
        work.executescript(INDEXES)
        work.execute("ANALYZE")
        progress.wipe()
        yield skeleton


@contextlib.contextmanager
def worked(folder: Path) -> Iterator[sqlite3.Connection]:
    """An empty work file, which is gone afterwards.

    Raises: RetryableError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="validate-", dir=folder) as place,
            contextlib.closing(sqlite3.connect(Path(place) / "skeleton.sqlite", isolation_level=None)) as work,
        ):
            workfile.tune(work, workfile.CACHE_KIB)
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
                work.execute(f"PRAGMA {pragma}")
            work.executescript(SCHEMA)
            work.create_function("words", 1, lambda blob: str(workfile.unpacked(blob)), deterministic=True)
            yield work
    except (sqlite3.OperationalError, OSError) as err:
        said = getattr(err, "strerror", None) or "the disk is full, or may not be written"
        hint = "make room, or let LNM_STATE_DIR name another folder, then run the same command again; the database is as it was"
        raise RetryableError(f"the work file of the validation cannot be written below {folder}: {said}", hint=hint) from err

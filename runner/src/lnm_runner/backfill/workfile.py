"""The work file: what a run has to know of its input, on disk (sqlite in the state folder), so that memory does not grow.

The inventory writes it, once; it has its name only when it is complete. Everybody else opens it read-only, workers of other
processes too. Tables:

    meta         name, value (JSON)
    raw          a document of advisory_raw, in inventory order: n from 0, raw_id (BSON of {_id}), size in bytes, tenant, source,
                 advisory, sha256, fetched_ms, supersedes (BSON of {_id}); NULL where `problem` says why the key cannot be read;
                 lead: the first n of the same advisory, place: where it stands among its revisions, from 0;
                 twin: the n of an earlier document with the same natural key; leaf: its hash in the tree of the inventory
    name         what an advisory is called: tenant, name in capitals, n
    member       component (its smallest lead), lead
    legacy       a merged document: n from 0, legacy_id (BSON of {_id}), tenant, key, recorded_ms, problem, leaf
    legacy_name  n, name in capitals
    burial       the components that a merged document names: component, n
    stood        observations that earlier runs have made: id, sequence of the first of these runs
    earlier      what earlier runs wrote and this one may replace: id, sha256
    partition    stage, number, low, high: [low, high) of the lead, the component or n
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson

from lnm_runner.errors import RetryableError, RunnerError

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE raw (
    n INTEGER PRIMARY KEY, raw_id BLOB NOT NULL, size INTEGER NOT NULL, tenant TEXT, source TEXT, advisory TEXT, sha256 TEXT,
    fetched_ms INTEGER, supersedes BLOB, problem TEXT, lead INTEGER, place INTEGER, twin INTEGER, leaf BLOB NOT NULL);
CREATE TABLE name (tenant TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL);
CREATE TABLE member (component INTEGER NOT NULL, lead INTEGER NOT NULL, PRIMARY KEY (component, lead)) WITHOUT ROWID;
CREATE TABLE legacy (
    n INTEGER PRIMARY KEY, legacy_id BLOB NOT NULL, tenant TEXT, key TEXT, recorded_ms INTEGER, problem TEXT, leaf BLOB NOT NULL);
CREATE TABLE legacy_name (n INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE burial (component INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (component, n)) WITHOUT ROWID;
CREATE TABLE earlier (id BLOB PRIMARY KEY, sha256 BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE stood (id BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE partition (
    stage TEXT NOT NULL, number INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
    PRIMARY KEY (stage, number)) WITHOUT ROWID;
"""
NAME = "inventory.sqlite"
PART = ".part"
CACHE_KIB = 16 * 1024
"""Of who writes it, and sorts; each worker has a quarter of it."""


@contextlib.contextmanager
def created(folder: Path) -> Iterator[sqlite3.Connection]:
    """A new work file; it gets its name when the block ends well, and what stood there goes.

    What another runner has begun goes as well: one that was paused and comes back cannot put its own in the place of this.

    Raises: RetryableError where the disk is full.
    """
    path, part = folder / NAME, folder / f"{NAME}.{secrets.token_hex(4)}{PART}"
    with refusing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in (path, *sorted(folder.glob(f"{NAME}*{PART}"))):
            old.unlink(missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        try:
            tune(connection, CACHE_KIB)
            connection.execute("PRAGMA temp_store_directory='" + str(folder.resolve()).replace("'", "''") + "'")
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
        settle(part)
        part.rename(path)
        settle(folder)


def settle(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tune(connection: sqlite3.Connection, cache_kib: int) -> None:
    """Little memory; what is sorted goes to files, beside the work file while it is made."""
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")
    connection.execute("PRAGMA temp_store=FILE")


@contextlib.contextmanager
def refusing(folder: Path) -> Iterator[None]:
    """Turns what sqlite and the disk say into errors of ours.

    Raises: RetryableError, RunnerError.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as err:
        full = isinstance(err, OSError) or getattr(err, "sqlite_errorcode", 0) in {
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR_WRITE,
        }
        if full:
            why = err.strerror if isinstance(err, OSError) and err.strerror else "the disk is full"
            raise RetryableError(
                f"the work file of the backfill cannot be written: {why}",
                hint=f"make room below {folder}, or let LNM_STATE_DIR name another folder, then run the same command again; "
                "the database is as it was",
            ) from err
        raise unreadable(folder, err) from err


def unreadable(folder: Path, err: Exception) -> RunnerError:
    """The error for a work file that is none."""
    return RunnerError(
        f"the work file of the backfill cannot be read ({type(err).__name__})",
        hint=f"remove {folder / NAME} and run the same command again: it is made anew from the database",
    )


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The work file, read-only.

    Raises: RunnerError where there is none.
    """
    path = folder / NAME
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            tune(connection, CACHE_KIB // 4)
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as err:
        raise unreadable(folder, err) from err


def nothing() -> sqlite3.Connection:
    """An empty one, in memory."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    return connection


def exists(folder: Path) -> bool:
    """True where there is a complete one."""
    return (folder / NAME).is_file()


def remember(connection: sqlite3.Connection, **values: Any) -> None:
    """Writes into meta."""
    rows = [(name, json.dumps(value)) for name, value in values.items()]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def recall(connection: sqlite3.Connection) -> dict[str, Any]:
    """All of meta."""
    return {name: json.loads(value) for name, value in connection.execute("SELECT name, value FROM meta")}


def packed(identity: Any) -> bytes:
    """An `_id` of any type, as BSON."""
    return bson.encode({"_id": identity})


def unpacked(blob: bytes) -> Any:
    """The same, back."""
    return bson.decode(blob)["_id"]

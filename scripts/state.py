"""doit's state, `artifacts/.build/doit.sqlite3`: what it remembers of each task's last run.

doit writes it at the end of a run. Here it is written after each task, so that a killed build goes on where it was; a
damaged state is taken for none; and what the disk refuses is said in words. Nothing but time depends on the state: what
it lacks is made again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidTask

from scripts import files

TABLE = "create table if not exists doit (task_id text not null primary key, task_data json)"  # doit.dependency.SqliteDB
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)  # no database, a broken one, another table
BROKEN_ROWS = "select count(*) from doit where task_id is null or not json_valid(task_data)"


def prepare(state: Path) -> None:
    """Makes folder and file of the state; a damaged one is taken for none, and then everything is made again.

    Raises: WriteError where doit could not write it.
    """
    hint = "look at its permissions and who owns it; doit remembers there what is fresh"
    try:
        files.make_folder(state.parent)
    except OSError as err:
        raise files.WriteError(f"{err.filename}: the folder cannot be made: {err.strerror}", hint=hint) from err
    if not os.access(state.parent, os.R_OK | os.W_OK | os.X_OK):
        raise files.WriteError(f"{state.parent}: cannot be written", hint=hint)
    if state.is_dir():
        raise files.WriteError(f"{state}: found a folder, wanted a file", hint="remove it, then run the same command again")
    if state.exists() and not os.access(state, os.R_OK | os.W_OK):
        raise files.WriteError(f"{state}: cannot be read and written", hint=hint)
    if state.exists() and is_damaged(state):
        print(f"{state}: damaged, so everything is made again", file=sys.stderr)
        state.unlink()
    if not state.exists():
        create(state)


def create(state: Path) -> None:
    """Makes an empty state.

    Raises: WriteError.
    """
    try:
        with contextlib.closing(sqlite3.connect(state)) as database:
            database.execute(TABLE)
    except sqlite3.Error as err:
        raise files.WriteError(f"{state}: {err}", hint=advice(err)) from err


def is_damaged(state: Path) -> bool:
    """True for a file that is no sound state; one that is in use by another build is sound.

    Raises: WriteError where it cannot be said.
    """
    try:
        with contextlib.closing(sqlite3.connect(state, timeout=0)) as database:
            sound = database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            return not sound or database.execute(BROKEN_ROWS).fetchall() != [(0,)]
    except sqlite3.Error as err:
        kind = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest is its finer kind
        if kind in DAMAGE:
            return True
        if kind in BUSY:
            return False
        raise files.WriteError(f"{state}: {err}", hint=advice(err)) from err


def advice(err: sqlite3.Error) -> str:
    """What to do about an error of sqlite, in words."""
    if getattr(err, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
        return files.ROOM
    return "look at the permissions of the folder, who owns it, and whether the disk is full"


def refused(state: str, err: sqlite3.Error) -> InvalidTask:
    """The error of a state that cannot be written, as doit shows it without a traceback."""
    return InvalidTask(str(files.WriteError(f"{state}: {err}; the next build makes again what it lacks", hint=advice(err))))


def watch(manager: Any) -> None:
    """Makes doit's dependency manager say in words what sqlite refuses; doit takes no backend that lies beside dodo.py.

    No fsync: a state that a power cut spoils is damaged, and the targets themselves are synced before they are in it.
    """
    manager.backend._conn.execute("PRAGMA synchronous=OFF")  # noqa: SLF001 - it has no door for this
    for name in ("remove", "close"):
        setattr(manager, name, in_words(manager, getattr(manager, name)))


def in_words(manager: Any, operation: Any) -> Any:
    """An operation of the manager whose errors are words."""

    def guarded(*arguments: Any) -> Any:
        try:
            return operation(*arguments)
        except sqlite3.Error as err:
            raise refused(manager.name, err) from err

    return guarded


def save(manager: Any) -> None:
    """Writes what the tasks that are done have left, as doit itself does at the end of a run."""
    backend = manager.backend
    rows = [(task, backend.codec.encode(backend._cache[task])) for task in backend._dirty]  # noqa: SLF001 - as in watch
    try:
        backend._conn.executemany("insert or replace into doit values (?, ?)", rows)  # noqa: SLF001
        backend._conn.commit()  # noqa: SLF001
    except sqlite3.Error as err:
        raise refused(manager.name, err) from err
    backend._dirty.clear()  # noqa: SLF001

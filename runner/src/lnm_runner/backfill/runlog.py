"""`run-log.jsonl` in the state folder: when what was done, how long it took, each pause and its reason. Never part of a report.

Several processes write into it, each line with one write to the end of the file, so that lines never mix (POSIX, O_APPEND).
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "run-log.jsonl"


def append(folder: Path, event: str, **fields: Any) -> None:
    """Writes a line; a disk that is full stops no migration for it."""
    line = json.dumps({"at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "event": event, **fields}) + "\n"
    try:
        handle = os.open(folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
    except OSError:
        return


def of_run(folder: Path, run: str) -> list[dict[str, Any]]:
    """What every attempt of a run has written since its inventory was taken; one that led to no attempt begins nothing."""
    found: list[dict[str, Any]] = []
    current, is_new = "", False
    for line in read(folder / NAME):
        is_new = is_new or line.get("event") == "inventory"
        if line.get("event") == "begin":
            found = found if line.get("run") == current and not is_new else []
            current, is_new = str(line.get("run")), False
        found.append(line)
    return found if current == run else []


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run log, less what was torn; none where it cannot be read."""
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        for text in file:
            try:
                value = json.loads(text)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


class Follower:
    """Reads what is written from now on."""

    def __init__(self, folder: Path) -> None:
        """Begins at the present end."""
        self.path = folder / NAME
        self.at = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines since the last time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.at += len(whole) + len(newline)
        for line in whole.splitlines():
            yield json.loads(line)

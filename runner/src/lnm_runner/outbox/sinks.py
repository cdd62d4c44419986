"""Where events are written: standard output, or a file of JSON lines of which each event is in once.

A sink is flushed, and on a disk synced, before anything is marked as published. A file is one publisher's at a time. When it is
opened, a last line that a killed publisher has not ended is cut off; the events of its last lines may be those that it could not
mark any more, and `known` names them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lnm_runner.errors import InputError, LockedError, RetryableError, RunnerError
from lnm_runner.options import Options

KINDS = ("stdout", "ndjson")
BLOCK = 1 << 16
BEGINS = b'{"advisoryId":'
"""What an event begins with: of a file that holds nothing but a line without an end, it says whether a publisher began it."""
UNSYNCED = {errno.EINVAL, errno.EROFS, errno.ENOTSUP}  # fsync(2): a pipe, a terminal


@dataclass(frozen=True)
class Sink:
    """An open place for events."""

    handle: int
    known: tuple[str, ...]
    """`eventId` of the last lines that are there already."""
    name: str

    def write(self, data: bytes) -> None:
        """Writes lines, and sees them on the disk where there is one.

        Raises: RunnerError; lines may be there by half.
        """
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self.handle, left) :]
            synced(self.handle)
        except BrokenPipeError as err:
            raise RetryableError(
                f"{self.name}: nobody reads any more", hint="the events that were read but not marked come again: same eventId"
            ) from err
        except OSError as err:
            raise RunnerError(
                f"{self.name}: cannot be written: {err.strerror}", hint="make room, then the same command again; it goes on"
            ) from err


def synced(handle: int) -> None:
    """Sees what was written on the disk, where it is one.

    Raises: OSError.
    """
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in UNSYNCED:
            raise


@contextlib.contextmanager
def opened(options: Options, lines: int) -> Iterator[Sink]:
    """The sink that is asked for; of a file, the events of its last `lines` are told.

    Raises: InputError, LockedError, RunnerError.
    """
    kind, out = options.runbook.publisher, options.runbook.out
    if kind not in KINDS or (kind == "stdout") != (out is None):
        raise InputError("--publisher: wanted stdout, or ndjson with --out FILE", hint="lnm outbox publish --help")
    if out is None:
        if options.json:
            raise InputError("--publisher stdout and --json do not go together", hint="--publisher ndjson --out FILE")
        sys.stdout.flush()
        yield Sink(sys.stdout.fileno(), (), "standard output")
        return
    with contextlib.closing(of_file(out)) as file:
        yield Sink(file.handle, recovered(file.handle, out, lines), str(out))


@dataclass(frozen=True)
class File:
    """An open file of ours."""

    handle: int

    def close(self) -> None:
        """Lets it go, and its lock with it."""
        os.close(self.handle)


def of_file(path: Path) -> File:
    """Opens the file, or makes it, and locks it.

    Raises: InputError, LockedError.
    """
    try:
        is_new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        if is_new:
            sync_folder(path.parent)
    except OSError as err:
        raise InputError(f"--out: {path}: cannot be opened: {err.strerror}", hint="name a file in a folder of yours") from err
    try:
        require_file(handle, path)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        os.close(handle)
        raise LockedError(f"--out: {path}: another publisher writes it", hint="name another file, or end that one") from err
    except BaseException:
        os.close(handle)
        raise
    return File(handle)


def require_file(handle: int, path: Path) -> None:
    """Refuses what is no file.

    Raises: InputError.
    """
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise InputError(f"--out: {path}: is no file", hint="name a file; or --publisher stdout")


def sync_folder(folder: Path) -> None:
    """Sees a new name on the disk.

    Raises: OSError.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        synced(handle)
    finally:
        os.close(handle)


def recovered(handle: int, path: Path, lines: int) -> tuple[str, ...]:
    """Cuts off a last line that has no end; `eventId` of the last whole lines, that many at most.

    Raises: InputError for a file that no publisher wrote.
    """
    tail = last_bytes(handle, lines)
    whole, _, torn = tail.rpartition(b"\n")
    try:
        known = tuple(str(json.loads(line)["eventId"]) for line in whole.split(b"\n")[-lines:] if line)
    except (ValueError, KeyError, TypeError) as err:
        raise foreign(path) from err
    if not known and torn[: len(BEGINS)] != BEGINS[: len(torn)]:  # before anything of it is cut off
        raise foreign(path)
    if torn:
        os.ftruncate(handle, os.fstat(handle).st_size - len(torn))
        synced(handle)
    return known


def foreign(path: Path) -> InputError:
    """The error about a file of somebody else."""
    return InputError(f"--out: {path}: holds lines that no publisher wrote", hint="name another file")


def last_bytes(handle: int, lines: int) -> bytes:
    """The end of a file with that many lines at least, where it has them."""
    start = os.fstat(handle).st_size
    blocks: list[bytes] = []
    ends = 0
    while start and ends <= lines:
        length = min(BLOCK, start)
        start -= length
        blocks.insert(0, os.pread(handle, length, start))
        ends += blocks[0].count(b"\n")
    data = b"".join(blocks)
    return data if not start else data[data.index(b"\n") + 1 :]

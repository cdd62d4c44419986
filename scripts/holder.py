"""One build at a time in one tree: a POSIX record lock (fcntl(2)) on `artifacts/.build/lock`.

The kernel lets go of it when the process ends, however it ends, so nothing is left to clean up; the file stays empty, and
the kernel also knows who holds it. A second build does not wait: it may have been started by the first one.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path

from scripts import files
from scripts.errors import LockedError

# fcntl(2), struct flock: type, whence, start, length, pid; BSD and macOS have start, length, pid, type, whence
ON_LINUX = sys.platform == "linux"
FLOCK = struct.Struct("hhqqi" if ON_LINUX else "qqihh")
WHOLE_FILE = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if ON_LINUX else (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
PID = 4 if ON_LINUX else 2


def take(lock: Path) -> None:
    """Takes the tree for this process, which keeps it to its end; taking it twice is taking it once.

    Raises: LockedError that says who has it; WriteError where the lock cannot be written.
    """
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as err:
        raise files.WriteError(f"{lock}: {err.strerror}", hint=files.advice(err)) from err
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as err:
        message = f"{lock}: another build works in this tree: {words(holder(handle))}"
        raise LockedError(message, hint="wait for it (or stop it), then run the same command again") from err


def holder(handle: int) -> int:
    """The process that holds the lock; 0 where the kernel does not tell (another machine)."""
    found = FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, FLOCK.pack(*WHOLE_FILE)))
    return max(0, int(found[PID]))


def words(pid: int) -> str:
    """A process in words: its number and, where /proc tells, what it was called with."""
    if not pid:
        return "a process on another machine"
    try:
        called = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        called = []
    return f"process {pid}: {' '.join(Path(word).name for word in called if word)}".rstrip(": ")

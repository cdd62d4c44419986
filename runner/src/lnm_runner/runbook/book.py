"""The folder of a runbook, `<state>/runbook/<database>-<8 hex>/`, and its journal on the disk.

    journal.jsonl, head.json     what was done (journal.py), and how many lines that are
    lock                         flock(2) while a command changes something; it holds who that is, and dies with its process
    samples.jsonl                what was measured while stages ran, for the report's charts

A line is on the disk, and its name in the folder, before `append` returns. A last line that was torn by a crash is cut off and
told; everything else that is not as it was left is refused, with the line and the stage (attacks X10).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.errors import LockedError, StateError, gathered
from lnm_runner.kit.held import Held, state_folder, told, write_all
from lnm_runner.runbook import journal
from lnm_runner.runbook.journal import Entry, Journal

RUNBOOK: Final = "runbook"
JOURNAL: Final = "journal.jsonl"
HEAD: Final = "head.json"
LOCK: Final = "lock"
SAMPLES: Final = "samples.jsonl"
SMALL: Final = 64 << 10  # bytes of a file that is read whole
LOOKS: Final = 5
"""So often a reader looks again that met somebody at work."""
APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
LOCKING: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
HINT: Final = (
    "no stage is begun until somebody has looked: who has written into the state folder? Then begin anew: lnm runbook begin "
    "--reason WHY --execute, which keeps this journal under another name"
)


@dataclass(frozen=True)
class Seen:
    """What lies in the folder."""

    journal: Journal
    torn: int
    """Bytes behind the last whole line."""
    head: bytes | None
    wrong: str
    """The line at which the journal is wrong, as far as it can be read: which stage it is about."""

    @property
    def begun(self) -> Entry | None:
        """The first line."""
        return self.journal.entries[0] if self.journal.entries else None


NOTHING: Final = Seen(journal.read(b""), 0, None, "")


def look(state: Path, name: str) -> Seen:
    """What lies in the folder of that name, whether or not it is as it was left.

    Raises: RunnerError where it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        held = state_folder(state, make=False)
        for part in (RUNBOOK, name):
            if held is None:
                return NOTHING
            stack.enter_context(held)
            held = held.folder(part)
        return NOTHING if held is None else at_rest(stack.enter_context(held))


def at_rest(held: Held) -> Seen:
    """What lies in an open folder, looked at again where somebody was writing meanwhile."""
    seen = seen_in(held)
    for _ in range(LOOKS):
        again = seen_in(held)
        if again == seen:
            break
        seen = again
    return seen


def seen_in(held: Held) -> Seen:
    """What lies in an open folder."""
    data = held.read(JOURNAL, journal.LARGEST) or b""
    read = journal.read(data)
    return Seen(read, len(data) - read.whole, held.read(HEAD, SMALL), stage_at(data, len(read.entries)) if read.defect else "")


def stage_at(data: bytes, number: int) -> str:
    """Which stage a line is about, and the one before it; as far as they can be read."""
    found = []
    for text in data.split(b"\n")[max(number - 1, 0) : number + 1]:
        try:
            value = json.loads(text)
            found.append(str(value["stage"])[:40] if isinstance(value, dict) and value.get("stage") else "none")
        except (ValueError, RecursionError, KeyError):
            found.append("unreadable")
    return " behind ".join(reversed(found))


def check(seen: Seen) -> None:
    """Refuses a journal that is not as it was left.

    Raises: StateError with every defect.
    """
    found = list(defects(seen))
    if found:
        raise gathered([StateError(f"the journal of the runbook is not as it was left: {defect}", hint=HINT) for defect in found])


def defects(seen: Seen) -> Iterator[str]:
    """What is wrong; where a line is, nothing else can be judged."""
    if seen.journal.defect:
        yield f"{JOURNAL}: {seen.journal.defect} (stage {seen.wrong})"
    elif seen.journal.entries:
        for defect in chain.wrong_head(seen.journal, seen.head, HEAD, JOURNAL):
            yield f"{defect} (the last line is about stage {seen.journal.entries[-1].stage or 'none'})"
    elif seen.head is not None:
        yield f"{JOURNAL}: is gone or empty, and {HEAD} is there"


class Book:
    """The folder, locked, and its journal without defect."""

    def __init__(self, path: Path, held: Held, known: Journal) -> None:
        """`opened` makes it."""
        self.path: Final = path
        self.held: Final = held
        self.journal = known
        self.mended: list[str] = []
        """What a killed command had left, in words."""

    def append(self, stage: str, state: str, evidence: Mapping[str, Any], plan: str) -> Entry:
        """Adds a line, and lets head.json name it; both are on the disk when this returns.

        Raises: RunnerError where they cannot be written: what was written of the line is taken back; ValueError for a line that
            may not follow.
        """
        members = {"stage": stage, "state": state, "evidence": dict(evidence), "plan": plan}
        earlier = self.journal.entries[-1].at if self.journal.entries else ""
        line = journal.line(self.journal, max(chain.now(), earlier), members)  # a clock that is set back reorders nothing
        longer = journal.KIND.with_line(self.journal, line)
        with told(f"{RUNBOOK}/{JOURNAL}"), self.opened() as file:
            try:
                write_all(file, line)
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self.journal.whole)
                raise
        self.held.settle()
        self.journal = longer
        self.write_head()
        return longer.entries[-1]

    def opened(self) -> io.FileIO:
        """The journal, to be added to."""
        opener = lambda path, _: os.open(path, APPEND, 0o600, dir_fd=self.held.handle)  # noqa: E731 - as open() wants it
        return io.FileIO(JOURNAL, "ab", opener=opener)

    def write_head(self) -> None:
        """Lets head.json name the last line."""
        self.held.replace(HEAD, chain.head_of(self.journal))

    def mend(self, seen: Seen) -> None:
        """Cuts off a line that a crash has torn, and lets head.json follow a line that was written right before one."""
        if seen.torn:
            with told(f"{RUNBOOK}/{JOURNAL}"), self.opened() as file:
                file.truncate(self.journal.whole)
                os.fsync(file.fileno())
            self.mended.append(f"line {len(self.journal.entries) + 1} of the journal was not written to its end, and was cut off")
        if self.journal.entries and seen.head != chain.head_of(self.journal):
            self.write_head()

    def sample(self, stage: str, values: Mapping[str, Any]) -> None:
        """Writes a sample; a disk that is full stops no stage for it."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        names = ("lagMs", "documents", "total", "errors", "backlog", "oldestMs")
        value = {"at": at, "stage": stage, **dict.fromkeys(names), "errors": 0, **values}
        with contextlib.suppress(OSError):
            handle = os.open(SAMPLES, APPEND, 0o600, dir_fd=self.held.handle)
            try:
                os.write(handle, (json.dumps(value) + "\n").encode())
            finally:
                os.close(handle)


@contextlib.contextmanager
def opened(state: Path, name: str, stage: str) -> Iterator[Book]:
    """The folder, made where it is not there, and the lock on it; `stage` is what it is locked for.

    Raises: LockedError where another command has it; StateError where the journal is not as it was left; RunnerError.
    """
    with folder(state, name, stage) as (path, held):
        seen = seen_in(held)
        check(seen)
        book = Book(path, held, seen.journal)
        book.mend(seen)
        yield book


@contextlib.contextmanager
def folder(state: Path, name: str, stage: str) -> Iterator[tuple[Path, Held]]:
    """The folder itself, locked, whatever lies in it.

    Raises: LockedError; RunnerError where it cannot be had.
    """
    with contextlib.ExitStack() as stack:
        root = state_folder(state, make=True)
        if root is None:
            raise StateError(f"{state}: is gone again", hint="who else works in the state folder?")
        stack.enter_context(root)
        runbook = stack.enter_context(root.made(RUNBOOK))
        held = stack.enter_context(runbook.made(name))
        stack.enter_context(lock(held, stage))
        require_named(runbook, name, held)
        yield state / RUNBOOK / name, held


def require_named(runbook: Held, name: str, held: Held) -> None:
    """Refuses a folder that `begin` has given another name between its opening and its lock: that journal is put aside.

    Raises: LockedError.
    """
    with contextlib.suppress(FileNotFoundError):
        there, here = os.stat(name, dir_fd=runbook.handle, follow_symlinks=False), os.fstat(held.handle)
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return
    raise LockedError("another command has just begun this journal anew", hint="look: lnm runbook status; then the same command")


@contextlib.contextmanager
def lock(held: Held, stage: str) -> Iterator[None]:
    """The lock, while the block runs.

    Raises: LockedError, which says who has it.
    """
    with told(f"{RUNBOOK}/{LOCK}"):
        handle = os.open(LOCK, LOCKING, 0o600, dir_fd=held.handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            who = os.pread(handle, SMALL, 0).decode("utf-8", "replace").strip()
            raise LockedError(
                f"another command works on this runbook: {who or 'it does not say who it is'}",
                hint="wait until it has ended, or end it by Ctrl-C; then run the same command again",
            ) from err
        with told(f"{RUNBOOK}/{LOCK}"):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()}, {stage}, since {chain.now()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)

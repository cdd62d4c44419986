"""The state folder, locked: one command at a time changes it. The lock is flock(2) on trust/lock, which dies with its process."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.chain import now
from lnm_runner.errors import LockedError, StateError
from lnm_runner.kit import journal, state
from lnm_runner.kit.held import Held, refused, state_folder, told, write_all
from lnm_runner.kit.journal import Journal
from lnm_runner.kit.standing import Known, Standing, standing

APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
CLOCK_SLACK: Final = dt.timedelta(minutes=5)


class Store:
    """What `locked` gives."""

    def __init__(self, root: Held, trust: Held, kits: Held, read: Journal) -> None:
        """`read` is the journal, without defect."""
        self.root: Final = root
        self.trust: Final = trust
        self.kits: Final = kits
        self.journal = read
        self.mended: list[str] = []
        """What a killed command had left, in words."""

    @property
    def standing(self) -> Standing:
        """By the journal."""
        return standing(self.journal.entries)

    def append(self, event: str, facts: Mapping[str, Any]) -> None:
        """Adds a line, and lets head.json name it; both are on the disk when this returns.

        Raises: RunnerError where they cannot be written; what was written of the line is taken back.
        """
        line = journal.line(self.journal, event, facts, now())
        longer = journal.with_line(self.journal, line)
        with told(f"{state.TRUST}/{state.JOURNAL}"), self.opened() as file:
            try:
                write_all(file, line)
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self.journal.whole)
                raise
        self.trust.settle()
        self.journal = longer
        self.write_head()

    def begin(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Writes a new journal with these lines in the place of the old one, in one step; head.json follows."""
        self.journal, data = journal.read(b""), b""
        for event, facts in events:
            data += journal.line(self.journal, event, facts, now())
            self.journal = journal.read(data)
        self.trust.replace(state.JOURNAL, data)
        self.write_head()

    def opened(self) -> io.FileIO:
        """The journal, to be added to."""
        opener = lambda path, _: os.open(path, APPEND, 0o600, dir_fd=self.trust.handle)  # noqa: E731 - as open() wants it
        return io.FileIO(state.JOURNAL, "ab", opener=opener)

    def write_head(self) -> None:
        """Lets head.json name the last line."""
        self.trust.replace(state.HEAD, chain.head_of(self.journal))

    def write_receipt(self, kit: Known) -> None:
        """The receipt of a kit, which keeps the journal's head as it was when the kit was let in."""
        entry = self.journal.entries[kit.count - 1]
        receipt = {
            "chain": self.journal.chain,
            "count": kit.count,
            "head": entry.sha256,
            "importedAt": entry.at,
            "policy": entry.facts["policy"],
            "rootHash": kit.root_hash,
            "version": kit.version,
        }
        self.kits.replace(kit.name + state.RECEIPT, chain.rendered(receipt))

    def activate(self, kit: Known) -> None:
        """Lets kits/active name a kit, in one step, and tells it."""
        self.kits.replace(state.ACTIVE, chain.rendered({"rootHash": kit.root_hash, "version": kit.version}))
        self.tell_active(kit)

    def tell_active(self, kit: Known) -> None:
        """Writes down which kit is active."""
        self.append(journal.ACTIVATED, {"version": kit.version, "rootHash": kit.root_hash})


@contextlib.contextmanager
def held(path: Path) -> Iterator[tuple[Held, Held, Held]]:
    """The state folder, its trust/ and its kits/, made where they are not there, and the lock on them.

    Raises: LockedError where another command has it; RunnerError where they cannot be had.
    """
    with contextlib.ExitStack() as stack:
        root = state_folder(path, make=True)
        if root is None:
            raise StateError(f"{path}: is gone again", hint="who else works in the state folder?")
        stack.enter_context(root)
        trust = stack.enter_context(root.made(state.TRUST))
        stack.enter_context(lock(trust))
        yield root, trust, stack.enter_context(root.made(state.KITS))


@contextlib.contextmanager
def lock(trust: Held) -> Iterator[None]:
    """The lock, while the block runs.

    Raises: LockedError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with told(f"{state.TRUST}/{state.LOCK}"):
        handle = os.open(state.LOCK, flags, 0o600, dir_fd=trust.handle)
    try:
        take(handle)
        yield
    finally:
        os.close(handle)


def take(handle: int) -> None:
    """Locks an open file.

    Raises: LockedError where somebody else has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        hint = "wait until it has ended, then run the same command again"
        raise LockedError("another command is changing the state folder", hint=hint) from err
    except OSError as err:
        raise refused(f"{state.TRUST}/{state.LOCK}", err) from err


def backwards(newest: str) -> str:
    """A warning where this host's clock is earlier than what was written down; empty where it is not.

    Nothing is accepted or refused because of it.
    """
    if not newest:
        return ""
    late = dt.datetime.strptime(newest, chain.AT).replace(tzinfo=dt.UTC) - dt.datetime.now(dt.UTC)
    return (
        f"the clock of this host says {now()}, and the journal already has {newest}: set the clock" if late > CLOCK_SLACK else ""
    )

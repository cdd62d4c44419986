"""Verification without a network, by force: while a block runs, this process can neither use a socket nor start a program.

An audit hook (PEP 578) sees what is about to be done before the operating system does, in every thread; it can be put on once and
never be taken off, so a count says whether it refuses. It is a fence against our own and our libraries' mistakes, not against
code that wants to get out: such code would already be running here.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

REFUSED: Final = ("socket.", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile")
"""How the names of audit events begin that would lead out (Python's library reference, «Audit events table»)."""


class NetworkRefusedError(OSError):
    """Something asked for the network while a kit was verified. An OSError, as code that can do without knows it."""


class Fence:
    """The hook, and how many blocks are running that want it."""

    def __init__(self) -> None:
        """Puts on nothing."""
        self.lock = threading.Lock()
        self.is_on = False
        self.blocks = 0

    def hook(self, event: str, _: tuple[Any, ...]) -> None:
        """What Python calls with each event.

        Raises: NetworkRefusedError.
        """
        if self.blocks and event.startswith(REFUSED):
            raise NetworkRefusedError(f"{event}: a kit is verified without the network")

    def change(self, by: int) -> None:
        """One block more, or one less."""
        with self.lock:
            if not self.is_on:
                sys.addaudithook(self.hook)
                self.is_on = True
            self.blocks += by


FENCE: Final = Fence()


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Refuses the network to this process while the block runs."""
    FENCE.change(1)
    try:
        yield
    finally:
        FENCE.change(-1)

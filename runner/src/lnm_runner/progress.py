"""What is said while something is done: on a terminal one line, drawn anew, with rate and time left; in a pipe plain lines.

It writes through a function, and never fails: a terminal that has gone away stops no migration.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lnm_runner.durations import SECOND_MS, in_words

PLAIN_EVERY_S = 10.0  # in a pipe: a line for the log, not for the eye
CLEAR_LINE = "\r\x1b[K"  # ECMA-48: CR, EL
TOO_EARLY_S = 0.5  # no rate is said before


def nowhere(_text: str) -> None:
    """Says nothing."""


def rendered(what: str, done: int, total: int, elapsed_s: float) -> str:
    """Progress in words: how much, how fast, how long still."""
    words = [f"{what}: {done:,} of {total:,}"]
    if total:
        words.append(f"{done * 100 // total} %")
    if done and elapsed_s >= TOO_EARLY_S:
        rate = done / elapsed_s
        words += [f"{rate:,.0f}/s", f"{in_words(max(total - done, 0) / rate * SECOND_MS)} left"]
    return ", ".join(words)


@dataclass
class Progress:
    """Where progress goes; used by one thread that works and one that watches."""

    write: Callable[[str], None] = nowhere
    """Takes text with its line end."""
    is_terminal: bool = False
    clock: Callable[[], float] = time.monotonic
    _is_drawn: bool = field(default=False, init=False)
    _said_at: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def line(self, text: str) -> None:
        """Says a line that stays."""
        with self._lock:
            self._wipe()
            self.write(f"{text}\n")

    def show(self, what: str, done: int, total: int, elapsed_s: float) -> None:
        """Draws the state anew; in a pipe, a line every ten seconds."""
        with self._lock:
            text = rendered(what, done, total, elapsed_s)
            if self.is_terminal:
                self.write(f"{CLEAR_LINE}{text}")
                self._is_drawn = True
            elif self.clock() - self._said_at >= PLAIN_EVERY_S:
                self._said_at = self.clock()
                self.write(f"{text}\n")

    def wipe(self) -> None:
        """Takes away what was drawn."""
        with self._lock:
            self._wipe()

    def _wipe(self) -> None:
        if self._is_drawn:
            self.write(CLEAR_LINE)
            self._is_drawn = False

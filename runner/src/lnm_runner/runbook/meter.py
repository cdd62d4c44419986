"""Makes samples of a backfill while it runs: how many documents are done, and how far the furthest member is behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lnm_runner.backfill.runlog import Follower
from lnm_runner.progress import Progress

EVERY_S: Final = 1.0
OF_DOCUMENTS: Final = "observations"
"""The part of a backfill that takes one raw document after the other."""


@dataclass
class Meter(Progress):
    """Progress that is shown as before, and kept."""

    inner: Progress = field(default_factory=Progress)
    follower: Follower | None = None
    keep: Callable[[Mapping[str, Any]], None] = lambda _: None
    lags: list[int | None] = field(default_factory=list)
    """Milliseconds, each time that it was measured; None where it was not known."""
    pauses: int = 0
    _kept_at: float = field(default=float("-inf"), init=False)

    def line(self, text: str) -> None:
        """Says a line that stays."""
        self.inner.line(text)

    def wipe(self) -> None:
        """Takes away what was drawn."""
        self.inner.wipe()

    def show(self, what: str, done: int, total: int, elapsed_s: float) -> None:
        """Shows it, and keeps a sample every second, and at the end of a part."""
        self.inner.show(what, done, total, elapsed_s)
        if time.monotonic() - self._kept_at >= EVERY_S or done >= total:
            self._kept_at = time.monotonic()
            counts = {"documents": done, "total": total} if what == OF_DOCUMENTS else {}
            self.keep({**counts, "lagMs": self.newest()})

    def newest(self) -> int | None:
        """The highest lag since the last sample, or the last one before; None where it was not known at one of the times."""
        before = len(self.lags)
        self.read()
        new = self.lags[before:] or self.lags[-1:]
        known = [lag for lag in new if lag is not None]
        return max(known) if known and len(known) == len(new) else None

    def read(self) -> None:
        """Takes in what the run log has since the last time."""
        self.take(self.follower.lines() if self.follower else ())

    def take(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Takes in lines of a run log."""
        for line in lines:
            if line.get("event") == "lag":
                self.lags.append(line["lagMs"])
            self.pauses += line.get("event") == "pace" and str(line.get("said", "")).startswith("pause")

    @property
    def max_lag_ms(self) -> int | None:
        """The highest lag; None where it was not known once, or never measured."""
        known = [lag for lag in self.lags if lag is not None]
        return max(known) if known and len(known) == len(self.lags) else None

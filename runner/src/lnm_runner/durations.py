"""How long an action will take, said before and scored after.

Model: a createIndexes over n documents takes `FIXED_MS + n * pace * (READ + KEYS * indexes)`, where the pace is measured on
this server and these documents, by grouping a sample of them by the keys of an index (`forecast.pace`). The constants fit
what `python -m tests.runner.forecast` prints: on mongod 6.0.5 and 2 cores, 20,000 and 100,000 documents of 0.4 and 1.7 kB took
0.48 to 1.51 of what was said. How far off they are on another machine is what the score is for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SECOND_MS, MINUTE_MS, HOUR_MS = 1_000, 60_000, 3_600_000
COMMAND_MS = 35  # one command on an empty collection, acknowledged by the majority: 8 ms on a quiet machine, 100 on a busy one
FIXED_MS = 100  # the two phases of an index build, however few documents there are
READ = 0.25  # part of the pace: reading each document once
KEYS = 0.25  # part of the pace, for each index: making, sorting and storing its keys
FACTOR = 3  # the range that is said: from a third of the forecast to three times it


@dataclass(frozen=True)
class Duration:
    """A forecast, in milliseconds."""

    ms: int
    basis: str
    """What it is made of, in words."""

    @property
    def at_least_ms(self) -> int:
        """Shorter would be a surprise."""
        return self.ms // FACTOR

    @property
    def at_most_ms(self) -> int:
        """Longer would be a surprise."""
        return self.ms * FACTOR

    def __str__(self) -> str:
        """The forecast in words."""
        return f"about {in_words(self.ms)} (up to {in_words(self.at_most_ms)})"

    def as_json(self) -> dict[str, Any]:
        """The forecast, for a program."""
        return {"ms": self.ms, "atLeastMs": self.at_least_ms, "atMostMs": self.at_most_ms, "basis": self.basis}


def of_a_command() -> Duration:
    """A command that reads no document."""
    return Duration(COMMAND_MS, "one command that reads no document")


def of_index_builds(documents: int, indexes: int, pace_us: float) -> Duration:
    """One createIndexes command; `pace_us` is microseconds for each document of the sample."""
    if not documents:
        return Duration(COMMAND_MS, "indexes of an empty collection")
    ms = FIXED_MS + documents * pace_us * (READ + KEYS * indexes) / 1000
    return Duration(round(ms), f"{documents} documents, {indexes} indexes, {pace_us:.1f} µs for each document of a sample")


@dataclass(frozen=True)
class Score:
    """A forecast beside what it took."""

    forecast_ms: int
    took_ms: int

    @property
    def is_within(self) -> bool:
        """True where it was in the range that was said."""
        return self.took_ms <= self.forecast_ms * FACTOR and self.took_ms >= self.forecast_ms // FACTOR

    def __str__(self) -> str:
        """The score in words."""
        if self.is_within:
            return f"forecast {in_words(self.forecast_ms)}, took {in_words(self.took_ms)}: as forecast"
        kind = "longer" if self.took_ms > self.forecast_ms else "shorter"
        return f"forecast {in_words(self.forecast_ms)}, took {in_words(self.took_ms)}: {kind} than forecast"

    def as_json(self) -> dict[str, Any]:
        """The score, for a program and for the ledger."""
        return {"forecastMs": self.forecast_ms, "tookMs": self.took_ms, "within": self.is_within}


def together(scores: Iterable[Score]) -> Score:
    """The score of a whole run."""
    listed = list(scores)
    return Score(sum(score.forecast_ms for score in listed), sum(score.took_ms for score in listed))


def in_words(ms: float) -> str:
    """A duration for people: 340 ms, 12 s, 3 min, 2 h 10 min."""
    if ms < SECOND_MS:
        return f"{round(ms)} ms"
    if ms < 2 * MINUTE_MS:
        return f"{ms / SECOND_MS:.0f} s" if ms >= 10 * SECOND_MS else f"{ms / SECOND_MS:.1f} s"
    if ms < 2 * HOUR_MS:
        return f"{ms / MINUTE_MS:.0f} min"
    return f"{int(ms // HOUR_MS)} h {int(ms % HOUR_MS // MINUTE_MS)} min"

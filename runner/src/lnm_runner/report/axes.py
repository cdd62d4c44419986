"""Scales of a chart: round numbers, and places on the paper. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
STEPS: Final = (
    *(100, 200, 500),
    *(SECOND * many for many in (1, 2, 5, 10, 20, 30)),
    *(MINUTE * many for many in (1, 2, 5, 10, 20, 30)),
    *(HOUR * many for many in (1, 2, 4, 8, 12)),
    *(DAY * many for many in (1, 2, 5, 10, 20, 50, 100, 1000, 10_000, 100_000, 1_000_000)),
)
"""Of a scale of time, in milliseconds."""
UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (1, "ms"))


@dataclass(frozen=True)
class Scale:
    """From values to places, linear."""

    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        """The place of a value; one outside is at the edge."""
        part = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return self.at_low + min(max(part, 0.0), 1.0) * (self.at_high - self.at_low)


def place(value: float) -> str:
    """A place, with as many digits as an eye sees."""
    return f"{value:.1f}"


def time_ticks(span_ms: int, most: int) -> list[tuple[int, str]]:
    """`(milliseconds from the begin, words)`, all in one unit."""
    step = next((step for step in STEPS if span_ms / step <= most), span_ms)
    size, unit = next((size, unit) for size, unit in UNITS if step % size == 0)
    return [(at, f"{at // size} {unit}" if at else "0") for at in range(0, span_ms + 1, max(step, 1))]


def round_up(value: float) -> tuple[float, float]:
    """`(top, step)` of a scale for values up to this one: 1, 2 or 5 times a power of ten, at most five steps."""
    if value <= 0:
        return 1.0, 1.0
    rough = value / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * many for many in (1, 2, 5, 10) if power * many >= rough)
    return step * math.ceil(value / step), step


def values(top: float, step: float) -> list[tuple[float, str]]:
    """`(value, words)` of a scale."""
    return [(step * number, worded(step * number)) for number in range(round(top / step) + 1)]


def worded(value: float) -> str:
    """A value of a scale, short: 0.5, 20, 3k, 4M."""
    for size, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.12g}{unit}"
    return f"{value:.12g}"

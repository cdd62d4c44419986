"""Samples as series to draw, thinned so that a file stays small: lowest and highest of each stretch are kept.

A sample: `{at, stage, lagMs, documents, total, errors, backlog, oldestMs}`. An unknown lag is a hole in its series and never a
zero. Lines are not drawn across a change of stage, nor where nobody has measured for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

from lnm_runner.report import words

STRETCHES = 240
"""Of a chart: about two for each pixel of its width would be seen by nobody."""
SILENCE_MS = 30_000
"""So long without a sample, and the line breaks; one is taken each second or so."""
EDGE_MS = 5_000
"""Samples of one attempt are no further from each other. A hole reaches to the samples beside it, but no further than this."""
SECOND_MS = 1000
Timed: TypeAlias = tuple[int, Mapping[str, Any]]
"""When, in milliseconds, and the sample."""


@dataclass(frozen=True)
class Point:
    """A stretch of time, or one sample."""

    at_ms: int
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """What is drawn."""

    begin_ms: int
    end_ms: int
    lines: tuple[tuple[Point, ...], ...]
    holes: tuple[tuple[int, int], ...]
    """From when to when the value was unknown."""
    samples: int
    unknown: int
    is_thinned: bool
    is_average: bool = False
    """Its values are averages of stretches, and not samples."""

    @property
    def highest(self) -> float | None:
        """The highest value; None where nothing is known."""
        return max((point.high for line in self.lines for point in line), default=None)


@dataclass
class Stretch:
    """Samples of about the same time, of one stage."""

    stage: str
    begin_ms: int
    end_ms: int
    low: float | None = None
    high: float | None = None
    last: float | None = None
    unknown: int = 0

    def add(self, at_ms: int, value: float | None) -> None:
        """One more sample."""
        self.end_ms = at_ms
        if value is None:
            self.unknown += 1
            return
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        self.last = value


def timed(samples: Iterable[Mapping[str, Any]]) -> list[Timed]:
    """The samples by time; one that says no time is none."""
    found = [(at, sample) for sample in samples if (at := words.moment_ms(sample.get("at"))) is not None]
    return sorted(found, key=lambda one: one[0])


def taken(samples: Iterable[Timed], name: str, *, holes: bool) -> list[tuple[int, str, int | None]]:
    """`(at, stage, value)` of those in which it was asked; without `holes` an absent value means: not asked.

    With them it means: unknown. But for the first samples of an attempt, which tell nothing as there was nothing to measure yet.
    """
    found: list[tuple[int, str, int | None]] = []
    for at, sample in samples:
        value = sample.get(name)
        value = value if type(value) is int else None
        if value is not None or (holes and (tells(sample) or (found and at - found[-1][0] <= EDGE_MS))):
            found.append((at, str(sample.get("stage")), value))
    return found


def tells(sample: Mapping[str, Any]) -> bool:
    """Whether a sample says anything."""
    return any(sample.get(name) is not None for name in ("lagMs", "documents", "backlog"))


def stretches(found: Sequence[tuple[int, str, int | None]]) -> list[Stretch]:
    """The samples, one by one while they are few."""
    made: list[Stretch] = []
    begin, span, where = found[0][0], found[-1][0] - found[0][0] + 1, -1
    is_thinned = len(found) > STRETCHES
    for number, (at, stage, value) in enumerate(found):
        place = (at - begin) * STRETCHES // span if is_thinned else number
        if place != where or made[-1].stage != stage:
            made.append(Stretch(stage, at, at))
        where = place
        made[-1].add(at, value)
        if len(made) > 2 * STRETCHES:  # stages that change with every sample are no runbook
            break
    return made


def of(samples: Iterable[Timed], name: str, *, holes: bool = False) -> Series | None:
    """A member of the samples as it is; None where there is none."""
    found = taken(samples, name, holes=holes)
    if not found:
        return None
    listed = stretches(found)
    points = [(one, point_of(one)) for one in listed]
    return series(found, lines(points, longest_ms(found)), tuple(merged(unknown(listed))))


def point_of(stretch: Stretch) -> Point | None:
    """What is known of a stretch."""
    if stretch.low is None or stretch.high is None:
        return None
    return Point((stretch.begin_ms + stretch.end_ms) // 2, stretch.low, stretch.high)


def rate(samples: Iterable[Timed], name: str) -> Series | None:
    """By how much a counter has grown in a second, on the average of each stretch; a counter that begins anew is a new line."""
    found = taken(samples, name, holes=False)
    if not found:
        return None
    points: list[tuple[Stretch, Point | None]] = []
    for before, after in pairwise(stretches(found)):
        ms, grown = after.end_ms - before.end_ms, (after.last or 0) - (before.last or 0)
        is_one = before.stage == after.stage and 0 < ms <= longest_ms(found) and grown >= 0
        pace = grown * SECOND_MS / ms if is_one else 0
        points.append((after, Point(after.end_ms, pace, pace) if is_one else None))
    return replace(series(found, lines(points, longest_ms(found)), ()), is_average=True)


def series(
    found: Sequence[tuple[int, str, int | None]], drawn: tuple[tuple[Point, ...], ...], holes: tuple[tuple[int, int], ...]
) -> Series:
    """All of it."""
    absent = sum(value is None for _, _, value in found)
    return Series(found[0][0], found[-1][0], drawn, holes, len(found), absent, len(found) > STRETCHES)


def longest_ms(found: Sequence[tuple[int, str, int | None]]) -> int:
    """Between two samples, or stretches of them, that may be joined."""
    width = (found[-1][0] - found[0][0]) // STRETCHES + 1 if len(found) > STRETCHES else 0
    return max(SILENCE_MS, 2 * width)


def lines(points: Sequence[tuple[Stretch, Point | None]], longest_ms: int) -> tuple[tuple[Point, ...], ...]:
    """The points, in lines that may be drawn through: a stretch of which nothing is known ends one."""
    made: list[list[Point]] = [[]]
    before: Stretch | None = None
    for stretch, point in points:
        if before is None or before.stage != stretch.stage or stretch.begin_ms - before.end_ms > longest_ms:
            made.append([])
        before = stretch if point else None
        if point:
            made[-1].append(point)
    return tuple(tuple(line) for line in made if line)


def unknown(listed: Sequence[Stretch]) -> Iterator[tuple[int, int]]:
    """From when to when a value was unknown: from the sample before to the one behind."""
    for number, stretch in enumerate(listed):
        if stretch.unknown:
            before = listed[number - 1].end_ms if number else stretch.begin_ms
            behind = listed[number + 1].begin_ms if number + 1 < len(listed) else stretch.end_ms
            yield max(before, stretch.begin_ms - EDGE_MS), min(behind, stretch.end_ms + EDGE_MS)


def merged(holes: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same, those that touch in one."""
    begin: int | None = None
    end = 0
    for first, last in holes:
        if begin is not None and first > end:
            yield begin, end
            begin = None
        begin = first if begin is None else begin
        end = max(end, last)
    if begin is not None:
        yield begin, end

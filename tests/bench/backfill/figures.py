"""Figures of the ways: rates, what they are of the ceiling, goals; as JSON and as Markdown. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench.backfill.ways import CEILING, OURS, PLAIN, WAYS
from tests.bench.measure import Sample, median

OF_THE_CEILING, OF_PLAIN, MEMORY_MB, FLAT = 0.25, 3.0, 250.0, 1.15
"""Goals: the least of the ceiling's rate, the least of the plain way's; the most memory, and how it may grow with ten times as many."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One way, measured."""

    way: str
    documents: int
    """Raw ones."""
    outputs: int
    """Documents that were written for them."""
    samples: Sequence[Sample]
    server_s: Sequence[float]
    """Seconds of CPU that the server took."""

    @property
    def middle(self) -> Sample:
        """The medians."""
        return median(self.samples)

    @property
    def rate(self) -> float:
        """Raw documents in a second."""
        return self.documents / self.middle.wall_s

    @property
    def written(self) -> float:
        """Written documents in a second."""
        return self.outputs / self.middle.wall_s

    @property
    def rates(self) -> list[float]:
        """Of each turn."""
        return [self.documents / sample.wall_s for sample in self.samples]

    def as_json(self, ceiling: Figure | None) -> dict[str, Any]:
        """All of it."""
        return {
            **dataclasses.asdict(self),
            "medians": dataclasses.asdict(self.middle),
            "rawPerSecond": self.rate,
            "writtenPerSecond": self.written,
            "ofTheCeiling": self.rate / ceiling.rate if ceiling else None,
        }


@dataclasses.dataclass(frozen=True)
class Goal:
    """A goal, and what was found."""

    what: str
    found: float
    wanted: float
    is_least: bool
    """Else it is the most."""

    def is_met(self, factor: float = 1) -> bool:
        """True where it was met, loosened by a factor."""
        return self.found * factor >= self.wanted if self.is_least else self.found <= self.wanted * factor

    @property
    def said(self) -> str:
        """A line."""
        words = "met" if self.is_met() else "falls short"
        return f"{self.what}: {self.found:.2f}, wanted at {'least' if self.is_least else 'most'} {self.wanted:g}: {words}"


def goals(figures: Mapping[str, Figure]) -> Iterator[Goal]:
    """Those that can be judged."""
    ours = figures.get(OURS)
    if ours is None:
        return
    for other, wanted in ((CEILING, OF_THE_CEILING), (PLAIN, OF_PLAIN)):
        if other in figures:
            yield Goal(f"{OURS} / {other}, raw documents a second", ours.rate / figures[other].rate, wanted, is_least=True)
    yield Goal(f"{OURS}, MB of memory of all its processes", ours.middle.peak_mb, MEMORY_MB, is_least=False)


def memory_goals(small: Figure, large: Figure) -> Iterator[Goal]:
    """Of ten times as many documents."""
    yield Goal(f"{large.documents:,} documents, MB of memory", large.middle.peak_mb, MEMORY_MB, is_least=False)
    growth = large.middle.peak_mb / small.middle.peak_mb
    yield Goal(f"memory of {large.documents:,} / of {small.documents:,}", growth, FLAT, is_least=False)


def table(figures: Sequence[Figure]) -> str:
    """The figures, for a page."""
    ceiling = next((one for one in figures if one.way == CEILING), None)
    lines = [
        "| way | raw documents | written | raw/s | least … most | written/s | of the ceiling | CPU, s | of the server, s | memory, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(row(one, ceiling) for one in figures),
    ]
    return "\n".join(lines) + "\n"


def row(one: Figure, ceiling: Figure | None) -> str:
    """A row."""
    middle = one.middle
    cells = (
        f"`{one.way}`",
        f"{one.documents:,}",
        f"{one.outputs:,}",
        f"{one.rate:,.0f}",
        f"{min(one.rates):,.0f} … {max(one.rates):,.0f}",
        f"{one.written:,.0f}",
        f"{one.rate / ceiling.rate:.3f}" if ceiling else "",
        f"{middle.cpu_s:.1f}",
        f"{sorted(one.server_s)[len(one.server_s) // 2]:.1f}",
        f"{middle.peak_mb:.0f}" if middle.peak_mb else "",
    )
    return f"| {' | '.join(cells)} |"


def legend() -> str:
    """What each way is."""
    return "\n".join(f"- `{way.name}`: {way.what}" for way in WAYS)

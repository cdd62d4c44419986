"""Results as JSON and as Markdown, and what is to be said of them: met, falls short, worse than linear."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.benches import Bench
from tests.bench.measure import Sample, exponent, median, ratio, worse_than_linear

BEGIN, END = "<!-- bench: begin; `nox -s bench -- --write` writes what stands between -->", "<!-- bench: end -->"


@dataclasses.dataclass(frozen=True)
class Result:
    """One bench at one size."""

    bench: Bench
    size: int
    ours: Sequence[Sample]
    beside: Sequence[Sample] = ()
    profile: str = ""
    """The name of the file beside the JSON."""

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the most of the ratios of runs that followed each other."""
        ratios = [ratio(ours, beside) for ours, beside in zip(self.ours, self.beside, strict=False)]
        return (min(ratios), max(ratios)) if ratios else None

    @property
    def ratio(self) -> float | None:
        """Of the medians."""
        return ratio(median(self.ours), median(self.beside)) if self.beside else None


@dataclasses.dataclass(frozen=True)
class Growth:
    """One bench from one size to the next."""

    bench: Bench
    sizes: tuple[int, int]
    ours: tuple[Sample, Sample]
    beside: tuple[Sample, Sample] | None = None

    @property
    def times(self) -> tuple[float, float]:
        """Medians, in seconds."""
        return self.ours[0].wall_s, self.ours[1].wall_s

    @property
    def is_worse(self) -> bool:
        """Worse than linear, with the tolerance."""
        return worse_than_linear(self.sizes, self.times)


def growths(results: Sequence[Result]) -> list[Growth]:
    """Each step from one size to the next."""
    return [
        Growth(
            one.bench,
            (one.size, other.size),
            (median(one.ours), median(other.ours)),
            (median(one.beside), median(other.beside)) if one.beside else None,
        )
        for one, other in itertools.pairwise(results)
        if one.bench.name == other.bench.name
    ]


def judged(results: Sequence[Result]) -> list[Result]:
    """Of each bench with a goal the result at the goal's size; at the largest that was measured where that was not."""
    last: dict[str, Result] = {}
    for result in results:
        if result.bench.goal is not None and (result.bench.name not in last or result.size <= result.bench.goal_at):
            last[result.bench.name] = result
    return list(last.values())


def shortcomings(result: Result, factor: float = 1) -> list[str]:
    """What of a goal was missed, in words; `factor` loosens the goal for the time."""
    bench, found = result.bench, result.ratio
    words = []
    if bench.goal is not None and found is not None and found > bench.goal * factor:
        words.append(f"{found:.2f} times {plain(bench.theirs)}, the goal is {bench.goal:g}")
    if bench.memory_goal_mb is not None and median(result.ours).peak_mb > bench.memory_goal_mb:
        words.append(f"{median(result.ours).peak_mb:.0f} MB of memory, the goal is {bench.memory_goal_mb}")
    return words


def verdict(result: Result) -> str:
    """One or two words on a goal; nothing where there is none for this size."""
    if result.bench.goal is None or result.size != result.bench.goal_at:
        return ""
    return "**falls short**" if shortcomings(result) else "met"


def plain(markdown: str) -> str:
    """Without what only Markdown wants."""
    return markdown.replace("`", "").replace("\\", "")


def said(result: Result) -> str:
    """A line for the terminal."""
    ours, found = median(result.ours), result.ratio
    beside = f" / {median(result.beside).wall_s:8.3f} s = {found:6.2f}" if found is not None else ""
    name = f"{result.bench.name} {result.size} {result.bench.unit}"
    return f"{name:28} {ours.wall_s:8.3f} s{beside}   {ours.peak_mb:.0f} MB"


def as_json(results: Sequence[Result], facts: Mapping[str, str], *, quick: bool) -> dict[str, Any]:
    """All that was measured."""
    return {
        "machine": dict(facts),
        "quick": quick,
        "results": [result_json(result) for result in results],
        "growth": [growth_json(growth) for growth in growths(results)],
    }


def result_json(result: Result) -> dict[str, Any]:
    """One bench at one size: medians, and every sample."""
    bench = result.bench
    return {
        "bench": bench.name,
        "size": result.size,
        "unit": bench.unit,
        "what": plain(bench.what),
        "beside": plain(bench.theirs),
        "goal": {"ratio": bench.goal, "memory_mb": bench.memory_goal_mb, "size": bench.goal_at} if bench.goal else None,
        "ratio": result.ratio,
        "ratio_least_most": result.spread,
        "falls_short": shortcomings(result),
        "profile": result.profile,
        "medians": {side: dataclasses.asdict(median(runs)) for side, runs in sides(result).items()},
        "samples": {side: [dataclasses.asdict(run) for run in runs] for side, runs in sides(result).items()},
    }


def sides(result: Result) -> dict[str, Sequence[Sample]]:
    """Both sides, or the one that there is."""
    return {"ours": result.ours} | ({"beside": result.beside} if result.beside else {})


def growth_json(growth: Growth) -> dict[str, Any]:
    """One step."""
    return {
        "bench": growth.bench.name,
        "sizes": list(growth.sizes),
        "exponent": exponent(growth.sizes, growth.times),
        "worse_than_linear": growth.is_worse,
    }


def markdown(results: Sequence[Result], facts: Mapping[str, str]) -> str:
    """The tables of docs/performance.md."""
    lines = [", ".join(f"{name} {value}" for name, value in facts.items()), ""]
    lines += [
        "| bench | size | ours, s | beside it, s | ratio | least … most | goal | | memory, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    lines += [row(result) for result in results]
    lines += ["", "| bench | ten times from … to | ours: time | beside it: time | ours: memory | exponent | |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | --- |", *(growth_row(growth) for growth in growths(results))]
    return "\n".join(lines) + "\n"


def row(result: Result) -> str:
    """A row of the first table."""
    ours, bench, found = median(result.ours), result.bench, result.ratio
    beside, times = ("", "") if found is None else (f"{median(result.beside).wall_s:.3f}", f"{found:.2f}")
    goal = f"{bench.goal:g}" if bench.goal is not None and result.size == bench.goal_at else ""
    spread = "{:.2f} … {:.2f}".format(*result.spread) if result.spread else ""
    memory = f"{ours.peak_mb:.0f}" + (f" (goal {bench.memory_goal_mb})" if goal and bench.memory_goal_mb else "")
    cells = (
        f"`{bench.name}`",
        f"{result.size:,} {bench.unit}",
        f"{ours.wall_s:.3f}",
        beside,
        times,
        spread,
        goal,
        verdict(result),
        memory,
    )
    return f"| {' | '.join(cells)} |"


def growth_row(growth: Growth) -> str:
    """A row of the second table."""
    one, other = growth.ours
    beside = f"× {growth.beside[1].wall_s / growth.beside[0].wall_s:.1f}" if growth.beside else ""
    cells = (
        f"`{growth.bench.name}`",
        f"{growth.sizes[0]:,} to {growth.sizes[1]:,} {growth.bench.unit}",
        f"× {other.wall_s / one.wall_s:.1f}",
        beside,
        f"× {other.peak_mb / one.peak_mb:.1f}",
        f"{exponent(growth.sizes, growth.times):.2f}",
        "**worse than linear**" if growth.is_worse else "",
    )
    return f"| {' | '.join(cells)} |"


def replaced(page: str, tables: str) -> str:
    """A page with other tables between its markers."""
    head, found, rest = page.partition(BEGIN)
    _, also_found, tail = rest.partition(END)
    if not found or not also_found:
        raise ValueError(f"no table stands between «{BEGIN}» and «{END}»")
    return f"{head}{BEGIN}\n\n{tables}\n{END}{tail}"

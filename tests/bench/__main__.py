"""`python -m tests.bench [--quick | --largest N] [--json FILE] [--write] [--enforce FACTOR] [NAME …]`: measures, prints, writes artifacts/bench/.

Exit 0 also where a goal was missed, unless --enforce; 2 where one was missed by more than that factor; 4 where a program or the
built kit of this checkout is not here; 1 where a command that was to be measured failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import machine, profiles, report, trees
from tests.bench.benches import BENCHES, Bench
from tests.bench.measure import FailedError, in_turns
from tests.conftest import ROOT

NAMES = ", ".join(bench.name for bench in BENCHES)
PAGE = ROOT / "docs/performance.md"
QUICK_REPEATS = 1  # enough to see that each row runs; CI's machine is shared, and nothing hangs on its figures


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures this project beside stock tools.")
    made.add_argument("names", nargs="*", metavar="NAME", help=f"all without one; of {NAMES}")
    made.add_argument("--quick", action="store_true", help="the smallest size, each row once, for CI: half a minute")
    made.add_argument("--largest", type=int, default=3, choices=(1, 2, 3), help="how many of the sizes, smallest first")
    made.add_argument("--json", type=Path, default=ROOT / "artifacts/bench/bench.json", help="where to; profiles stand beside it")
    made.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    made.add_argument("--enforce", type=float, metavar="FACTOR", help="exit 2 where a ratio is above its goal times this")
    return made


def missing(benches: Sequence[Bench]) -> list[str]:
    """What has to be here and is not, in words."""
    programs = sorted({name for bench in benches for name in bench.programs if shutil.which(name) is None})
    kit = [] if trees.fetched_wheels().is_dir() else ["the built kit of this checkout (doit bundle)"]
    return [*(f"the program {name} (ci/apt.txt)" for name in programs), *kit]


def measure(bench: Bench, yard: Path, sizes: int, repeats: int | None) -> Iterator[report.Result]:
    """A bench at its sizes."""
    for size, usual in list(zip(bench.sizes, bench.repeats, strict=True))[:sizes]:
        tree = trees.built(yard, bench.unit, size)
        commands = [side(tree) for side in (bench.ours, bench.beside) if side is not None]
        ours, *beside = in_turns(commands, repeats or usual)
        yield report.Result(bench, size, ours, beside[0] if beside else ())


def needs_profile(results: Sequence[report.Result]) -> list[report.Result]:
    """Those that fall short of a goal at its size, and the larger side of each step that is worse than linear."""
    short = [result for result in report.judged(results) if report.shortcomings(result)]
    steep = {(growth.bench.name, growth.sizes[1]) for growth in report.growths(results) if growth.is_worse}
    return [result for result in results if result in short or (result.bench.name, result.size) in steep]


def with_profile(result: report.Result, yard: Path, folder: Path) -> report.Result:
    """The result with the name of its profile, where one can be taken."""
    tree = trees.built(yard, result.bench.unit, result.size)
    made = profiles.take(result.bench.ours(tree), folder / f"{result.bench.name}-{result.size}.profile.txt")
    return dataclasses.replace(result, profile=made.name if made else "")


def one(bench: Bench, yard: Path, folder: Path, sizes: int, repeats: int | None) -> list[report.Result]:
    """Measures a bench, says so line by line, and takes the profiles that it calls for."""
    results = []
    for result in measure(bench, yard, sizes, repeats):
        print(report.said(result), flush=True)
        results.append(result)
    wanted = needs_profile(results)
    return [with_profile(result, yard, folder) if result in wanted else result for result in results]


def summary(results: Sequence[report.Result]) -> list[str]:
    """What is to be said at the end: each goal, and each growth that is worse than linear."""
    profile = {(result.bench.name, result.size): result.profile for result in results}
    lines = []
    for result in report.judged(results):
        bench, size = result.bench, result.size
        elsewhere = "" if size == bench.goal_at else f" (the goal is for {bench.goal_at} {bench.unit})"
        words = "; ".join(report.shortcomings(result))
        end = f"falls short{elsewhere}: {words}; profile: {profile[bench.name, size] or 'none'}" if words else f"met{elsewhere}"
        lines.append(f"{bench.name} at {size} {bench.unit}: {end}")
    for growth in report.growths(results):
        if growth.is_worse:
            where = profile[growth.bench.name, growth.sizes[1]] or "none"
            lines.append(f"{growth.bench.name}: worse than linear to {growth.sizes[1]} {growth.bench.unit}; profile: {where}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Measures what was asked for."""
    asked = parser().parse_args(arguments)
    unknown = set(asked.names) - {bench.name for bench in BENCHES}
    if unknown:
        parser().error(f"no bench is called {', '.join(sorted(unknown))}")
    benches = [bench for bench in BENCHES if bench.name in asked.names or not asked.names]
    if lacking := missing(benches):
        print(f"not here: {', '.join(lacking)}", file=sys.stderr)
        return 4
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    sizes, repeats = (1, QUICK_REPEATS) if asked.quick else (asked.largest, None)
    with tempfile.TemporaryDirectory(prefix="lnm-bench-") as yard:
        try:
            results = [result for bench in benches for result in one(bench, Path(yard), asked.json.parent, sizes, repeats)]
        except FailedError as err:
            print(f"failed: {err}", file=sys.stderr)
            return 1
    facts = machine.facts()
    text = json.dumps(report.as_json(results, facts, quick=asked.quick), indent=1, sort_keys=True)
    asked.json.write_text(text + "\n", encoding="utf-8")
    tables = report.markdown(results, facts)
    asked.json.with_suffix(".md").write_text(tables, encoding="utf-8")
    if asked.write:
        PAGE.write_text(report.replaced(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
    print("\n" + "\n".join(summary(results)))
    return 2 if asked.enforce and any(report.shortcomings(result, asked.enforce) for result in report.judged(results)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

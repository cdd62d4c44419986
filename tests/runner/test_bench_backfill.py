"""The bench of the backfill: its arithmetic, its table of the real advisories, its locks, and one cheap run of it. No test here asserts a time."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.bench.backfill import __main__ as bench
from tests.bench.backfill import corpus, figures
from tests.bench.backfill.figures import Figure, Goal
from tests.bench.backfill.ways import CEILING, OURS, PLAIN, WAYS
from tests.bench.measure import Sample
from tests.conftest import ROOT


def figure(way: str, documents: int, *walls: float, peak_mb: float = 100) -> Figure:
    return Figure(way, documents, 5 * documents, [Sample(wall, wall / 2, peak_mb) for wall in walls], [1.0] * len(walls))


CEILING_FIGURE, PLAIN_FIGURE = figure(CEILING, 1000, 0.5, 1, 2), figure(PLAIN, 100, 1)


def test_a_rate_is_of_the_median_and_counts_raw_documents_or_written_ones() -> None:
    assert (CEILING_FIGURE.rate, CEILING_FIGURE.written) == (1000, 5000)
    assert CEILING_FIGURE.rates == [2000, 1000, 500]


def test_ways_with_other_numbers_of_documents_are_compared_by_their_rates() -> None:
    found = {one.way: one for one in (CEILING_FIGURE, PLAIN_FIGURE, figure(OURS, 1000, 4, peak_mb=260))}

    goals = {goal.what.partition(",")[0]: goal for goal in figures.goals(found)}

    assert {name: (goal.found, goal.is_met()) for name, goal in goals.items()} == {
        f"{OURS} / {CEILING}": (0.25, True),
        f"{OURS} / {PLAIN}": (2.5, False),
        OURS: (260, False),
    }
    assert goals[OURS].is_met(1.05)
    assert goals[f"{OURS} / {PLAIN}"].is_met(1.2)
    assert "2.50, wanted at least 3: falls short" in goals[f"{OURS} / {PLAIN}"].said


def test_without_a_run_of_ours_there_is_no_goal() -> None:
    assert list(figures.goals({CEILING: CEILING_FIGURE})) == []


def test_memory_is_judged_by_ten_times_as_many_documents() -> None:
    small, large = figure(OURS, 100, 1, peak_mb=100), figure(OURS, 1000, 1, peak_mb=116)

    limit, growth = figures.memory_goals(small, large)

    assert (limit.is_met(), growth.is_met()) == (True, False)
    assert growth.found == pytest.approx(1.16)


def test_a_row_says_what_a_rate_is_of_the_ceiling() -> None:
    assert "| 0.100 |" in figures.row(PLAIN_FIGURE, CEILING_FIGURE)
    assert PLAIN_FIGURE.as_json(CEILING_FIGURE)["ofTheCeiling"] == 0.1
    assert PLAIN_FIGURE.as_json(None)["ofTheCeiling"] is None


def test_a_goal_that_is_a_limit_is_met_below_it() -> None:
    assert Goal("x", 1, 2, is_least=False).is_met()
    assert not Goal("x", 3, 2, is_least=False).is_met()


# ---- what the corpus becomes


REPORT: dict[str, Any] = {
    "inventory": {"documents": 10, "legacy": 4},
    "outputs": {"advisory_observations": {"leaves": 9}, "advisory_linksets": {"leaves": 6}, "advisory_linkset_tombstones": {"leaves": 4}},
    "counts": {
        "one": {"observations": {"format:OSV": 5, "revision": 2}, "linksets": {"observations:02": 6, "confidence:0.5": 6}},
        "two": {"observations": {"format:OSV": 4}, "tombstones": {"reason:duplicate": 1, "reason:superseded-by-linkset": 3}},
    },
    "errors": {"leaves": 1, "byCode": {"ERR_AOC_004": 1}},
}  # fmt: skip


def test_the_table_adds_up_tenants_and_tells_shares() -> None:
    made = corpus.table(REPORT)

    assert "| observations, by format | OSV | 9 | 100.0% |" in made
    assert "| observations | that replace one | 2 | 20.0% |" in made
    assert "| linksets, by observations in it | 2 | 6 | 100.0% |" in made
    assert "| linksets, by confidence, from | 0.5 | 6 | 100.0% |" in made
    assert "| tombstones, by reason | duplicate | 1 | 25.0% |" in made
    assert "| not backfilled | ERR_AOC_004 | 1 | 100.0% |" in made


def test_the_page_has_a_place_for_the_table_and_a_table_in_it() -> None:
    page = (ROOT / "docs/backfill.md").read_text(encoding="utf-8")

    assert "| tombstones, by reason | superseded-by-linkset |" in page.partition(corpus.BEGIN)[2].partition(corpus.END)[0]
    assert corpus.replaced(f"a{corpus.BEGIN}old{corpus.END}b", "new") == f"a{corpus.BEGIN}\n\nnew\n{corpus.END}b"
    with pytest.raises(ValueError, match="no table"):
        corpus.replaced("nothing", "new")


# ---- what is needed for it


def test_the_tools_beside_it_are_in_no_other_environment() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        found = re.findall(r"^(?:pymongo-migrate|mongodb-migrations)==", lock.read_text(encoding="ascii"), re.MULTILINE)
        assert len(found) == (2 if lock.stem == "bench" else 0), lock.name


def test_what_is_benched_is_what_is_tested() -> None:
    """The lock of the bench is that of the tests, and the two tools with what they need."""
    pins = {
        name: set(re.findall(r"^\S+==\S+", (ROOT / f"requirements/{name}.txt").read_text("ascii"), re.MULTILINE))
        for name in ("test", "bench")
    }
    assert pins["test"] < pins["bench"]


def test_the_lock_of_the_tool_from_npm_pins_by_hash_and_says_nothing_of_where_from() -> None:
    packages = json.loads((ROOT / "ci/migrate-mongo/package-lock.json").read_bytes())["packages"]
    own = packages.pop("")
    assert all(re.fullmatch(r"[0-9.]+", version) for version in own["dependencies"].values())
    assert [name for name, row in packages.items() if "integrity" not in row or "resolved" in row] == []


# ---- a run


@pytest.mark.mongod
def test_a_quick_run_measures_and_finds_the_same_documents_by_the_plain_way(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether goals are met is not for a test to say, so it enforces what nothing can miss."""
    out = tmp_path / "out/backfill.json"
    options = ("--quick", "--documents", "60", "--program", str(program), "--json", str(out), "--enforce", "1000000")

    code = bench.main([*options, CEILING, OURS, PLAIN])

    assert code == 0, capsys.readouterr()
    found = json.loads(out.read_bytes())
    assert [(one["way"], one["documents"]) for one in found["figures"]] == [(CEILING, 60), (OURS, 60), (PLAIN, 60)]
    assert len({one["outputs"] for one in found["figures"]}) == 1
    assert all(len(one["samples"]) == 1 and one["server_s"] for one in found["figures"])
    assert found["machine"]["migrate-mongo"]
    written = "".join(path.read_text(encoding="utf-8") for path in out.parent.iterdir())
    assert not re.search(r"/(tmp|home|root|work|usr)/", written)


def test_a_tool_that_is_not_here_is_told_and_passed_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    found = [way.name for way in bench.available([way for way in WAYS if way.name in {PLAIN, "migrate-mongo"}])]

    assert found == [PLAIN]
    assert "NOT MEASURED: migrate-mongo: no node and no npm on the PATH" in capsys.readouterr().err


def test_a_way_that_there_is_not_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(["nosuch"])
    assert "no way is called nosuch" in capsys.readouterr().err

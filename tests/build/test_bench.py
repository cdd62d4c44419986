"""The bench's own arithmetic, one cheap run of it, and that its page has a row for each bench. No test here asserts a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import graph, profiles, report
from tests.bench.benches import BENCHES, Bench
from tests.bench.launcher import family, measured, resident
from tests.bench.measure import Command, FailedError, Sample, exponent, in_turns, median, ratio, run, worse_than_linear
from tests.bench.report import Result
from tests.bench.trees import kit_files, small_files
from tests.build.trees import Tree
from tests.conftest import ROOT


def sample(wall_s: float, peak_mb: float = 1) -> Sample:
    return Sample(wall_s, wall_s, peak_mb)


def no_command(tree: Tree) -> Command:
    return Command(("true",), tree.root, {})


ROW = Bench("row", no_command, "`ours`", no_command, "`a \\| b`", goal=0.5, goal_at=300, memory_goal_mb=100)
FREE = Bench("free", no_command, "`ours`")


def test_a_median_is_of_each_figure_by_itself_and_of_the_memory_the_most() -> None:
    assert median([Sample(3, 1, 5), Sample(1, 2, 9), Sample(2, 3, 4)]) == Sample(2, 2, 9)


def test_a_ratio_is_ours_by_theirs() -> None:
    assert ratio(sample(1), sample(4)) == 0.25


@pytest.mark.parametrize(
    ("times", "power", "is_worse"), [((1, 10), 1, False), ((1, 11.9), 1.08, False), ((1, 12.1), 1.08, True), ((1, 100), 2, True)]
)
def test_growth_is_a_power_of_the_size_with_a_tolerance(times: tuple[float, float], power: float, is_worse: bool) -> None:
    assert exponent((30, 300), times) == pytest.approx(power, abs=0.01)
    assert worse_than_linear((30, 300), times) is is_worse


def test_commands_take_turns_each_after_what_comes_before_it(tmp_path: Path) -> None:
    done: list[str] = []
    one = Command(("true",), tmp_path, os.environ, lambda: done.append("one"))
    other = Command(("true",), tmp_path, os.environ, lambda: done.append("other"))

    samples = in_turns([one, other], 2)

    assert done == ["one", "other", "one", "other"]
    assert [len(runs) for runs in samples] == [2, 2]


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="no such thing"):
        run(Command(("sh", "-c", "echo no such thing >&2; exit 3"), tmp_path, os.environ))


def test_the_memory_of_a_whole_pipeline_is_seen(tmp_path: Path) -> None:
    hold = "import time; held = bytearray(60_000_000); time.sleep(0.4)"
    pipeline = f"{sys.executable} -c '{hold}' | {sys.executable} -c '{hold}'"

    found = run(Command(("sh", "-c", pipeline), tmp_path, os.environ))

    assert 120 < found.peak_mb < 200


def test_the_memory_of_who_measures_is_not_counted(tmp_path: Path) -> None:
    held = bytearray(100_000_000)

    assert run(Command(("true",), tmp_path, os.environ)).peak_mb < 40
    assert held


def test_the_launcher_tells_the_exit_code_and_knows_no_process_that_is_gone() -> None:
    assert measured(["sh", "-c", "exit 7"])["code"] == 7
    assert family(os.getpid())[0] == os.getpid()
    assert resident(2**22 + 1) == 0


def test_a_goal_is_judged_at_its_own_size_and_at_the_largest_where_that_was_not_measured() -> None:
    results = [Result(ROW, size, [sample(1)], [sample(1)]) for size in (3, 30, 300)]

    assert report.judged(results) == [results[2]]
    assert report.judged(results[:2]) == [results[1]]
    assert report.judged([Result(FREE, 3, [sample(1)])]) == []


def test_a_goal_that_is_missed_is_told_with_its_figures() -> None:
    result = Result(ROW, 300, [sample(3, peak_mb=120)], [sample(4)])

    assert report.shortcomings(result) == ["0.75 times a | b, the goal is 0.5", "120 MB of memory, the goal is 100"]
    assert report.verdict(result) == "**falls short**"
    assert report.shortcomings(result, factor=2) == ["120 MB of memory, the goal is 100"]


def test_a_goal_that_is_met_is_met_and_none_is_told_for_another_size() -> None:
    assert report.verdict(Result(ROW, 300, [sample(1)], [sample(4)])) == "met"
    assert not report.verdict(Result(ROW, 30, [sample(9)], [sample(4)]))
    assert not report.verdict(Result(FREE, 300, [sample(1)]))


def test_growth_is_between_sizes_of_one_bench_alone() -> None:
    results = [Result(ROW, 3, [sample(1)]), Result(ROW, 30, [sample(20)]), Result(FREE, 3, [sample(1)])]

    (growth,) = report.growths(results)

    assert growth.sizes == (3, 30)
    assert growth.is_worse
    assert "**worse than linear**" in report.growth_row(growth)


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"

    assert report.replaced(page, "new") == f"before\n{report.BEGIN}\n\nnew\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="no table"):
        report.replaced("nothing", "new")


def test_a_profile_names_no_folder_of_the_machine() -> None:
    found = profiles.without_places(
        "1 0.1 /home/me/.venv/lib/python3.11/site-packages/doit/task.py:4(execute)\n2 /tmp/x/odd.py:3(f)"
    )

    assert found == "1 0.1 site-packages/doit/task.py:4(execute)\n2 odd.py:3(f)"


def test_the_graph_is_the_same_for_make_and_for_ninja(tmp_path: Path) -> None:
    rows = [(["out/a", "out/a.json"], ["in/a"]), (["out/b"], ["out/a", "in/c"])]

    graph.write(tmp_path, rows)

    assert "out/a.json: in/a\n\ttouch out/a.json out/a\nout/a: out/a.json ;\n" in (tmp_path / "Makefile").read_text(
        encoding="ascii"
    )
    assert subprocess.run(["make", "-r", "--question"], cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "in/a").write_text("changed")
    assert subprocess.run(["make", "-r", "--question"], cwd=tmp_path, check=False).returncode == 1
    subprocess.run(["ninja"], cwd=tmp_path, capture_output=True, check=True)
    assert subprocess.run(["make", "-r", "--question"], cwd=tmp_path, check=False).returncode == 0
    assert "build out/b: touch out/a in/c\n" in (tmp_path / "build.ninja").read_text(encoding="ascii")
    said = subprocess.run(["ninja"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "no work to do" in said.stdout


def test_ninja_reads_a_name_with_a_colon() -> None:
    assert graph.escaped("a:b $c") == "a$:b$ $$c"


def test_a_tree_of_some_size_has_that_size_and_always_the_same_bytes() -> None:
    size = sum(len(data) for _, data in kit_files(6))

    assert 4.5e6 < size < 6.5e6
    assert dict(kit_files(1)) == dict(kit_files(1))
    assert len(dict(small_files(1234))) == 1234


def test_each_bench_has_sizes_a_factor_of_ten_apart_and_repeats_for_each() -> None:
    for bench in BENCHES:
        wanted = [] if bench.unit == "image" else [10, 10]  # there is one image, of the size that it has
        assert [later / size for size, later in zip(bench.sizes, bench.sizes[1:], strict=False)] == wanted, bench.name
        assert len(bench.repeats) == len(bench.sizes), bench.name
        assert bench.goal is None or bench.goal_at in bench.sizes, bench.name


def test_the_page_has_a_row_for_each_bench_in_its_description_and_in_its_table() -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    head, found, rest = page.partition(report.BEGIN)
    tables, end, _ = rest.partition(report.END)

    assert found
    assert end
    wanted = {bench.name for bench in BENCHES}
    assert set(re.findall(r"^\| `([a-z-]+)` \|", head, re.MULTILINE)) == wanted
    assert set(re.findall(r"^\| `([a-z-]+)` \|", tables, re.MULTILINE)) == wanted


def bench(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def test_a_quick_run_measures_writes_and_names_no_folder_of_the_machine(dist: Path, tmp_path: Path) -> None:
    """The one run that tests make; whether goals are met is not for a test to say, so it enforces one that nothing can meet."""
    out = tmp_path / "out/bench.json"

    said = bench("--quick", "--json", str(out), "--enforce", "0.001", "noop", "noop-ninja")

    assert said.returncode == 2, said.stdout + said.stderr
    assert "noop at 60 targets: " in said.stdout
    assert dist.is_dir()
    found = json.loads(out.read_bytes())
    assert [(row["bench"], row["size"]) for row in found["results"]] == [("noop", 60), ("noop-ninja", 60)]
    assert all(len(row["samples"][side]) == 1 for row in found["results"] for side in ("ours", "beside"))
    assert found["machine"]["ninja"] != "not here"
    written = "".join(path.read_text(encoding="utf-8") for path in out.parent.iterdir())
    assert not re.search(r"/(tmp|home|root|work|usr)/", written)


def test_a_bench_that_there_is_not_is_an_error() -> None:
    said = bench("nosuch")

    assert said.returncode == 2
    assert "no bench is called nosuch" in said.stderr


def test_without_the_built_kit_it_says_what_to_do(tmp_path: Path) -> None:
    said = bench("--json", str(tmp_path / "bench.json"), "noop", LNM_DIST=str(tmp_path))

    assert said.returncode == 4
    assert said.stderr == "not here: the built kit of this checkout (doit bundle)\n"

"""The command line itself: help, version, wrong usage, signals, closed pipes, and how fast it starts."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runner.fixtures import Site
from tests.runner.installed import Lnm

MEASURED = 9


def duration_s(command: list[str]) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def test_help_starts_in_at_most_three_times_an_import_of_pymongo(program: Path) -> None:
    python = str(program.with_name("python"))
    commands = ([str(program), "--help"], [python, "-c", "import pymongo"])

    taken = [[duration_s(command) for command in commands] for _ in range(MEASURED)]  # taken in turns

    help_s, import_s = (statistics.median(column) for column in zip(*taken, strict=True))
    print(f"lnm --help {help_s * 1000:.0f} ms, import pymongo {import_s * 1000:.0f} ms, ratio {help_s / import_s:.2f}")
    assert help_s <= 3 * import_s


def test_help_does_not_import_the_driver(program: Path) -> None:
    code = "import sys; from lnm_runner import cli\ntry: cli.main(['--help'])\nexcept SystemExit: print('pymongo' in sys.modules)"

    done = subprocess.run([str(program.with_name("python")), "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.endswith("False\n")


@pytest.mark.mongod
class TestUsage:
    """Right and wrong ways to call it."""

    def test_the_version_is_the_kits(self, lnm: Lnm, version: str) -> None:
        assert lnm("--version").stdout == f"lnm {version}\n"

    @pytest.mark.parametrize(
        "command",
        [(), ("status",), ("plan",), ("preflight",), ("apply",), ("kit",), ("kit", "verify"), ("kit", "import"), ("trust",)],
        ids=" ".join,
    )
    def test_every_command_has_help(self, lnm: Lnm, command: tuple[str, ...]) -> None:
        assert lnm(*command, "--help").stdout.startswith(f"usage: lnm {' '.join(command)}".rstrip())

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "a command is wanted"),
            (("frobnicate",), "invalid choice"),
            (("kit",), "the following arguments are required"),
            (("apply",), "the following arguments are required: DELIVERY"),
            (("plan", "--db"), "argument --db: expected one argument"),
            (("plan", "--dry-run"), "unknown options: --dry-run"),
            (("plan", "a", "b"), "too many arguments"),
            (("apply", "21-101", "--exec"), "unknown options: --exec"),
            (("apply", "21-101", "--accept-ttl-deletes", "-1"), "wanted a number of documents"),
            (("apply", "21-101", "--accept-ttl-deletes", "x"), "argument --accept-ttl-deletes: invalid int"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_wrong_usage_is_one_line_and_exit_2(self, lnm: Lnm, arguments: tuple[str, ...], said: str) -> None:
        answer = lnm(*arguments, wanted=2)

        assert answer.stdout == ""
        assert answer.stderr.startswith("error: ")
        assert said in answer.stderr

    def test_wrong_usage_is_json_where_json_was_asked_for(self, lnm: Lnm) -> None:
        answer = lnm("plan", "--json", "--nonsense", wanted=2)

        assert answer.json["error"]["type"] == "InputError"
        assert not answer.json["ok"]
        assert answer.json["exitCode"] == 2
        assert answer.stderr == ""

    def test_json_is_one_object_and_nothing_else(self, lnm: Lnm) -> None:
        applied = lnm.apply("--json")

        assert applied.stderr == ""
        assert json.loads(applied.stdout)["command"] == "apply"

    def test_progress_is_told_apart_from_the_result(self, lnm: Lnm) -> None:
        answer = lnm.apply()

        assert answer.stderr.startswith("[1/12] create the collection advisory_observations")
        assert answer.stdout.startswith("20251202_lnm_21_101_sharding_and_ttl is applied: 12 actions in ")

    def test_nobody_reading_any_more_is_no_crash(self, lnm: Lnm) -> None:
        runner = lnm.start("plan", "21-101", "--kit", lnm.kit.folder)
        assert runner.stdout is not None
        runner.stdout.close()

        assert runner.stderr is not None
        stderr = runner.stderr.read()
        runner.stderr.close()

        assert runner.wait(timeout=60) == 0
        assert stderr == ""

    @pytest.mark.parametrize("form", [(), ("--json",)], ids=["words", "json"])
    def test_a_result_that_cannot_be_written_is_an_error_and_the_database_is_as_it_was_to_be(
        self, lnm: Lnm, site: Site, form: tuple[str, ...]
    ) -> None:
        with Path("/dev/full").open("wb") as full:
            runner = replace(lnm, stdout=full.fileno()).start("apply", "21-101", "--execute", "--kit", lnm.kit.folder, *form)
            stderr = runner.communicate(timeout=60)[1]

        assert runner.returncode == 1
        assert bool(form) or "error: the result cannot be written to standard output: No space left" in stderr
        assert site.database["lnm_migrations"].count_documents({"state": "applied"}) == 1

    def test_an_apply_that_nobody_reads_says_by_its_code_that_it_came_to_its_end(self, lnm: Lnm, site: Site) -> None:
        runner = lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder)
        assert runner.stdout is not None
        runner.stdout.close()
        runner.stdout = None

        runner.communicate(timeout=60)
        assert runner.returncode == 0
        assert site.database["lnm_migrations"].count_documents({"state": "applied"}) == 1

    def test_an_apply_goes_on_when_nobody_reads_its_progress_any_more(self, lnm: Lnm) -> None:
        runner = lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder)
        assert runner.stderr is not None
        runner.stderr.close()

        assert runner.stdout is not None
        stdout = runner.stdout.read()
        runner.stdout.close()

        assert runner.wait(timeout=60) == 0
        assert "is applied: 12 actions" in stdout

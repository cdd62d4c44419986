"""What is said while the runner works, and how a forecast is made and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runner.fixtures import Site
from tests.runner.installed import Lnm
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def progress(program: Path) -> Any:
    """The module from the wheel."""
    return module(program, "lnm_runner.progress")


@pytest.fixture(scope="module")
def durations(program: Path) -> Any:
    """The module from the wheel."""
    return module(program, "lnm_runner.durations")


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """The time that it was moved to."""
        return self.now


def test_rate_and_time_left_are_said(progress: Any) -> None:
    assert progress.rendered("building", 45_000, 100_000, 3.0) == "building: 45,000 of 100,000, 45 %, 15,000/s, 3.7 s left"
    assert progress.rendered("building", 0, 100_000, 3.0) == "building: 0 of 100,000, 0 %"
    assert progress.rendered("building", 10, 100, 0.1) == "building: 10 of 100, 10 %"


def test_a_terminal_has_one_line_that_is_drawn_anew(progress: Any) -> None:
    written: list[str] = []
    shown = progress.Progress(written.append, is_terminal=True)

    shown.show("building", 1, 10, 1)
    shown.show("building", 2, 10, 1)
    shown.line("done")

    assert written == [
        "\r\x1b[Kbuilding: 1 of 10, 10 %, 1/s, 9.0 s left",
        "\r\x1b[Kbuilding: 2 of 10, 20 %, 2/s, 4.0 s left",
        "\r\x1b[K",
        "done\n",
    ]


def test_a_pipe_has_plain_lines_and_not_many(progress: Any) -> None:
    written: list[str] = []
    clock = Clock()
    shown = progress.Progress(written.append, clock=clock)

    for clock.now in (0, 1, 9.9, 10, 15, 20):
        shown.show("building", 1, 10, 0)
    shown.wipe()

    assert written == ["building: 1 of 10, 10 %\n"] * 3


@pytest.mark.parametrize("done", [0, 1, 10**12])
@pytest.mark.parametrize("total", [0, 1, 10**12])
@pytest.mark.parametrize("elapsed_s", [0.0, 0.5, 1e-9, 1e9])
def test_no_state_of_things_breaks_the_line(progress: Any, done: int, total: int, elapsed_s: float) -> None:
    assert "\n" not in progress.rendered("x", done, total, elapsed_s)


def test_a_forecast_grows_with_documents_indexes_and_pace(durations: Any) -> None:
    one = durations.of_index_builds(100_000, 1, 5.0)
    four = durations.of_index_builds(100_000, 4, 5.0)

    assert one.ms == 350
    assert four.ms == 725
    assert (one.at_least_ms, one.at_most_ms) == (116, 1050)
    assert durations.of_index_builds(0, 4, 5.0).ms == durations.of_a_command().ms


@pytest.mark.parametrize(
    ("forecast", "took", "word"),
    [(300, 100, "as forecast"), (300, 99, "shorter"), (300, 900, "as forecast"), (300, 901, "longer")],
)
def test_a_forecast_is_scored(durations: Any, forecast: int, took: int, word: str) -> None:
    assert word in str(durations.Score(forecast, took))


def test_plan_says_documents_risk_and_duration_and_the_ledger_has_the_score(lnm: Lnm, site: Site) -> None:
    rows = site.database["advisory_linksets"]
    rows.insert_many({"_id": n, "tenantId": "t", "advisoryId": f"CVE-{n}", "source": "nvd"} for n in range(3000))

    said = lnm.plan().stdout
    planned = lnm.plan("--json").json["plans"][0]
    applied = lnm.apply("--json").json

    builds = {action["collection"]: action for action in planned["actions"] if action["action"] == "create-indexes"}
    assert builds["advisory_linksets"]["documents"] == 3000
    assert builds["advisory_linksets"]["risk"]["level"] == "medium"
    assert builds["advisory_linksets"]["forecast"]["ms"] > 100
    assert builds["advisory_observations"]["risk"]["level"] == "none"
    assert planned["forecastMs"] == sum(action["forecast"]["ms"] for action in planned["actions"])
    assert "on 3,000 documents; risk medium: every document is read once" in said
    assert "all of it: about" in said
    row = site.database["lnm_migrations"].find_one()
    assert row is not None
    assert row["score"] == applied["score"]
    assert row["score"]["tookMs"] <= row["durationMs"]
    assert len(applied["scores"]) == len(applied["actions"])


def test_a_pipe_gets_no_control_characters(lnm: Lnm, site: Site) -> None:
    site.database["advisory_linksets"].insert_many({"_id": n, "tenantId": "t", "advisoryId": f"{n}"} for n in range(20_000))

    answer = lnm.apply()

    assert "\x1b" not in answer.stderr + answer.stdout
    assert "\r" not in answer.stderr + answer.stdout
    assert "forecast" in answer.stderr

"""The samples of a backfill: what of its run log and its progress is kept, and that unknown lag is never low lag."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.backfill import runlog
from lnm_runner.progress import Progress
from lnm_runner.runbook.meter import OF_DOCUMENTS, Meter


@pytest.mark.parametrize(
    ("lags", "highest"),
    [([], None), ([0], 0), ([70, 2_000, 5], 2_000), ([70, None, 5], None), ([None], None)],
    ids=["never measured", "none", "highest", "unknown once", "unknown"],
)
def test_the_highest_lag_is_known_where_each_one_is(tmp_path: Path, lags: list[int | None], highest: int | None) -> None:
    runlog.append(tmp_path, "lag", lagMs=99_000)  # of an earlier run
    meter = Meter(follower=runlog.Follower(tmp_path))
    for lag in lags:
        runlog.append(tmp_path, "lag", lagMs=lag)
    for said in ("pause: asked for by lnm_settings", "goes on after a pause of 3 s"):
        runlog.append(tmp_path, "pace", said=said)

    meter.read()

    assert (meter.max_lag_ms, len(meter.lags), meter.pauses) == (highest, len(lags), 1)


def test_progress_is_shown_as_before_and_kept_at_the_end_of_each_part(tmp_path: Path) -> None:
    said: list[str] = []
    kept: list[Mapping[str, Any]] = []
    meter = Meter(
        inner=Progress(said.append, clock=lambda: 100.0 * len(said)), follower=runlog.Follower(tmp_path), keep=kept.append
    )

    meter.show(OF_DOCUMENTS, 1, 9, 1.0)
    runlog.append(tmp_path, "lag", lagMs=40)
    meter.show(OF_DOCUMENTS, 2, 9, 1.0)  # within the same second
    runlog.append(tmp_path, "lag", lagMs=30)
    meter.show(OF_DOCUMENTS, 9, 9, 1.0)
    meter.show("linksets", 4, 4, 1.0)
    runlog.append(tmp_path, "lag", lagMs=None)
    meter.show("tombstones", 1, 1, 1.0)
    meter.line("a line")

    assert kept == [
        {"documents": 1, "total": 9, "lagMs": None},
        {"documents": 9, "total": 9, "lagMs": 40},
        {"lagMs": 30},
        {"lagMs": None},
    ]
    assert said[0].startswith("observations: 1 of 9")
    assert said[-1] == "a line\n"


def test_what_a_killed_attempt_has_measured_counts_also_where_nothing_was_left_to_do(tmp_path: Path) -> None:
    def highest() -> int | None:
        meter = Meter()
        meter.take(runlog.of_run(tmp_path, "a"))
        return meter.max_lag_ms

    def log(*events: tuple[str, dict[str, Any]]) -> None:
        for event, fields in events:
            runlog.append(tmp_path, event, **fields)

    assert highest() is None
    log(
        ("inventory", {"run": "a"}), ("begin", {"run": "a"}), ("lag", {"lagMs": 99_000}), ("end", {"run": "a"})
    )  # taken back since
    log(("inventory", {"run": "a"}), ("begin", {"run": "a"}), ("lag", {"lagMs": 40_000}))  # killed
    log(("begin", {"run": "a"}), ("lag", {"lagMs": 5}), ("end", {"run": "a"}))  # killed before the journal said so
    assert highest() == 40_000
    log(("inventory", {"run": "a"}))  # of the attempt that finds it done
    assert highest() == 40_000
    log(("inventory", {"run": "b"}), ("begin", {"run": "b"}), ("lag", {"lagMs": 7}))
    assert highest() is None

"""A plugin of pytest for mutmut's runs, where the first test that fails ends the run: those that noticed the mutants of the same
function before come first, then the quickest; mutmut itself has no order.

A run has a temporary folder of its own: pytest numbers its folders, and looks through those of all other runs each time.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")
"""How long each test took without a mutant, in seconds; mutmut writes it into the folder in which pytest is run."""
NOTICED = Path("noticed")
"""A file a function, a line a mutant: the test that noticed it, the latest last."""


@functools.cache
def durations_s() -> Mapping[str, float]:
    """Of each test. Read once, by the process that is forked for each mutant."""
    found: Mapping[str, float] = json.loads(STATS.read_bytes())["duration_by_test"] if STATS.is_file() else {}
    return found


def notes() -> Path | None:
    """Where it stands which tests noticed the mutants of this run's function; None where there is no mutant."""
    function, is_mutant, _ = os.environ.get("MUTANT_UNDER_TEST", "").partition("__mutmut_")
    return NOTICED / function if is_mutant else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    """Gives the run its folder, and takes it away."""
    config.option.basetemp = folder = Path(tempfile.mkdtemp(prefix="lnm-mutant-"))
    try:
        return (yield)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts what is to be run."""
    file, seconds = notes(), durations_s()
    noticed = file.read_text(encoding="utf-8").splitlines() if file is not None and file.is_file() else []
    latest = {test: -number for number, test in enumerate(noticed)}
    items.sort(key=lambda item: (latest.get(item.nodeid, 1), seconds.get(item.nodeid, 0)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes down who noticed."""
    file = notes()
    if report.failed and file is not None:
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(f"{report.nodeid}\n")

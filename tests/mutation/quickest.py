"""A plugin of pytest for mutmut's runs, where the first test that fails ends the run; mutmut itself has no order.

First come the tests that noticed other mutants of the same function, then those that reach the fewest functions, for they are about
it, and a few that noticed most in others.
LNM_MUTANT_TESTS (a number) leaves a mutant no more than the first so many: a first look at thousands; what survives it is tried again.
A run has a temporary folder of its own: pytest numbers its folders, and looks through those of all other runs each time.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")
"""Which tests reach which function, and how long they took without a mutant; mutmut writes it where pytest is run."""
NOTICED = Path("noticed.txt")
"""A line a mutant: its function, and the test that noticed it."""


@functools.cache
def weights() -> Mapping[str, tuple[int, float]]:
    """`{test: (functions that it reaches, seconds)}`. Read once, by the process that is forked for each mutant."""
    if not STATS.is_file():
        return {}
    stats = json.loads(STATS.read_bytes())
    reached = Counter(test for tests in stats["tests_by_mangled_function_name"].values() for test in tests)
    return {test: (reached[test], seconds) for test, seconds in stats["duration_by_test"].items()}


def weight(test: str) -> tuple[int, float, str]:
    """What a test is sorted by: how many functions it reaches, and its seconds."""
    return (*weights().get(test, (0, 0.0)), test)


def broken() -> str:
    """The function that is broken in this run; empty where none is."""
    function, is_mutant, _ = os.environ.get("MUTANT_UNDER_TEST", "").partition("__mutmut_")
    return function if is_mutant else ""


def ordered(tests: Sequence[str], function: str) -> list[str]:
    """The tests of a mutant as they are to be tried, those of one module together, whose fixtures they share."""
    lines = NOTICED.read_text(encoding="utf-8").splitlines() if NOTICED.is_file() else []
    noticed = [(where, test) for where, _, test in (line.partition(" ") for line in lines)]
    known = {*tests}
    own = sorted({test for where, test in noticed if where == function and test in known}, key=lambda test: weight(test)[1])
    about = sorted(known, key=weight)
    often = [test for test, _ in Counter(test for _, test in noticed if test in known).most_common(5)]
    some = list(dict.fromkeys([*own, *about[:10], *often, *about]))
    some = some[: int(os.environ.get("LNM_MUTANT_TESTS", len(some)))]
    modules = list(dict.fromkeys(test.partition("::")[0] for test in some))
    return [*some[:1], *sorted(some[1:], key=lambda test: modules.index(test.partition("::")[0]))]


def limit_time(tests: Sequence[str]) -> None:
    """Ends a mutant that runs for ever by SIGXCPU, which mutmut calls a timeout; its own limit is for all tests of a function."""
    wanted_s = 5 + 5 * sum(weights()[test][1] for test in tests if test in weights())
    _, most_s = resource.getrlimit(resource.RLIMIT_CPU)
    if most_s != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_CPU, (min(int(time.process_time() + wanted_s), most_s), most_s))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    """Chooses the tests before they are collected, gives the run its folder, and takes that away."""
    weights()
    function = broken()
    if function:
        config.args = ordered(config.args, function)
        limit_time(config.args)
    config.option.basetemp = folder = Path(tempfile.mkdtemp(prefix="lnm-mutant-"))
    try:
        return (yield)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes down who noticed."""
    function = broken()
    if report.failed and function:
        with NOTICED.open("a", encoding="utf-8") as lines:
            lines.write(f"{function} {report.nodeid}\n")

"""A plugin of pytest for mutmut's runs, where the first test that fails ends the run; mutmut itself has no order.

Of the tests that reach a function only those are run that run the line that is broken. First come those that noticed other mutants
of the function, then some that end there, some that are quick, and some that go on; last the others.
LNM_MUTANT_TESTS (a number) leaves a mutant no more than the first so many: a first look at thousands; what survives it is tried again.
A run has a temporary folder of its own: pytest numbers its folders, and looks through those of all other runs each time.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.mutation import reached

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
    functions = Counter(test for tests in stats["tests_by_mangled_function_name"].values() for test in tests)
    return {test: (functions[test], seconds) for test, seconds in stats["duration_by_test"].items()}


def weight(test: str) -> tuple[int, float, str]:
    """What a test is sorted by: how many functions it reaches, and its seconds."""
    return (*weights().get(test, (0, 0.0)), test)


def seconds(test: str) -> float:
    """How long a test takes."""
    return weight(test)[1]


def broken() -> str:
    """The mutant of this run; empty where there is none."""
    mutant = os.environ.get("MUTANT_UNDER_TEST", "")
    return mutant if "__mutmut_" in mutant else ""


def function_of(mutant: str) -> str:
    """The function that it is a mutant of."""
    return mutant.partition("__mutmut_")[0]


def ordered(tests: Sequence[str], mutant: str) -> list[str]:
    """The tests of a mutant as they are to be tried, those of one module together, whose fixtures they share."""
    known = {*tests}
    ending = [test for test in reached.runners(mutant) if test in known] or sorted(known, key=weight)
    quick = sorted(ending, key=seconds)
    lines = NOTICED.read_text(encoding="utf-8").splitlines() if NOTICED.is_file() else []
    noticed = {test for where, _, test in (line.partition(" ") for line in lines) if where == function_of(mutant)}
    some = list(dict.fromkeys([*(test for test in quick if test in noticed), *ending[:6], *quick[:6], *ending[-6:], *quick]))
    some = some[: int(os.environ.get("LNM_MUTANT_TESTS", len(some)))]
    modules = list(dict.fromkeys(test.partition("::")[0] for test in some))
    return [*some[:1], *sorted(some[1:], key=lambda test: modules.index(test.partition("::")[0]))]


def limit_time(tests: Sequence[str]) -> None:
    """Ends a mutant that runs or waits for ever by SIGXCPU, which mutmut calls a timeout; its own limit is for all tests of a function."""
    wanted_s = 5 + 5 * sum(map(seconds, tests))
    _, most_s = resource.getrlimit(resource.RLIMIT_CPU)
    if most_s != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_CPU, (min(int(time.process_time() + wanted_s), most_s), most_s))
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGXCPU))
        signal.setitimer(signal.ITIMER_REAL, 3 * wanted_s)  # where others need the machine as well, it takes longer


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    """Chooses the tests before they are collected, gives the run its folder, and takes that away."""
    mutant, purpose = broken(), os.environ.get("MUTANT_UNDER_TEST")
    if mutant:
        config.args = ordered(config.args, mutant)
        limit_time(config.args)
    elif purpose == "stats":
        config.pluginmanager.register(reached.Watch())
    elif not purpose:  # the run before the first mutant: what it reads, the forked processes have
        weights()
        reached.files()
    config.option.basetemp = folder = Path(tempfile.mkdtemp(prefix="lnm-mutant-"))
    try:
        return (yield)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes down who noticed."""
    mutant = broken()
    if report.failed and mutant:
        with NOTICED.open("a", encoding="utf-8") as lines:
            lines.write(f"{function_of(mutant)} {report.nodeid}\n")

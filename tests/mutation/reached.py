"""Which tests run which line of what is broken. mutmut knows it of functions alone, and most kits that are refused reach most of them.

While mutmut's first run of all tests finds out which reach which function, coverage watches (`Watch`) and keeps the lines of
mutmut's own copy of each function; what a mutant has changed is a line of that copy (`runners`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData

LINES = Path("lines.coverage")
"""In the folder in which pytest is run."""
SPANS = ".spans"
"""What mutmut puts behind a file's name for its index: `{function: [first line, last line]}`."""


def broken_files() -> list[Path]:
    """The files that hold mutants."""
    return sorted(path.with_name(path.name.removesuffix(SPANS)) for path in Path().rglob(f"*{SPANS}"))


class Watch:
    """A plugin of pytest that keeps which test runs which line; what was kept of the same files stays."""

    def __init__(self) -> None:
        """Starts watching."""
        files = [str(path.resolve()) for path in broken_files()]
        self.coverage = Coverage(data_file=str(LINES), include=files, config_file=False)
        if is_of_these_files():
            self.coverage.load()
        else:
            self.coverage.erase()
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """What runs from here on is run by this test."""
        self.coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_unconfigure(self) -> None:
        """Writes it down."""
        self.coverage.stop()
        self.coverage.save()


def is_of_these_files() -> bool:
    """Whether what is kept is of the mutants as they are now."""
    return LINES.is_file() and all(path.stat().st_mtime < LINES.stat().st_mtime for path in broken_files())


@dataclass(frozen=True)
class Broken:
    """One file that holds mutants."""

    text: Sequence[str]
    spans: Mapping[str, tuple[int, int]]
    runners: Mapping[int, Sequence[str]]
    """`{line: tests}`."""

    def lines(self, name: str) -> tuple[int, Sequence[str]]:
        """The number of the line of a function's `def`, and the lines from there on."""
        first, last = self.spans[name]
        first += next(at for at, line in enumerate(self.text[first - 1 : last]) if line.lstrip().startswith("def "))
        return first, self.text[first - 1 : last]


@functools.cache
def files() -> Sequence[Broken]:
    """All of them; read once, by the process that is forked for each mutant. None where nothing is kept of them."""
    if not is_of_these_files():
        return ()
    kept = CoverageData(str(LINES))
    kept.read()
    return [
        Broken(
            path.read_text(encoding="utf-8").splitlines(),
            json.loads(path.with_name(path.name + SPANS).read_bytes())["spans"],
            {line: [test for test in tests if test] for line, tests in kept.contexts_by_lineno(str(path.resolve())).items()},
        )
        for path in broken_files()
    ]


def runners(mutant: str) -> list[str]:
    """The tests that run what a mutant has changed: first those that go no further in its function; empty where that is unknown."""
    name = mutant.rpartition(".")[2]
    own = f"{name.partition('__mutmut_')[0]}__mutmut_orig"
    for file in files():
        if name in file.spans and own in file.spans:
            (first, before), (_, after) = file.lines(own), file.lines(name)
            changed = next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if at and old != new), 0)
            return going(file, range(first, first + len(before)), first + changed)
    return []


def going(file: Broken, function: range, changed: int) -> list[str]:
    """The tests that run a line of a function, or, where it is no beginning of a statement, the last one before it."""
    line = next((line for line in range(changed, function.start, -1) if file.runners.get(line)), 0)
    beyond = dict.fromkeys(file.runners.get(line, ()), 0)
    for later in range(line + 1, function.stop):
        for test in file.runners.get(later, ()):
            if test in beyond:
                beyond[test] += 1
    return sorted(beyond, key=lambda test: (beyond[test], test))

"""What mutmut found, read from its folder: for each mutant its function, what became of it, and the lines that differ."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.subjects import Subject

KILLED = ("killed", "timeout", "segfault", "suspicious")
"""What mutmut calls a mutant that a test did not let pass; all others have survived, also those that no test reaches."""
NOT_TRIED = "not checked"
"""What it calls one that it has not come to yet."""


@dataclass(frozen=True)
class Mutant:
    """One mutant."""

    name: str
    """As mutmut numbers it."""
    place: str
    """Its file."""
    function: str
    part: str
    status: str

    @property
    def is_tried(self) -> bool:
        """Whether it is known what becomes of it."""
        return self.status != NOT_TRIED

    @property
    def is_killed(self) -> bool:
        """Whether a test noticed."""
        return self.status in KILLED


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed, as people and docs/mutation.md name it: numbers change with every line of the file."""

    function: str
    was: str
    mutant: str


def plain(function: str) -> str:
    """mutmut's name of a function as a person writes it."""
    return function.removeprefix("x_") if function.startswith("x_") else function.removeprefix("xǁ").replace("ǁ", ".")


def made(folder: Path, subject: Subject) -> list[Mutant]:
    """All mutants, those among them that were not tried so far."""
    from mutmut.mutation.data import SourceFileMutationData  # noqa: PLC0415 - reads the settings of the folder it is in
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415 - the same

    parts, found = subject.part_of(), []
    for place in subject.sources:
        with contextlib.chdir(folder):
            data = SourceFileMutationData(path=place)
            data.load()
        for name, code in data.exit_code_by_key.items():
            module, _, function = name.partition("__mutmut_")[0].rpartition(".")
            found.append(Mutant(name, place, plain(function), parts[f"{module}.{function}"], status_by_exit_code[code]))
    return found


def forget_survivors(folder: Path, subject: Subject) -> None:
    """Lets mutmut try the survivors again, which it passes over where it has a result."""
    from mutmut.mutation.data import SourceFileMutationData  # noqa: PLC0415 - as above
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415 - as above

    with contextlib.chdir(folder):
        for place in subject.sources:
            data = SourceFileMutationData(path=place)
            data.load()
            results = data.exit_code_by_key
            survived = [name for name, code in results.items() if status_by_exit_code[code] not in KILLED]
            if survived:
                results.update(dict.fromkeys(survived))
                data.save()


def survivors(folder: Path, mutants: Sequence[Mutant]) -> list[Survivor]:
    """Those that survived; mutants that differ in the same way in two places of a function are one."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415 - as above

    with contextlib.chdir(folder):
        alive = [one for one in mutants if one.is_tried and not one.is_killed]
        diffs = {one: get_diff_for_mutant(one.name, path=one.place).splitlines()[2:] for one in alive}
    return sorted(
        {Survivor(f"{one.part}: {one.function}", side(diff, "-"), side(diff, "+")) for one, diff in diffs.items()},
        key=lambda survivor: (survivor.function, survivor.was, survivor.mutant),
    )


def side(diff: Sequence[str], sign: str) -> str:
    """The lines of one side of a diff, on one line."""
    return " ".join(re.sub(r"\s+", " ", line[1:]).strip() for line in diff if line.startswith(sign))

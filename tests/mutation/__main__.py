"""Runs mutmut over the verifier, or a part of it, and compares what survived with docs/mutation.md.

    python -m tests.mutation [PART …]

PART: curves, archive, forms, statements, command of verify_kit.py; policy, judgement, identity, … of the runner. Fails where less than nine mutants of ten are noticed, or, with no PART, where the
page leaves a survivor unexplained or explains one that is none any more. `--report-only` reads what an earlier run left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.mutation import explained
from tests.mutation.results import Mutant, Survivor, forget_survivors, made, survivors
from tests.mutation.subjects import SUBJECTS, Subject
from tests.mutation.work import lay_out

WORK = ROOT / "artifacts/mutation"
REPORT_ONLY = "--report-only"
NICE = 10


def run(folder: Path, subject: Subject, parts: list[str]) -> None:
    """mutmut over some parts, whole, or over all that no test has noticed so far: a test may be there now that does.

    Raises: CalledProcessError where the tests fail without any mutant.
    """
    wanted = [f"{function}__mutmut_*" for function, part in subject.part_of().items() if part in parts]
    lay_out(folder, subject)
    forget_survivors(folder, subject)
    command = ["nice", "-n", str(NICE), "mutmut", "run", "--max-children", str(len(os.sched_getaffinity(0))), *wanted]
    subprocess.run(command, cwd=folder, check=True)


def table(mutants: list[Mutant], found: list[Survivor], unexplained: list[Survivor]) -> list[str]:
    """A line a part, and one for all; survivors that differ in the same way in two places of a function are one."""

    def line(name: str, some: list[Mutant], alive: int, why: int) -> str:
        tried = [one for one in some if one.is_tried]
        noticed = sum(one.is_killed for one in tried)
        begin = f"{name:13}{len(some):5} mutants, {len(tried):5} tried, {noticed:5} noticed, {score(some):5.1f} %"
        return f"{begin}; {why:3} of {alive:3} survivors explained"

    def of(part: str, some: list[Survivor]) -> int:
        return sum(one.function.startswith(f"{part}: ") for one in some)

    parts = [
        line(part, [one for one in mutants if one.part == part], of(part, found), of(part, found) - of(part, unexplained))
        for part in dict.fromkeys(one.part for one in mutants)
    ]
    return [*parts, line("all", mutants, len(found), len(found) - len(unexplained))]


def score(mutants: list[Mutant]) -> float:
    """Percent that were noticed of those that were tried."""
    tried = [one for one in mutants if one.is_tried]
    return 100 * sum(one.is_killed for one in tried) / len(tried) if tried else 0.0


def report(mutants: list[Mutant], found: list[Survivor], *, is_whole: bool) -> bool:
    """Prints what is known, and writes it down; whether all is well."""
    page = explained.read()
    unexplained, stale = page.unexplained(found), page.stale(found) if is_whole else []
    print("\n".join(table(mutants, found, unexplained)))
    for one in unexplained:
        print(f"NOT EXPLAINED {explained.row(one)}")
    for other in stale:
        print(f"OUT OF DATE {other}")
    tried = sum(one.is_tried for one in mutants)
    told = {"score": score(mutants), "mutants": len(mutants), "tried": tried, "survivors": [vars(one) for one in found]}
    (WORK / "report.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return score(mutants) >= explained.LEAST and not unexplained and not stale


def main(arguments: list[str]) -> int:
    """All subjects; the exit code."""
    parts = [word for word in arguments if word != REPORT_ONLY]
    known = {part for subject in SUBJECTS.values() for part in subject.part_of().values()}
    if not set(parts) <= known:
        print(f"no part of that name; there are: {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    mutants: list[Mutant] = []
    found: list[Survivor] = []
    for name, subject in SUBJECTS.items():
        if not parts or set(parts) & set(subject.part_of().values()):
            if REPORT_ONLY not in arguments:
                run(WORK / name, subject, parts)
            some = [one for one in made(WORK / name, subject) if not parts or one.part in parts]
            mutants, found = mutants + some, found + survivors(WORK / name, some)
    return 0 if report(mutants, found, is_whole=not parts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

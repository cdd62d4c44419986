"""Has every verifier judge every lie and every good kit, on all cores; prints the report, and fails with anything in it that is wrong.

    python -m tests.tamper [REPORT.json]

Of the corpus verify.sh, which takes a quarter of a second each time, judges one lie of each kin; with LNM_FAULTS=all it judges all.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.conftest import ROOT
from tests.faults import archive_lies, checksum_lies, identity_lies, image_lies, signature_lies, statement_lies
from tests.faults.controls import CONTROLS as GOOD
from tests.faults.controls import Control
from tests.faults.registry import LIES, Lie, in_turn
from tests.faults.verifiers import ALL, LNM, SH
from tests.tamper.files import Truth, file_lies, stripped
from tests.tamper.identities import Identified
from tests.tamper.judging import CONTROLS, VERIFIERS, Judged, judge
from tests.tamper.members import member_cases
from tests.tamper.report import Report
from tests.tamper.truths import Cut, both, built

REPORT = ROOT / "artifacts/.build/tamper-report.json"
SOURCES = (archive_lies, checksum_lies, identity_lies, image_lies, signature_lies, statement_lies)  # whose import fills LIES
CHANGES_OF_A_FILE = 5  # tests.tamper.files

Task = tuple[Lie | Control, str]
TASKS: list[Task] = []
"""Filled before the processes are forked that work on it: what tells a lie cannot be sent to them."""


def tasks(place: Path) -> Iterator[Task]:
    """Every case with every verifier that judges it."""
    cut = Cut()
    cut_truth, real = cut.written(place), built()
    cases = [*GOOD, *file_lies(cut_truth), *member_cases(cut), *good(cut_truth, real)]
    yield from ((case, verifier) for case in cases for verifier in VERIFIERS)
    yield from ((lie, verifier) for verifier in VERIFIERS for lie in (LIES if verifier != SH or ALL else in_turn()))
    yield from of_the_built_kit(real)
    yield from ((lie, LNM) for lie in stripped(cut_truth, both()))
    yield from ((case, by) for case, verifiers in Identified(place / "instance").cases() for by in verifiers)


def good(*truths: Truth) -> Iterator[Control]:
    """The kits that are broken here, as they are."""
    for truth in truths:
        yield Control(truth.title, "folder", lambda place, truth=truth: (truth.copied(place), truth.keys))  # type: ignore[misc]


def of_the_built_kit(real: Truth) -> Iterator[Task]:
    """verify.sh takes seconds for a kit with images: it judges each file broken in one way, the ways in turn."""
    for number, lie in enumerate(file_lies(real)):
        way, file = number % CHANGES_OF_A_FILE, number // CHANGES_OF_A_FILE
        yield from ((lie, verifier) for verifier in VERIFIERS if verifier != SH or way == file % CHANGES_OF_A_FILE)


def work(number: int) -> Judged:
    """Judges one task."""
    return judge(*TASKS[number])


def due(some: Sequence[Task]) -> set[tuple[str, str, str]]:
    """What must have been judged."""
    return {(CONTROLS, "controls", by) if isinstance(case, Control) else (case.row, case.kin, by) for case, by in some}


def main(target: Path) -> int:
    """Judges all; the exit code."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lnm-tamper-") as folder:
        TASKS.extend(tasks(Path(folder)))
        with multiprocessing.get_context("fork").Pool() as pool:
            report = Report(pool.map(work, range(len(TASKS)), chunksize=16), due(TASKS))
    print("\n".join(report.lines()))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
    print(f"{time.monotonic() - start:.0f} s; {target.name} has it for a program")
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPORT))

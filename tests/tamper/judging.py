"""One lie, or control, before one verifier: what it did, and what is wrong with that."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.faults.controls import Control
from tests.faults.keys import HasPem
from tests.faults.registry import Lie
from tests.faults.verdicts import accepted, complaints
from tests.faults.verifiers import LNM, PY, SH, Outcome, verify, verify_by_lnm, verify_here

VERIFIERS = (PY, SH, LNM)
CONTROLS = "A16"
"""The row of the attack list of what must be accepted."""


@dataclass(frozen=True)
class Judged:
    """What became of a case; `wrong` is empty where all is as it should be."""

    name: str
    row: str
    kin: str
    verifier: str
    accepted: bool
    wrong: tuple[str, ...]


def judge(case: Lie | Control, verifier: str) -> Judged:
    """Tells a case in a folder of its own and has it judged."""
    place = Path(tempfile.mkdtemp(prefix="k"))
    try:
        kit, keys = case.write(place)
        outcome = outcome_of(verifier, place, keys, kit, by_process=isinstance(case, Lie) and case.row == "A10")
    finally:
        remove(place)
    name = f"{case.name}, {case.container}"
    if isinstance(case, Control):
        wrong = () if accepted(outcome) else (f"exit {outcome.exit}: {outcome.stderr[:200]}",)
        return Judged(name, CONTROLS, "controls", verifier, accepted(outcome), wrong)
    found = complaints(outcome, case.exit, case.reasons, str(kit))
    told = (*found, f"said: {outcome.stderr[:200]!r}") if found else ()
    return Judged(name, case.row, case.kin, verifier, outcome.exit == 0 or accepted(outcome), told)


def outcome_of(verifier: str, place: Path, keys: tuple[HasPem, ...], kit: Path, *, by_process: bool) -> Outcome:
    """In this process where that tells the same; what is about memory needs one of its own."""
    if verifier == LNM:
        return verify_by_lnm(place, keys, kit)
    return verify(verifier, place, keys, kit) if verifier == SH or by_process else verify_here(place, keys, kit)


def remove(place: Path) -> None:
    """Removes a folder, whatever its modes."""
    for path in place.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(place)

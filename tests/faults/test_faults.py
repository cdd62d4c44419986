"""Every lie of the corpus is refused, by both verifiers, with the exit code of docs/kit-format.md and a reason that helps.

verify_kit.py judges all of them. A run of verify.sh costs a quarter of a second: where a lie is told in two containers, or in two
files of one form, it judges one of the two, in turn, unless LNM_FAULTS=all.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults import archive_lies, checksum_lies, identity_lies, image_lies, signature_lies, statement_lies
from tests.faults.registry import FOLDER, LIES, TARBALL, Lie, in_turn
from tests.faults.verdicts import complaints
from tests.faults.verifiers import ALL, BOTH, PY, SH, prepare, run, verify, verify_here

MODULES = (archive_lies, checksum_lies, identity_lies, image_lies, signature_lies, statement_lies)
ROWS = {
    *(f"A{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12)),
    *(f"C{number}" for number in (*range(1, 14), 17)),
}  # of the attack list; A16 is test_controls.py, C9 test_arguments.py, C19 test_crash_is_not_ok.py


def named(verifier: str) -> list[object]:
    """The lies that a verifier judges, with readable ids."""
    lies = LIES if ALL or verifier == PY else in_turn()
    return [pytest.param(lie, verifier, id=f"{lie.name}-{lie.container}-{verifier}") for lie in lies]


@pytest.mark.parametrize(("lie", "verifier"), [case for verifier in BOTH for case in named(verifier)])
def test_lie_is_refused(lie: Lie, verifier: str, place: Path) -> None:
    """The exit code, the reason, one short plain line first, no «verified», no traceback, nothing left behind."""
    kit, keys = lie.write(place)

    by_process = verifier == SH or lie.row == "A10"  # which is about memory
    outcome = verify(verifier, place, keys, kit) if by_process else verify_here(place, keys, kit)

    assert complaints(outcome, lie.exit, lie.reasons, str(kit)) == [], outcome


def one_of_each_row() -> list[Lie]:
    """The first lie of each row."""
    return list({lie.row: lie for lie in reversed(LIES)}.values())


@pytest.mark.parametrize("lie", one_of_each_row(), ids=lambda lie: f"{lie.row}-{lie.name}")
def test_lie_is_refused_in_json_too(lie: Lie, place: Path) -> None:
    """`--json` tells the same verdict: one object, the first failure and all of them."""
    kit, keys = lie.write(place)

    outcome = run([*prepare(place, PY, keys, kit), "--json"], place)

    told = json.loads(outcome.stdout)
    assert (told["verdict"], told["exit"], outcome.exit) == ("refused", lie.exit, lie.exit)
    assert told["failure"] == told["failures"][0]


def test_the_corpus_covers_every_row() -> None:
    assert {lie.row for lie in LIES} >= ROWS - {"C9"}


def test_verify_sh_judges_every_kin_in_every_container() -> None:
    assert len(MODULES) == 6
    assert {lie.container for lie in in_turn()} == {FOLDER, TARBALL}
    assert {lie.kin for lie in in_turn()} == {lie.kin for lie in LIES}

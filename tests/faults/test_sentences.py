"""The verdicts in words: verify_kit.py says what it has said, and `lnm kit verify` says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.forge import kit
from tests.faults.images import AMD64, Image
from tests.faults.keys import EDDY, MAIN
from tests.faults.registry import LIES, Lie
from tests.faults.sentences import said, title, wanted
from tests.faults.verdicts import accepted
from tests.faults.verifiers import module, verify_by_lnm, verify_here

SENTENCES = wanted()
TOLD = [lie for lie in LIES if title(lie) in SENTENCES]


@pytest.mark.parametrize("lie", TOLD, ids=title)
def test_verify_kit_py_says_what_it_has_said(lie: Lie, place: Path) -> None:
    path, keys = lie.write(place)

    outcome = verify_here(place, keys, path)

    assert said(outcome, path) == SENTENCES[title(lie)], "meant? python -m tests.faults.sentences"
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines()[-1] == f"next: {module().NEXT[lie.exit]}"


@pytest.mark.parametrize("lie", [lie for lie in TOLD if lie.row != "A10"], ids=title)  # bombs are dear, and the core is the same
def test_lnm_kit_verify_says_the_same(lie: Lie, place: Path) -> None:
    path, keys = lie.write(place)

    outcome = verify_by_lnm(place, keys, path)

    assert outcome.exit == lie.exit
    assert said(outcome, path) == SENTENCES[title(lie)]
    assert outcome.stdout == ""


def test_every_sentence_is_one_of_a_lie() -> None:
    assert {title(lie) for lie in TOLD} == set(SENTENCES)


def test_both_tell_the_same_of_a_good_kit(place: Path) -> None:
    truth = kit(MAIN, EDDY)
    truth.files |= Image(MAIN, AMD64).files()
    path = truth.attest().write_tarball(place)

    ours, theirs = verify_here(place, truth.keys, path), verify_by_lnm(place, truth.keys, path)

    assert accepted(ours)
    assert theirs.stdout.splitlines()[-1] == ours.stdout.splitlines()[-1]
    assert set(ours.stdout.splitlines()) <= set(theirs.stdout.splitlines())

"""A slice of `nox -s tamper` on every run, and that the session fails where it must."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.controls import Control
from tests.faults.forge import ENVELOPE, PROVENANCE, SBOM, is_cosigned
from tests.faults.registry import FOLDER, Lie
from tests.faults.verifiers import LNM, PY, SH
from tests.tamper.__main__ import due, of_the_built_kit
from tests.tamper.files import CHANGES, Truth, file_lies, stripped
from tests.tamper.identities import Identified
from tests.tamper.judging import VERIFIERS, Judged, judge
from tests.tamper.members import member_cases
from tests.tamper.report import Report
from tests.tamper.truths import Cut, both, built

FEW = {*ENVELOPE, PROVENANCE, SBOM, "verify.sh", "images/lnm-runner-linux-amd64/index.json"}
"""Files of the slice."""
STEP = {PY: 12, LNM: 24, SH: 60}
"""Of the members' cases, every so many."""


@pytest.fixture(scope="module")
def cut() -> Cut:
    """A kit with the names of the built one."""
    return Cut()


@pytest.fixture(scope="module")
def truth(cut: Cut) -> Iterator[Truth]:
    """The same in a folder."""
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        yield cut.written(Path(folder))


def lies(truth: Truth) -> list[Lie]:
    """Those of a kit's files that are no controls."""
    return [case for case in file_lies(truth) if isinstance(case, Lie)]


def as_it_is(truth: Truth) -> Control:
    """The truth."""
    return Control("truth", FOLDER, lambda place: (truth.copied(place), truth.keys))


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_the_kits_that_are_broken_are_accepted_as_they_are(truth: Truth, verifier: str) -> None:
    assert [judge(as_it_is(kit), verifier).wrong for kit in (truth, built())] == [(), ()]


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_file_cannot_be_changed_removed_renamed_doubled_or_swapped(truth: Truth, verifier: str) -> None:
    few = [lie for lie in lies(truth) if lie.name.split()[0] in FEW]
    assert len(few) == len(FEW) * (len(CHANGES) + 1)

    judged = [judge(lie, verifier) for number, lie in enumerate(few) if verifier != SH or number % 4 == 0]

    assert [one for one in judged if one.wrong or one.accepted] == []


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_member_of_the_manifest_cannot_be_edited(cut: Cut, verifier: str) -> None:
    judged = [judge(case, verifier) for case in list(member_cases(cut))[:: STEP[verifier]]]

    assert [one for one in judged if one.wrong] == []
    assert {one.row for one in judged} >= {"T10", "C12"}


def test_a_further_signature_may_be_missing_unless_a_policy_demands_it(truth: Truth) -> None:
    (name,) = filter(is_cosigned, truth.names)
    (control, renamed) = (case for case in file_lies(truth) if case.name.startswith((f"{name} removed", f"{name} renamed")))
    assert [judge(case, verifier).wrong for case in (control, renamed) for verifier in VERIFIERS] == [()] * 6

    (lie,) = stripped(truth, both())

    assert judge(lie, LNM) == Judged(f"{lie.name}, {FOLDER}", "C8", lie.kin, LNM, accepted=False, wrong=())


def test_what_is_inside_an_identitys_signature_cannot_be_changed(tmp_path: Path) -> None:
    """tests/keyless has sigstore-python, cosign and sigstore-js judge all of them."""
    cases = list(Identified(tmp_path / "instance").cases())

    judged = [judge(case, LNM) for case, _ in cases]

    assert [one for one in judged if one.wrong] == []
    assert [one.name for one in judged if one.accepted] == [f"{cases[0][0].name}, {FOLDER}"]
    assert [judge(cases[0][0], verifier).wrong for verifier in (PY, SH)] == [(), ()]
    assert {verifiers for _, verifiers in cases} == {(LNM,), VERIFIERS}


def test_every_file_of_the_built_kit_comes_before_verify_sh() -> None:
    real = built()
    by_sh = [case.name.split()[0] for case, verifier in of_the_built_kit(real) if verifier == SH]

    assert sorted(by_sh) == real.names


# -- that the session fails


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_lie_that_is_the_truth_is_an_acceptance_and_fails_the_session(truth: Truth, verifier: str) -> None:
    lie = Lie("no lie", "C1", 6, ("README",), FOLDER, as_it_is(truth).write, "none")

    report = Report([judge(lie, verifier)], due([(lie, verifier)]))

    assert report.exit_code == 1
    assert report.rows() == [("C1", verifier, 1, 1, 0)]
    assert "1 verdicts on lies, 1 accepted" in "\n".join(report.lines())


def test_a_wrong_code_or_reason_and_a_good_kit_refused_fail_the_session(truth: Truth) -> None:
    (removed,) = (lie for lie in lies(truth) if lie.name == f"{SBOM} removed")
    for lie in (
        Lie("wrong code", "C2", 5, removed.reasons, FOLDER, removed.write, ""),
        Lie("wrong reason", "C2", 6, ("another file",), FOLDER, removed.write, ""),
        Control("good", FOLDER, removed.write),
    ):
        report = Report([judge(lie, PY)], due([(lie, PY)]))
        assert (report.exit_code, len(report.wrong), report.wrong[0].accepted) == (1, 1, False)

    assert Report([judge(removed, PY)], due([(removed, PY)])).exit_code == 0


def test_a_kin_that_nothing_was_judged_of_fails_the_session(truth: Truth) -> None:
    one, other, *_ = lies(truth)

    report = Report([judge(one, PY)], due([(one, PY), (other, PY)]))

    assert (report.exit_code, report.wrong) == (1, [])
    assert f"JUDGED NOTHING {PY}: {other.row} {other.kin}" in list(report.lines())
    assert Report([], []).exit_code == 1

"""A signature that anybody can make of another: s and n - s both verify (docs/kit-format.md, «Signatures»). What that changes of a kit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.forge import MANIFEST, MANIFEST_BUNDLE, MANIFEST_DSSE, PROVENANCE, SIG, SUMS_BUNDLE, Kit, cosigned_name, kit
from tests.faults.keys import MAIN, P256_ORDER, Key, der_integer, der_signature
from tests.faults.signature_lies import signed_with
from tests.faults.verdicts import complaints
from tests.faults.verifiers import BOTH, verify

UNLISTED = {SIG, SUMS_BUNDLE, MANIFEST_DSSE, MANIFEST_BUNDLE}


def flipped(key: Key, message: bytes) -> bytes:
    """The other signature, which whoever sees the one can write."""
    r, s = key.sign_rs(message)
    return der_signature(der_integer(r), der_integer(P256_ORDER - s))


@pytest.fixture
def truth() -> Kit:
    return kit()


@pytest.mark.parametrize("verifier", BOTH)
def test_a_flipped_s_in_the_envelope_changes_no_word_of_the_report(truth: Kit, verifier: str, place: Path) -> None:
    before, said = dict(truth.files), []
    for number in range(2):
        (place / f"{number}").mkdir()
        said.append(verify(verifier, place, truth.keys, truth.write_folder(place / f"{number}")))
        truth.list_signed_by(flipped(MAIN, truth.sums))
        truth.enclose(signed_with(flipped, MAIN, truth.files[MANIFEST]))

    assert {name for name, data in truth.files.items() if data != before[name]} == UNLISTED
    assert said[0] == said[1]
    assert said[0].exit == 0


@pytest.mark.parametrize("verifier", BOTH)
def test_a_flipped_s_in_a_statement_that_is_listed_is_a_changed_file(truth: Kit, verifier: str, place: Path) -> None:
    payload = truth.statement(PROVENANCE, b'{"buildDefinition":{}}')
    truth.files[PROVENANCE] = signed_with(Key.sign, MAIN, payload)
    truth.relist()
    truth.files[PROVENANCE] = signed_with(flipped, MAIN, payload)

    outcome = verify(verifier, place, truth.keys, truth.write_folder(place))

    assert complaints(outcome, 6, [PROVENANCE], str(place)) == []


@pytest.mark.parametrize("verifier", BOTH)
def test_a_flipped_s_is_no_second_signer(truth: Kit, verifier: str, place: Path) -> None:
    truth.files[cosigned_name(MAIN)] = signed_with(flipped, MAIN, truth.files[MANIFEST])

    outcome = verify(verifier, place, truth.keys, truth.write_folder(place))

    assert complaints(outcome, 5, [cosigned_name(MAIN)], str(place)) == []

"""The return receipt: under 2,000 bytes, nothing in it that should not leave, and refused once a letter of it is another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lnm_runner.errors import EvidenceError, InputError, NotFoundError
from lnm_runner.evidence import keys, receipt
from lnm_runner.evidence.keys import Signer
from lnm_runner.kit import VerifiedKit
from lnm_runner.runbook import stages

from tests.faults.keys import MAIN
from tests.runner import rehearsals
from tests.runner.rehearsals import Rehearsed

LARGE = 10**14


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> VerifiedKit:
    return rehearsals.kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return keys.signer({"LNM_STATE_DIR": str(tmp_path_factory.mktemp("state"))})


@pytest.fixture
def key(signer: Signer, tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_bytes(signer.public_pem)
    return path


def test_a_receipt_is_verified_at_home_and_says_what_was_done(known: VerifiedKit, signer: Signer, key: Path) -> None:
    data = receipt.render(Rehearsed(known).predicate, signer)
    found = receipt.verify(data, [key])
    assert found.fingerprint == signer.fingerprint
    assert found.members["kit"] == f"concelier-lnm-{known.manifest.version}"
    assert found.members["rootHash"] == f"sha256:{known.manifest.root_hash}"
    assert found.members["report"] == rehearsals.BACKFILL["reportHash"]
    assert (found.members["observations"], found.members["errors"], found.members["maxLagMs"]) == ("1000", "0", "1500")
    assert found.members["equations"] == "17 failed 0"
    assert found.stages["backfill-21-102"] == ("done", 4000)
    assert list(found.stages) == list(stages.NAMES)
    assert found.as_json()["stages"][5] == {"name": "backfill-21-102", "state": "done", "durationMs": 4000}
    assert found.lines()[-1] == f"signed by sha256:{signer.fingerprint}"


def test_it_has_less_than_2000_bytes_however_large_the_numbers_are(known: VerifiedKit, signer: Signer, key: Path) -> None:
    told = Rehearsed(known)
    for name, _, evidence in rehearsals.WHOLE:
        numbers = {
            member: LARGE for member, value in evidence.items() if type(value) is int and member not in {"failed", "errors"}
        }
        told = told.stepped(name, **numbers) if numbers else told
    data = receipt.render(told.predicate, signer)
    assert len(data) <= 2000
    assert receipt.verify(data, [key]).members["documents"] == str(LARGE)


def test_it_names_no_host_no_person_no_tenant_and_no_path(known: VerifiedKit, signer: Signer) -> None:
    text = receipt.render(Rehearsed(known).predicate, signer).decode("ascii")
    assert not re.search(
        r"Jörg|rs0|concelier/|tenant|://|(?<![A-Za-z0-9+/=])/[a-z]", text.rsplit("signature", 1)[0].split("\n", 1)[1]
    )


def test_of_a_journal_that_is_not_at_its_end_it_says_what_there_is(known: VerifiedKit, signer: Signer, key: Path) -> None:
    found = receipt.verify(receipt.render(Rehearsed(known, rehearsals.WHOLE[:3]).predicate, signer), [key])
    assert found.stages["validate"] == ("open", 0)
    assert (found.members["observations"], found.members["report"]) == ("unknown", "unknown")


Change = Callable[[bytes], bytes]
LIES: dict[str, tuple[Change, str]] = {
    "a counter": (lambda data: data.replace(b"errors 0", b"errors 1"), "its signature does not verify"),
    "a stage less": (lambda data: re.sub(rb"stage watch .*\n", b"", data), "its signature does not verify"),
    "lines exchanged": (
        lambda data: data.replace(b"events 1800\ntombstones 100", b"tombstones 100\nevents 1800"),
        "does not verify",
    ),
    "another key": (lambda data: re.sub(rb"key sha256:..", b"key sha256:00", data), "it is signed by sha256:00"),
    "no signature": (lambda data: data[: data.index(b"signature")], "it is no receipt"),
    "bytes behind": (lambda data: data + b"\n", "it is no receipt"),
    "bytes before": (lambda data: b"\n" + data, "it is no receipt"),
    "another form": (lambda data: data.replace(b"receipt/1", b"receipt/2"), "it is no receipt"),
    "CRLF": (lambda data: data.replace(b"\n", b"\r\n"), "it is no receipt"),
    "empty": (lambda _: b"", "it is no receipt"),
    "too long": (lambda data: data.replace(b"\nkey ", b"\n" + b"more 1\n" * 300 + b"key "), "it is no receipt"),
    "no base64": (lambda data: data[:-9] + b"=" + data[-8:], "it is no receipt"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_receipt_that_was_changed_is_refused(known: VerifiedKit, signer: Signer, key: Path, lie: str) -> None:
    tell, words = LIES[lie]
    honest = receipt.render(Rehearsed(known).predicate, signer)
    told = tell(honest)
    assert told != honest
    with pytest.raises(EvidenceError) as caught:
        receipt.verify(told, [key])
    assert (caught.value.exit_code, words in caught.value.message) == (5, True), caught.value.message


def test_any_letter_that_was_typed_wrong_is_noticed(known: VerifiedKit, signer: Signer, key: Path) -> None:
    honest = receipt.render(Rehearsed(known).predicate, signer)
    for at in range(0, len(honest), 29):  # 15 ms each
        wrong = honest[:at] + (b"8" if honest[at : at + 1] != b"8" else b"0") + honest[at + 1 :]
        with pytest.raises(EvidenceError):
            receipt.verify(wrong, [key])


def test_a_signature_has_one_form(known: VerifiedKit, tmp_path: Path) -> None:
    """The last letter of 64 bytes in base64 has four bits that say nothing."""
    private = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "key.pem").chmod(0o600)
    signer = keys.signer({"LNM_EVIDENCE_KEY": str(tmp_path / "key.pem"), "LNM_STATE_DIR": str(tmp_path)})
    (tmp_path / "key.pub").write_bytes(signer.public_pem)
    honest = receipt.render(Rehearsed(known).predicate, signer)
    assert receipt.verify(honest, [tmp_path / "key.pub"]).fingerprint == signer.fingerprint
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(honest[-4:-3]) + 1 :][:1]
    with pytest.raises(EvidenceError, match="its signature is not in the one form of base64"):
        receipt.verify(honest[:-4] + other + honest[-3:], [tmp_path / "key.pub"])


def test_signed_lines_that_no_receipt_has_are_refused(signer: Signer, key: Path) -> None:
    for more in ("stage watch done", "kit another", "lines 1 2\nlines 3"):
        above = f"{receipt.FIRST}\nkit one\n{more}\nkey sha256:{signer.fingerprint}\n"
        data = f"{above}signature {signer.signature(above.encode())}\n".encode()
        with pytest.raises(EvidenceError, match="a line of it is none of a receipt's"):
            receipt.verify(data, [key])


def test_a_receipt_wants_a_key_that_came_another_way(known: VerifiedKit, signer: Signer, tmp_path: Path) -> None:
    data = receipt.render(Rehearsed(known).predicate, signer)
    (tmp_path / "other.pub").write_bytes(MAIN.pem)
    wrong: list[tuple[list[Any], type[Exception], str]] = [
        ([], InputError, "no key was named"),
        ([tmp_path / "gone.pub"], NotFoundError, "no such key file"),
        ([tmp_path / "other.pub"], EvidenceError, f"it is signed by sha256:{signer.fingerprint}, and the given keys are"),
    ]
    for given, kind, words in wrong:
        with pytest.raises(kind, match=words):
            receipt.verify(data, given)

"""Wycheproof's published vectors: what verify_kit.py, verify.sh and OpenSSL say of a signature is what the vectors say, and the same.

docs/kit-format.md, «What a signature may look like», is the rule. Where one of the three came to differ, the page would have to say so.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.conftest import ROOT
from tests.verify.tiny_kit import load

vk = load()
FOLDER = Path(__file__).parent / "wycheproof"
COUNTS = {"ecdsa_secp256r1_sha256": {"valid": 174, "invalid": 310}, "ed25519": {"valid": 88, "invalid": 63}}
VERIFY_SH = ROOT / "bundle-layout/verify.sh"


@dataclass(frozen=True)
class Vector:
    """A signature and what is to be said of it."""

    file: str
    number: int
    is_valid: bool
    flags: tuple[str, ...]
    comment: str
    key: bytes
    message: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{self.file} {self.number} ({self.comment})"


def vectors(file: str) -> Iterator[Vector]:
    """Every vector of a file."""
    for line in (FOLDER / f"{file}.ndjson").read_text("ascii").splitlines():
        group = json.loads(line)
        for number, result, flags, comment, message, signature in group["tests"]:
            key, data, sig = (bytes.fromhex(text) for text in (group["key"], message, signature))
            yield Vector(file, number, result == "valid", tuple(flags), comment, key, data, sig)


def pem(spki: bytes) -> bytes:
    """A key file."""
    return b"-----BEGIN PUBLIC KEY-----\n%b-----END PUBLIC KEY-----\n" % base64.encodebytes(spki)


def openssl_verifies(vector: Vector) -> bool:
    """The library OpenSSL, through the package cryptography."""
    key = load_der_public_key(vector.key)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(vector.signature, vector.message)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(vector.signature, vector.message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("file", COUNTS)
def test_every_vector_is_judged_as_it_was_published_by_us_and_by_openssl(file: str) -> None:
    found = list(vectors(file))

    assert Counter("valid" if vector.is_valid else "invalid" for vector in found) == COUNTS[file]
    assert [
        str(vector)
        for vector in found
        if vk.read_spki(vector.key).verifies(vector.message, vector.signature) is not vector.is_valid
    ] == []
    assert [str(vector) for vector in found if openssl_verifies(vector) is not vector.is_valid] == []


def test_the_vectors_hold_what_the_rule_is_about() -> None:
    """High and low s, BER, integers out of range; S beyond L, R and keys in other forms."""
    half = vk.P256_N // 2
    valid = [vector for vector in vectors("ecdsa_secp256r1_sha256") if vector.is_valid]
    assert {vk.der_signature(vector.signature)[1] > half for vector in valid} == {True, False}
    flags = Counter(flag for file in COUNTS for vector in vectors(file) for flag in vector.flags if not vector.is_valid)
    assert flags["BerEncodedSignature"] >= 5
    assert flags["RangeCheck"] >= 5
    assert flags["SignatureMalleability"] >= 5
    assert flags["InvalidEncoding"] >= 50


def test_a_key_of_small_order_is_none_to_us_and_one_to_openssl_under_which_anything_verifies() -> None:
    """Why both verifiers look at the point themselves; verify.sh's look is in tests/faults/test_arguments.py."""
    spki = vk.ALGORITHMS[1].prefix + (1).to_bytes(32, "little")
    identity_and_zero = (1).to_bytes(32, "little") + bytes(32)

    vector = Vector("", 0, is_valid=False, flags=(), comment="", key=spki, message=b"anything", signature=identity_and_zero)
    assert openssl_verifies(vector)
    with pytest.raises(vk.Wrong, match="not to be trusted"):
        vk.read_spki(spki)


def is_beyond_openssl(vector: Vector) -> bool:
    """`openssl pkeyutl -rawin` 3.0 cannot read an empty file («could not allocate 0 bytes»); nothing that a kit signs is empty."""
    return vector.file == "ed25519" and not vector.message


def slice_of(file: str) -> list[Vector]:
    """Two vectors of each set of flags and each verdict: a turn of verify.sh's check starts several programs."""
    chosen: dict[tuple[tuple[str, ...], bool], list[Vector]] = {}
    for vector in vectors(file):
        if not is_beyond_openssl(vector):
            chosen.setdefault((vector.flags, vector.is_valid), []).append(vector)
    return [vector for kin in chosen.values() for vector in (kin[0], kin[-1])]


DRIVER = r"""
work=$1
cd "$work"
trap - EXIT
for case in */; do
    key=$work/${case}key.pem key_shown=key.pem
    : >failures
    : >keys
    (read_keys key.pem) 2>"${case}noise" || { echo "${case%/} key"; continue; }
    read -r key_n key_algorithm key_fingerprint key_hint key_id <keys
    if verifies "${case}sig" "${case}msg"; then echo "${case%/} valid"; else echo "${case%/} invalid"; fi
done
"""


@pytest.mark.parametrize("file", COUNTS)
def test_verify_sh_judges_a_slice_as_it_was_published(file: str, tmp_path: Path) -> None:
    """Its own functions, read from the script itself, over system's openssl."""
    chosen = slice_of(file)
    script = VERIFY_SH.read_text("utf-8")
    functions, main, _ = script.rpartition('\nmain "$@"\n')
    assert main
    for at, vector in enumerate(chosen):
        case = tmp_path / f"{at:03}"
        case.mkdir()
        (case / "key.pem").write_bytes(pem(vector.key))
        (case / "msg").write_bytes(vector.message)
        (case / "sig").write_bytes(vector.signature)

    done = subprocess.run(
        ["sh", "-c", functions + DRIVER, "verify.sh", str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )

    said = dict(line.split() for line in done.stdout.splitlines())
    wanted = {f"{at:03}": "valid" if vector.is_valid else "invalid" for at, vector in enumerate(chosen)}
    assert said == wanted, done.stderr
    assert len(chosen) >= 20
    assert set(wanted.values()) == {"valid", "invalid"}

"""What verify_kit.py says and where its limits lie, function by function: encodings of signatures, budgets, folders, kits that are none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.faults import forge
from tests.faults.keys import MAIN
from tests.verify.tiny_kit import load

vk = load()
MESSAGE = b"a message"
HASHED = int.from_bytes(hashlib.sha256(MESSAGE).digest(), "big")


def der(*numbers: bytes) -> bytes:
    """A SEQUENCE of INTEGERs of these bytes."""
    body = b"".join(bytes([2, len(number)]) + number for number in numbers)
    return bytes([0x30, len(body)]) + body


def minimal(number: int) -> bytes:
    """The bytes of a DER INTEGER."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


@pytest.mark.parametrize("data", ["", "02", "0200", "0201", "02020f", "020180", "0201ff", "02020001", "0202007f", "030105"])
def test_what_is_no_integer_of_der_is_none(data: str) -> None:
    with pytest.raises(ValueError, match=r"^not a DER INTEGER$"):
        vk.der_integer(bytes.fromhex(data))


def test_an_integer_of_der_ends_where_it_says() -> None:
    assert vk.der_integer(bytes.fromhex("02010007")) == (0, b"\x07")
    assert vk.der_integer(bytes.fromhex("0202008005")) == (0x80, b"\x05")
    assert vk.der_integer(bytes.fromhex("02017f")) == (0x7F, b"")


def test_a_signature_has_eight_bytes_to_seventy_two() -> None:
    assert vk.der_signature(der(b"\1", b"\1")) == (1, 1)
    large = b"\0" + b"\xff" * 32
    assert len(der(large, large)) == 72
    assert vk.der_signature(der(large, large)) == (2**256 - 1, 2**256 - 1)
    for wrong in (
        b"",
        der(b"\1", b"")[:7],
        der(large, large + b"\xff"),
        b"\x31" + der(b"\1", b"\1")[1:],
        der(b"\1", b"\1") + b"\0",
    ):
        with pytest.raises(ValueError, match=r"^not a DER SEQUENCE$"):
            vk.der_signature(wrong)
    with pytest.raises(ValueError, match=r"^bytes after s$"):
        vk.der_signature(der(b"\1", b"\1", b"\1"))


def affine(point: Any) -> Any:
    """A point of P-256 with z = 1."""
    x, y, z = point
    inverse = pow(z, -1, vk.P256_P)
    return (x * inverse**2 % vk.P256_P, y * inverse**3 % vk.P256_P, 1)


def times(number: int, point: Any) -> Any:
    """So many times a point."""
    return affine(vk.two_products(vk.p256_add, vk.P256_ZERO, (number, point), (0, vk.P256_G)))


def test_the_smallest_s_is_a_number_like_any_other() -> None:
    r = times(7, vk.P256_G)[0] % vk.P256_N
    public = times((7 - HASHED) * pow(r, -1, vk.P256_N) % vk.P256_N, vk.P256_G)  # whose signature by the nonce 7 has s = 1

    assert vk.ecdsa_verifies(public, MESSAGE, der(minimal(r), b"\1"))
    for wrong in (0, 2, vk.P256_N, vk.P256_N + 1):
        assert not vk.ecdsa_verifies(public, MESSAGE, der(minimal(r), minimal(wrong)))
    for wrong in (0, 1, vk.P256_N, vk.P256_N + 1):
        assert not vk.ecdsa_verifies(public, MESSAGE, der(minimal(wrong), b"\1"))


def test_dashes_around_a_block_do_not_become_a_border() -> None:
    pem = MAIN.pem.strip()
    with pytest.raises(vk.Refused) as refused:
        vk.read_keys(b"--" + pem + b"---", "key.pub")
    assert refused.value.failures[0].found == "not a public key in PEM form"
    assert len(vk.read_keys(b"- " + pem + b" -", "key.pub")) == 1


def test_a_file_of_the_envelope_may_be_as_large_as_its_budget() -> None:
    vk.check_size("SHA256SUMS", vk.MAX_ENVELOPE_FILE, 0)
    vk.check_size("attestations/mine.json", vk.MAX_ENVELOPE_FILE, 0)
    for name in ("SHA256SUMS", "attestations/mine.json"):
        with pytest.raises(vk.Refused) as refused:
            vk.check_size(name, vk.MAX_ENVELOPE_FILE + 1, 0)
        assert refused.value.failures[0].wanted == f"at most {vk.MAX_ENVELOPE_FILE} are allowed for this file"


def test_more_folders_than_are_allowed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "MAX_FOLDERS", 2)
    tree = vk.Tree()
    tree.add("a/b/file")
    with pytest.raises(vk.Refused) as refused:
        tree.add("c/file")
    assert refused.value.failures == (vk.Failure(vk.Kind.CONTAINER, "kit", "more than 2 folders", "wanted fewer"),)


def test_an_empty_folder_is_told() -> None:
    with pytest.raises(vk.Refused) as refused:
        vk.check_tree({"a/file"}, {"a", "b"})
    assert refused.value.failures == (vk.Failure(vk.Kind.CONTAINER, "b", "an empty folder", "a kit has none"),)


def test_what_is_neither_a_folder_nor_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(vk.Refused) as refused:
        vk.read_kit(str(tmp_path / "fifo"))
    wanted = vk.Failure(vk.Kind.CONTAINER, "kit", "neither a folder nor a file", "wanted KIT.tar.gz or a folder")
    assert refused.value.failures == (wanted,)

    def failing(_: str) -> None:
        raise OSError(5, "Input/output error", str(tmp_path))

    (tmp_path / "kit.tar.gz").write_bytes(b"")
    monkeypatch.setattr(vk, "open_no_follow", failing)
    with pytest.raises(vk.Refused) as refused:
        vk.read_kit(str(tmp_path / "kit.tar.gz"))
    wanted = vk.Failure(vk.Kind.CONTAINER, "kit", "cannot be read (Input/output error)", "wanted a readable kit")
    assert refused.value.failures == (wanted,)


def test_json_may_be_as_deep_as_its_limit_and_what_is_none_says_why() -> None:
    def deep(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels + b"\n"

    vk.parse_canonical(deep(vk.MAX_DEPTH))
    with pytest.raises(vk.Wrong) as wrong:
        vk.parse_canonical(deep(vk.MAX_DEPTH + 1))
    assert wrong.value.found == f"JSON that is nested more than {vk.MAX_DEPTH} deep"
    with pytest.raises(vk.Wrong) as wrong:
        vk.parse_canonical(b'{"a"}\n')
    assert wrong.value.found == "no canonical JSON (Expecting ':' delimiter: line 1 column 5 (char 4))"


def test_a_report_holds_what_was_signed(tmp_path: Path) -> None:
    forge.kit(MAIN).write_folder(tmp_path)
    report = vk.verify(tmp_path / "kit", vk.read_keys(MAIN.pem, "main.pub"))
    names = ("SHA256SUMS", "manifest.json", "attestations/slsa-provenance.dsse.json")
    assert report.signed == {name: (tmp_path / "kit" / name).read_bytes() for name in names}

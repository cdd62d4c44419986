"""Key files: what is a key, what is none, and what is never repeated."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.tiny_kit import ECDSA, EDDSA, LAW, OTHER, load

vk = load()
SPKI = PublicFormat.SubjectPublicKeyInfo


def pem(der: bytes, label: str = "PUBLIC KEY") -> bytes:
    """One line of base64 in a block."""
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode()


def fingerprints(data: bytes) -> list[str]:
    """What the file holds."""
    return [key.fingerprint for key in vk.read_keys(data, "k.pub")]


GOOD = {
    "as_openssl_writes_it": ECDSA.pem,
    "with_crlf": ECDSA.pem.replace(b"\n", b"\r\n"),
    "without_final_line_end": ECDSA.pem.rstrip(b"\n"),
    "with_base64_on_one_line": pem(ECDSA.spki),
    "with_comments": b"# the publisher's key, 2026\n" + ECDSA.pem + b"\n# end\n",
    "with_byte_order_mark": b"\xef\xbb\xbf" + ECDSA.pem,
    "with_spaces_after_the_label": ECDSA.pem.replace(b"KEY-----\n", b"KEY----- \n", 1),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_key_file_is_read(data: bytes) -> None:
    assert fingerprints(data) == [ECDSA.fingerprint]


def test_key_file_with_several_blocks_holds_several_keys() -> None:
    assert fingerprints(ECDSA.pem + b"\nsecond:\n" + EDDSA.pem) == [ECDSA.fingerprint, EDDSA.fingerprint]


RSA = rsa.generate_private_key(65537, 2048).public_key()
POINT = ECDSA.spki[-64:]
BAD = {
    "empty": b"",
    "text": b"This is no key.\n",
    "der": ECDSA.spki,
    "label_alone": b"-----BEGIN PUBLIC KEY-----\n",
    "without_end": ECDSA.pem.replace(b"-----END PUBLIC KEY-----", b""),
    "with_broken_second_block": ECDSA.pem + b"-----BEGIN PUBLIC KEY-----\nAAAA\n",
    "certificate": pem(b"0\x82", "CERTIFICATE"),
    "certificate_beside_a_key": ECDSA.pem + pem(b"0\x82", "CERTIFICATE"),
    "pkcs1": RSA.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    "rsa": RSA.public_bytes(Encoding.PEM, SPKI),
    "p384": ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(Encoding.PEM, SPKI),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(Encoding.PEM, SPKI),
    "ed448": ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.PEM, SPKI),
    "x25519": x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, SPKI),
    "compressed_point": pem(bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d03010703220002") + POINT[:32]),
    "point_not_on_the_curve": pem(ECDSA.spki[:-1] + bytes([ECDSA.spki[-1] ^ 1])),
    "point_of_small_order": pem(EDDSA.spki[:12] + bytes([1, *bytes(31)])),
    "trailing_byte": pem(ECDSA.spki + b"\0"),
    "truncated": pem(ECDSA.spki[:-1]),
    "empty_block": pem(b""),
    "base64_cut": ECDSA.pem.replace(b"==\n", b"=\n")
    if b"==\n" in ECDSA.pem
    else ECDSA.pem.replace(b"\n-----END", b"A\n-----END"),
    "base64_not_canonical": pem(b"").replace(b"\n\n", b"\nAB==\n"),
    "ssh": ECDSA.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_file_that_is_no_key_is_refused_with_exit_2(data: bytes) -> None:
    with pytest.raises(vk.Refused) as refused:
        vk.read_keys(data, "k.pub")

    assert refused.value.exit_code == 2
    assert refused.value.failures[0].file == "k.pub"


@LAW
@given(data=st.binary(max_size=400))
@pytest.mark.parametrize("start", ["", "3082", "30820122300d06092a864886f70d01010105000382"], ids=["any", "der", "rsa"])
def test_a_key_of_any_other_bytes_is_refused_and_never_unforeseen(start: str, data: bytes) -> None:
    with pytest.raises(vk.Wrong, match=r"another kind of key|RSA|DSA|ECDSA|X25519|X448|Ed448"):
        vk.read_spki(bytes.fromhex(start) + data)


PRIVATE = {
    "pkcs8": ECDSA.private_pem,
    "pkcs8_ed25519": EDDSA.private_pem,
    "sec1": ECDSA.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
    "encrypted": ECDSA.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
    "cosign": pem(b"{}", "ENCRYPTED SIGSTORE PRIVATE KEY"),
    "beside_a_public_key": ECDSA.pem + OTHER.private_pem,
}


@pytest.mark.parametrize("data", PRIVATE.values(), ids=PRIVATE)
def test_private_key_is_refused_and_not_repeated(data: bytes) -> None:
    with pytest.raises(vk.Refused) as refused:
        vk.read_keys(data, "k.pem")

    said = refused.value.failures[0].line()
    assert refused.value.exit_code == 2
    assert "private key" in said
    assert not any(line.decode() in said for line in data.splitlines() if line)


def test_keys_of_several_files_are_taken_once_each_in_order(tmp_path: Path) -> None:
    for name, data in (("a", ECDSA.pem), ("b", EDDSA.pem + ECDSA.pem), ("c", OTHER.pem)):
        (tmp_path / name).write_bytes(data)

    keys = vk.load_keys([tmp_path / "a", str(tmp_path / "b"), tmp_path / "c"])

    assert [key.fingerprint for key in keys] == [ECDSA.fingerprint, EDDSA.fingerprint, OTHER.fingerprint]
    assert vk.load_keys([]) == ()


@pytest.mark.parametrize(("name", "code"), [("missing", 4), ("file/below", 4), ("folder", 2), ("large", 2)])
def test_key_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "large").write_bytes(ECDSA.pem + b" " * vk.MAX_KEY_FILE)

    with pytest.raises(vk.Refused) as refused:
        vk.load_keys([tmp_path / name])

    assert refused.value.exit_code == code

"""What stage 0 refuses, exit 2 or 4: no key (C9), keys that are none, files that are not there. A private key is not repeated."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.faults.forge import kit
from tests.faults.keys import EDDY, MAIN, b64, other_curve, pem, rsa_public
from tests.faults.verdicts import complaints
from tests.faults.verifiers import BOTH, PY, SH, VERIFY_PY, command, run, written

EDDY_PREFIX = EDDY.spki[:12]
ED25519_P = 2**255 - 19


def _compressed() -> bytes:
    """The kit's own key with its point compressed."""
    point = MAIN.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    body = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107") + b"\3\x22\0" + point
    return pem("PUBLIC KEY", b"\x30" + bytes([len(body)]) + body)


def _ed_point(y: int, sign: int = 0) -> bytes:
    return pem("PUBLIC KEY", EDDY_PREFIX + (y | sign << 255).to_bytes(32, "little"))


def _loose(text: bytes) -> bytes:
    """The unused bits of the last digit set, RFC 4648 §3.5; an Ed25519 SPKI has 44 bytes, hence one `=`."""
    at = text.index(b"=") - 1
    return text[:at] + bytes([text[at] + 1]) + text[at + 1 :]


def _spki(algorithm: str) -> bytes:
    """A SubjectPublicKeyInfo of some algorithm, with three bytes for a key."""
    identifier = bytes.fromhex(algorithm)
    body = b"\x30" + bytes([len(identifier)]) + identifier + b"\3\2\0\1"
    return pem("PUBLIC KEY", b"\x30" + bytes([len(body)]) + body)


@dataclass(frozen=True)
class BadKey:
    """A key file that must be refused."""

    name: str
    data: bytes
    reason: str = "key"
    exit: int = 2


BAD_KEYS = (
    BadKey("private_p256", MAIN.private_pem, "private"),
    BadKey("private_ed25519", EDDY.private_pem, "private"),
    BadKey("private_beside_public", MAIN.pem + MAIN.private_pem, "private"),
    BadKey("private_encrypted", pem("ENCRYPTED PRIVATE KEY", b"x" * 80), "private"),
    BadKey("private_sec1", pem("EC PRIVATE KEY", b"x" * 80), "private"),
    BadKey("private_pkcs1", pem("RSA PRIVATE KEY", b"x" * 80), "private"),
    BadKey("private_openssh", pem("OPENSSH PRIVATE KEY", b"x" * 80), "private"),
    BadKey("private_cosign", pem("ENCRYPTED SIGSTORE PRIVATE KEY", b"x" * 80), "private"),
    BadKey("private_pgp", pem("PGP PRIVATE KEY BLOCK", b"x" * 80), "private"),
    BadKey("garbage", b"This is no key.\n"),
    BadKey("zeros", bytes(500)),
    BadKey("random_bytes", bytes(range(256))),
    BadKey("empty", b""),
    BadKey("newline", b"\n"),
    BadKey("rsa_1024", rsa_public(1024), r"RSA of 1024 bits \(RSA below 3072 bits is refused anywhere"),
    BadKey("rsa_2048", rsa_public(2048), r"RSA of 2048 bits \(RSA below 3072 bits is refused anywhere"),
    BadKey("rsa_4096", rsa_public(4096), "RSA of 4096 bits .*larger ones are not used here"),
    BadKey("rsa_without_a_modulus", _spki("06092a864886f70d0101010500"), r"RSA \(RSA below"),
    BadKey("rsa_pss", _spki("06092a864886f70d01010a"), "RSA-PSS"),
    BadKey("dsa", _spki("06072a8648ce380401"), "DSA"),
    BadKey("p224", other_curve(ec.SECP224R1()), "ECDSA P-224"),
    BadKey("p384", other_curve(ec.SECP384R1()), "ECDSA P-384"),
    BadKey("p521", other_curve(ec.SECP521R1()), "ECDSA P-521"),
    BadKey("secp256k1", other_curve(ec.SECP256K1()), "ECDSA secp256k1"),
    BadKey("brainpool_p256", other_curve(ec.BrainpoolP256R1()), "ECDSA on another curve"),
    BadKey("x25519", pem("PUBLIC KEY", EDDY.spki.replace(bytes.fromhex("2b6570"), bytes.fromhex("2b656e"))), "X25519"),
    BadKey("x448", _spki("06032b656f"), "X448"),
    BadKey("ed448", pem("PUBLIC KEY", bytes.fromhex("3043300506032b6571033a00") + bytes(57)), "Ed448"),
    BadKey("ml_dsa_44", _spki("0609608648016503040311"), "another kind of key"),
    BadKey("p256_compressed", _compressed(), "ECDSA P-256 written in another way"),
    BadKey("p256_hybrid", pem("PUBLIC KEY", MAIN.spki[:26] + bytes([6 | MAIN.spki[-1] & 1]) + MAIN.spki[27:])),
    BadKey("p256_not_on_the_curve", pem("PUBLIC KEY", MAIN.spki[:-1] + bytes([MAIN.spki[-1] ^ 1]))),
    BadKey("p256_at_infinity", pem("PUBLIC KEY", MAIN.spki[:27] + bytes(64))),
    BadKey("p256_without_last_byte", pem("PUBLIC KEY", MAIN.spki[:-1])),
    BadKey("p256_with_trailing_byte", pem("PUBLIC KEY", MAIN.spki + b"\0")),
    BadKey("p256_point_alone", pem("PUBLIC KEY", MAIN.spki[26:])),
    BadKey("ed25519_with_trailing_byte", pem("PUBLIC KEY", EDDY.spki + b"\0")),
    BadKey("ed25519_of_31_bytes", pem("PUBLIC KEY", EDDY.spki[:-1])),
    BadKey("ed25519_identity", _ed_point(1)),
    BadKey("ed25519_of_order_2", _ed_point(ED25519_P - 1)),
    BadKey("ed25519_of_order_4", _ed_point(0)),
    BadKey("ed25519_beyond_the_field", _ed_point(ED25519_P + 1)),
    BadKey("ed25519_not_on_the_curve", _ed_point(2)),
    BadKey("ed25519_minus_zero", _ed_point(1, sign=1)),
    BadKey("der", MAIN.spki),
    BadKey("base64_alone", b64(MAIN.spki).encode() + b"\n"),
    BadKey("certificate", pem("CERTIFICATE", MAIN.spki)),
    BadKey("ec_public_key_label", pem("EC PUBLIC KEY", MAIN.spki)),
    BadKey("ssh", MAIN.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n"),
    BadKey("pem_without_end", MAIN.pem.split(b"-----END")[0]),
    BadKey("pem_with_wrong_end", MAIN.pem.replace(b"END PUBLIC KEY", b"END CERTIFICATE")),
    BadKey("pem_with_foreign_letter", MAIN.pem.replace(b"MFkw", b"MF!w")),
    BadKey("pem_with_loose_bits", _loose(EDDY.pem)),
    BadKey("pem_cut", MAIN.pem[:80] + b"\n-----END PUBLIC KEY-----\n"),
    BadKey("pem_empty", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"),
    BadKey("second_block_is_rsa", MAIN.pem + rsa_public(2048), "RSA of 2048 bits"),
    BadKey("of_a_mebibyte", MAIN.pem + b"#" * 2**20),
)


def refused(verifier: str, key_path: Path, place: Path, code: int, reason: str) -> None:
    """Runs a verifier on a valid kit with one key file."""
    kit_path = kit().write_folder(place)

    outcome = run(command(verifier, [key_path], kit_path), place)

    assert complaints(outcome, code, [reason], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("bad", BAD_KEYS, ids=lambda bad: bad.name)
def test_bad_key_is_refused(bad: BadKey, verifier: str, place: Path) -> None:
    refused(verifier, written(place / "k.pub", bad.data), place, bad.exit, bad.reason)


@pytest.mark.parametrize("verifier", BOTH)
def test_private_key_is_not_repeated(verifier: str, place: Path) -> None:
    path = written(place / "k.pub", MAIN.private_pem)

    outcome = run(command(verifier, [path], kit().write_folder(place)), place)

    secret = MAIN.private_pem.decode().splitlines()[1]
    assert secret[:20] not in outcome.stdout + outcome.stderr


def _missing(place: Path) -> Path:
    return place / "nothing.pub"


def _missing_folder(place: Path) -> Path:
    return place / "nothing" / "k.pub"


def _dangling(place: Path) -> Path:
    (place / "k.pub").symlink_to("nothing")
    return place / "k.pub"


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("path", [_missing, _missing_folder, _dangling], ids=["missing", "missing_folder", "dangling_link"])
def test_missing_key_file_is_exit_4(path: Callable[[Path], Path], verifier: str, place: Path) -> None:
    refused(verifier, path(place), place, 4, "key")


@pytest.mark.parametrize("verifier", BOTH)
def test_folder_as_key_is_exit_2(verifier: str, place: Path) -> None:
    (place / "k.pub").mkdir()
    refused(verifier, place / "k.pub", place, 2, "key")


def no_key(verifier: str, kit_path: Path) -> list[str]:
    """The command line without a key."""
    return command(verifier, [], kit_path)


def no_kit(verifier: str, key_path: Path) -> list[str]:
    """The command line without a kit."""
    return command(verifier, [key_path], Path("x"))[:-1]


@pytest.mark.parametrize("verifier", BOTH)
def test_no_key_is_exit_2_though_the_kit_is_good(verifier: str, place: Path) -> None:
    outcome = run(no_key(verifier, kit().write_folder(place)), place)
    assert complaints(outcome, 2, ["key"], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", BOTH)
def test_no_kit_is_exit_2(verifier: str, place: Path) -> None:
    outcome = run(no_kit(verifier, written(place / "k.pub", MAIN.pem)), place)
    assert complaints(outcome, 2, ["kit|argument"], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", BOTH)
def test_no_argument_is_exit_2(verifier: str, place: Path) -> None:
    outcome = run(command(verifier, [], Path("x"))[:-1], place)
    assert complaints(outcome, 2, [], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", BOTH)
def test_further_argument_is_exit_2(verifier: str, place: Path) -> None:
    truth = kit()
    path = truth.write_folder(place)
    outcome = run([*command(verifier, [written(place / "k.pub", MAIN.pem)], path), str(path)], place)
    assert complaints(outcome, 2, [], str(place)) == [], outcome


def test_unknown_option_is_exit_2(place: Path) -> None:
    arguments = command(PY, [written(place / "k.pub", MAIN.pem)], kit().write_folder(place))
    outcome = run([*arguments, "--insecure"], place)
    assert complaints(outcome, 2, [], str(place)) == [], outcome


def test_option_is_not_taken_by_its_beginning(place: Path) -> None:
    arguments = command(PY, [], kit().write_folder(place))
    outcome = run([*arguments, "--ke", str(written(place / "k.pub", MAIN.pem))], place)
    assert complaints(outcome, 2, [], str(place)) == [], outcome


def test_second_key_that_is_garbage_is_exit_2(place: Path) -> None:
    keys = [written(place / "k.pub", MAIN.pem), written(place / "l.pub", b"garbage\n")]
    outcome = run(command(PY, keys, kit().write_folder(place)), place)
    assert complaints(outcome, 2, ["key"], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("name", ["nothing.tar.gz", "nothing/kit.tar.gz", "link", "k.pub/kit.tar.gz"])
def test_missing_kit_is_exit_4(name: str, verifier: str, place: Path) -> None:
    key_path = written(place / "k.pub", MAIN.pem)
    (place / "link").symlink_to("nothing")

    outcome = run(command(verifier, [key_path], place / name), place)

    assert complaints(outcome, 4, ["kit|no such|not found"], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "pipe"])
def test_special_file_as_kit_is_refused_at_once(name: str, verifier: str, place: Path) -> None:
    os.mkfifo(place / "pipe")
    outcome = run(command(verifier, [written(place / "k.pub", MAIN.pem)], place / name), place)
    assert complaints(outcome, 6, [], str(place)) == [], outcome


@pytest.mark.parametrize("verifier", [SH])
def test_empty_arguments_are_refused(verifier: str, place: Path) -> None:
    path = str(kit().write_folder(place))
    for arguments in (["", path], [str(written(place / "k.pub", MAIN.pem)), ""]):
        outcome = run([*command(verifier, [], Path("x"))[:-1], *arguments], place)
        assert complaints(outcome, 4, [], str(place)) == [], outcome


def test_verify_kit_py_names_every_option_in_its_help(place: Path) -> None:
    outcome = run([*command(PY, [], Path("--help"))], place)
    assert outcome.exit == 0
    assert {"--key", "--json"} <= set(outcome.stdout.replace(",", " ").split())
    assert VERIFY_PY.name in outcome.stdout

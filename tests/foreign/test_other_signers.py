"""openssl and securesystemslib sign, and verify_kit.py accepts; we state, and securesystemslib accepts. (openssl on ours: test_signing.py.)"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from scripts import keys, signing
from tests.verify.tiny_kit import load

vk = load()
GENERATE = {"p256": ("EC", "-pkeyopt", "ec_paramgen_curve:P-256"), "ed25519": ("ED25519",)}
MESSAGE = b"the message\n" * 10_000


@pytest.fixture(params=GENERATE)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A pair of files that openssl has made."""
    openssl("genpkey", "-algorithm", *GENERATE[request.param], "-out", "key.pem", cwd=tmp_path)
    openssl("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub", cwd=tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    return str(request.param)


def openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def trusted(folder: Path) -> Any:
    """The public half as verify_kit.py reads it."""
    return vk.load_keys([folder / "key.pub"])[0]


def test_what_openssl_signs_verify_kit_accepts(kind: str, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(MESSAGE)
    if kind == "p256":
        openssl("dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "message", cwd=tmp_path)
    else:
        openssl("pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "message", "-out", "sig", cwd=tmp_path)
    signature = (tmp_path / "sig").read_bytes()

    assert trusted(tmp_path).verifies(MESSAGE, signature)
    assert not trusted(tmp_path).verifies(MESSAGE + b"!", signature)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha384", "sha512"])
def test_what_openssl_signs_over_another_digest_verify_kit_refuses(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "message").write_bytes(MESSAGE)
    openssl("genpkey", "-algorithm", *GENERATE["p256"], "-out", "key.pem", cwd=tmp_path)
    openssl("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub", cwd=tmp_path)
    openssl("dgst", f"-{algorithm}", "-sign", "key.pem", "-out", "sig", "message", cwd=tmp_path)

    assert not trusted(tmp_path).verifies(MESSAGE, (tmp_path / "sig").read_bytes())


@pytest.mark.usefixtures("kind")
def test_what_securesystemslib_signs_verify_kit_accepts(tmp_path: Path) -> None:
    key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    envelope = Envelope(MESSAGE, signing.IN_TOTO, {})
    envelope.sign(CryptoSigner(key))
    signature = bytes.fromhex(next(iter(envelope.signatures.values())).signature)

    assert trusted(tmp_path).verifies(signing.pae(MESSAGE), signature)
    assert not trusted(tmp_path).verifies(MESSAGE, signature)


@pytest.mark.usefixtures("kind")
def test_what_we_state_securesystemslib_accepts(tmp_path: Path) -> None:
    source = keys.source({"LNM_SIGNING_KEY": str(tmp_path / "key.pem")})
    public = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None).public_key()
    dsse = signing.sealed(MESSAGE, source, tmp_path / "key.pub")
    known = SSlibKey.from_crypto(public, keyid=keys.keyid((tmp_path / "key.pub").read_bytes()))

    changed = {**dsse, "payload": "AAAA", "signatures": [dict(dsse["signatures"][0])]}  # from_dict eats what it is given
    assert set(Envelope.from_dict(dsse).verify([known], 1)) == {known.keyid}
    with pytest.raises(VerificationError):
        Envelope.from_dict(changed).verify([known], 1)

"""scripts/signing.py against openssl, cryptography and securesystemslib, and to the byte against docs/kit-format.md."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from scripts import keys, signing
from scripts.keys import KeySource

if TYPE_CHECKING:
    from scripts.private_key.reading import PrivateKey

KINDS = ("p256", "ed25519")


@pytest.fixture(params=KINDS)
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> KeySource:
    """A key file and, beside it, `signing-key.pub`."""
    key = ec.generate_private_key(ec.SECP256R1()) if request.param == "p256" else ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))
    path.chmod(0o600)
    (tmp_path / "signing-key.pub").write_bytes(keys.public_pem(key))
    return keys.source({"LNM_SIGNING_KEY": str(path)})


def verify(key: PrivateKey, sig: bytes, message: bytes) -> None:
    """By cryptography; raises where it does not hold."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        key.public_key().verify(sig, message)
    else:
        key.public_key().verify(sig, message, ec.ECDSA(hashes.SHA256()))


def openssl_accepts(key: PrivateKey, folder: Path, blob: Path, sig: bytes) -> bool:
    (folder / "raw.sig").write_bytes(sig)
    public = str(folder / "signing-key.pub")
    tool = ["dgst", "-sha256", "-verify", public, "-signature", "raw.sig", str(blob)]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        tool = ["pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", str(blob), "-sigfile", "raw.sig"]
    return subprocess.run(["openssl", *tool], cwd=folder, capture_output=True, check=False).returncode == 0


def test_ecdsa_is_that_of_rfc_6979() -> None:
    """RFC 6979, A.2.5, message «sample» with SHA-256."""
    secret = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    sig = base64.b64decode(signing.sign(ec.derive_private_key(secret, ec.SECP256R1()), b"sample"))
    assert decode_dss_signature(sig) == (
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    )


@given(st.binary(max_size=200))
def test_a_signature_verifies_and_is_the_same_each_time(message: bytes) -> None:
    for key in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        first, second = signing.sign(key, message), signing.sign(key, message)
        assert first == second
        verify(key, base64.b64decode(first, validate=True), message)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_pae_counts_bytes(payload: bytes) -> None:
    head = f"DSSEv1 28 application/vnd.in-toto+json {len(payload)} ".encode()
    assert signing.pae(payload) == head + payload
    assert signing.pae(payload) == Envelope(payload, "application/vnd.in-toto+json", {}).pae()


def test_signing_a_file_is_signing_its_bytes(tmp_path: Path, signer: KeySource) -> None:
    (tmp_path / "blob").write_bytes(bytes(range(256)) * 5000)
    key = signer.load()
    assert signing.sign_file(key, tmp_path / "blob") == signing.sign(key, (tmp_path / "blob").read_bytes())


def test_a_sig_is_base64_on_one_line_that_openssl_accepts(tmp_path: Path, signer: KeySource) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"some bytes")
    out = io.BytesIO()
    signing.write_sig(out, blob=blob, public=tmp_path / "signing-key.pub", key=signer)

    text = out.getvalue()
    assert text.endswith(b"\n")
    raw = base64.b64decode(text.removesuffix(b"\n"), validate=True)
    assert base64.b64encode(raw) + b"\n" == text
    assert openssl_accepts(signer.load(), tmp_path, blob, raw)
    blob.write_bytes(b"same bytes")
    assert not openssl_accepts(signer.load(), tmp_path, blob, raw)


def test_a_bundle_over_a_blob_is_the_form_of_the_format_page(tmp_path: Path, signer: KeySource) -> None:
    blob, public = tmp_path / "blob", tmp_path / "signing-key.pub"
    blob.write_bytes(b"some bytes")
    sig, out = io.BytesIO(), io.BytesIO()
    signing.write_sig(sig, blob=blob, public=public, key=signer)
    (tmp_path / "blob.sig").write_bytes(sig.getvalue())
    signing.write_blob_bundle(out, blob=blob, sig=tmp_path / "blob.sig", public=public)

    digest = base64.b64encode(hashlib.sha256(b"some bytes").digest()).decode()
    text = sig.getvalue().decode().strip()
    assert out.getvalue().decode() == (
        '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{"messageDigest":'
        f'{{"algorithm":"SHA2_256","digest":"{digest}"}},"signature":"{text}"}},'
        f'"verificationMaterial":{{"publicKey":{{"hint":"{keys.hint(public.read_bytes())}"}},"tlogEntries":[]}}}}\n'
    )


def test_a_dsse_is_the_form_of_the_format_page_and_others_verify_it(tmp_path: Path, signer: KeySource) -> None:
    public = tmp_path / "signing-key.pub"
    payload = '{"name":"é"}\n'.encode()
    (tmp_path / "statement.json").write_bytes(payload)
    out = io.BytesIO()
    signing.write_dsse(out, statement=tmp_path / "statement.json", public=public, key=signer)

    key, keyid = signer.load(), keys.keyid(public.read_bytes())
    sig = signing.sign(key, signing.pae(payload))
    assert out.getvalue().decode() == (
        f'{{"payload":"{base64.b64encode(payload).decode()}","payloadType":"application/vnd.in-toto+json",'
        f'"signatures":[{{"keyid":"{keyid}","sig":"{sig}"}}]}}\n'
    )
    (tmp_path / "pae").write_bytes(signing.pae(payload))
    assert openssl_accepts(key, tmp_path, tmp_path / "pae", base64.b64decode(sig))
    foreign = Envelope.from_dict(json.loads(out.getvalue()))
    assert foreign.verify([SSlibKey.from_crypto(key.public_key(), keyid=keyid)], 1)


def test_both_ways_to_a_bundled_statement_give_the_same_bytes(tmp_path: Path, signer: KeySource) -> None:
    public, statement = tmp_path / "signing-key.pub", tmp_path / "statement.json"
    statement.write_bytes(b"{}\n")
    dsse, bundled, direct = io.BytesIO(), io.BytesIO(), io.BytesIO()
    signing.write_dsse(dsse, statement=statement, public=public, key=signer)
    (tmp_path / "x.dsse.json").write_bytes(dsse.getvalue())
    signing.write_bundled_dsse(bundled, dsse=tmp_path / "x.dsse.json", public=public)
    signing.write_dsse_bundle(direct, statement=statement, public=public, key=signer)

    inner = dsse.getvalue().decode().strip()
    assert bundled.getvalue() == direct.getvalue()
    assert bundled.getvalue().decode() == (
        f'{{"dsseEnvelope":{inner},"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
        f'"verificationMaterial":{{"publicKey":{{"hint":"{keys.hint(public.read_bytes())}"}},"tlogEntries":[]}}}}\n'
    )

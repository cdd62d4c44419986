"""Real cosign: its keys sign for us and ours for it; what it signs we accept, what we sign it accepts, by every form there is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from scripts import keys, signing, statement
from scripts.verify import tools
from tests.foreign.conftest import PASSWORD, WITHOUT_A_LOG, Cosign
from tests.verify import small_image
from tests.verify.small_image import made
from tests.verify.test_cosign_layout import ALL, NONE, forms, opinions
from tests.verify.tiny_kit import load

if TYPE_CHECKING:
    from scripts.private_key.reading import PrivateKey

vk = load()
KINDS: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
PREDICATE = {"buildDefinition": {"buildType": "x", "externalParameters": {}}, "runDetails": {"builder": {"id": "y"}}}
BLOB = bytes(range(256)) * 300


@dataclass(frozen=True)
class Pair:
    """A key that cosign has sealed, its public half as cosign wrote it, and a blob to sign beside them."""

    sealed: Path
    public: Path
    blob: Path

    @property
    def source(self) -> keys.KeySource:
        """As LNM_SIGNING_KEY and LNM_SIGNING_KEY_PASSWORD name it."""
        return keys.source({"LNM_SIGNING_KEY": str(self.sealed), "LNM_SIGNING_KEY_PASSWORD": PASSWORD})

    @property
    def trusted(self) -> Any:
        """The public half as verify_kit.py reads it."""
        return vk.load_keys([self.public])[0]


def pair(folder: Path, name: str) -> Pair:
    """What cosign has just written."""
    (folder / "blob").write_bytes(BLOB)
    return Pair(folder / f"{name}.key", folder / f"{name}.pub", folder / "blob")


@pytest.fixture(params=["generated", *KINDS])
def keypair(request: pytest.FixtureRequest, cosign: Cosign, tmp_path: Path) -> Pair:
    """One that cosign has made, or one of PKCS#8 that it has imported."""
    if request.param == "generated":
        cosign("generate-key-pair", cwd=tmp_path)
        return pair(tmp_path, "cosign")
    key = KINDS[request.param]()
    (tmp_path / "ours.pem").write_bytes(key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))
    cosign("import-key-pair", "--key", "ours.pem", "--output-key-prefix", "ours", cwd=tmp_path)
    found = pair(tmp_path, "ours")
    assert found.public.read_bytes() == keys.public_pem(key)
    return found


def is_ed25519(found: Pair) -> bool:
    return bool(found.trusted.algorithm.name == "Ed25519")


def another(folder: Path) -> Path:
    """A public key that signed nothing."""
    return small_image.signer(folder / "another").public


# ---- its keys sign for us, and it accepts


def test_what_we_sign_with_its_key_it_accepts_in_every_form_and_from_this_key_alone(keypair: Pair, tmp_path: Path) -> None:
    public = made(tmp_path / "signing-key.pub", keys.write_public, key=keypair.source)
    assert public.read_bytes() == keypair.public.read_bytes()
    blob = keypair.blob
    sig = made(tmp_path / "blob.sig", signing.write_sig, blob=blob, public=public, key=keypair.source)
    bundle = made(tmp_path / "blob.json", signing.write_blob_bundle, blob=blob, sig=sig, public=public)
    subject = ("blob", vk.sha256_hex(BLOB))
    (tmp_path / "claim").write_bytes(statement.render([subject], statement.SLSA, PREDICATE))
    claim = made(
        tmp_path / "claim.json", signing.write_dsse_bundle, statement=tmp_path / "claim", public=public, key=keypair.source
    )

    def answers(key: Path, about: Path) -> list[tools.Answer]:
        return [
            tools.cosign_verifies_sig(key, about, sig),
            tools.cosign_verifies_bundle(key, about, bundle),
            tools.cosign_verifies_statement(key, about, claim, "slsaprovenance1"),
        ]

    changed = tmp_path / "changed"
    changed.write_bytes(BLOB[:-1] + b"!")
    assert [answer.accepted for answer in answers(keypair.public, blob)] == [True] * 3, answers(keypair.public, blob)
    assert [answer.accepted for answer in answers(keypair.public, changed)] == [False] * 3
    assert [answer.accepted for answer in answers(another(tmp_path), blob)] == [False] * 3


# ---- it signs, and we accept


def signature_of(text: str) -> bytes:
    """The bytes of a signature in base64, which must be canonical, as ours is."""
    found = base64.b64decode(text, validate=True)
    assert base64.b64encode(found).decode() == text
    return found


def test_what_it_signs_verify_kit_accepts(cosign: Cosign, keypair: Pair, tmp_path: Path) -> None:
    if cosign.major == 2 and is_ed25519(keypair):
        # cosign 2.6.5 panics: «crypto: requested hash function #0 is unavailable»
        with pytest.raises(AssertionError, match="requested hash function"):
            cosign("sign-blob", *WITHOUT_A_LOG, "--key", keypair.sealed, "blob", cwd=tmp_path)
        return
    bundled = ("--bundle", "signed.json", *(["--new-bundle-format"] if cosign.major == 2 else []))
    cosign("sign-blob", *WITHOUT_A_LOG, *bundled, "--key", keypair.sealed, "blob", cwd=tmp_path)
    document = json.loads((tmp_path / "signed.json").read_bytes())
    signature = signature_of(document["messageSignature"]["signature"])

    assert document["mediaType"] == signing.BUNDLE
    assert document["verificationMaterial"]["publicKey"]["hint"] == keypair.trusted.hint
    assert keypair.trusted.verifies(BLOB, signature)
    assert not keypair.trusted.verifies(BLOB[:-1], signature)


def test_the_sig_that_cosign_2_writes_verify_kit_accepts(cosign: Cosign, keypair: Pair, tmp_path: Path) -> None:
    """cosign 3 writes bundles alone."""
    if cosign.major == 3 or is_ed25519(keypair):
        with pytest.raises(AssertionError):
            cosign("sign-blob", *WITHOUT_A_LOG, "--key", keypair.sealed, "--output-signature", "blob.sig", "blob", cwd=tmp_path)
        return
    cosign("sign-blob", *WITHOUT_A_LOG, "--key", keypair.sealed, "--output-signature", "blob.sig", "blob", cwd=tmp_path)

    assert keypair.trusted.verifies(BLOB, signature_of((tmp_path / "blob.sig").read_text("ascii").removesuffix("\n")))


def claim_of(cosign: Cosign, found: Pair, folder: Path) -> tuple[Path, bytes, bytes]:
    """The bundle of what cosign states about the blob, with its payload and its signature."""
    (folder / "predicate.json").write_text(json.dumps(PREDICATE))
    about = ("--predicate", "predicate.json", "--type", "slsaprovenance1", "--bundle", "claim.json")
    newer = ["--new-bundle-format"] if cosign.major == 2 else []
    cosign("attest-blob", *WITHOUT_A_LOG, *about, *newer, "--key", found.sealed, "blob", cwd=folder)
    dsse = json.loads((folder / "claim.json").read_bytes())["dsseEnvelope"]
    payload = signature_of(dsse["payload"])
    assert json.loads(payload)["subject"][0]["digest"] == {"sha256": vk.sha256_hex(BLOB)}
    return folder / "claim.json", payload, signature_of(dsse["signatures"][0]["sig"])


def test_what_it_states_verify_kit_accepts_and_by_ed25519_neither_it_nor_we_do(
    cosign: Cosign, keypair: Pair, tmp_path: Path
) -> None:
    """`attest-blob` (2.6.5 and 3.1.3) signs by Ed25519ph with such a key, which is another scheme (RFC 8032 §5.1)."""
    bundle, payload, signature = claim_of(cosign, keypair, tmp_path)
    is_right = not is_ed25519(keypair)

    assert keypair.trusted.verifies(signing.pae(payload), signature) is is_right
    assert tools.cosign_verifies_statement(keypair.public, keypair.blob, bundle, "slsaprovenance1").accepted is is_right


# ---- images


@pytest.mark.parametrize("kind", KINDS)
def test_it_accepts_our_images_by_the_forms_that_it_knows(cosign: Cosign, tmp_path: Path, kind: str) -> None:
    """What docs/kit-format.md says: cosign 2 reads manifests of signatures and attestations and no referrer, cosign 3 both."""
    signer, index = small_image.signer(tmp_path / "key", ed=kind == "ed25519"), small_image.image(tmp_path / "image")
    found = forms(tmp_path, index.parent, small_image.attested(tmp_path / "out", tmp_path / "work", index, signer))
    known = {"whole": ALL, "old": ALL, "new": ALL if cosign.major == 3 else NONE}

    assert {name: opinions(signer.public, layout) for name, layout in found.items()} == known
    other = another(tmp_path)
    assert {name: opinions(other, layout) for name, layout in found.items()} == dict.fromkeys(found, NONE)

"""Signs: `.sig`, Sigstore bundles v0.3 with a key hint, DSSE envelopes and bundles that hold one.

Formats: docs/kit-format.md; DSSE 1.0 protocol.md (PAE); sigstore bundle v0.3; `.sig` is base64 DER as `cosign
sign-blob` writes it. ECDSA signatures are deterministic (RFC 6979), so the same key over the same bytes gives the
same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from scripts import canonical, files, keys
from scripts.private_key.public import signature

if TYPE_CHECKING:
    from scripts.keys import KeySource
    from scripts.private_key.reading import PrivateKey

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"


def sign(key: PrivateKey, message: bytes) -> str:
    """The signature over a message, in base64."""
    return canonical.b64(signature(key, message))


def sign_file(key: PrivateKey, path: Path) -> str:
    """The signature over a file, in base64; ECDSA signs its streamed SHA-256, Ed25519 needs the whole file in memory."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    if not isinstance(key, EllipticCurvePrivateKey):
        return sign(key, files.read_bytes(path))
    digest = bytes.fromhex(files.sha256_of(path))
    return canonical.b64(key.sign(digest, ECDSA(Prehashed(SHA256()), deterministic_signing=True)))


def pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of an in-toto payload; lengths count bytes."""
    return b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode("ascii"), len(payload), payload)


def envelope(payload: bytes, sig: str, keyid: str) -> dict[str, Any]:
    """A DSSE with its one signature."""
    return {
        "payload": canonical.b64(payload),
        "payloadType": IN_TOTO,
        "signatures": [{"keyid": keyid, "sig": sig}],
    }


def material(hint: str) -> dict[str, Any]:
    """The verification material of a bundle signed by a key that is known by its hint."""
    return {"publicKey": {"hint": hint}, "tlogEntries": []}


def blob_bundle(sha256: str, sig: str, hint: str) -> bytes:
    """A bundle over a blob."""
    digest = {"algorithm": "SHA2_256", "digest": canonical.b64(bytes.fromhex(sha256))}
    message = {"messageDigest": digest, "signature": sig}
    return canonical.render({"mediaType": BUNDLE, "messageSignature": message, "verificationMaterial": material(hint)})


def dsse_bundle(dsse: dict[str, Any], hint: str) -> bytes:
    """A bundle over a statement."""
    return canonical.render({"dsseEnvelope": dsse, "mediaType": BUNDLE, "verificationMaterial": material(hint)})


def sealed(payload: bytes, key: KeySource, public: Path) -> dict[str, Any]:
    """Signs a statement; returns the envelope."""
    keyid = keys.keyid(files.read_bytes(public))
    return envelope(payload, sign(keys.load_matching(key, public), pae(payload)), keyid)


def write_sig(out: BinaryIO, *, blob: Path, public: Path, key: KeySource) -> None:
    """`<blob>.sig`."""
    out.write(sign_file(keys.load_matching(key, public), blob).encode("ascii") + b"\n")


def write_blob_bundle(out: BinaryIO, *, blob: Path, sig: Path, public: Path) -> None:
    """`<blob>.sigstore.json`: the signature of the `.sig` in a bundle."""
    text = files.read_bytes(sig).decode("ascii").removesuffix("\n")
    out.write(blob_bundle(files.sha256_of(blob), text, keys.hint(files.read_bytes(public))))


def write_dsse(out: BinaryIO, *, statement: Path, public: Path, key: KeySource) -> None:
    """A DSSE file over a statement."""
    out.write(canonical.render(sealed(files.read_bytes(statement), key, public)))


def write_bundled_dsse(out: BinaryIO, *, dsse: Path, public: Path) -> None:
    """The bundle around a DSSE file that is there already."""
    parsed = canonical.read(files.read_bytes(dsse), dsse.name)
    out.write(dsse_bundle(parsed, keys.hint(files.read_bytes(public))))


def write_dsse_bundle(out: BinaryIO, *, statement: Path, public: Path, key: KeySource) -> None:
    """A bundle with the DSSE of a statement in it, in one file."""
    dsse = sealed(files.read_bytes(statement), key, public)
    out.write(dsse_bundle(dsse, keys.hint(files.read_bytes(public))))

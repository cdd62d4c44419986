"""The public half of a key, how it is named, and what the private half signs."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reading import PrivateKey

ED25519_SPKI_BYTES = 44


def public_pem(key: PrivateKey) -> bytes:
    """The public half as SubjectPublicKeyInfo PEM."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(public: bytes) -> str:
    """SHA-256 of the DER SubjectPublicKeyInfo in a PEM block, 64 hex digits."""
    return hashlib.sha256(spki_of(public)).hexdigest()


def spki_of(public: bytes) -> bytes:
    """The DER in a PEM block of a public key."""
    return base64.b64decode(b"".join(line for line in public.splitlines() if not line.startswith(b"-----")))


def hint(public: bytes) -> str:
    """The fingerprint's bytes in base64: what cosign writes as a bundle's hint."""
    return base64.b64encode(bytes.fromhex(fingerprint(public))).decode("ascii")


def keyid(public: bytes) -> str:
    """A DSSE's keyid: the key's OpenSSH fingerprint, `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it.

    cosign and sigstore-go refuse a DSSE with any other keyid (go-securesystemslib dsse.SHA256KeyID); see docs/adr/0001.
    The wire form of the key is RFC 5656 §3.1 for P-256, RFC 8709 §4 for Ed25519.
    """
    spki = spki_of(public)
    if len(spki) == ED25519_SPKI_BYTES:
        fields = [b"ssh-ed25519", spki[-32:]]
    else:
        fields = [b"ecdsa-sha2-nistp256", b"nistp256", spki[-65:]]
    wire = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).decode("ascii").rstrip("=")


def signature(key: PrivateKey, message: bytes) -> bytes:
    """The signature over a message: ECDSA over SHA-256 in DER, the same each time (RFC 6979), or Ed25519's 64 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ECDSA(SHA256(), deterministic_signing=True))

"""One ECDSA key on P-256 of the instance: what it signs, and the names that Sigstore knows it by."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256


@dataclass(frozen=True)
class KeyPair:
    """A private key, which never leaves the instance's folder, and its public half."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> KeyPair:
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: str) -> KeyPair:
        """The key of a PKCS#8 PEM block (RFC 7468).

        Raises: ValueError for any other kind of key.
        """
        key = serialization.load_pem_private_key(pem.encode("ascii"), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("not an ECDSA key on P-256")
        return cls(key)

    def pem(self) -> str:
        """The private key as unencrypted PKCS#8 PEM."""
        block = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return block.decode("ascii")

    @functools.cached_property
    def spki(self) -> bytes:
        """The public half as DER SubjectPublicKeyInfo."""
        return spki_of(self.private.public_key())

    def public_pem(self) -> str:
        """The public half as PEM."""
        block = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return block.decode("ascii")

    @functools.cached_property
    def log_id(self) -> bytes:
        """SHA-256 of the SPKI: a log's name in RFC 6962 §3.2 and in Rekor."""
        return hashlib.sha256(self.spki).digest()

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256 of the message, DER."""
        return self.private.sign(message, ec.ECDSA(SHA256()))


def spki_of(public: ec.EllipticCurvePublicKey) -> bytes:
    """DER SubjectPublicKeyInfo of a public key."""
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

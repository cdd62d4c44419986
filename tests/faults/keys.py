"""The forge's keys: made from a word each time, so that no private key is ever a file in git.

ECDSA signatures are those of RFC 6979 and Ed25519's are those of RFC 8032, hence a lie has the same bytes on every run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, SP 800-186 §3.2.1.3
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 8032 §5.1, L


def b64(data: bytes) -> str:
    """RFC 4648 §4, padded."""
    return base64.b64encode(data).decode("ascii")


def seeded(word: str) -> bytes:
    """32 bytes that follow from a word."""
    return hashlib.sha256(b"lnm test key, worth nothing: " + word.encode()).digest()


class HasPem(Protocol):
    """A key as a verifier is given it."""

    @property
    def pem(self) -> bytes:
        """The public key file."""


@dataclass(frozen=True)
class PublicKey:
    """A key whose private half is not here."""

    pem: bytes


@dataclass(frozen=True)
class Key:
    """A signer and its public half."""

    private: ec.EllipticCurvePrivateKey | Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """DER for ECDSA over SHA-256, 64 bytes for Ed25519."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def sign_rs(self, message: bytes) -> tuple[int, int]:
        """The two numbers of an ECDSA signature."""
        return decode_dss_signature(self.sign(message))

    @property
    def spki(self) -> bytes:
        """DER of the public key."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SPKI, hex."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def hint(self) -> str:
        """SHA-256 of the SPKI, base64: how a bundle names the key."""
        return b64(bytes.fromhex(self.fingerprint))

    @property
    def keyid(self) -> str:
        """The OpenSSH fingerprint, as `ssh-keygen -l` prints it: how a DSSE names the key."""
        line = self.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return "SHA256:" + b64(hashlib.sha256(base64.b64decode(line.split()[1])).digest()).rstrip("=")

    @property
    def named(self) -> str:
        """A pattern for any of its three names."""
        return "|".join([self.fingerprint[:12], re.escape(self.hint), re.escape(self.keyid)])

    @property
    def pem(self) -> bytes:
        """The public key file."""
        return pem("PUBLIC KEY", self.spki)

    @property
    def private_pem(self) -> bytes:
        """What must never be given as `--key`."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(label: str, der: bytes) -> bytes:
    """RFC 7468, 64 characters a line."""
    text = b64(der)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def p256(word: str) -> Key:
    """An ECDSA key on P-256."""
    return Key(ec.derive_private_key(int.from_bytes(seeded(word)) % (P256_ORDER - 1) + 1, ec.SECP256R1()))


def ed25519(word: str) -> Key:
    """An Ed25519 key."""
    return Key(Ed25519PrivateKey.from_private_bytes(seeded(word)))


def other_curve(curve: ec.EllipticCurve) -> bytes:
    """The public key file of a curve that the kit does not know."""
    number = int.from_bytes(seeded(curve.name)) >> max(0, 257 - curve.key_size)
    return Key(ec.derive_private_key(number, curve)).pem


def rsa_public(bits: int) -> bytes:
    """An RSA public key file; nobody has its private half, and nobody needs it."""
    parts = b"".join(seeded(f"rsa {part}") for part in range(bits // 256))
    modulus = int.from_bytes(b"\xc1" + parts[1:]) | 1
    public = rsa.RSAPublicNumbers(65537, modulus).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


MAIN = p256("release")
SECOND = p256("second signer")
STRANGER = p256("stranger")
EDDY = ed25519("release by Ed25519")
EDDY_SECOND = ed25519("second signer by Ed25519")


def der_integer(number: int, *, padding: int = 0) -> bytes:
    """DER of a non-negative INTEGER; `padding` zero bytes in front make it BER only."""
    body = bytes(padding) + number.to_bytes(number.bit_length() // 8 + 1)
    return bytes([2, len(body)]) + body


def der_signature(r: bytes, s: bytes) -> bytes:
    """SEQUENCE of two INTEGERs that are DER already."""
    return bytes([0x30, len(r) + len(s)]) + r + s

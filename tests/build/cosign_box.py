"""Keys sealed as cosign seals them: written here with PyNaCl and hashlib, of go-securesystemslib's form, for what no cosign writes.

Real ones are read in tests/foreign/test_cosign_keys.py, and the ones that cosign has published in test_cosign_key.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from nacl.secret import SecretBox

SIGSTORE, COSIGN = "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"
SALT, NONCE = bytes(range(32)), bytes(range(24))  # a throw-away key's need not be random


def around(ciphertext: bytes, cost: int = 32768) -> dict[str, Any]:
    """The JSON of a sealed key."""
    return {
        "kdf": {"name": "scrypt", "params": {"N": cost, "r": 8, "p": 1}, "salt": b64(SALT)},
        "cipher": {"name": "nacl/secretbox", "nonce": b64(NONCE)},
        "ciphertext": b64(ciphertext),
    }


def boxed(content: bytes, password: bytes, cost: int = 32768) -> bytes:
    """Tag and ciphertext: a turn of scrypt, 0.1 s at the lowest cost."""
    key = hashlib.scrypt(password, salt=SALT, n=cost, r=8, p=1, maxmem=256 << 20, dklen=32)
    return SecretBox(key).encrypt(content, NONCE).ciphertext


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def block(body: object, label: str = SIGSTORE) -> bytes:
    """A PEM block around JSON, or around bytes that are none."""
    text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(text), label.encode())


def sealed(key: PrivateKeyTypes, password: bytes, cost: int = 32768, label: str = SIGSTORE) -> bytes:
    """A key file."""
    der = key.private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    return block(around(boxed(der, password, cost), cost), label)

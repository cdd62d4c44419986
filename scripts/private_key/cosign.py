"""A private key as cosign keeps it, opened with its password.

PEM (RFC 7468) whose body is JSON, the form of go-securesystemslib's package `encrypted`; base64 is RFC 4648 §4:

    {"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"<32 bytes>"},
     "cipher":{"name":"nacl/secretbox","nonce":"<24 bytes>"},"ciphertext":"<tag and PKCS#8 in DER>"}

scrypt (RFC 7914) makes 32 bytes of the password, which open the box (XSalsa20-Poly1305, PyNaCl). The file names the cost, so only
the three that cosign reads are taken: a forged one would else ask for any amount of memory. Which keys may be inside is
`reading`'s to say. Written is nothing here: `cosign generate-key-pair` and `cosign import-key-pair` do that.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import OpeningError, UnusableKeyError

LABELS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")  # since cosign 2.0, and before it
BLOCK = re.compile(rb"\s*-----BEGIN ([A-Z ]+)-----\r?\n([A-Za-z0-9+/=\s]+)-----END \1-----\s*")
COSTS = (32768, 65536, 131072)  # N; go-securesystemslib names them Legacy, Standard (what cosign writes) and OWASP
BLOCK_SIZE, PARALLEL = 8, 1  # r and p, the same for all three: 128 * N * r bytes are 32, 64 and 128 MiB
MAX_MEMORY = 192 << 20
SALT_BYTES, NONCE_BYTES, TAG_BYTES, KEY_BYTES = 32, 24, 16, 32
HINT = "make it with: cosign generate-key-pair, or cosign import-key-pair --key KEY.pem"


@dataclass(frozen=True)
class Box:
    """What the file says; nothing of it is secret without the password."""

    cost: int
    salt: bytes
    nonce: bytes
    ciphertext: bytes


def pkcs8(path: Path, data: bytes, password: bytes, variable: str) -> bytes:
    """The PKCS#8 within, as a PEM block.

    Raises: UnusableKeyError, OpeningError; neither repeats a byte of the file or the password.
    """
    box = read(path, data)
    body = base64.encodebytes(opened(path, box, password, variable))
    return b"-----BEGIN PRIVATE KEY-----\n%b-----END PRIVATE KEY-----\n" % body


def read(path: Path, data: bytes) -> Box:
    """What the file says, each part of it as it must be.

    Raises: UnusableKeyError.
    """
    found = BLOCK.fullmatch(data)
    if found is None or found[1].decode() not in LABELS:
        raise damaged(path, "found no whole PEM block, or more than one", f"wanted one block, {' or '.join(LABELS)}")
    try:
        document = json.loads(base64.b64decode(b"".join(found[2].split()), validate=True))
    except (ValueError, RecursionError):
        raise damaged(path, "found no JSON in base64 in its block", "wanted the body that cosign writes") from None
    whole = as_object(document)
    kdf, cipher = as_object(whole.get("kdf")), as_object(whole.get("cipher"))
    named(path, kdf, "scrypt", "kdf")
    named(path, cipher, "nacl/secretbox", "cipher")
    cost = cost_of(path, as_object(kdf.get("params")))
    salt, nonce = in_base64(path, kdf, "salt", SALT_BYTES), in_base64(path, cipher, "nonce", NONCE_BYTES)
    return Box(cost, salt, nonce, in_base64(path, whole, "ciphertext"))


def as_object(value: object) -> Mapping[str, Any]:
    """A JSON object; an empty one where it is none, in which whatever is looked for will be missing."""
    return value if isinstance(value, dict) else {}


def named(path: Path, document: Mapping[str, Any], wanted: str, what: str) -> None:
    """Refuses another algorithm.

    Raises: UnusableKeyError; what stands there may be anything, and is not repeated.
    """
    if document.get("name") != wanted:
        raise damaged(path, f"found another {what}, or none", f"wanted {wanted}")


def cost_of(path: Path, params: Mapping[str, Any]) -> int:
    """The cost N, provided that it is one of the known ones.

    Raises: UnusableKeyError.
    """
    found = tuple(params.get(name) for name in ("N", "r", "p"))
    for cost in COSTS:
        if found == (cost, BLOCK_SIZE, PARALLEL):
            return cost
    said = ", ".join(f"{name}={number}" for name, number in zip(("N", "r", "p"), found, strict=True) if is_short(number))
    wanted = f"wanted N={', '.join(map(str, COSTS[:-1]))} or {COSTS[-1]} with r={BLOCK_SIZE}, p={PARALLEL}"
    raise damaged(path, f"found other scrypt parameters ({said or 'no numbers'})", wanted)


def is_short(number: object) -> bool:
    """True for a whole number that may be printed."""
    return type(number) is int and abs(number) < 1 << 64


def in_base64(path: Path, document: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    """The bytes of a member; of a certain length where one is given.

    Raises: UnusableKeyError.
    """
    text = document.get(name)
    try:
        found = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if len(found) != size if size else len(found) <= TAG_BYTES:
        wanted = f"wanted {size} bytes" if size else f"wanted more than {TAG_BYTES} bytes"
        raise damaged(path, f"found {len(found) or 'no'} bytes of base64 as its {name}", wanted)
    return found


def opened(path: Path, box: Box, password: bytes, variable: str) -> bytes:
    """What is in the box.

    Raises: UnusableKeyError where the password is another, or a byte of the box was changed: nobody can tell which; OpeningError.
    """
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    try:
        return SecretBox(key_of(path, box, password)).decrypt(box.ciphertext, box.nonce)
    except CryptoError:
        hint = f"try the password with: cosign public-key --key {path}; then set {variable}_PASSWORD_FILE"
        raise UnusableKeyError(f"{path}: the password is wrong, or the file is damaged", hint=hint) from None


def key_of(path: Path, box: Box, password: bytes) -> bytes:
    """The 32 bytes that open the box.

    Raises: OpeningError where there is not enough memory, or OpenSSL without scrypt.
    """
    try:
        return hashlib.scrypt(password, salt=box.salt, n=box.cost, r=BLOCK_SIZE, p=PARALLEL, maxmem=MAX_MEMORY, dklen=KEY_BYTES)
    except (ValueError, MemoryError) as err:
        needed = 128 * box.cost * BLOCK_SIZE >> 20
        raise OpeningError(
            f"{path}: scrypt failed, which needs {needed} MiB: {err}", hint="free some memory, and try again"
        ) from err


def damaged(path: Path, found: str, wanted: str) -> UnusableKeyError:
    """The error of a file that is no key of cosign's."""
    return UnusableKeyError(f"{path}: not a key as cosign keeps it: {found}, {wanted}", hint=HINT)

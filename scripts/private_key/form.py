"""The form of a private key file, told by its PEM label, and the kind of the key in it: what is read, what is refused by name.

Read are PKCS#8 (RFC 5958), plain or encrypted, SEC 1 (RFC 5915, `EC PRIVATE KEY`), plain, and cosign's (`cosign`).
Taken are ECDSA on P-256 and Ed25519, as a kit knows no other signature (docs/kit-format.md, «Signatures»).
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from . import cosign
from .errors import UnusableKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
LEGACY = b"Proc-Type: 4,ENCRYPTED"  # RFC 1421 §4.6.1.1, as OpenSSL used it: the key is one round of MD5 over the password
CURVES = {"secp224r1": "P-224", "secp384r1": "P-384", "secp521r1": "P-521"}
RSA_RULE = "RSA below 3072 bits is refused anywhere, larger ones are not used here"
"""NIST SP 800-57 part 1 rev. 5, table 2: 3072 bits of RSA are worth what P-256 is, 128 bits."""
WANTED = "wanted ECDSA on P-256 or Ed25519"


class Form(Enum):
    """A form that is read."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted PKCS#8"
    COSIGN = "cosign's"


def of(path: Path, data: bytes) -> Form:
    """The form of a file; one without a label that is known counts as plain, and whoever parses it will say that it is none.

    Raises: UnusableKeyError for a form that is known and not read.
    """
    labels = {label.decode() for label in BEGIN.findall(data)}
    if LEGACY in data:
        message = (
            f"{path}: found a key encrypted the old way (Proc-Type: 4,ENCRYPTED, a password hashed once by MD5), wanted PKCS#8"
        )
        raise UnusableKeyError(message, hint=f"openssl pkcs8 -topk8 -in {path} -out NEW.pem && chmod 600 NEW.pem")
    if "OPENSSH PRIVATE KEY" in labels:
        hint = f"cp -p {path} NEW.pem && ssh-keygen -p -m PKCS8 -f NEW.pem"
        raise UnusableKeyError(f"{path}: found a private key in OpenSSH's own form, wanted PKCS#8 in PEM", hint=hint)
    if not labels.isdisjoint(cosign.LABELS):
        return Form.COSIGN
    return Form.ENCRYPTED if "ENCRYPTED PRIVATE KEY" in labels else Form.PLAIN


def kind_of(key: PrivateKeyTypes) -> str:
    """What a key is, in words, with its size or curve."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    if isinstance(key, rsa.RSAPrivateKey):
        return f"RSA of {key.key_size} bits ({RSA_RULE})"
    if isinstance(key, dsa.DSAPrivateKey):
        return f"DSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"ECDSA on {CURVES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.strip("_").removesuffix("PrivateKey")

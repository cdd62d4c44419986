"""Reads a private key file: PKCS#8 PEM (RFC 5958, RFC 7468), plain or encrypted, SEC 1, or a key of cosign's.

`form` tells them apart. Taken are ECDSA on P-256 (FIPS 186-5) and Ed25519 (RFC 8032), from a file that its owner alone can read.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from . import cosign
from . import form as forms
from .errors import MissingKeyError, UnusableKeyError
from .form import Form

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey

MADE = "made with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY.pem && chmod 600 KEY.pem"
NO_KEY = {
    Form.PLAIN: "no private key in PKCS#8 PEM",
    Form.ENCRYPTED: "the password is wrong, or the file is damaged",
    Form.COSIGN: "the password is right, and what it opens is no private key in PKCS#8",
}


def parse(path: Path, password: bytes | None, variable: str) -> PrivateKey:
    """The key in a file; `variable` is the environment's that names it, for what is told.

    Raises: KeyFileError; it never repeats a byte of the file or the password.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_private(path, variable)
    form = forms.of(path, data)
    if form is not Form.PLAIN and password is None:
        hint = f"set {variable}_PASSWORD_FILE (or {variable}_PASSWORD)"
        raise UnusableKeyError(f"{path}: the key is encrypted and no password was given", hint=hint)
    is_boxed = form is Form.COSIGN and password is not None
    pem = cosign.pkcs8(path, data, password or b"", variable) if is_boxed else data
    try:
        key = load_pem_private_key(pem, password if form is Form.ENCRYPTED else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeyError(f"{path}: {NO_KEY[form]}", hint=MADE) from None
    return checked(path, key)


def read_private(path: Path, variable: str) -> bytes:
    """The bytes of a private key file that its owner alone can read.

    Raises: KeyFileError.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
    except FileNotFoundError as err:
        hint = f"mend {variable}, or unset it for the development key"
        raise MissingKeyError(f"{path}: no such key file", hint=hint) from err
    except OSError as err:
        hint = "name a file that you can read"
        raise UnusableKeyError(f"{path}: the key cannot be read: {err.strerror}", hint=hint) from err
    if mode & 0o077:
        raise UnusableKeyError(f"{path}: mode {mode:04o}, others can read the private key", hint=f"chmod 600 {path}")
    return data


def checked(path: Path, key: PrivateKeyTypes) -> PrivateKey:
    """Refuses every kind of key but the two.

    Raises: UnusableKeyError.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp256r1"):
        return key
    raise UnusableKeyError(f"{path}: found {forms.kind_of(key)}, {forms.WANTED}", hint=MADE)

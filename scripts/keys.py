"""The signing key: where it is, what it is, and its public half.

Formats: PKCS#8 PEM (RFC 5958, RFC 7468), plain or encrypted, or a key of cosign's (`key_form` tells them apart), ECDSA on
P-256 (FIPS 186-5) or Ed25519 (RFC 8032); public keys as SubjectPublicKeyInfo PEM. Without `LNM_SIGNING_KEY` a development
key is made on first use in the build's own folder under XDG state, 0600 in 0700; what it signs has trust `dev`. No private
key and no password ever gets into a message, a record, an argument of a process or doit's state.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as data_field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from scripts import cosign_key, files, key_form
from scripts.errors import InputError, MissingError
from scripts.key_form import Form

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey

ED25519_SPKI_BYTES = 44
DEVELOPMENT_KEY = "dev-signing-key.pem"
MADE = "made with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY.pem && chmod 600 KEY.pem"
NO_KEY = {
    Form.PLAIN: "no private key in PKCS#8 PEM",
    Form.ENCRYPTED: "the password is wrong, or the file is damaged",
    Form.COSIGN: "the password is right, and what it opens is no private key in PKCS#8",
}


@dataclass(frozen=True)
class KeySource:
    """Where the private key is read from, at use and never before."""

    path: Path | None
    """None: the development key."""
    state_folder: Path | None
    password: str | None = data_field(default=None, repr=False)
    password_file: Path | None = None

    @property
    def is_development(self) -> bool:
        """True when no key of one's own was named, or the one that was is the development key."""
        if self.path is None:
            return True
        with contextlib.suppress(OSError, InputError):
            return self.path.samefile(self.development_path())
        return False

    def development_path(self) -> Path:
        """Where the development key is.

        Raises: InputError where there is no home to keep it in.
        """
        if self.state_folder is None:
            raise InputError("no folder for the development key", hint="set HOME, XDG_STATE_HOME or LNM_SIGNING_KEY")
        return self.state_folder / DEVELOPMENT_KEY

    def load(self) -> PrivateKey:
        """The private key; the development key is made where it is wanted and not there yet.

        Raises: InputError, MissingError.
        """
        if self.path is None:
            path = self.development_path()
            if not path.exists():
                make_development_key(path)
            return parse(path, None)
        return parse(self.path, self.read_password())

    def read_password(self) -> bytes | None:
        """The password, from the variable or the first line of the file.

        Raises: InputError where the file cannot be read.
        """
        if self.password is not None:
            return os.fsencode(self.password)
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_bytes().split(b"\n")[0].removesuffix(b"\r")
        except OSError as err:
            message = f"LNM_SIGNING_KEY_PASSWORD_FILE: {self.password_file}: {err.strerror}"
            raise InputError(message, hint="name a file that you can read") from err


def source(environment: Mapping[str, str]) -> KeySource:
    """Reads LNM_SIGNING_KEY, LNM_SIGNING_KEY_PASSWORD and LNM_SIGNING_KEY_PASSWORD_FILE; opens nothing."""
    home = environment.get("HOME")
    state = environment.get("XDG_STATE_HOME", "")
    if not Path(state).is_absolute():  # XDG Base Directory Specification: a relative path is invalid and ignored
        state = f"{home}/.local/state" if home else ""
    key = environment.get("LNM_SIGNING_KEY")
    password_file = environment.get("LNM_SIGNING_KEY_PASSWORD_FILE")
    return KeySource(
        path=Path(key) if key else None,
        state_folder=Path(state) / "lnm-build" if state else None,
        password=environment.get("LNM_SIGNING_KEY_PASSWORD"),
        password_file=Path(password_file) if password_file else None,
    )


def parse(path: Path, password: bytes | None) -> PrivateKey:
    """Reads a private key file.

    Raises: MissingError, InputError; neither repeats a byte of the file or the password.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_private(path)
    form = key_form.of(path, data)
    if form is not Form.PLAIN and password is None:
        hint = "set LNM_SIGNING_KEY_PASSWORD_FILE (or LNM_SIGNING_KEY_PASSWORD)"
        raise InputError(f"{path}: the key is encrypted and no password was given", hint=hint)
    pem = cosign_key.pkcs8(path, data, password) if form is Form.COSIGN and password is not None else data
    try:
        key = load_pem_private_key(pem, password if form is Form.ENCRYPTED else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"{path}: {NO_KEY[form]}", hint=MADE) from None
    return checked(path, key)


def read_private(path: Path) -> bytes:
    """The bytes of a private key file that its owner alone can read.

    Raises: MissingError, InputError.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
    except FileNotFoundError as err:
        raise MissingError(f"{path}: no such key file", hint="mend LNM_SIGNING_KEY, or unset it for the development key") from err
    except OSError as err:
        raise InputError(f"{path}: the key cannot be read: {err.strerror}", hint="name a file that you can read") from err
    if mode & 0o077:
        raise InputError(f"{path}: mode {mode:04o}, others can read the private key", hint=f"chmod 600 {path}")
    return data


def checked(path: Path, key: PrivateKeyTypes) -> PrivateKey:
    """Refuses every kind of key but the two.

    Raises: InputError.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp256r1"):
        return key
    raise InputError(f"{path}: found {key_form.kind_of(key)}, {key_form.WANTED}", hint=MADE)


def make_development_key(path: Path) -> None:
    """Makes the development key, complete or not at all; whoever comes second takes the first one's.

    Raises: InputError where the folder cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        handle, part = tempfile.mkstemp(dir=path.parent)  # 0600
        with os.fdopen(handle, "wb") as out:
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        os.unlink(part)  # noqa: PTH108 - a str from mkstemp
    except OSError as err:
        hint = "mend that, or set LNM_SIGNING_KEY"
        raise InputError(f"{path}: the development key cannot be made: {err.strerror}", hint=hint) from err
    print(f"   made a development key in {path.parent} (trust: dev, not for production)")


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


def write_public(out: BinaryIO, *, key: KeySource) -> None:
    """Writes `signing-key.pub`."""
    public = public_pem(key.load())
    trust = "dev" if key.is_development else "key"
    print(f"   signing with trust {trust}, fingerprint sha256:{fingerprint(public)}", file=sys.stderr)
    out.write(public)


def is_current(key: KeySource, written: Path) -> bool:
    """True when the written public key is still that of the key in use; False too where the key cannot be loaded."""
    try:
        return written.is_file() and written.read_bytes() == public_pem(key.load())
    except (InputError, MissingError):
        return False


def load_matching(key: KeySource, public: Path) -> PrivateKey:
    """The private key, provided that it is still the one whose public half was written.

    Raises: InputError.
    """
    private = key.load()
    if public_pem(private) != files.read_bytes(public):
        raise InputError(f"{public}: the signing key was changed during the build", hint="doit bundle")
    return private

"""The signing key of the build: where it is, what it is, and its public half.

`scripts.private_key` reads it. Without `LNM_SIGNING_KEY` a development key is made on first use in the build's own folder under
XDG state, 0600 in 0700; what it signs has trust `dev`. No private key and no password ever gets into a message, a record, an
argument of a process or doit's state.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from scripts import files
from scripts.errors import InputError, KitError, MissingError, ToolError
from scripts.private_key import reading
from scripts.private_key import source as sources
from scripts.private_key.errors import KeyFileError
from scripts.private_key.public import fingerprint, hint, keyid, public_pem, spki_of

if TYPE_CHECKING:
    from scripts.private_key.reading import PrivateKey

__all__ = [
    "KeySource",
    "fingerprint",
    "hint",
    "is_current",
    "keyid",
    "load_matching",
    "parse",
    "public_pem",
    "source",
    "spki_of",
    "write_public",
]

VARIABLE = "LNM_SIGNING_KEY"
DEVELOPMENT_KEY = "dev-signing-key.pem"
ERRORS: Mapping[int, type[KitError]] = {error.exit_code: error for error in (InputError, MissingError, ToolError)}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of the core as errors of the build."""
    try:
        yield
    except KeyFileError as err:
        raise ERRORS[err.exit_code](err.message, hint=err.hint) from err


@dataclass(frozen=True)
class KeySource(sources.KeySource):
    """Where the private key is read from, at use and never before; what is wrong with it is told as an error of the build."""

    variable: str = VARIABLE
    development_file: str = DEVELOPMENT_KEY

    def development_path(self) -> Path:
        """Where the development key is.

        Raises: InputError where there is no home to keep it in.
        """
        with translated():
            return super().development_path()

    def load(self) -> PrivateKey:
        """The private key; the development key is made where it is wanted and not there yet.

        Raises: InputError, MissingError, ToolError.
        """
        with translated():
            return super().load()

    def made(self, path: Path) -> None:
        """Says that a development key was made."""
        print(f"   made a development key in {path.parent} (trust: dev, not for production)")


def source(environment: Mapping[str, str]) -> KeySource:
    """Reads LNM_SIGNING_KEY, LNM_SIGNING_KEY_PASSWORD and LNM_SIGNING_KEY_PASSWORD_FILE; opens nothing."""
    home = environment.get("HOME")
    state = environment.get("XDG_STATE_HOME", "")
    if not Path(state).is_absolute():  # XDG Base Directory Specification: a relative path is invalid and ignored
        state = f"{home}/.local/state" if home else ""
    return KeySource(state_folder=Path(state) / "lnm-build" if state else None, **sources.named(environment, VARIABLE))


def parse(path: Path, password: bytes | None) -> PrivateKey:
    """Reads a private key file.

    Raises: MissingError, InputError, ToolError; none repeats a byte of the file or the password.
    """
    with translated():
        return reading.parse(path, password, VARIABLE)


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

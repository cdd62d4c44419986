"""Where a private key comes from: a file and a password that the environment names, or a development key that is made here."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as data_field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from . import reading
from .errors import UnusableKeyError

if TYPE_CHECKING:
    from .reading import PrivateKey


class Named(TypedDict):
    """What the environment says of a key."""

    path: Path | None
    password: str | None
    password_file: Path | None


def named(environment: Mapping[str, str], variable: str) -> Named:
    """Reads VARIABLE, VARIABLE_PASSWORD and VARIABLE_PASSWORD_FILE; opens nothing."""
    key, password_file = environment.get(variable), environment.get(f"{variable}_PASSWORD_FILE")
    return {
        "path": Path(key) if key else None,
        "password": environment.get(f"{variable}_PASSWORD"),
        "password_file": Path(password_file) if password_file else None,
    }


@dataclass(frozen=True)
class KeySource:
    """Where the private key is read from, at use and never before."""

    path: Path | None
    """None: the development key."""
    state_folder: Path | None
    """Where the development key is kept."""
    variable: str
    """The environment's that names the key's file; `_PASSWORD` and `_PASSWORD_FILE` behind it name the password."""
    development_file: str
    password: str | None = data_field(default=None, repr=False)
    password_file: Path | None = None

    @property
    def is_development(self) -> bool:
        """True when no key of one's own was named, or the one that was is the development key or a copy of its file."""
        if self.path is None:
            return True
        if self.state_folder is None:
            return False
        ours = self.state_folder / self.development_file
        with contextlib.suppress(OSError):
            return self.path.samefile(ours) or (self.path.is_file() and self.path.read_bytes() == ours.read_bytes())
        return False

    def development_path(self) -> Path:
        """Where the development key is.

        Raises: UnusableKeyError where there is no home to keep it in.
        """
        if self.state_folder is None:
            hint = f"set HOME, XDG_STATE_HOME or {self.variable}"
            raise UnusableKeyError("no folder for the development key", hint=hint)
        return self.state_folder / self.development_file

    def load(self) -> PrivateKey:
        """The private key; the development key is made where it is wanted and not there yet.

        Raises: KeyFileError.
        """
        if self.path is not None:
            return reading.parse(self.path, self.read_password(), self.variable)
        path = self.development_path()
        if not path.exists():
            make_development_key(path, self.variable)
            self.made(path)
        return reading.parse(path, None, self.variable)

    def made(self, path: Path) -> None:
        """Is told of a development key that was made just now."""

    def read_password(self) -> bytes | None:
        """The password, from the variable or the first line of the file.

        Raises: UnusableKeyError where the file cannot be read.
        """
        if self.password is not None:
            return os.fsencode(self.password)
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_bytes().split(b"\n")[0].removesuffix(b"\r")
        except OSError as err:
            message = f"{self.variable}_PASSWORD_FILE: {self.password_file}: {err.strerror}"
            raise UnusableKeyError(message, hint="name a file that you can read") from err


def make_development_key(path: Path, variable: str) -> None:
    """Makes the development key, complete or not at all; whoever comes second takes the first one's.

    Raises: UnusableKeyError where the folder cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.chmod(0o700)  # only what was made here: LNM_STATE_DIR may name a folder that others use
        handle, part = tempfile.mkstemp(dir=path.parent)  # 0600
        with os.fdopen(handle, "wb") as out:
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        os.unlink(part)  # noqa: PTH108 - a str from mkstemp
    except OSError as err:
        hint = f"mend that, or set {variable}"
        raise UnusableKeyError(f"{path}: the development key cannot be made: {err.strerror}", hint=hint) from err

"""The folder of an instance: its keys in one file, made complete or not at all, and its log.

The folder is 0700, its files 0600. Two processes that make it at once end with the same keys: whoever comes second takes the
first one's, as keys.py has it for the development key.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.errors import InputError
from scripts.sigstore_instance.certificates import self_signed
from scripts.sigstore_instance.keypair import KeyPair

KEYS = "keys.json"
LOG = "log"
PART = ".keys-"  # of a file of keys that is not complete yet
NAMES = ("authority", "certificate-log", "log", "tokens")
AGAIN = "remove the folder of the development instance; a new one is made"
BEFORE = dt.timedelta(minutes=5)  # it is valid a little earlier than it was made: clocks differ


@dataclass(frozen=True)
class Keys:
    """The four keys, the authority's certificate, and the moment that they are valid from (RFC 3339)."""

    authority: KeyPair
    certificate_log: KeyPair
    log: KeyPair
    tokens: KeyPair
    certificate: x509.Certificate
    start: str


def read_keys(folder: Path) -> Keys:
    """The keys of the folder, which are made on first use.

    Raises: InputError.
    """
    path = folder / KEYS
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            refuse_foreign(folder)
            make_keys(path)
        folder.chmod(0o700)
        mode, data = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except OSError as err:
        message = f"{path}: the keys of the development Sigstore instance cannot be made or read: {err.strerror}"
        raise InputError(message, hint="look at the permissions of the folder and who owns it") from err
    if mode & 0o077:
        raise InputError(f"{path}: mode {mode:04o}, others can read the private keys", hint=f"chmod 600 {path}")
    return parse(data, path)


def refuse_foreign(folder: Path) -> None:
    """Looks, before it is closed to others, whether a folder is nobody's.

    Raises: InputError where something of another kind is in it.
    """
    found = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(PART) and entry.name not in {KEYS, LOG})
    if found:
        message = f"{folder}: {found[0]} is in it: not the folder of a development Sigstore instance"
        raise InputError(message, hint="name a folder that is empty, or not there yet")


def make_keys(path: Path) -> None:
    """Makes the file of the keys; the one that is there first stays."""
    at = dt.datetime.now(dt.UTC).replace(microsecond=0) - BEFORE
    pairs = {name: KeyPair.make() for name in NAMES}
    certificate = self_signed(pairs["authority"], at).public_bytes(Encoding.PEM).decode("ascii")
    members = {name: pair.pem() for name, pair in pairs.items()}
    data = json.dumps({**members, "certificate": certificate, "start": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
    handle, part = tempfile.mkstemp(prefix=PART, dir=path.parent)  # 0600
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(part, path)
        print("   made a development Sigstore instance (trust: dev; no transparency log, not for production)")
    os.unlink(part)  # noqa: PTH108 - a str from mkstemp


def parse(data: bytes, path: Path) -> Keys:
    """Reads the file of the keys.

    Raises: InputError, without a byte of the file in it.
    """
    try:
        members = json.loads(data)
        authority, certificate_log, log, tokens = (KeyPair.from_pem(members[name]) for name in NAMES)
        certificate = x509.load_pem_x509_certificate(members["certificate"].encode("ascii"))
        return Keys(authority, certificate_log, log, tokens, certificate, str(members["start"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: the keys of the development Sigstore instance are damaged", hint=AGAIN) from None

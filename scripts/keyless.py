"""Makes the two keyless files: `SHA256SUMS.keyless.sigstore.json` and `manifest.keyless.sigstore.json`.

Format: docs/kit-format.md, «Signatures by identity». They are made with `LNM_SIGN=keyless`, beside the signatures of the key
and never instead. `LNM_SIGSTORE` names the service: `public` (the default: the identity of a CI job, certificates of Fulcio,
the log Rekor) or `development` (an instance of our own, in the build's folder under XDG state: what it signs has trust `dev`).
No token gets into a message, a record, an argument of a process or doit's state. Two runs never give the same bytes: what is
up to date is not signed again.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from doit.exceptions import TaskFailed

from scripts import files, sigstore_client
from scripts.errors import InputError, KitError
from scripts.keys import KeySource

SIGN, SERVICE = "LNM_SIGN", "LNM_SIGSTORE"
PUBLIC, DEVELOPMENT = "public", "development"
INSTANCE = "sigstore"  # the development instance's folder, beside the development key


@dataclass(frozen=True)
class Signer:
    """By which service identities sign."""

    service: str
    folder: Path | None = None
    """Of the development instance; None for the public services."""

    @property
    def is_development(self) -> bool:
        """True for the instance of our own, which proves nothing to others."""
        return self.service == DEVELOPMENT


def source(environment: Mapping[str, str], key: KeySource) -> Signer | None:
    """Reads LNM_SIGN and LNM_SIGSTORE; None where the key alone signs.

    Raises: InputError for a value that is none.
    """
    sign, service = environment.get(SIGN) or "key", environment.get(SERVICE) or ""
    if sign not in ("key", "keyless"):
        raise InputError(f"{SIGN}: found {sign!r}, wanted key or keyless", hint=f"unset {SIGN}: the key alone signs")
    if service not in ("", PUBLIC, DEVELOPMENT):
        raise InputError(f"{SERVICE}: found {service!r}, wanted {PUBLIC} or {DEVELOPMENT}", hint=f"unset {SERVICE}: {PUBLIC}")
    if sign == "key":
        return None
    if service != DEVELOPMENT:
        return Signer(PUBLIC)
    return Signer(DEVELOPMENT, key.development_path().with_name(INSTANCE))


def trust(key: KeySource, signer: Signer | None) -> str:
    """What the manifest says of the signatures: the least of them decides."""
    if key.is_development or (signer is not None and signer.is_development):
        return "dev"
    return "key" if signer is None else "keyless"


def require_identity() -> TaskFailed | None:
    """Asks for an identity before anything is built, so that a build without one does not fail at its end."""
    try:
        sigstore_client.ambient_token()
    except KitError as err:
        return TaskFailed(str(err))
    return None


def is_current(signer: Signer, written: Path) -> bool:
    """True when a bundle was made by this service as it is now; the development instance may have been made anew since."""
    if signer.folder is None:
        return True
    from scripts.sigstore_instance import instance

    try:
        if not signer.folder.is_dir():
            return False
        (log,) = instance.load(signer.folder).trusted_root()["tlogs"]
        (entry,) = json.loads(written.read_bytes())["verificationMaterial"]["tlogEntries"]
        return bool(entry["logId"] == log["logId"])
    except (KitError, OSError, ValueError, LookupError, TypeError):
        return False


def write_blob(out: BinaryIO, *, blob: Path, sigstore: str, signer: Signer) -> None:
    """A keyless bundle over a file; `sigstore` is the name of the service."""
    bundle, who = sigstore_client.sign_blob(files.sha256_of(blob), signer.folder)
    say(blob, who, sigstore)
    out.write(bundle)


def write_statement(out: BinaryIO, *, statement: Path, sigstore: str, signer: Signer) -> None:
    """A keyless bundle with the DSSE of a statement in it."""
    bundle, who = sigstore_client.sign_statement(files.read_bytes(statement), signer.folder)
    say(statement, who, sigstore)
    out.write(bundle)


def say(signed: Path, who: str, sigstore: str) -> None:
    """Tells whose identity signed: what a verifier has to be told, and no secret."""
    print(f"   {signed.name} is signed by {who} ({sigstore} Sigstore)", file=sys.stderr)


def tools() -> dict[str, str]:
    """The client, for the record of a run."""
    return {"sigstore": importlib.metadata.version("sigstore")}

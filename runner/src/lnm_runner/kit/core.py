"""What the runner uses of verify_kit.py, the one core of verification, and its refusals as errors of ours.

The file is the same as at the top of a kit; it is put beside this module only when the wheel is made, hence the protocols.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

from lnm_runner.errors import ChecksumError, InputError, NotFoundError, RunnerError, SignatureError, gathered

REFUSALS: Final[Mapping[int, type[RunnerError]]] = {
    error.exit_code: error for error in (InputError, NotFoundError, SignatureError, ChecksumError)
}
HINTS: Final[Mapping[int, str]] = {
    2: "name the publisher's public key, which must come another way than the kit: --key KEY.pub, or LNM_TRUSTED_KEY",
    4: "check the path",
    5: "do not use this kit; compare the fingerprints with the one that the publisher told you, then fetch the kit again",
    6: "move files of your own out of the kit's folder; of anything else: do not use this kit, copy it again from where it "
    "came, and if it is refused again, tell the publisher",
}


class Part(Protocol):
    """A delivery in the manifest: `digest` and `migration` for a ready one, `reason` for an absent one."""

    id: str
    status: str
    digest: str | None
    migration: str | None
    reason: str | None


class Manifest(Protocol):
    """The signed statement about a kit, as far as it is used here."""

    channel: str
    created_at: str
    deliveries: Sequence[Part]
    parts: Sequence[Part]
    root_hash: str
    state: str
    """Of the source tree: clean, dirty or unknown."""
    trust: str
    version: str


class Algorithm(Protocol):
    """A kind of key."""

    name: str


class PublicKey(Protocol):
    """A key that signed, or may sign."""

    algorithm: Algorithm
    fingerprint: str
    """SHA-256 of the SPKI: 64 hex digits."""
    keyid: str
    """Its OpenSSH fingerprint: how a DSSE names it."""

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made a signature over a message."""


class Report(Protocol):
    """What verify_kit.py says of a kit that it accepted."""

    manifest: Manifest
    signers: Sequence[PublicKey]
    """Of the manifest; the first one signed SHA256SUMS as well."""
    attesters: Sequence[PublicKey]
    """Who signed the statements below attestations/, each key once."""
    sums: Mapping[str, str]
    """The lines of SHA256SUMS: `{name: sha256}`."""
    signed: Mapping[str, bytes]
    """SHA256SUMS, manifest.json and the DSSE of the provenance, byte for byte."""
    identity_bundles: Mapping[str, bytes]
    """The keyless files, `{name: bytes}`; their form is right and they are about `signed`, what is in them is not checked."""

    def lines(self) -> list[str]:
        """The report in words."""

    def as_json(self) -> dict[str, Any]:
        """The report, for a program."""


class Verifier(Protocol):
    """The module verify_kit."""

    Refused: type[Exception]

    def load_keys(self, paths: Sequence[Path]) -> Sequence[PublicKey]:
        """The keys of PEM files."""

    def read_keys(self, data: bytes, file: str) -> Sequence[PublicKey]:
        """The keys of one PEM file; `file` is how it is called where it is refused."""

    def check_dsse(self, file: str, data: bytes, keys: Sequence[PublicKey]) -> tuple[bytes, PublicKey]:
        """The payload of a DSSE in its one form, and the key that has signed it."""

    def parse_canonical(self, data: bytes) -> object:
        """The value of canonical JSON and one LF, its numbers integers; ValueError where it is none."""

    def verify(self, kit: Path, keys: Sequence[PublicKey]) -> Report:
        """Verifies a folder or a tarball."""


def verifier() -> Verifier:
    """The core of verification."""
    return cast("Verifier", importlib.import_module("lnm_runner.kit.verify_kit"))


def refused(refusal: Exception) -> RunnerError:
    """A refusal of the core, with every reason that it gave, as an error with its exit code."""
    return gathered([translated(failure) for failure in cast("Any", refusal).failures])


def translated(failure: Any) -> RunnerError:
    """One failure of the verifier as an error of ours."""
    code = failure.kind.exit_code
    error = REFUSALS.get(code, RunnerError)
    return error(failure.line(), hint=HINTS.get(code, ""), facts={"failure": failure.as_json()})

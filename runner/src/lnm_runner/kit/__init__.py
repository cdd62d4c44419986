"""The kit, once it is verified: what it says of itself, and its files, each read through its signed hash.

`open_kit` runs the core of verification (verify_kit.py, the same file as at the top of a kit) and only then makes a
`VerifiedKit`; there is no other way to one. A file is compared with its signed hash whenever it is read, so what changes on the
disk after the verification is refused, too. Migrations are loaded from a `VerifiedKit` and from nowhere else.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

from lnm_runner.errors import ChecksumError, InputError, NotFoundError, RunnerError, SignatureError, gathered
from lnm_runner.kit import baked

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


DEVELOPMENT: Final = "a development key signed this kit: it is for trying out, not for production"


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
    deliveries: Sequence[Part]
    root_hash: str
    trust: str
    version: str


class PublicKey(Protocol):
    """A key that signed."""

    fingerprint: str


class Report(Protocol):
    """What verify_kit.py says of a kit that it accepted."""

    manifest: Manifest
    signers: Sequence[PublicKey]
    sums: Mapping[str, str]
    """The lines of SHA256SUMS: `{name: sha256}`."""

    def lines(self) -> list[str]:
        """The report in words."""

    def as_json(self) -> dict[str, Any]:
        """The report, for a program."""


class Verifier(Protocol):
    """What is used here of verify_kit.py, which is put beside this module only when the wheel is made."""

    Refused: type[Exception]

    def load_keys(self, paths: Sequence[Path]) -> Sequence[PublicKey]:
        """The keys of PEM files."""

    def verify(self, kit: Path, keys: Sequence[PublicKey]) -> Report:
        """Verifies a folder or a tarball."""


_BY_OPEN_KIT: Final = object()


class VerifiedKit:
    """An unpacked kit that the verifier accepted."""

    def __init__(self, folder: Path, report: Report, made_by: object) -> None:
        """Refuses to be made by anybody but `open_kit`."""
        if made_by is not _BY_OPEN_KIT:
            raise TypeError("a VerifiedKit is made by open_kit alone")
        self.folder: Final = folder
        self.manifest: Final = report.manifest
        self.signer: Final = report.signers[0].fingerprint
        """Of the key that signed SHA256SUMS: 64 hex digits."""
        self.sums: Final = dict(report.sums)
        is_dev = self.manifest.trust == "dev"
        self.warning: Final = DEVELOPMENT if is_dev else ""
        """What whoever uses the kit must be told; empty where there is nothing."""

    def read(self, name: str) -> bytes:
        """The bytes of a listed file, which are the signed ones.

        Raises: NotFoundError for a name that is not listed or gone; ChecksumError where the file was changed since.
        """
        if name not in self.sums:
            raise NotFoundError(f"{name}: not in this kit", hint="see manifest.json for what the kit holds")
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as err:
            raise NotFoundError(f"{path}: cannot be read: {err.strerror}", hint="is somebody changing the kit?") from err
        found = hashlib.sha256(data).hexdigest()
        if found != self.sums[name]:
            raise ChecksumError(
                f"{path}: was changed after the kit was verified: sha256 is {found[:12]}…, signed is {self.sums[name][:12]}…",
                hint=HINTS[6],
            )
        return data

    def lines(self, folder: str) -> dict[str, str]:
        """The lines of SHA256SUMS for the files below a folder, in their order."""
        return {name: sha256 for name, sha256 in self.sums.items() if name.startswith(f"{folder}/")}


def open_kit(path: Path, keys: Sequence[Path], baked_in: Path | None = None) -> VerifiedKit:
    """Verifies an unpacked kit and opens it; inside an image, the migrations that are baked in must be the kit's.

    Raises: RunnerError with the verifier's exit code; InputError for a tarball: what is loaded must lie on the disk.
    """
    if path.is_file():
        raise InputError(
            f"{path}: this is a file, and migrations are loaded from an unpacked kit",
            hint=f"lnm kit verify {path} --key KEY.pub && tar -xzf {path}; then name the folder that came out with --kit",
        )
    report = verify(path, keys)
    if baked_in is not None:
        baked.compare(report.sums, baked_in)
    return VerifiedKit(path, report, _BY_OPEN_KIT)


def verify(path: Path, keys: Sequence[Path]) -> Report:
    """Lets the core of verification judge a folder or a tarball; the one place that knows its interface.

    Raises: RunnerError with the verifier's exit code and every reason that it gave.
    """
    core = cast("Verifier", importlib.import_module("lnm_runner.kit.verify_kit"))
    try:
        return core.verify(path, core.load_keys(keys))
    except core.Refused as refused:
        raise gathered([translated(failure) for failure in cast("Any", refused).failures]) from refused


def translated(failure: Any) -> RunnerError:
    """One failure of the verifier as an error of ours."""
    code = failure.kind.exit_code
    error = REFUSALS.get(code, RunnerError)
    return error(failure.line(), hint=HINTS.get(code, ""), facts={"failure": failure.as_json()})

"""The kit, once it is verified: what it says of itself, and its files, each read through its signed hash.

`verify` runs the core of verification (verify_kit.py, the same file as at the top of a kit) and then lets the site's policy
judge; `open_kit` does so and only then makes a `VerifiedKit`; there is no other way to one. A file is compared with its signed
hash whenever it is read, so what changes on the disk after the verification is refused, too. Migrations are loaded from a
`VerifiedKit` and from nowhere else.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from lnm_runner.errors import ChecksumError, InputError, NotFoundError
from lnm_runner.kit import baked
from lnm_runner.kit.core import HINTS, Part, Report
from lnm_runner.kit.verification import Trust, Verified, verify

__all__ = ["Part", "Report", "Trust", "Verified", "VerifiedKit", "open_kit", "verify"]

DEVELOPMENT: Final = "a development key signed this kit: it is for trying out, not for production"

_BY_OPEN_KIT: Final = object()


class VerifiedKit:
    """An unpacked kit that the verifier accepted."""

    def __init__(self, folder: Path, verified: Verified, made_by: object) -> None:
        """Refuses to be made by anybody but `open_kit`."""
        if made_by is not _BY_OPEN_KIT:
            raise TypeError("a VerifiedKit is made by open_kit alone")
        report = verified.report
        self.folder: Final = folder
        self.verified: Final = verified
        self.manifest: Final = report.manifest
        self.signer: Final = report.signers[0].fingerprint
        """Of the key that signed SHA256SUMS: 64 hex digits."""
        self.sums: Final = dict(report.sums)
        is_dev = self.manifest.trust == "dev"
        self.warning: Final = "; ".join([*([DEVELOPMENT] if is_dev else []), *verified.notes])
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


def open_kit(path: Path, trust: Trust, baked_in: Path | None = None) -> VerifiedKit:
    """Verifies an unpacked kit and opens it; inside an image, the migrations that are baked in must be the kit's.

    Raises: RunnerError with the exit code of what was refused; InputError for a tarball: what is loaded must lie on the disk.
    """
    if path.is_file():
        raise InputError(
            f"{path}: this is a file, and migrations are loaded from an unpacked kit",
            hint=f"lnm kit verify {path} --key KEY.pub && tar -xzf {path}; then name the folder that came out with --kit",
        )
    verified = verify(path, trust)
    if baked_in is not None:
        baked.compare(verified.report.sums, baked_in)
    return VerifiedKit(path, verified, _BY_OPEN_KIT)

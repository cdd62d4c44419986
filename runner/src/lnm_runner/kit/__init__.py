"""The kit, once it is verified: what it says of itself, and its files, each read through its signed hash.

`verify` runs the core of verification (verify_kit.py, the same file as at the top of a kit) and then lets the site's policy
judge; `open_kit` does so and only then makes a `VerifiedKit`; there is no other way to one. A file is compared with its signed
hash whenever it is read, so what changes on the disk after the verification is refused, too. Migrations are loaded from a
`VerifiedKit` and from nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner.errors import ChecksumError, InputError, NotFoundError
from lnm_runner.kit import baked, core
from lnm_runner.kit.core import HINTS, Part, PublicKey, Report
from lnm_runner.kit.policy import Policy

__all__ = ["Part", "Report", "Trust", "Verified", "VerifiedKit", "open_kit", "verify"]

DEVELOPMENT: Final = "a development key signed this kit: it is for trying out, not for production"


@dataclass(frozen=True)
class Trust:
    """Whom a kit is believed."""

    policy: Policy | None
    """None: any one of the keys is enough."""
    keys: tuple[Path, ...]
    """PEM files. With a policy they only lend it the bytes of keys that it names by fingerprint."""


@dataclass(frozen=True)
class Verified:
    """A kit that was accepted."""

    report: Report
    policy: Policy | None
    identities: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not checked, and why."""

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return self.report.as_json()

    def lines(self) -> list[str]:
        """In words; the last line is the verdict."""
        return self.report.lines()


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


def open_kit(path: Path, trust: Trust, baked_in: Path | None = None) -> VerifiedKit:
    """Verifies an unpacked kit and opens it; inside an image, the migrations that are baked in must be the kit's.

    Raises: RunnerError with the exit code of what was refused; InputError for a tarball: what is loaded must lie on the disk.
    """
    if path.is_file():
        raise InputError(
            f"{path}: this is a file, and migrations are loaded from an unpacked kit",
            hint=f"lnm kit verify {path} --key KEY.pub && tar -xzf {path}; then name the folder that came out with --kit",
        )
    report = verify(path, trust).report
    if baked_in is not None:
        baked.compare(report.sums, baked_in)
    return VerifiedKit(path, report, _BY_OPEN_KIT)


def verify(path: Path, trust: Trust) -> Verified:
    """Lets the core of verification, and then the policy, judge a folder or a tarball.

    Raises: RunnerError with the exit code of what was refused, and every reason that was found with it.
    """
    verifier = core.verifier()
    try:
        report = verifier.verify(path, trusted_keys(trust))
    except verifier.Refused as refused:
        raise core.refused(refused) from refused
    return Verified(report, trust.policy)


def trusted_keys(trust: Trust) -> Sequence[PublicKey]:
    """The keys that may sign: the given ones, or with a policy those that it names, some of them lent by the given ones."""
    verifier = core.verifier()
    lent = verifier.load_keys(trust.keys)
    if trust.policy is None:
        return lent
    named = {signer.fingerprint for signer in trust.policy.signers}
    own = [
        key for signer in trust.policy.signers if signer.public_key for key in verifier.read_keys(signer.public_key, signer.name)
    ]
    keys = {key.fingerprint: key for key in (*own, *lent) if key.fingerprint in named}
    if not keys:
        raise InputError(
            "the policy has no public key, and none that it names was given",
            hint="add the key to the policy as public-key, or name its file: --key KEY.pub",
        )
    return tuple(keys.values())

"""The files of the kit that are written by hand: `bundle-layout/` as it stands, at its final paths.

`REQUIRED` is what a kit without would be a broken promise to the operator: a missing one stops the build before it
starts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from scripts import files
from scripts.errors import InputError, MissingError

REQUIRED = (
    "README.md",
    "verify.sh",
    "verify_kit.py",
    "migrations/21-101/README.md",
    "migrations/21-101/migration.py",
    "migrations/21-102/README.md",
    "migrations/21-103/README.md",
    "runner/README.md",
    "seeds/object-store/seed-manifest.json",
)
EXECUTABLE = ("verify.sh", "verify_kit.py")
MADE_BY_THE_BUILD = re.compile(
    r"(SHA256SUMS|manifest\.)[^/]*|LICENSE|runner/requirements\.txt|(attestations|sbom|runner/wheelhouse)(/.*)?", re.IGNORECASE
)


def names(root: Path) -> tuple[str, ...]:
    """Every file of the layout, relative to it, sorted.

    Raises: MissingError naming every required file that is not there; InputError for names that no kit can hold.
    """
    found = tuple(path.as_posix() for path in files.listing(root))
    taken = [name for name in found if MADE_BY_THE_BUILD.fullmatch(name)]
    if taken:
        raise InputError(f"{root}: the build makes files of these names itself: {', '.join(taken)}", hint=f"git status {root}")
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise MissingError(f"{root}: missing: {', '.join(missing)}", hint=f"git status {root}; git checkout {root}")
    return found


def mode(name: str) -> int:
    """The permission bits of a file of the kit: 0755 for the verifiers, 0644 for all else."""
    return 0o755 if name in EXECUTABLE else 0o644


def write(out: BinaryIO, *, source: Path) -> None:
    """Copies one file."""
    with source.open("rb") as file:
        files.copy(file, out)

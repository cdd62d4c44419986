"""The files of the kit that are written by hand: `bundle-layout/` as it stands, at its final paths.

`REQUIRED` is what a kit without would be a broken promise to the operator: a missing one stops the build before it
starts.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
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
    "migrations/21-102/migration.py",
    "migrations/21-102/rollback-lnm-backfill.js",
    "migrations/21-103/README.md",
    "runbook/roles/README.md",
    "runbook/import.md",
    "runbook/runbook.md",
    "runbook/trust-policy.example.toml",
    "runbook/trust.md",
    "runner/README.md",
    "seeds/object-store/seed-manifest.json",
)
EXECUTABLE = ("verify.sh", "verify_kit.py")
ORDINARY = 0o644
DEPTH = 2  # parts of a folder's name that make it a row of its own: migrations/21-101, seeds/object-store
MADE_BY_THE_BUILD = re.compile(
    r"(SHA256SUMS|manifest\.)[^/]*|LICENSE|runner/requirements(-extras)?\.txt|runbook/roles/(roles\.json|create-roles\.js)"
    r"|(attestations|images|sbom|runner/wheelhouse|runner/wheelhouse-extras)(/.*)?",
    re.IGNORECASE,
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


def folders(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The rows that lay out these files: `{folder: names below it}`, a folder being at most two parts deep.

    A file at the top is its own row: `{name: ()}`.
    """
    rows: dict[str, list[str]] = {}
    for name in names:
        folder = "/".join(name.split("/")[:-1][:DEPTH])
        held = rows.setdefault(folder or name, [])
        if folder:
            held.append(name.removeprefix(f"{folder}/"))
    return {name: tuple(held) for name, held in rows.items()}


def mode(name: str) -> int:
    """The permission bits of a file of the kit: 0755 for the verifiers, 0644 for all else."""
    return 0o755 if name in EXECUTABLE else ORDINARY


def write(out: BinaryIO, *, source: Path) -> None:
    """Copies one file."""
    with source.open("rb") as file:
        files.copy(file, out)


def write_folder(out: Path, *, sources: tuple[Path, ...], base: Path) -> None:
    """Copies files, named by their path below `base`, into the folder `out`; one that is there already is not touched."""
    for source in sources:
        target = out / source.relative_to(base)
        if not is_copy(target, source):
            with files.replacing(target, ORDINARY) as copy:
                write(copy, source=source)


def is_copy(target: Path, source: Path) -> bool:
    """True for a regular file of the right mode with the bytes of its source."""
    try:
        found = target.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != ORDINARY:
        return False
    return files.sha256_of(target) == files.sha256_of(source)

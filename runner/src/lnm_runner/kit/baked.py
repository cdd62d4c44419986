"""The migrations that are baked into an image of the runner must be those of the kit that is mounted into it.

An image cannot contain the manifest of the kit that it lies in, so it has the migrations and the kit says whether they are the
signed ones. The README of a delivery explains and is no part of its migration (its digest leaves it out), so another one is no
difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lnm_runner.errors import ChecksumError, NotFoundError

FOLDER: Final = "migrations"
README: Final = "README.md"
HINT: Final = "use the image that is in this kit's images/, or install the runner from its runner/wheelhouse"


def compare(signed: Mapping[str, str], baked: Path) -> None:
    """Compares what is baked in with the lines of a verified kit, `{name: sha256}`.

    Raises: ChecksumError naming each file that differs; NotFoundError where the image has no migrations.
    """
    if not baked.is_dir():
        raise NotFoundError(f"{baked}: this image has no migrations; LNM_BAKED_MIGRATIONS names that folder", hint=HINT)
    found = dict(present(baked))
    wanted = {name: sha256 for name, sha256 in signed.items() if name.startswith(f"{FOLDER}/") and counts(name)}
    if not wanted:
        raise ChecksumError("the kit has no migrations to compare those in this image with", hint=HINT)
    lines = [line for name in sorted({*found, *wanted}) if (line := difference(name, found.get(name), wanted.get(name)))]
    if lines:
        raise ChecksumError(f"the migrations in this image are not those of the kit: {'; '.join(lines)}", hint=HINT)


def present(baked: Path) -> Iterator[tuple[str, str]]:
    """What is baked in: `(name, sha256)`."""
    for path in baked.rglob("*"):
        name = f"{FOLDER}/{path.relative_to(baked).as_posix()}"
        if path.is_file() and counts(name):
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def counts(name: str) -> bool:
    """False for what no migration digest is over."""
    return name.split("/")[2:] != [README]


def difference(name: str, found: str | None, wanted: str | None) -> str:
    """A phrase where a file is another one; empty where it is the same."""
    if found is None or wanted is None:
        return f"{name} is {'not in the image' if found is None else 'not in the kit'}"
    return "" if found == wanted else f"{name} has sha256 {found[:12]}…, the kit's is {wanted[:12]}…"

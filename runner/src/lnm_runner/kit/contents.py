"""What a verified kit holds: the size of every file, and the bytes of a few, all of them compared with their signed hashes again.

The kit may have changed since it was verified, and the verifier keeps no sizes; so a folder or a tarball is read once more.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lnm_runner.errors import ChecksumError

CHUNK: Final = 1 << 20  # bytes read at once


@dataclass(frozen=True)
class Contents:
    """The listed files of a kit."""

    sizes: Mapping[str, int]
    """`{name: bytes}`."""
    kept: Mapping[str, bytes]
    """Those that were asked for."""


def read(path: Path, sums: Mapping[str, str], wanted: Callable[[str], bool]) -> Contents:
    """Reads every listed file of a folder or tarball; `sums` is `{name: signed sha256}`, `wanted` says which bytes to keep.

    Raises: ChecksumError where it is no longer the kit that was verified.
    """
    sizes: dict[str, int] = {}
    kept: dict[str, bytes] = {}
    try:
        for name, file in opened(path, sums):
            digest, pieces = hashlib.sha256(), []
            sizes[name] = 0
            while piece := file.read(CHUNK):
                digest.update(piece)
                sizes[name] += len(piece)
                pieces += [piece] if wanted(name) else []
            if digest.hexdigest() != sums[name]:
                raise changed(path, name)
            if wanted(name):
                kept[name] = b"".join(pieces)
    except (OSError, EOFError, tarfile.TarError) as err:
        raise changed(path, "it cannot be read any more") from err
    if sizes.keys() != sums.keys():
        raise changed(path, "files are missing")
    return Contents(sizes, kept)


def opened(path: Path, sums: Mapping[str, str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Each listed file, opened."""
    if path.is_dir():
        for name in sums:
            with (path / name).open("rb") as unpacked:
                yield name, unpacked
        return
    with closing(tarfile.open(path, "r|gz")) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            file = archive.extractfile(member) if member.isreg() and name in sums else None
            if file is not None:
                yield name, file


def changed(path: Path, what: str) -> ChecksumError:
    """The refusal of a kit that was exchanged under our hands."""
    return ChecksumError(
        f"{path}: was changed after it was verified: {what}", hint="is somebody changing the kit? verify it again"
    )

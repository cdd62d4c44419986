"""Makes a `.tar.gz` whose bytes depend on names, contents and the epoch alone.

Format: POSIX.1-2001 pax (ustar where it suffices) in RFC 1952 gzip; entries sorted, envelope first, modes 0644 and
0755, owner 0, times = SOURCE_DATE_EPOCH. The compressor is isal from a hash-locked wheel at a level whose output does
not depend on the CPU; the system's zlib differs between distributions. Memory is constant.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scripts.errors import InputError

LEVEL = 1  # isal's levels 0 to 2 give the same bytes on every CPU; level 3 does not
ENVELOPE = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
    "manifest.json",
    "manifest.dsse.json",
    "manifest.sigstore.json",
)


def entries(names: list[str], root: str) -> Iterator[tuple[str, bool]]:
    """Every member in its order as (name, is a folder): the root, the envelope, then all else with folders before files."""
    made: set[str] = set()
    first = [name for name in ENVELOPE if name in names]
    rest = sorted(set(names) - set(first), key=os.fsencode)
    for name in [*first, *rest]:
        parts = [root, *name.split("/")]
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in made:
                made.add(folder)
                yield folder, True
        yield "/".join(parts), False


def member(name: str, *, folder: bool, mode: int, size: int, epoch: int) -> tarfile.TarInfo:
    """The header of one member."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    info.mode, info.size, info.mtime = mode, size, epoch
    return info


def write(out: BinaryIO, *, tree: tuple[Path, ...], root: str, base: Path, epoch: int, executable: tuple[str, ...] = ()) -> None:
    """Packs the files of `tree`, named by their path below `base`, into one folder `root`."""
    from isal import igzip

    paths = {path.relative_to(base).as_posix(): path for path in tree}
    with (
        igzip.IGzipFile("", "wb", LEVEL, out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive,
    ):
        for name, folder in entries(list(paths), root):
            if folder:
                archive.addfile(member(name, folder=True, mode=0o755, size=0, epoch=epoch))
            else:
                inner = name.removeprefix(f"{root}/")
                add(archive, name, paths[inner], 0o755 if inner in executable else 0o644, epoch)


def add(archive: tarfile.TarFile, name: str, path: Path, mode: int, epoch: int) -> None:
    """Adds one file, whose size must not change meanwhile.

    Raises: InputError where it does.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            archive.addfile(member(name, folder=False, mode=mode, size=size, epoch=epoch), file)
        except OSError as err:
            if err.errno is not None:  # not tarfile's own «unexpected end of data» but the disk's
                raise
            raise InputError(f"{path}: shrank while it was packed", hint="doit bundle") from err
        if file.read(1):
            raise InputError(f"{path}: grew while it was packed", hint="doit bundle")

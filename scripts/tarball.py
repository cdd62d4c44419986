"""Makes a `.tar.gz` whose bytes depend on names, contents and the epoch alone.

Format: POSIX.1-2001 pax (ustar where it suffices) in RFC 1952 gzip (scripts/gzipped.py); entries sorted, envelope first,
modes 0644 and 0755, owner 0, times = SOURCE_DATE_EPOCH. The compressor is from a hash-locked wheel, because the system's
zlib differs between distributions. Memory is constant.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scripts import files, gzipped, oci
from scripts.errors import InputError

COMPRESSOR, PACKAGE = "zlib-ng", "zlib_ng"
CHUNK = 1 << 20  # bytes that are read at once
ENVELOPE = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
    "manifest.json",
    "manifest.dsse.json",
    "manifest.sigstore.json",
    "SHA256SUMS.keyless.sigstore.json",
    "manifest.keyless.sigstore.json",
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
    """Packs files, named by their path below `base`, into one folder `root`; a layout's index stands for its layout."""
    paths = {path.relative_to(base).as_posix(): path for path in oci.whole(tree)}
    with gzipped.writer(out) as packed:
        size = 0
        for name, folder in entries(list(paths), root):
            if folder:
                size += packed.write(header(member(name, folder=True, mode=0o755, size=0, epoch=epoch)))
            else:
                inner = name.removeprefix(f"{root}/")
                size += add(packed, name, paths[inner], 0o755 if inner in executable else 0o644, epoch)
        end = 2 * tarfile.BLOCKSIZE
        packed.write(bytes(end + -(size + end) % tarfile.RECORDSIZE))


def header(info: tarfile.TarInfo) -> bytes:
    """The blocks before a member's content."""
    return info.tobuf(tarfile.PAX_FORMAT, "ascii", "strict")


def add(packed: gzipped.Writer, name: str, path: Path, mode: int, epoch: int) -> int:
    """Adds one file, whose size must not change meanwhile; returns how much was written.

    Raises: InputError where it does.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        written, left = packed.write(header(member(name, folder=False, mode=mode, size=size, epoch=epoch))), size
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise InputError(f"{path}: shrank while it was packed", hint="doit bundle")
            written += packed.write(chunk)
            left -= len(chunk)
        if file.read(1):
            raise InputError(f"{path}: grew while it was packed", hint="doit bundle")
    return written + packed.write(bytes(-size % tarfile.BLOCKSIZE))


def tools() -> dict[str, str]:
    """The compressor, for the record of a run: name, version, level, format, and `{purl#path: sha256}` of its machine code."""
    version = importlib.metadata.version(COMPRESSOR)
    return {
        "compressor": f"{COMPRESSOR} {version}",
        "compressor format": "gzip (RFC 1952), deflate (RFC 1951)",
        "compressor level": str(gzipped.LEVEL),
        **{f"pkg:pypi/{COMPRESSOR}@{version}#{path.parent.name}/{path.name}": files.sha256_of(path) for path in machine_code()},
    }


def machine_code() -> list[Path]:
    """The extension modules of the compressor that are loaded: the bytes that ran, whatever wheel they came in."""
    loaded = [module.__file__ for name, module in sys.modules.items() if name.startswith(f"{PACKAGE}.")]
    return sorted(Path(file) for file in loaded if file and file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)))

"""A kit is copied into a folder that is held before anybody believes it: a tarball from one descriptor, a folder by its files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lnm_runner.errors import ChecksumError, InputError, NotFoundError, RunnerError
from lnm_runner.kit import core
from lnm_runner.kit.held import Held, refused, told, write_all
from lnm_runner.kit.unpacking import Tree, reader

TARBALL: Final = "kit.tar.gz"
"""What the copy is called."""
CHUNK: Final = 1 << 20  # bytes
HINT: Final = (
    "nothing was activated; run the same command again, and if it happens again, look who else works in the state folder"
)


@contextlib.contextmanager
def opened(kit: Path) -> Iterator[io.FileIO | None]:
    """The tarball, opened once; None for a folder.

    Raises: NotFoundError; InputError for anything else.
    """
    try:
        if stat.S_ISDIR(kit.stat().st_mode):
            yield None
            return
        file = io.FileIO(kit, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))
    except FileNotFoundError as err:
        raise NotFoundError(f"{kit}: no such kit", hint="check the path") from err
    except OSError as err:
        raise refused(str(kit), err) from err
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{kit}: neither a folder nor a file", hint="name KIT.tar.gz, or an unpacked kit")
        yield file


def copy_tarball(source: io.FileIO, incoming: Held) -> str:
    """Copies a tarball from the one open file; returns the SHA-256 of what was copied.

    Raises: ChecksumError where it changes meanwhile; RunnerError where it cannot be written.
    """
    size, digest = os.fstat(source.fileno()).st_size, hashlib.sha256()
    with told(f"{incoming.told_as}/{TARBALL}"), incoming.create(TARBALL) as copy:
        copied = 0
        for piece in pieces(source, size + 1):
            digest.update(piece)
            copied += write_counted(copy, piece)
        os.fsync(copy.fileno())
    if copied != size:
        raise ChecksumError(f"the tarball was changed while it was copied: {copied} bytes, it had {size}", hint="copy it again")
    return digest.hexdigest()


def copy_folder(source: str, target: Held) -> None:
    """Copies an unpacked kit, every file once, through no link; whether it is one is for the caller to verify in the copy.

    Raises: RunnerError; what was made of it stays, for the caller to remove.
    """
    core_reader = reader()
    try:
        found = core_reader.Folder(source)
        found.check()
    except core_reader.Refused as err:
        raise core.refused(err) from err
    except OSError as err:
        raise refused("the kit", err) from err
    with told(target.told_as), Tree(target) as tree:
        for name, info in sorted(found.files.items()):
            with tree.create(name, 0o755 if info.st_mode & stat.S_IXUSR else 0o644) as file:
                copy_file(found, name, info.st_size, file)
                os.fsync(file.fileno())
        tree.settle()


def copy_file(found: Any, name: str, size: int, file: io.FileIO) -> None:
    """The bytes of one file, which must be as many as there were when it was seen."""
    try:
        source = found.open(name)
    except OSError as err:
        raise moved(name) if err.errno is None else refused(name, err) from err
    with source:
        copied = sum(write_counted(file, piece) for piece in pieces(source, size + 1))
    if copied != size:
        raise moved(name)


def moved(name: str) -> RunnerError:
    """The kit changes while it is read."""
    return ChecksumError(f"{name}: was changed while it was copied", hint=HINT)


def pieces(source: io.RawIOBase, most: int) -> Iterator[bytes]:
    """The bytes of a file, at most so many."""
    left = most
    while left > 0 and (piece := source.read(min(CHUNK, left))):
        left -= len(piece)
        yield piece


def write_counted(file: io.FileIO, piece: bytes) -> int:
    """Writes a piece; its length."""
    write_all(file, piece)
    return len(piece)

"""Files on disk: hashing, listing, and writing so that a target is the old one or the new one and never a half.

Nothing here knows what a file means.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from scripts.errors import ChecksumError, InputError, KitError, MissingError

# the name rule of docs/kit-format.md, one part of a path
NAME_PART = re.compile(r"(?!\.)[A-Za-z0-9._+=@-]{1,255}(?<!\.)")
DEVICE_NAME = re.compile(r"(?i:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?")
MOST_PARTS, MOST_CHARACTERS = 32, 1024  # of a whole name, the same rule
NOT_CONTENT = ("__pycache__",)  # what running a file of bundle-layout/ leaves behind
PART_SUFFIX = ".part"  # of files being written
SCRATCH = Path("artifacts/.build")
ROOM = "make room on the disk, then run the same command again"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 lower-case hex digits.

    Raises: MissingError where there is no such file; InputError where it cannot be read.
    """
    return sha256_and_stat(path)[0]


def sha256_and_stat(path: Path) -> tuple[str, os.stat_result]:
    """SHA-256 of a file's bytes, and the state of the inode that they were read in.

    A build asks for the same file many times, so a file is read again only when its inode shows that it was written.

    Raises: as sha256_of.
    """
    try:
        stat = path.stat()
        return hashed(str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns), stat
    except FileNotFoundError as err:
        raise MissingError(f"{path}: no such file", hint="doit bundle") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="look at its permissions") from err


@functools.cache
def hashed(path: str, *_inode: int) -> str:
    """The hash of a file in the state that its inode shows."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a str is hashed faster
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yields an empty folder that is gone afterwards; after a kill, the next build's `prune` removes it."""
    make_folder(SCRATCH)
    with tempfile.TemporaryDirectory(prefix=".", suffix=PART_SUFFIX, dir=SCRATCH) as folder:
        yield Path(folder).resolve()


@contextlib.contextmanager
def replacing(target: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yields a stream; on success the target is replaced by what was written, else it stays as it was.

    Raises: KitError for what the operating system refuses (full disk, permission), with its words.
    """
    part: str | None = None
    try:
        make_folder(target.parent)
        handle, part = tempfile.mkstemp(prefix=".", suffix=PART_SUFFIX, dir=target.parent)
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.replace(part, target)  # noqa: PTH105 - part is a str from mkstemp
        part = None
    except OSError as err:
        if err.errno == errno.ENOENT and err.filename and str(err.filename) != str(target.parent):
            raise MissingError(f"{err.filename}: no such file", hint="restore it: git status shows what is gone") from err
        place = target if err.filename is None or str(err.filename).endswith(PART_SUFFIX) else err.filename
        raise WriteError(f"{place}: {err.strerror or err}; {target} was left as it was", hint=advice(err)) from err
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                os.unlink(part)  # noqa: PTH108 - as above


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Turns what the operating system refuses inside the block into words.

    Raises: WriteError.
    """
    try:
        yield
    except OSError as err:
        raise WriteError(f"{err.filename}: {err.strerror}", hint=advice(err)) from err


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, none of them world-writable (which a verifier refuses), whatever the umask is."""
    for path in reversed((folder, *folder.parents)):
        if not path.is_dir():
            path.mkdir(mode=0o755, exist_ok=True)


class WriteError(KitError):
    """The operating system refused a write (or a read of an input) of a step."""

    exit_code = 1


def is_full(words: str) -> bool:
    """True when the words of a program that failed are about a full disk."""
    return os.strerror(errno.ENOSPC) in words


def advice(err: OSError) -> str:
    """What to do about an error of the operating system, in words."""
    return {
        errno.ENOSPC: ROOM,
        errno.EDQUOT: "raise the quota or make room, then run the same command again",
        errno.EACCES: "look at the permissions of the folder and who owns it",
        errno.EPERM: "look at the permissions of the folder and who owns it",
        errno.EISDIR: "there is a folder in the place of that file: remove it, then run the same command again",
        errno.EROFS: "the file system is read-only; build in a checkout that can be written",
    }.get(err.errno or 0, "mend that, then run the same command again")


def copy(source: IO[bytes], out: BinaryIO) -> None:
    """Copies the rest of a stream in pieces of 1 MiB."""
    while chunk := source.read(1 << 20):
        out.write(chunk)


def read_bytes(path: Path) -> bytes:
    """All bytes of a file that a step needs whole.

    Raises: MissingError, InputError.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as err:
        raise MissingError(f"{path}: no such file", hint="restore it: git status shows what is gone") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="look at its permissions") from err


def listing(root: Path) -> tuple[Path, ...]:
    """Every file below a folder of content, relative to it, sorted by the bytes of the name.

    Raises: InputError naming every entry that a kit could not hold (link, special file, a name against the name rule, names
    that differ in case alone) and every folder that cannot be read; MissingError where the folder is not there.
    """
    if not root.is_dir():
        raise MissingError(f"{root}: no such folder", hint="restore it: git status shows what is gone")
    found: list[Path] = []
    bad: list[str] = []
    limits = f"at most {MOST_CHARACTERS} characters and {MOST_PARTS} parts"
    for folder, folders, names in os.walk(root, onerror=lambda err: bad.append(f"{err.filename}: {err.strerror}")):
        folders[:] = sorted(name for name in folders if name not in NOT_CONTENT)
        for name in sorted([*folders, *names]):
            path = Path(folder) / name
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                bad.append(f"{path}: not a regular file or folder")
            elif not NAME_PART.fullmatch(name) or DEVICE_NAME.fullmatch(name):
                bad.append(f"{path}: the name may only have [A-Za-z0-9._+=@-] and no dot at either end")
            elif name in names:
                found.append(path.relative_to(root))
    bad += [f"{root / path}: the name is too long or too deep: {limits}" for path in found if not fits(path)]
    bad += case_twins(found)
    if bad:
        raise InputError("; ".join(bad), hint=f"rename or remove it; {root}/ holds only what ships")
    return tuple(sorted(found, key=os.fsencode))


def below(folder: Path) -> Iterator[Path]:
    """Everything below a folder but folders, sorted; nothing where there is no such folder.

    Raises: WriteError where it cannot be looked into.
    """
    with looking():
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                yield path


def fits(name: Path) -> bool:
    """True when a whole name is within the limits of the name rule."""
    return len(name.parts) <= MOST_PARTS and len(name.as_posix()) <= MOST_CHARACTERS


def case_twins(names: list[Path]) -> list[str]:
    """A sentence for each pair of paths, or of folders above them, that differ in case alone."""
    spelling: dict[str, str] = {}
    twins = []
    for name in names:
        for path in (name, *name.parents[:-1]):
            text = path.as_posix()
            other = spelling.setdefault(text.lower(), text)
            if other != text:
                twins.append(f"{text}: differs from {other} in case alone")
    return sorted(set(twins))


def verify_sha256(path: Path, wanted: str, source: str) -> None:
    """Compares a file with a recorded SHA-256.

    Raises: ChecksumError.
    """
    found = sha256_of(path)
    if found != wanted:
        raise ChecksumError(f"{path.name}: sha256 is {found[:12]}…, {source} says {wanted[:12]}…", hint="do not use this file")

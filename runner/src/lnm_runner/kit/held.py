"""A folder that is held by its descriptor: what is made in it is made there, whatever becomes of the path that led to it.

No name is ever looked up through a link (O_NOFOLLOW at each step), nothing is made over something that is there (O_EXCL), and
what must survive a crash is on the disk before anybody is told (fsync of the file, then of its folder: fsync(2), «NOTES»).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lnm_runner.errors import InputError, RetryableError, RunnerError, StateError

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
NO_FOLDER: Final = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EXDEV)
"""A link or another thing in the place of a folder, or something where nothing was."""
PART: Final = ".part"
"""Ends the name of a file that is being written; one that is left over is replaced."""


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Tells in words what the system refused inside the block.

    Raises: RetryableError where there is no room; StateError for a link, or something else, in the place of what is ours;
        InputError for the rest.
    """
    try:
        yield
    except OSError as err:
        raise refused(what, err) from err


def refused(what: str, err: OSError) -> RunnerError:
    """The error for what the system said of `what`."""
    why = f"{what}: {err.strerror or type(err).__name__}"
    if err.errno in NO_ROOM:
        return RetryableError(why, hint="make room, or let LNM_STATE_DIR name another disk, then run the same command again")
    if err.errno in NO_FOLDER:
        return StateError(why, hint="something lies in the state folder that lnm has not put there: look who can write into it")
    return InputError(why, hint="the state folder (LNM_STATE_DIR) must be yours to read and to write; nothing was activated")


class Held:
    """One folder, open; `told_as` is how it is called in messages."""

    def __init__(self, handle: int, told_as: str) -> None:
        """Takes over the descriptor, which is closed with this."""
        self.handle: Final = handle
        self.told_as: Final = told_as

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Closes it."""
        os.close(self.handle)

    def folder(self, name: str) -> Held | None:
        """A folder in this one; None where there is none.

        Raises: StateError for a link, a file, or a folder that others may write into.
        """
        told_as = f"{self.told_as}/{name}"
        try:
            handle = os.open(name, FOLDER, dir_fd=self.handle)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise refused(told_as, err) from err
        found = os.fstat(handle)
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            os.close(handle)
            raise StateError(
                f"{told_as}: belongs to user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}, wanted a private one",
                hint="look who has changed it; nothing was activated",
            )
        return Held(handle, told_as)

    def made(self, name: str) -> Held:
        """The same, made (0700) where there is none."""
        with told(f"{self.told_as}/{name}"), contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.handle)
            self.settle()
        found = self.folder(name)
        if found is None:
            raise StateError(f"{self.told_as}/{name}: is gone again", hint="who else works in the state folder?")
        return found

    def names(self) -> list[str]:
        """What lies in it, sorted."""
        with told(self.told_as):
            return sorted(os.listdir(self.handle))  # noqa: PTH208 - by descriptor

    def create(self, name: str, mode: int = 0o600) -> io.FileIO:
        """A new file, open to be written; the mode is exact, whatever the umask.

        Raises: OSError, FileExistsError among them.
        """
        file = io.FileIO(name, "wb", opener=lambda path, _: os.open(path, NEW_FILE, 0o600, dir_fd=self.handle))
        os.fchmod(file.fileno(), mode)
        return file

    def read(self, name: str, most: int) -> bytes | None:
        """The bytes of a file; None where there is none.

        Raises: StateError for anything but a file of at most so many bytes.
        """
        told_as = f"{self.told_as}/{name}"
        try:
            with os.fdopen(os.open(name, READ, dir_fd=self.handle), "rb") as file:
                is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                data = file.read(most + 1) if is_file else b""
        except FileNotFoundError:
            return None
        except OSError as err:
            raise refused(told_as, err) from err
        if not is_file or len(data) > most:
            raise StateError(f"{told_as}: is no file of at most {most} bytes", hint="lnm has not written it: look who has")
        return data

    def replace(self, name: str, data: bytes) -> None:
        """Writes a file anew: whoever reads sees the old one or the new one, after a crash, too.

        Raises: RunnerError.
        """
        with told(f"{self.told_as}/{name}"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name + PART, dir_fd=self.handle)
            with self.create(name + PART) as file:
                write_all(file, data)
                os.fsync(file.fileno())
            os.rename(name + PART, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
            self.settle()

    def move(self, name: str, target: Held, new_name: str) -> None:
        """Moves what it holds into another folder of the same file system, where nothing of that name is."""
        with told(f"{target.told_as}/{new_name}"):
            with contextlib.suppress(FileNotFoundError):
                os.stat(new_name, dir_fd=target.handle, follow_symlinks=False)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.rename(name, new_name, src_dir_fd=self.handle, dst_dir_fd=target.handle)
            target.settle()
            self.settle()

    def remove(self, name: str) -> None:
        """Removes a file, a link or a whole folder, following no link; nothing happens where there is none."""
        with told(f"{self.told_as}/{name}"), contextlib.suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                shutil.rmtree(name, dir_fd=self.handle)  # safe against exchanged folders where dir_fd is known
            else:
                os.unlink(name, dir_fd=self.handle)
            self.settle()

    def settle(self) -> None:
        """Waits until its names are on the disk."""
        os.fsync(self.handle)

    def holds(self, name: str, inner: Held) -> bool:
        """Whether a name in it is still the folder that was opened."""
        try:
            now = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(now, os.fstat(inner.handle))

    def is_at(self, path: Path) -> bool:
        """Whether a path, the last part of which is no link, leads to it."""
        try:
            return os.path.samestat(path.lstat(), os.fstat(self.handle))
        except OSError:
            return False


def write_all(file: io.FileIO, data: bytes | memoryview) -> None:
    """Writes all of it; a raw file may take less at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def state_folder(path: Path, *, make: bool) -> Held | None:
    """The state folder itself; the operator names it, so the path to it may hold links. None where there is none.

    Raises: InputError where anybody may write into it, or it cannot be had.
    """
    told_as = "the state folder"
    try:
        if make:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, FOLDER & ~os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise refused(f"{told_as} {path}", err) from err
    mode = os.fstat(handle).st_mode
    if mode & stat.S_IWOTH:
        os.close(handle)
        raise InputError(f"{told_as} {path}: anybody may write into it (mode {stat.S_IMODE(mode):04o})", hint=f"chmod 700 {path}")
    return Held(handle, told_as)

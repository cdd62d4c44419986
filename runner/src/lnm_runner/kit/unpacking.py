"""A kit's files, laid out in a folder that is held: from the one open archive, or from an unpacked kit.

The archive is read by verify_kit.py's own strict reader, member by member, so that what is unpacked obeys the rules that were
verified; a file is made when that reader has accepted its header, and nowhere but in the held folder (openat(2) at each step).
Links are in no kit. Modes are 0644 and 0755 exactly; times and owners of the archive are not taken over.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, Self, cast

from lnm_runner.kit import core
from lnm_runner.kit.held import FOLDER, NEW_FILE, Held, told, write_all

CHUNK: Final = 1 << 20  # bytes
HINT: Final = (
    "nothing was activated; run the same command again, and if it happens again, look who else works in the state folder"
)


class Header(Protocol):
    """The header of a member."""

    mode: int


class Inflated(Protocol):
    """The inflated bytes."""

    def data(self, size: int) -> Iterator[memoryview]:
        """The bytes of a member."""


class Members(Protocol):
    """verify_kit.Tarball: takes members one after the other, or refuses."""

    digests: Mapping[str, str]
    """`{name: sha256}` of what was taken."""

    def take(self, header: Header, stream: Inflated) -> None:
        """One member."""

    def below_root(self, header: Header) -> str:
        """Its name, which was checked."""


class Reader(Protocol):
    """What is used here of verify_kit.py."""

    DECOMPRESSED_FLOOR: int
    DECOMPRESSED_RATIO: int
    Refused: type[Exception]

    def inflate(self, archive: io.RawIOBase, limit: int) -> Iterator[bytes]:
        """The bytes of the archive, inflated."""

    def Stream(self, chunks: Iterator[bytes]) -> Inflated:  # noqa: N802 - a class there
        """These, taken in pieces."""

    def Tarball(self) -> Members:  # noqa: N802 - a class there
        """Nothing taken yet."""

    def Folder(self, root: str) -> Any:  # noqa: N802 - a class there
        """What lies in an unpacked kit, links not followed."""

    def read_headers(self, stream: Inflated) -> Iterator[Header]:
        """The headers of the members."""


def reader() -> Reader:
    """The core of verification, as a reader of archives."""
    return cast("Reader", importlib.import_module("lnm_runner.kit.verify_kit"))


class Tree:
    """The files that are made below a held folder; one folder is kept open, as most files lie beside the one before."""

    def __init__(self, root: Held) -> None:
        """Starts with none."""
        self.root: Final = root
        self.at = ""
        self.handle = os.dup(root.handle)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go."""
        os.close(self.handle)

    def create(self, name: str, mode: int) -> io.FileIO:
        """A new file below the folder, open to be written.

        Raises: OSError where it cannot be made, or anything lies in its way.
        """
        folder, _, last = name.rpartition("/")
        if folder != self.at:
            self.enter(folder)
        file = io.FileIO(last, "wb", opener=lambda path, _: os.open(path, NEW_FILE, 0o600, dir_fd=self.handle))
        os.fchmod(file.fileno(), mode)
        return file

    def enter(self, folder: str) -> None:
        """Opens a folder, making what is not there, from the root downwards and through no link."""
        handle = os.dup(self.root.handle)
        for part in filter(None, folder.split("/")):
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=handle)
                inner = os.open(part, FOLDER, dir_fd=handle)
            finally:
                os.close(handle)
            handle = inner
        os.close(self.handle)
        self.at, self.handle = folder, handle

    def settle(self) -> None:
        """Gives every folder its mode, and waits until all names are on the disk."""
        for _, _, _, handle in os.fwalk(".", dir_fd=self.root.handle):
            os.fchmod(handle, 0o755)
            os.fsync(handle)


class Tee:
    """A stream whose next member's bytes are written to a file as they go by; the file is made with its first byte."""

    def __init__(self, stream: Inflated, tree: Tree, name: str, mode: int) -> None:
        """`name` has been checked by the time that somebody takes the first byte."""
        self.stream: Final = stream
        self.tree: Final = tree
        self.name: Final = name
        self.mode: Final = mode

    def data(self, size: int) -> Iterator[memoryview]:
        """The bytes of the member."""
        with self.tree.create(self.name, self.mode) as file:
            for piece in self.stream.data(size):
                write_all(file, piece)
                yield piece
            os.fsync(file.fileno())


def unpack(archive: io.FileIO, target: Held) -> Mapping[str, str]:
    """Unpacks an archive that was verified; returns what its members hash to, `{name: sha256}`.

    Raises: RunnerError; what was made of it stays, for the caller to remove.
    """
    core_reader = reader()
    archive.seek(0)
    size = os.fstat(archive.fileno()).st_size
    limit = core_reader.DECOMPRESSED_FLOOR + core_reader.DECOMPRESSED_RATIO * size
    stream, members = core_reader.Stream(core_reader.inflate(archive, limit)), core_reader.Tarball()
    with told(target.told_as), Tree(target) as tree:
        try:
            for header in core_reader.read_headers(stream):
                members.take(header, Tee(stream, tree, members.below_root(header), header.mode))
        except core_reader.Refused as err:
            raise core.refused(err) from err
        tree.settle()
    return members.digests

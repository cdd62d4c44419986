"""How a backup is compressed: with `gzip` (RFC 1952), which mongorestore reads, `zstd` (RFC 8878), which it does not, or not.

gzip is the standard library's, with no name and no time in its header, so that the same documents make the same file. zstd is
Python's own from 3.14 on, and the runner's extra [zstd] before.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import zlib
from types import ModuleType
from typing import IO, Final

from lnm_runner.errors import InputError

SUFFIXES: Final = {"none": "", "gzip": ".gz", "zstd": ".zst"}
GZIP_LEVEL: Final = 1  # 3 times as fast as 6, for a file that is a fourth larger: docs/performance.md, «Backups»
ZSTD_LEVEL: Final = 3  # its own default
BUFFER: Final = 1 << 20  # bytes
BROKEN: Final = (EOFError, OSError, zlib.error)
"""What reading a file that is no such file, or half of one, ends in; those of zstd are turned into EOFError."""


def require(compress: str) -> None:
    """Refuses what is no compression, or cannot be had here.

    Raises: InputError.
    """
    if compress not in SUFFIXES:
        raise InputError(f"--compress: wanted {', '.join(SUFFIXES)}", hint="--compress gzip is what mongorestore reads")
    if compress == "zstd":
        zstd()


def zstd() -> ModuleType:
    """The library.

    Raises: InputError where there is none.
    """
    with contextlib.suppress(ImportError):
        return importlib.import_module("compression.zstd")
    with contextlib.suppress(ImportError):
        return importlib.import_module("backports.zstd")
    raise InputError(
        "this backup needs zstd, which this installation of lnm has not",
        hint="install the runner with its extra [zstd] (runner/README.md in the kit); or make a backup with --compress gzip",
    )


def writer(raw: IO[bytes], compress: str) -> IO[bytes]:
    """What compresses into `raw`; closing it does not close that."""
    if compress == "gzip":
        return gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=GZIP_LEVEL, mtime=0)  # type: ignore[return-value]
    if compress == "zstd":
        return Packed(raw)  # type: ignore[return-value]
    return Open(raw)  # type: ignore[return-value]


class Open(io.RawIOBase):
    """Writes through, and leaves the file open when it is closed itself, as the compressors do."""

    def __init__(self, raw: IO[bytes]) -> None:
        """Writes into `raw`."""
        super().__init__()
        self.raw = raw

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Writes all of it."""
        return self.raw.write(data)


class Packed(io.RawIOBase):
    """Writes one zstd frame, of nothing, too: the library's own file is then empty, and no zstd file."""

    def __init__(self, raw: IO[bytes]) -> None:
        """Writes into `raw`."""
        super().__init__()
        self.raw, self.packer = raw, zstd().ZstdCompressor(level=ZSTD_LEVEL)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Compresses."""
        self.raw.write(self.packer.compress(data))
        return len(data)

    def close(self) -> None:
        """Ends the frame."""
        try:
            if not self.closed:
                self.raw.write(self.packer.flush())
        finally:
            super().close()


def reader(raw: IO[bytes], compress: str) -> IO[bytes]:
    """What `raw` holds, decompressed; a file without an end, or no such file, ends in one of BROKEN."""
    if compress == "gzip":
        return io.BufferedReader(gzip.GzipFile(mode="rb", fileobj=raw), BUFFER)
    if compress == "zstd":
        return io.BufferedReader(Unpacked(raw), BUFFER)
    return raw


class Unpacked(io.RawIOBase):
    """A zstd file, decompressed; its errors are EOFError."""

    def __init__(self, raw: IO[bytes]) -> None:
        """Reads `raw`."""
        super().__init__()
        self.library = zstd()
        self.inner = self.library.ZstdFile(raw, mode="rb")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As the library does."""
        try:
            read: int = self.inner.readinto(buffer)
        except self.library.ZstdError as err:
            raise EOFError(type(err).__name__) from err
        return read

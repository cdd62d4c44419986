"""Writes gzip whose bytes depend on what is written alone: not on the CPU, the number of threads, or the size of the writes.

Format: RFC 1952, one member without name or time; RFC 1951 inside. The stream is cut into blocks of 1 MiB; each is deflated
apart by zlib-ng, with the end of the block before it as a dictionary, so that they can be made side by side. What does not
compress is stored as it is. Why zlib-ng, and not its own threaded writer: docs/adr/0002.
"""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from zlib_ng import zlib_ng

LEVEL = 2
BLOCK = 1 << 20
WINDOW = 1 << 15  # RFC 1951: as far back as deflate looks
WORKERS = 2
AHEAD = 4  # blocks that wait for their turn to be written: the bound of memory
SAMPLE, SAMPLES = 4096, 4  # bytes, and how many of them: what tells whether a block compresses
WORTH = 0.95  # of the samples' size, deflated: above it a block is stored
LONGEST_STORED = 0xFFFF  # RFC 1951, 3.2.4
HEADER = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, 0, 0, 255)  # deflate, no flags, no time, unknown system
END = b"\x03\x00"  # a last block with nothing in it


class Writer:
    """A stream that compresses what is written to it; `close` ends the member."""

    def __init__(self, out: BinaryIO, pool: ThreadPoolExecutor, level: int = LEVEL) -> None:
        """Writes the header."""
        self.out, self.pool, self.level = out, pool, level
        self.waiting: deque[Future[bytes]] = deque()
        self.rest, self.window = bytearray(), b""
        self.crc = self.size = 0
        out.write(HEADER)

    def write(self, data: bytes) -> int:
        """Takes some bytes."""
        self.rest += data
        while len(self.rest) >= BLOCK:
            self.submit(bytes(self.rest[:BLOCK]))
            del self.rest[:BLOCK]
        return len(data)

    def submit(self, block: bytes) -> None:
        """Lets a block be deflated; the oldest that waits is written where too many do."""
        self.crc = zlib_ng.crc32(block, self.crc)
        self.size += len(block)
        self.waiting.append(self.pool.submit(deflated, block, self.window, self.level))
        self.window = block[-WINDOW:]
        if len(self.waiting) > AHEAD:
            self.out.write(self.waiting.popleft().result())

    def close(self) -> None:
        """Writes what is left, and the trailer."""
        if self.rest:
            self.submit(bytes(self.rest))
        while self.waiting:
            self.out.write(self.waiting.popleft().result())
        self.out.write(END + struct.pack("<II", self.crc, self.size & 0xFFFFFFFF))


@contextlib.contextmanager
def writer(out: BinaryIO, workers: int = WORKERS, level: int = LEVEL) -> Iterator[Writer]:
    """Yields a stream; the member is ended where no error came."""
    with ThreadPoolExecutor(workers) as pool:
        stream = Writer(out, pool, level)
        yield stream
        stream.close()


def deflated(block: bytes, window: bytes, level: int = LEVEL) -> bytes:
    """A block as whole deflate blocks that end on a byte."""
    if not compresses(block):
        return b"".join(stored(block))
    deflate = zlib_ng.compressobj(level, zlib_ng.DEFLATED, -15, 8, zlib_ng.Z_DEFAULT_STRATEGY, window)
    return bytes(deflate.compress(block) + deflate.flush(zlib_ng.Z_SYNC_FLUSH))


def compresses(block: bytes) -> bool:
    """True where samples of a block do; packed images and wheels do not, and trying would take most of the time."""
    step = max(1, len(block) // SAMPLES)
    samples = b"".join(block[start : start + SAMPLE] for start in range(0, len(block), step))
    deflate = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -15)
    return len(deflate.compress(samples) + deflate.flush()) < WORTH * len(samples)


def stored(block: bytes) -> Iterator[bytes]:
    """A block as stored ones."""
    for start in range(0, len(block), LONGEST_STORED):
        piece = block[start : start + LONGEST_STORED]
        yield struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF) + piece

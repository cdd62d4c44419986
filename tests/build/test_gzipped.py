"""scripts/gzipped.py: gzip that stock tools read, whose bytes depend on what is written and on nothing else."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import subprocess
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts import gzipped

BLOCK = gzipped.BLOCK
SIZES = (0, 1, gzipped.SAMPLE, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7)


def text(size: int) -> bytes:
    return (b"advisory affected fixed linkset %d\n" * (size // 20 + 1))[:size]


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)  # noqa: S311 - what does not compress


def mixed(size: int) -> bytes:
    return b"".join(make(BLOCK // 3) for make in (text, noise) * (size // BLOCK * 2 + 2))[:size]


def packed(*pieces: bytes, workers: int = 2) -> bytes:
    out = io.BytesIO()
    with gzipped.writer(out, workers) as stream:
        for piece in pieces:
            assert stream.write(piece) == len(piece)
    return out.getvalue()


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [text, noise, mixed])
def test_what_was_packed_comes_out_again(make: type, size: int) -> None:
    data = make(size)
    found = packed(data)
    assert gzip.decompress(found) == data
    assert subprocess.run(["gzip", "-dc"], input=found, capture_output=True, check=True).stdout == data


def test_it_is_one_member_without_a_name_or_a_time_and_nothing_behind_it() -> None:
    found = packed(mixed(2 * BLOCK))
    assert found[:10] == bytes.fromhex("1f8b08000000000000ff")
    stream = zlib.decompressobj(31)
    stream.decompress(found)
    assert stream.eof
    assert stream.unused_data == b""


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("piece", [4096, 65536, 777_777, BLOCK, 3 * BLOCK])
def test_neither_the_number_of_threads_nor_the_size_of_the_writes_is_in_the_bytes(workers: int, piece: int) -> None:
    data = mixed(5 * BLOCK + 12345)
    assert packed(*cut(data, piece), workers=workers) == packed(data)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 400_000), max_size=12))
def test_any_cutting_gives_the_same(sizes: list[int]) -> None:
    data = mixed(sum(sizes))
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    assert packed(*pieces) == packed(data)


def test_what_compresses_is_smaller_and_what_does_not_is_stored_with_little_more() -> None:
    assert len(packed(text(BLOCK))) < BLOCK // 50
    assert BLOCK < len(packed(noise(BLOCK))) < BLOCK + 5 * (BLOCK // gzipped.LONGEST_STORED + 1) + 32


def test_blocks_know_the_end_of_the_one_before() -> None:
    """Else each block would begin anew, and a kit of many small files alike would be larger."""
    tail = noise(gzipped.WINDOW // 4).hex().encode()
    assert len(gzipped.deflated(tail, tail)) < len(gzipped.deflated(tail, b"")) // 10


def test_memory_does_not_grow_with_the_data() -> None:
    class Nowhere(io.RawIOBase):
        def write(self, data: object) -> int:
            return len(data)  # type: ignore[arg-type]

    def peak(blocks: int) -> int:
        tracemalloc.start()
        with gzipped.writer(Nowhere()) as stream:  # type: ignore[arg-type]
            for _ in range(blocks):
                stream.write(noise(BLOCK))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(40) < 1.5 * peak(10)


def test_an_error_of_the_disk_comes_out_and_no_thread_is_left() -> None:
    class Full(io.RawIOBase):
        def write(self, data: object) -> int:
            if len(data) > 100:  # type: ignore[arg-type]
                raise OSError(28, "No space left on device")
            return len(data)  # type: ignore[arg-type]

    def fill() -> None:
        with gzipped.writer(Full()) as stream:  # type: ignore[arg-type]
            for _ in range(9):
                stream.write(noise(BLOCK))

    with pytest.raises(OSError, match="No space left"):
        fill()


@pytest.mark.parametrize(
    ("size", "sha256"), [(3 * BLOCK + 7, "fad9f7318c404bdd4418c3b8796eff31fd616b5be354defc8c94cf9172be9eac")]
)
def test_the_bytes_are_those_of_every_other_machine(size: int, sha256: str) -> None:
    """A canary: these bytes were the same on x86-64 from core2duo to AVX-512. They change with zlib-ng alone, on purpose."""
    assert hashlib.sha256(packed(mixed(size))).hexdigest() == sha256

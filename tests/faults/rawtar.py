"""Tar and gzip written byte by byte, so that every field can lie: what tarfile and gzip refuse to write.

Formats: POSIX.1 pax and ustar (pax Interchange Format), GNU tar (its manual, «Basic Tar Format»), RFC 1952 (gzip). Nothing is
checked here: a member says what its author wants it to say.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

BLOCK = 512
END = bytes(2 * BLOCK)
USTAR = b"ustar\x0000"
GNU = b"ustar  \x00"
FIELDS = {  # name: (offset, length)
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "chksum": (148, 8),
    "kind": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "uname": (265, 32),
    "gname": (297, 32),
    "devmajor": (329, 8),
    "devminor": (337, 8),
    "prefix": (345, 155),
    "rest": (500, 12),
}


@dataclass(frozen=True)
class Member:
    """One header and its data; `fields` is laid over the header's fields as it is."""

    name: str
    data: bytes = b""
    kind: bytes = b"0"
    mode: int = 0o644
    link: str = ""
    prefix: str = ""
    magic: bytes = USTAR
    fields: Mapping[str, bytes] = field(default_factory=dict)

    def header(self) -> bytes:
        """The 512 bytes, with a right checksum unless `fields` has another."""
        values = {
            "name": os.fsencode(self.name),
            "mode": b"%07o\0" % self.mode,
            "uid": b"%07o\0" % 0,
            "gid": b"%07o\0" % 0,
            "size": b"%011o\0" % len(self.data),
            "mtime": b"%011o\0" % 1_750_000_000,
            "chksum": b" " * 8,
            "kind": self.kind,
            "link": os.fsencode(self.link),
            "magic": self.magic,
            "prefix": os.fsencode(self.prefix),
            **self.fields,
        }
        block = bytearray(BLOCK)
        for name, value in values.items():
            lay(block, name, value)
        if "chksum" not in self.fields:
            lay(block, "chksum", b"%06o\0 " % sum(block))
        return bytes(block)

    def blocks(self) -> bytes:
        """Header, data and padding."""
        return self.header() + self.data + bytes(-len(self.data) % BLOCK)

    def but(self, **changes: object) -> Member:
        """The same member with other values."""
        return replace(self, **changes)  # type: ignore[arg-type] # names are those of the fields

    def lying(self, **fields: bytes) -> Member:
        """The same member with raw bytes in fields of its header."""
        return replace(self, fields={**self.fields, **fields})


def lay(block: bytearray, name: str, value: bytes) -> None:
    """Writes a value into its field."""
    offset, length = FIELDS[name]
    if len(value) > length:
        raise ValueError(f"{name}: {len(value)} bytes do not fit into {length}")
    block[offset : offset + length] = value.ljust(length, b"\0")


def wrong_checksum(member: Member, difference: int = 1) -> Member:
    """The member with another number as its checksum."""
    header = member.lying(chksum=b" " * 8).header()
    return member.lying(chksum=b"%06o\0 " % (sum(header) + difference))


def record(key: str | bytes, value: str | bytes) -> bytes:
    """One pax record: its own length in decimal, a space, `key=value`, LF."""
    body = b" " + os.fsencode(key) + b"=" + os.fsencode(value) + b"\n"
    length = len(body)
    while length != len(str(length)) + len(body):
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax(*records: bytes, kind: bytes = b"x") -> Member:
    """An extended header for the member that follows."""
    return Member("PaxHeaders/record", b"".join(records), kind)


def pax_path(path: str | bytes) -> Member:
    """An extended header that names the member that follows."""
    return pax(record("path", path))


def with_pax_paths(members: Iterable[Member], longer_than: int = 100) -> list[Member]:
    """The members, each with a pax path before it if its name is too long for the header."""
    told: list[Member] = []
    for member in members:
        if len(os.fsencode(member.name)) > longer_than:
            told += [pax_path(member.name), member.but(name="short")]
        else:
            told.append(member)
    return told


def gnu_long_name(path: str | bytes, kind: bytes = b"L") -> Member:
    """The GNU way to name the member that follows."""
    return Member("././@LongLink", os.fsencode(path) + b"\0", kind, magic=GNU)


def archive(members: Iterable[Member], end: bytes = END) -> bytes:
    """A tar archive."""
    return b"".join(member.blocks() for member in members) + end


def deflated(data: bytes, level: int = 6) -> bytes:
    """A raw deflate stream (RFC 1951)."""
    engine = zlib.compressobj(level, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


def gzipped(data: bytes, *, header: bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\xff", crc: int = 0, size: int = 0) -> bytes:
    """One gzip member; `crc` and `size` are added to the right ones."""
    right_crc, right_size = zlib.crc32(data), len(data)
    return header + deflated(data) + struct.pack("<II", (right_crc + crc) % 2**32, (right_size + size) % 2**32)


def gzipped_often(parts: Iterable[tuple[bytes, int]], *, size: int = 0, with_crc: bool = True) -> bytes:
    """One gzip member of (chunk, how often) parts that is never whole in memory: the deflated chunk is repeated.

    Without its CRC it is made sooner, which nobody should notice who stops at a budget.
    After Z_FULL_FLUSH nothing is remembered and the stream stands at a byte, hence a chunk's bytes may come again.
    """
    stream, crc, total = [], 0, size
    for chunk, times in parts:
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        stream.append((engine.compress(chunk) + engine.flush(zlib.Z_FULL_FLUSH)) * times)
        total += len(chunk) * times
        for _ in range(times if with_crc else 0):
            crc = zlib.crc32(chunk, crc)
    stream.append(deflated(b""))
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"".join(stream) + struct.pack("<II", crc, total % 2**32)


def packed(members: Iterable[Member]) -> bytes:
    """A tarball."""
    return gzipped(archive(members))

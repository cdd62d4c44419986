"""Writes a layer of an image whose bytes depend on its entries and the epoch alone, and says what it is.

Format: OCI image-spec 1.1, layer.md: a tar (ustar, pax where a name is too long) in gzip (scripts/gzipped.py). Layers here only
add, so there are no whiteouts. Entries are sorted by name, no time is later than SOURCE_DATE_EPOCH; memory holds one
layer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, files, gzipped
from scripts.errors import InputError

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LEVEL = 6
FILE, FACTS = "layer.tar.gz", "layer.json"
HOLDS = (FILE, FACTS)
"""What a folder holds that is made of one layer."""
FOLDER_MODE = 0o755
HINT = "look at what the packages of this layer hold there"


@dataclass(frozen=True)
class Entry:
    """What stands at a path of a layer; a folder has nothing but its mode."""

    mode: int = FOLDER_MODE
    data: bytes | None = None
    """A file's content."""
    link: str = ""
    """Where a symbolic link leads."""
    same_as: str = ""
    """The name of another file of the layer: a hard link to it."""
    mtime: int | None = None
    """Seconds; the epoch where there is none, or where that is earlier."""
    owner: int = 0
    """User and group."""


Entries = Mapping[str, Entry]
"""`{name: entry}`; names are relative to the root and end with no `/`."""


@dataclass(frozen=True)
class Layer:
    """A layer that was written."""

    digest: str
    """`sha256:<hex>` of the compressed bytes."""
    size: int
    diff_id: str
    """`sha256:<hex>` of the tar inside."""

    def descriptor(self) -> dict[str, Any]:
        """As a manifest lists it."""
        return {"digest": self.digest, "mediaType": MEDIA_TYPE, "size": self.size}


class Hashing:
    """A stream that counts and hashes what goes through it."""

    def __init__(self, out: Any) -> None:
        """Hands everything on to `out`."""
        self.out, self.sha256, self.size = out, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Takes some bytes."""
        self.sha256.update(data)
        self.size += len(data)
        self.out.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        """Of all so far, `sha256:<hex>`."""
        return f"sha256:{self.sha256.hexdigest()}"


def file(data: bytes, mode: int = 0o644) -> Entry:
    """A file."""
    return Entry(mode, data)


def link(target: str) -> Entry:
    """A symbolic link."""
    return Entry(0o777, link=target)


def with_folders(entries: Entries) -> dict[str, Entry]:
    """The same, and each folder above an entry that is not in it.

    Raises: InputError where something else than a folder stands above an entry.
    """
    whole = dict(entries)
    for name in entries:
        while name := name.rpartition("/")[0]:
            above = whole.setdefault(name, Entry())
            if above.data is not None or above.link or above.same_as:
                raise InputError(f"layer: {name} is a folder and something else too", hint=HINT)
    return whole


def first_of_twins(entries: Entries) -> dict[str, Entry]:
    """Hard links turned so that the first name in order has the content, as whoever unpacks has to meet it first.

    Raises: InputError where one leads to no file.
    """
    twins: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if entry.same_as:
            twins.setdefault(original(entries, name), []).append(name)
    turned = dict(entries)
    for held, names in twins.items():
        first, *others = sorted([held, *names], key=os.fsencode)
        turned[first] = entries[held]
        turned |= dict.fromkeys(others, dataclasses.replace(entries[held], data=None, same_as=first))
    return turned


def original(entries: Entries, name: str) -> str:
    """The file that a hard link is another name of.

    Raises: InputError where there is none.
    """
    met = [name]
    while other := entries.get(met[-1], Entry()).same_as:
        if other in met:
            break
        met.append(other)
    if entries.get(met[-1], Entry()).data is None:
        message = f"layer: {name} is a hard link to {entries[name].same_as}, which is no file"
        raise InputError(message, hint=HINT)
    return met[-1]


def header(name: str, entry: Entry, epoch: int) -> bytes:
    """The blocks before an entry's content."""
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
    info.mtime = min(epoch, entry.mtime if entry.mtime is not None else epoch)
    if entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    elif entry.same_as:
        info.type, info.linkname = tarfile.LNKTYPE, entry.same_as
    elif entry.data is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(entry.data)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def write(out: BinaryIO, entries: Entries, epoch: int) -> Layer:
    """Writes a layer; folders that nobody names are made."""
    whole = first_of_twins(with_folders(entries))
    outer = Hashing(out)
    with gzipped.writer(outer, level=LEVEL) as packed:  # type: ignore[arg-type]  # it only writes
        inner = Hashing(packed)
        for name in sorted(whole, key=os.fsencode):
            entry = whole[name]
            inner.write(header(name, entry, epoch))
            if entry.data:
                inner.write(entry.data)
                inner.write(bytes(-len(entry.data) % tarfile.BLOCKSIZE))
        end = 2 * tarfile.BLOCKSIZE
        inner.write(bytes(end + -(inner.size + end) % tarfile.RECORDSIZE))
    return Layer(outer.digest, outer.size, inner.digest)


def write_folder(out: Path, entries: Entries, epoch: int) -> None:
    """Writes a layer, and beside it what a manifest and a config have to say of it."""
    with files.replacing(out / FILE) as packed:
        made = write(packed, entries, epoch)
    with files.replacing(out / FACTS) as facts:
        facts.write(canonical.render(dataclasses.asdict(made)))


def read_folder(facts: Path) -> Layer:
    """What stands beside a layer that `write_folder` wrote.

    Raises: InputError where it is of another form.
    """
    found = canonical.read(files.read_bytes(facts), facts.name)
    try:
        return Layer(**found)
    except TypeError as err:
        raise InputError(
            f"{facts}: found {sorted(found)}, wanted digest, diff_id, size", hint="doit forget && doit bundle"
        ) from err

"""Reads the files of a backup: the hash of a file as it is stored, that of what it holds, its documents one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS, DatetimeRepresentation, JSONOptions

from lnm_runner import fingerprint
from lnm_runner.backup import compression, layout
from lnm_runner.backup.layout import Hashing, Place, Stored
from lnm_runner.errors import BackupError

SMALLEST: Final = 5  # bytes of an empty document (bsonspec.org)
LARGEST: Final = (16 << 20) + (16 << 10)  # mongo/src/mongo/bson/util/builder.h: BSONObjMaxInternalSize
LARGEST_METADATA: Final = 64 << 20  # bytes; 64 indexes and a validator of 16 MB have less
CHUNK: Final = 1 << 20  # bytes
MODULUS: Final = 1 << 256
EXACT: Final = JSONOptions(
    json_mode=CANONICAL_JSON_OPTIONS.json_mode,
    datetime_representation=DatetimeRepresentation.NUMBERLONG,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


@dataclass
class Ordered:
    """The hash of documents in their order."""

    digest: Any = field(default_factory=hashlib.sha256)
    count: int = 0
    size: int = 0
    """Bytes."""

    def add(self, batch: bytes) -> None:
        """Takes some more."""
        self.digest.update(batch)
        self.count, self.size = self.count + fingerprint.documents_in(batch), self.size + len(batch)

    @property
    def hex(self) -> str:
        """64 hex digits."""
        return str(self.digest.hexdigest())


@dataclass
class Unordered:
    """The hash of documents whatever their order: the sum of theirs, modulo 2^256. Against mistakes, not against attackers."""

    value: int = 0

    def add(self, batch: bytes) -> None:
        """Takes some more."""
        found = sum(int.from_bytes(hashlib.sha256(document).digest(), "big") for document in fingerprint.split(batch))
        self.value = (self.value + found) % MODULUS


@dataclass(frozen=True)
class Content:
    """What a file of documents holds."""

    sha256: str
    """`sha256:<hex>` of it, uncompressed."""
    count: int
    bytes: int
    unordered: int = 0


def content(place: Place, name: str, *, unordered: bool = False) -> tuple[Content, Stored]:
    """Reads a file of documents to its end: what it holds, and what it is.

    Raises: BackupError where it is cut off, or is none; NotFoundError.
    """
    ordered, summed = Ordered(), Unordered()
    with opened(place, name) as raw:
        hashing = Hashing(raw)
        for document in documents(hashing, name, place.compress):
            ordered.add(document)
            if unordered:
                summed.add(document)
        drain(hashing)
    held = Content(f"sha256:{ordered.hex}", ordered.count, ordered.size, summed.value)
    return held, Stored(name, hashing.count, hashing.sha256)


def drain(file: Hashing) -> None:
    """Reads what a decompressor has left of its file."""
    while file.read(CHUNK):
        pass


def stored(place: Place, name: str) -> Stored:
    """What a file is, whatever it holds."""
    with opened(place, name) as raw:
        hashing = Hashing(raw)
        drain(hashing)
    return Stored(name, hashing.count, hashing.sha256)


def opened(place: Place, name: str) -> IO[bytes]:
    """A file of a backup.

    Raises: BackupError for a link; NotFoundError, InputError.
    """
    path = place.folder / name
    if path.is_symlink():
        raise BackupError(f"{name}: is a link", hint="a backup has no links; look who has put it there")
    with layout.told(name):
        return path.open("rb")


def documents(raw: Hashing, name: str, compress: str) -> Iterator[bytes]:
    """The documents in a file.

    Raises: BackupError where it is cut off, or holds none.
    """
    file = compression.reader(raw, compress)  # type: ignore[arg-type]
    place = 0
    try:
        while head := file.read(fingerprint.LENGTH):
            size = int.from_bytes(head, "little")
            if len(head) < fingerprint.LENGTH or not SMALLEST <= size <= LARGEST:
                raise EOFError(place)
            rest = file.read(size - fingerprint.LENGTH)
            if len(rest) < size - fingerprint.LENGTH or rest[-1]:
                raise EOFError(place)
            yield head + rest
            place += size
    except compression.BROKEN as err:
        raise BackupError(
            f"{name}: is cut off or damaged after {place:,} bytes of documents ({type(err).__name__})",
            hint="fetch it from another copy of the backup; or make a backup anew, as long as nothing was applied",
        ) from err


def require_form(said: Any) -> None:
    """Refuses what does not describe a collection.

    Raises: TypeError.
    """
    if not isinstance(said, dict) or not isinstance(said.get("indexes"), list) or not isinstance(said.get("type"), str):
        raise TypeError


def metadata(place: Place, name: str) -> Mapping[str, Any]:
    """Options and indexes of a collection as they were written down.

    Raises: BackupError, NotFoundError.
    """
    with opened(place, name) as raw:
        try:
            data = compression.reader(raw, place.compress).read(LARGEST_METADATA)
            said: Mapping[str, Any] = json_util.loads(data, json_options=EXACT)
            require_form(said)
        except (*compression.BROKEN, ValueError, TypeError, KeyError, RecursionError) as err:
            raise BackupError(
                f"{name}: does not say what a collection is like ({type(err).__name__})",
                hint="fetch it from another copy of the backup; or make a backup anew, as long as nothing was applied",
            ) from err
    return {"options": {}, **said}

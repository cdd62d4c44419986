"""Reads the input again for the second pass: documents of `advisory_raw`, and payloads in GridFS (decisions §4). Read-only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from lnm_runner.advisories.record import PayloadError
from lnm_runner.backfill.inventory import OF_THE_INPUT, RAW
from lnm_runner.backfill.workfile import packed
from lnm_runner.mongo import Database

FILES, CHUNKS = "documents.files", "documents.chunks"
LARGEST_PAYLOAD = 64 * 1024 * 1024
"""Bytes; a larger one would not fit into memory as it is read."""


SMALL = 64 * 1024
"""Bytes; payloads up to here are read together: a chunk of documents has at most 200 of them."""
FIELDS, ORDER = {"files_id": 1, "n": 1, "data": 1}, [("files_id", 1), ("n", 1)]


class ChecksumError(Exception):
    """A payload that is not what its document says; the text says how."""


def documents(database: Database, ids: Iterable[Any]) -> dict[Any, Mapping[str, Any]]:
    """`{_id as BSON: document}` of those that are still there."""
    collection = database[RAW].with_options(codec_options=OF_THE_INPUT)
    return {packed(found["_id"]): found for found in collection.find({"_id": {"$in": list(ids)}})}


def files(database: Database, ids: Iterable[Any]) -> dict[str, Mapping[str, Any]]:
    """`{_id in words: file}` of GridFS."""
    collection = database[FILES].with_options(codec_options=OF_THE_INPUT)
    return {repr(found["_id"]): found for found in collection.find({"_id": {"$in": list(ids)}}, {"length": 1, "chunkSize": 1})}


def chunks(database: Database, known: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """`{_id of a file in words: its chunks, in order}`, of files that are small enough to be read together."""
    wanted = [file["_id"] for file in known.values() if is_length(file.get("length")) and file["length"] <= SMALL]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for chunk in database[CHUNKS].find({"files_id": {"$in": wanted}}, FIELDS).sort(ORDER) if wanted else ():
        found.setdefault(repr(chunk["files_id"]), []).append(chunk)
    return found


@dataclass(frozen=True)
class Payloads:
    """The payloads in GridFS that a chunk of documents points to."""

    database: Database
    files: Mapping[str, Mapping[str, Any]]
    together: Mapping[str, list[Mapping[str, Any]]]

    def read(self, identity: Any, sha256: str) -> bytes:
        """The bytes of one, read as GridFS's specification says: chunks from 0, all full but the last.

        Raises: ChecksumError where it is torn, or not what was hashed; PayloadError where it is too large.
        """
        file = self.files.get(repr(identity))
        if file is None:
            raise ChecksumError(f"content.gridFsId: {FILES} has no {identity}")
        length, size = file.get("length"), file.get("chunkSize")
        if not is_length(length) or not is_length(size) or not size:
            raise ChecksumError(f"content.gridFsId: {identity} has no length or chunkSize")
        if length > LARGEST_PAYLOAD:
            raise PayloadError(f"the payload has {length:,} bytes, at most {LARGEST_PAYLOAD:,} are read")
        alone = self.database[CHUNKS].find({"files_id": identity}, FIELDS).sort(ORDER) if length > SMALL else ()
        given = self.together.get(repr(identity), ()) if length <= SMALL else alone
        found = b"".join(checked(given, identity, length, size))
        if len(found) != length:
            raise ChecksumError(f"content.gridFsId: {identity} is torn: found {len(found)} bytes, its length is {length}")
        if hashlib.sha256(found).hexdigest() != sha256:
            raise ChecksumError(f"content.gridFsId: {identity} holds other bytes than upstream.content_hash says")
        return found


def payloads(database: Database, ids: Sequence[Any]) -> Payloads:
    """Those of these files."""
    known = files(database, ids) if ids else {}
    return Payloads(database, known, chunks(database, known))


def is_length(value: object) -> TypeGuard[int]:
    """True for a whole number that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def checked(given: Iterable[Mapping[str, Any]], identity: Any, length: int, size: int) -> Iterator[bytes]:
    """The bytes of chunks.

    Raises: ChecksumError where one is missing, doubled, or of another size.
    """
    for wanted, chunk in enumerate(given):
        data = chunk.get("data")
        full = min(size, length - wanted * size)
        if chunk.get("n") != wanted or not isinstance(data, bytes) or len(data) != full:
            raise ChecksumError(f"content.gridFsId: {identity} is torn at chunk {wanted}")
        yield data

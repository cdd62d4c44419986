"""Reads the input again for the second pass: documents of `advisory_raw`, and payloads in GridFS (decisions §4). Read-only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lnm_runner.advisories.record import PayloadError
from lnm_runner.backfill.inventory import OF_THE_INPUT, RAW
from lnm_runner.backfill.workfile import packed
from lnm_runner.mongo import Database

FILES, CHUNKS = "documents.files", "documents.chunks"
LARGEST_PAYLOAD = 64 * 1024 * 1024
"""Bytes; a larger one would not fit into memory as it is read."""


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


def payload(database: Database, identity: Any, file: Mapping[str, Any] | None, sha256: str) -> bytes:
    """The bytes of a payload in GridFS, read as its specification says: chunks from 0, all full but the last.

    Raises: ChecksumError where it is torn, or not what was hashed; PayloadError where it is too large.
    """
    if file is None:
        raise ChecksumError(f"content.gridFsId: {FILES} has no {identity}")
    length, size = file.get("length"), file.get("chunkSize")
    if not isinstance(length, int) or not isinstance(size, int) or length < 0 or size <= 0:
        raise ChecksumError(f"content.gridFsId: {identity} has no length or chunkSize")
    if length > LARGEST_PAYLOAD:
        raise PayloadError(f"the payload has {length:,} bytes, at most {LARGEST_PAYLOAD:,} are read")
    found = b"".join(chunks(database, identity, length, size))
    if len(found) != length:
        raise ChecksumError(f"content.gridFsId: {identity} is torn: found {len(found)} bytes, its length is {length}")
    if hashlib.sha256(found).hexdigest() != sha256:
        raise ChecksumError(f"content.gridFsId: {identity} holds other bytes than upstream.content_hash says")
    return found


def chunks(database: Database, identity: Any, length: int, size: int) -> Iterator[bytes]:
    """Its chunks.

    Raises: ChecksumError where one is missing, doubled, or of another size.
    """
    found = database[CHUNKS].find({"files_id": identity}, {"n": 1, "data": 1}).sort("n", 1)
    for wanted, chunk in enumerate(found):
        data = chunk.get("data")
        full = min(size, length - wanted * size)
        if chunk.get("n") != wanted or not isinstance(data, bytes) or len(data) != full:
            raise ChecksumError(f"content.gridFsId: {identity} is torn at chunk {wanted}")
        yield data

"""Ids and hashes of the Link-Not-Merge documents (decisions §3, facts 1.4, 1.5, 3.4). Pure.

A document has the same id and the same hash on every machine: they depend on its input alone. Canonical JSON is RFC 8785; dates
in it are `YYYY-MM-DDTHH:MM:SS[.mmm]Z`. A date without a zone is UTC, as MongoDB's are.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from typing import Any

import rfc8785
from bson import Int64, ObjectId

EVENTS = uuid.UUID("5f0c7f0b-6f0e-5b4c-9a53-1f2f5a1d2102")
"""The namespace of event ids (RFC 9562, UUIDv5): ours, invented once."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
TICKS_TO_EPOCH = 621_355_968_000_000_000  # of 100 ns since the year 1, as the product's own platform (.NET) counts
TICKS_PER_MS = 10_000
ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
EXACT = 2**53  # integers up to here are the same in JSON's numbers
SHORT_FROM, SHORT_TO = 1e-4, 1e15  # between them Python writes a float as ECMAScript does, but for «.0»


def sha256(data: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def object_id(*parts: str) -> ObjectId:
    """The first 12 bytes of the SHA-256 of the parts, joined by `|`."""
    return ObjectId(hashlib.sha256("|".join(parts).encode()).digest()[:12])


def observation_id(tenant: str, source: str, advisory: str, artifact_sha256: str) -> ObjectId:
    """`_id` of an observation."""
    return object_id(tenant, source, advisory, artifact_sha256)


def linkset_id(tenant: str, source: str, advisory: str) -> ObjectId:
    """`_id` of a linkset."""
    return object_id(tenant, source, advisory)


class _NotPlainError(Exception):
    """A value that the fast encoder would not write as RFC 8785 does."""


def canonical(value: Any) -> bytes:
    """The canonical JSON of a value: by Python's own encoder where that writes the same, which is nearly everywhere.

    That it is the same: tests/build/test_identity.py.
    """
    try:
        return ENCODER.encode(plain(value)).encode()
    except _NotPlainError:
        return rfc8785.dumps(value)


def canonical_texts(value: dict[str, str]) -> bytes:
    """The same of texts under names in ASCII, which Python's own encoder always writes so."""
    return ENCODER.encode(value).encode()


def plain(value: Any) -> Any:
    """The value, its whole floats as integers.

    Raises: _NotPlainError.
    """
    if isinstance(value, str) or value is None or value is True or value is False:
        return value
    if isinstance(value, list):
        return [each if each.__class__ is str else plain(each) for each in value]  # most are texts
    if isinstance(value, dict):
        if not "".join(value).isascii():  # others are sorted by UTF-16
            raise _NotPlainError
        return {name: each if each.__class__ is str else plain(each) for name, each in value.items()}
    return plain_number(value)


def plain_number(value: Any) -> float:
    """A number, as an integer where it is one.

    Raises: _NotPlainError for one that Python would write another way, or not at all, and for what is none.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < SHORT_TO:
        return int(value)
    if isinstance(value, float) and SHORT_FROM <= abs(value) < SHORT_TO:
        return value
    if isinstance(value, int) and abs(value) < EXACT:
        return value
    raise _NotPlainError


def canonical_sha256(value: Any) -> str:
    """`sha256:` and the SHA-256 of the canonical JSON of a value."""
    return f"sha256:{sha256(canonical(value))}"


def observation_hash(tenant: str, source: str, advisory: str, artifact_sha256: str, fetched_at: dt.datetime) -> str:
    """`observationHash` (facts 1.4)."""
    names = {"advisoryId": advisory, "documentSha": artifact_sha256, "fetchedAt": text_of(fetched_at)}
    return f"sha256:{sha256(canonical_texts({**names, 'source': source, 'tenantId': tenant}))}"


def linkset_hash(key: tuple[str, str, str], shared: bytes) -> str:
    """`linksetHash` of a linkset: over its tenant, source and advisory, and the canonical JSON of what it says.

    It is the hash of one canonical object: all names of the shared one stand between `advisoryId` and `source`.
    """
    tenant, source, advisory = (ENCODER.encode(text).encode() for text in key)
    whole = b'{"advisoryId":%b,%b,"source":%b,"tenantId":%b}' % (advisory, shared[1:-1], source, tenant)
    return f"sha256:{sha256(whole)}"


def in_utc(at: dt.datetime) -> dt.datetime:
    """A date with its zone, which is UTC: Python's own, as the driver's is written in Python and asked for at each use."""
    if at.tzinfo is dt.UTC:
        return at
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def text_of(at: dt.datetime) -> str:
    """A date as it stands in canonical JSON; milliseconds only where there are some, as MongoDB keeps no finer ones."""
    is_whole = at.microsecond < 1000  # noqa: PLR2004 - microseconds in a millisecond
    return in_utc(at).replace(tzinfo=None).isoformat(timespec="seconds" if is_whole else "milliseconds") + "Z"


def event_id(collection: str, document_id: ObjectId, content_hash: str) -> str:
    """The id of the event that announces a document, which makes publishing idempotent."""
    name = f"{collection}|{document_id}|{content_hash}"
    digest = bytearray(hashlib.sha1(EVENTS.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6], digest[8] = (
        digest[6] & 0x0F | 0x50,
        digest[8] & 0x3F | 0x80,
    )  # version and variant; uuid.uuid5 takes thrice as long
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def replay_cursor(at: dt.datetime) -> Int64:
    """A date as a number that grows with it: .NET ticks, UTC."""
    return Int64(TICKS_TO_EPOCH + (in_utc(at) - EPOCH) // MILLISECOND * TICKS_PER_MS)

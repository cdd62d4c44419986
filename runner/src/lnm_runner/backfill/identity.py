"""Ids and hashes of the Link-Not-Merge documents (decisions §3, facts 1.4, 1.5, 3.4). Pure.

A document has the same id and the same hash on every machine: they depend on its input alone. Canonical JSON is RFC 8785; dates in
it are `YYYY-MM-DDTHH:MM:SS[.mmm]Z`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import Any

import rfc8785
from bson import Int64, ObjectId

EVENTS = uuid.UUID("5f0c7f0b-6f0e-5b4c-9a53-1f2f5a1d2102")
"""The namespace of event ids (RFC 9562, UUIDv5): ours, invented once."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TICKS_TO_EPOCH = 621_355_968_000_000_000  # of 100 ns since the year 1, as the product's own platform (.NET) counts
TICKS_PER_MS = 10_000


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


def canonical(value: Any) -> bytes:
    """The canonical JSON of a value (RFC 8785)."""
    return rfc8785.dumps(value)


def canonical_sha256(value: Any) -> str:
    """`sha256:` and the SHA-256 of the canonical JSON of a value."""
    return f"sha256:{sha256(canonical(value))}"


def observation_hash(tenant: str, source: str, advisory: str, artifact_sha256: str, fetched_at: dt.datetime) -> str:
    """`observationHash` (facts 1.4)."""
    names = {"advisoryId": advisory, "documentSha": artifact_sha256, "fetchedAt": text_of(fetched_at)}
    return canonical_sha256({**names, "source": source, "tenantId": tenant})


def text_of(at: dt.datetime) -> str:
    """A date as it stands in canonical JSON; milliseconds only where there are some, as MongoDB keeps no finer ones."""
    is_whole = at.microsecond < 1000  # noqa: PLR2004 - microseconds in a millisecond
    naive = at.astimezone(dt.UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="seconds" if is_whole else "milliseconds") + "Z"


def event_id(collection: str, document_id: ObjectId, content_hash: str) -> str:
    """The id of the event that announces a document, which makes publishing idempotent."""
    return str(uuid.uuid5(EVENTS, f"{collection}|{document_id}|{content_hash}"))


def replay_cursor(at: dt.datetime) -> Int64:
    """A date as a number that grows with it: .NET ticks, UTC."""
    return Int64(TICKS_TO_EPOCH + (at - EPOCH) // dt.timedelta(milliseconds=1) * TICKS_PER_MS)

"""What the product would have stored before the migration: `advisory_raw` with its GridFS bucket, `advisory` (facts 1.2, 1.3).

Ids, dates and every choice derive from the advisory and the tenant, so that the same corpus gives the same bytes. Pure.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from lnm_runner.advisories import formats
from lnm_runner.advisories.record import PayloadError, Record
from lnm_runner.demo import chance
from lnm_runner.demo.components import CVE, GHSA, Component
from lnm_runner.demo.payloads import Advisory
from lnm_runner.demo.vendors import COLLECTOR_VERSION, feed

RAW, LEGACY, FILES, CHUNKS = "advisory_raw", "advisory", "documents.files", "documents.chunks"
KINDS = ("duplicates", "withoutRaw")
"""Of merged documents."""
TENANTS = uuid.UUID("7a1d3c52-0c0f-5f7e-8f44-6f1f0a6b2103")
"""The namespace of the tenants' ids (RFC 9562, UUIDv5): ours, invented once."""

LEFT_OUT = 4
"""One component in so many is not there for a tenant other than the first."""
IN_GRIDFS = 12
"""One payload in so many is not inline."""
LARGEST_INLINE = 4 << 20
CHUNK = 255 * 1024
"""The default of GridFS («GridFS» in the MongoDB manual)."""
WITHOUT_RAW, DUPLICATED = 60, 40
"""One component in so many gets a merged document beside it that no raw one is behind, or one that repeats its names."""
FETCHED_WITHIN_S, RECEIVED_WITHIN_S = 3600, 30


@dataclass(frozen=True)
class Stored:
    """A document, and where it belongs."""

    collection: str
    document: dict[str, Any]
    kind: str = ""
    """What is special about it: one of KINDS."""


@dataclass(frozen=True)
class Tenant:
    """Somebody whose documents stand apart."""

    number: int
    """From 1."""
    urn: str
    """`urn:tenant:{uuid}`"""
    suffix: str
    """What an `_id` ends with where there are several, as it holds no tenant by itself."""

    def has(self, component: Component) -> bool:
        """The first has all of them, each other one most."""
        return self.number == 1 or not chance.one_in(LEFT_OUT, "tenant", self.number, component.key)


def tenants(number: int) -> tuple[Tenant, ...]:
    """So many tenants."""
    urns = [f"urn:tenant:{uuid.uuid5(TENANTS, str(each))}" for each in range(1, number + 1)]
    return tuple(Tenant(each, urn, f":{urn}" if number > 1 else "") for each, urn in enumerate(urns, 1))


@dataclass(frozen=True)
class Revision:
    """A payload with all that is the same for every tenant."""

    advisory: Advisory
    sha256: str
    value: RawBSONDocument
    linkset: Mapping[str, Any]


def revision(advisory: Advisory, linkset: Mapping[str, Any]) -> Revision:
    """A revision; `linkset` holds its join hints."""
    sha256 = hashlib.sha256(advisory.payload).hexdigest()
    return Revision(advisory, sha256, RawBSONDocument(bson.encode(advisory.value)), linkset)


def linkset(advisory: Advisory) -> dict[str, Any]:
    """The join hints of a payload; one that no reader understands has only its names."""
    try:
        record = formats.read(advisory.format, advisory.value)
    except PayloadError:
        record = Record(advisory.id)
    return {
        "purls": [entry.purl for entry in record.affected],
        "cpes": [name for entry in record.affected for name in entry.cpes],
        "aliases": list(advisory.names[1:]),
        "references": list(record.references),
        "reconciled_from": [f"/{name}" for name in advisory.form.hints if name in advisory.value],
    }


def raw_id(revision: Revision, tenant: Tenant) -> str:
    """`_id` of a raw document."""
    vendor, advisory = feed(revision.advisory).vendor, revision.advisory.id
    return f"advisory_raw:{vendor}:{advisory.lower()}:{revision.sha256}{tenant.suffix}"


def raw(revision: Revision, tenant: Tenant, supersedes: str | None) -> Iterator[Stored]:
    """The documents of a revision: what is in GridFS comes first, so that nothing ever points to nothing."""
    advisory, identity = revision.advisory, raw_id(revision, tenant)
    source = feed(advisory)
    fetched = advisory.modified + seconds(FETCHED_WITHIN_S, "fetched", identity)
    content: dict[str, Any] = {"format": advisory.format, "spec_version": advisory.spec_version}
    if len(advisory.payload) > LARGEST_INLINE or chance.one_in(IN_GRIDFS, "gridfs", identity):
        content["gridFsId"] = object_id("gridfs", identity)
        yield from gridfs(content["gridFsId"], revision, tenant, fetched)
    else:
        content["raw"] = revision.value
    yield Stored(
        RAW,
        {
            "_id": identity,
            "tenant": tenant.urn,
            "source": {
                "vendor": source.vendor,
                "stream": source.stream,
                "api": source.api,
                "collector_version": COLLECTOR_VERSION,
            },
            "upstream": {
                "upstream_id": advisory.id,
                "document_version": advisory.version,
                "fetched_at": fetched,
                "received_at": fetched + seconds(RECEIVED_WITHIN_S, "received", identity),
                "content_hash": f"sha256:{revision.sha256}",
                "signature": {"present": False},
            },
            "content": content,
            "identifiers": identifiers(advisory),
            "linkset": revision.linkset,
            "supersedes": supersedes,
        },
    )


def identifiers(advisory: Advisory) -> dict[str, Any]:
    """Its names as they are given."""
    known = {"cve": CVE, "ghsa": GHSA}
    found = {kind: next(filter(form.fullmatch, advisory.names), None) for kind, form in known.items()}
    return {**{kind: name for kind, name in found.items() if name}, "aliases": list(advisory.names[1:])}


def gridfs(identity: ObjectId, revision: Revision, tenant: Tenant, at: dt.datetime) -> Iterator[Stored]:
    """A file of GridFS («GridFS» in the MongoDB manual) with the payload's bytes."""
    payload = revision.advisory.payload
    for number, start in enumerate(range(0, len(payload), CHUNK)):
        data = payload[start : start + CHUNK]
        yield Stored(CHUNKS, {"_id": object_id("chunk", identity, number), "files_id": identity, "n": number, "data": data})
    yield Stored(
        FILES,
        {
            "_id": identity,
            "filename": f"{revision.sha256}.json",
            "chunkSize": CHUNK,
            "length": len(payload),
            "uploadDate": at,
            "metadata": {"tenant": tenant.urn, "contentHash": f"sha256:{revision.sha256}"},
        },
    )


def legacy(component: Component, tenant: Tenant) -> Iterator[Stored]:
    """The merged document of a component; for some components one more that repeats it, or one that nothing is behind."""
    key = component.key
    sources = [{"source": member.vendor, "recordedAt": member.recorded_at} for member in component.members]
    others = [name for name in component.names if name != key]
    yield Stored(LEGACY, merged(tenant, key, others, sources))
    if others and chance.one_in(DUPLICATED, "duplicate", key):
        yield Stored(LEGACY, merged(tenant, others[-1], [key, *others[:-1]], sources), "duplicates")
    if chance.one_in(WITHOUT_RAW, "without raw", key):
        number = chance.number("OSVDB", key)
        gone = [{"source": "osvdb", "recordedAt": component.members[0].recorded_at}]
        yield Stored(LEGACY, merged(tenant, f"OSVDB-{number}", [f"BID-{number}"], gone), "withoutRaw")


def merged(tenant: Tenant, key: str, aliases: list[str], provenance: list[dict[str, Any]]) -> dict[str, Any]:
    """A document of the merged model."""
    return {
        "_id": f"{key}{tenant.suffix}",
        "tenantId": tenant.urn,
        "advisoryKey": key,
        "aliases": aliases,
        "provenance": provenance,
    }


def seconds(within: int, *parts: object) -> dt.timedelta:
    """Some seconds."""
    return dt.timedelta(seconds=chance.number(*parts) % within)


def object_id(*parts: object) -> ObjectId:
    """The first 12 bytes of the SHA-256 of the parts."""
    return ObjectId(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:12])

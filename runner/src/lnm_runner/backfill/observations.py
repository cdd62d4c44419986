"""Makes an observation of one document of `advisory_raw` and its payload (decisions §4, facts 1.4). Pure.

The order of the fields is fixed, since stored documents are hashed by their BSON bytes. What a source does not say is left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from lnm_runner.advisories import cpes
from lnm_runner.advisories.packages import purl
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record
from lnm_runner.backfill import identity

COLLECTION = "advisory_observations"
TASK = "21-102"


@dataclass(frozen=True)
class Raw:
    """What is read of a document of `advisory_raw`."""

    tenant: str
    source: str
    """`source.vendor`, in small letters."""
    advisory: str
    """`upstream.upstream_id`, as it is."""
    content_hash: str
    fetched_at: dt.datetime
    artifact_sha256: str
    format: str
    linkset: Mapping[str, Any]
    identifiers: Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where an observation stands in the chain of its revisions."""

    revision: int
    """From 1."""
    supersedes: ObjectId | None


def document(raw: Raw, record: Record, place: Place, run: str) -> dict[str, Any]:
    """The observation."""
    key = (raw.tenant, raw.source, raw.advisory, raw.artifact_sha256)
    texts = {"title": record.title, "summary": record.summary}
    return {
        "_id": identity.observation_id(*key),
        "tenantId": raw.tenant,
        "source": raw.source,
        "advisoryId": raw.advisory,
        "observationId": f"{raw.tenant}:{raw.source}:{raw.advisory}:{place.revision}",
        **{name: text for name, text in texts.items() if text},
        "severities": [severity(score.system, score.score, score.vector) for score in dict.fromkeys(record.severities)],
        "affected": [affected(entry) for entry in record.affected],
        "references": list(dict.fromkeys(record.references)),
        "relationships": [{"type": one.type, "source": one.source, "target": one.target} for one in record.relationships],
        **({"withdrawn": record.withdrawn} if record.withdrawn else {}),
        "linkset": linkset(raw, record),
        "rawLinkset": dict(raw.linkset),
        "provenance": {"sourceArtifactSha": raw.artifact_sha256, "fetchedAt": raw.fetched_at},
        "contentHash": raw.content_hash,
        "observationHash": identity.observation_hash(*key, raw.fetched_at),
        "supersedesId": place.supersedes,
        "ingestedAt": raw.fetched_at,
        "backfill": {"runId": run, "task": TASK},
    }


def severity(system: str, score: float, vector: str) -> dict[str, Any]:
    """A severity."""
    return {"system": system, "score": float(score), **({"vector": vector} if vector else {})}


def affected(entry: Affected) -> dict[str, Any]:
    """A package, with what is said of it."""
    said: dict[str, Any] = {
        "package": entry.package,
        "ecosystem": entry.ecosystem,
        "versions": list(entry.versions),
        "ranges": [versions(one) for one in entry.ranges],
        "cpes": list(entry.cpes),
    }
    return {"purl": entry.purl, **{name: value for name, value in said.items() if value}}


def versions(given: Range) -> dict[str, Any]:
    """A range."""
    said = {"type": given.type, "events": [dict(event) for event in given.events]}
    return {**said, "repo": given.repo} if given.repo else said


def linkset(raw: Raw, record: Record) -> dict[str, list[str]]:
    """The canonical projection: what the document and the payload name, each once, sorted."""
    given = raw.linkset
    return {
        "aliases": names(raw, record),
        "purls": sorted({*(entry.purl for entry in record.affected), *canonical_purls(given.get("purls") or ())}),
        "cpes": sorted({*(name for entry in record.affected for name in entry.cpes), *canonical_cpes(given.get("cpes") or ())}),
        "references": sorted({*record.references, *links(given.get("references") or ())}),
    }


def names(raw: Raw, record: Record) -> list[str]:
    """All that the advisory is called, its own id included."""
    given = [raw.identifiers.get(name) for name in ("cve", "ghsa", "aliases")] + [raw.linkset.get("aliases")]
    every = [raw.advisory, record.id, *record.aliases, *(name for one in given for name in as_texts(one))]
    return sorted({name.strip() for name in every if name.strip()})


def as_texts(given: Any) -> Iterable[str]:
    """One text, a list of them, or nothing."""
    return (given,) if isinstance(given, str) else given or ()


def canonical_purls(given: Iterable[str]) -> Iterable[str]:
    """Purls of a document less version, qualifiers and subpath; what is none is left to `rawLinkset`."""
    for text in given:
        try:
            yield purl(text, "linkset.purls")
        except PayloadError:
            continue


def canonical_cpes(given: Iterable[str]) -> Iterable[str]:
    """CPE names of a document in the one form; what is none is left to `rawLinkset`."""
    return filter(None, map(cpes.canonical, given))


def links(given: Iterable[Any]) -> Iterable[str]:
    """References of a document: texts, or objects with a `url`."""
    for one in given:
        found = one.get("url") if isinstance(one, dict) else one
        if isinstance(found, str) and found:
            yield found

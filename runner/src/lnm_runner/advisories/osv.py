"""OSV 1.x (ossf.github.io/osv-schema): one JSON object, one advisory.

An `affected` entry without a package, one that has only commits, is left out: there is nothing that could be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lnm_runner.advisories import packages, scores
from lnm_runner.advisories.json_payload import inner, needed, objects, text, texts
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record, Relationship, Severity

EVENTS = ("introduced", "fixed", "last_affected", "limit")


def record(advisory: Mapping[str, Any]) -> Record:
    """The advisory of a payload.

    Raises: PayloadError.
    """
    version = text(advisory, "schema_version")
    if version and not version.startswith("1."):
        raise PayloadError(f"schema_version: {version[:20]!r}, wanted 1.x")
    name = needed(advisory, "id")
    related = tuple(Relationship("related", name, other) for other in texts(advisory, "related"))
    upstream = tuple(Relationship("upstream", name, other) for other in texts(advisory, "upstream"))
    entries = list(objects(advisory, "affected"))
    return Record(
        id=name,
        aliases=texts(advisory, "aliases"),
        summary=text(advisory, "summary") or text(advisory, "details"),
        severities=(*severities(advisory, ""), *(score for at, part in entries for score in severities(part, at))),
        affected=tuple(found for at, part in entries for found in affected(part, at)),
        references=tuple(needed(part, "url", at) for at, part in objects(advisory, "references")),
        relationships=(*related, *upstream),
        withdrawn=text(advisory, "withdrawn"),
    )


def severities(value: Mapping[str, Any], place: str) -> Iterator[Severity]:
    """The scores of an advisory or of one of its packages; what is no CVSS is passed over."""
    for at, part in objects(value, "severity", place):
        if needed(part, "type", at).startswith("CVSS_"):
            yield scores.of_vector(needed(part, "score", at), f"{at}score")


def affected(value: Mapping[str, Any], place: str) -> Iterator[Affected]:
    """The package of an entry."""
    package, at = inner(value, "package", place), f"{place}package."
    if not package:
        return
    given, ecosystem = text(package, "purl", at), text(package, "ecosystem", at)
    name = text(package, "name", at) if given else needed(package, "name", at)
    yield Affected(
        purl=packages.purl(given, f"{at}purl") if given else packages.purl_of(ecosystem, name, f"{at}name"),
        package=name,
        ecosystem=ecosystem,
        versions=texts(value, "versions", place),
        ranges=tuple(versions(part, where) for where, part in objects(value, "ranges", place)),
    )


def versions(value: Mapping[str, Any], place: str) -> Range:
    """A range, as it is given."""
    events = []
    for at, part in objects(value, "events", place):
        event = {name: needed(part, name, at) for name in EVENTS if part.get(name) is not None}
        if not event:
            raise PayloadError(f"{at[:-1]}: none of {', '.join(EVENTS)}")
        events.append(event)
    return Range(needed(value, "type", place), tuple(events), text(value, "repo", place))

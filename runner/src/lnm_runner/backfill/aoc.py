"""The aggregation-only contract, checked on each document of `advisory_raw` (facts 1.6): what breaks it, with a code. Pure.

(1) a derived field at the top: ERR_AOC_001, with `effective_` ERR_AOC_006; (2) more than one source in a document: ERR_AOC_002;
(3) a revision that replaces what is not there, or itself: ERR_AOC_003 (`revisions`); (4) provenance that is missing: ERR_AOC_004;
(5) a payload that is another one than was signed for: ERR_AOC_005 (`payloads`); (6) an unknown field at the top, or a field of
the wrong kind: ERR_AOC_007.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DERIVED = {
    "severity", "cvss", "cvss_vector", "consensus_provider", "risk_score", "reachability", "asset_criticality", "merged_from",
}  # fmt: skip
EFFECTIVE = "effective_"
TOP = {"_id", "tenant", "source", "upstream", "content", "identifiers", "linkset", "supersedes", "attributes"}
HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Violation:
    """A rule that a document breaks."""

    code: str
    what: str


def violations(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Everything that a document breaks by itself."""
    yield from top(document)
    yield from provenance(document)
    yield from kinds(document)


def top(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Rules 1 and 2, and of 6 the unknown fields."""
    for name in sorted(map(str, document.keys() - TOP)):
        if name.startswith(EFFECTIVE):
            yield Violation("ERR_AOC_006", f"{name}: a derived field")
        elif name in DERIVED:
            yield Violation("ERR_AOC_001", f"{name}: a derived field")
        else:
            yield Violation("ERR_AOC_007", f"{name}: an unknown field")
    several = {name: document.get(name) for name in ("source", "upstream")}
    several["source.vendor"] = part(document, "source").get("vendor")
    for name, value in several.items():
        if isinstance(value, list):
            yield Violation("ERR_AOC_002", f"{name}: a list, so that several sources are merged in one document")


def provenance(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Rule 4."""
    source, upstream = part(document, "source"), part(document, "upstream")
    texts = {
        "tenant": document.get("tenant"),
        "source.vendor": source.get("vendor"),
        "upstream.upstream_id": upstream.get("upstream_id"),
    }
    for name, value in texts.items():
        if not is_text(value):
            yield Violation("ERR_AOC_004", f"{name}: not there")
    digest = upstream.get("content_hash")
    if not isinstance(digest, str) or not HASH.fullmatch(digest):
        yield Violation("ERR_AOC_004", "upstream.content_hash: wanted sha256: and 64 hex digits")
    if not isinstance(upstream.get("fetched_at"), dt.datetime):
        yield Violation("ERR_AOC_004", "upstream.fetched_at: wanted a date")


def kinds(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Of rule 6 the kinds of what is read of a document."""
    for name in ("content", "linkset"):
        if not isinstance(document.get(name), dict):
            yield Violation("ERR_AOC_007", f"{name}: wanted an object")
    if not isinstance(document.get("identifiers") or {}, dict):
        yield Violation("ERR_AOC_007", "identifiers: wanted an object")
    if not is_text(part(document, "content").get("format")):
        yield Violation("ERR_AOC_007", "content.format: wanted a text")
    for (name, field), is_right, wanted in KINDS:
        value = part(document, name).get(field)
        if value is not None and not is_right(value):
            yield Violation("ERR_AOC_007", f"{name}.{field}: wanted {wanted}")
    if document.get("supersedes") is not None and not is_text(document["supersedes"]):
        yield Violation("ERR_AOC_007", "supersedes: wanted the _id of a document")


def part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object of a document; empty where it is none."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def is_text(value: object) -> bool:
    """True for a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_texts(value: object) -> bool:
    """True for a list of texts."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def is_names(value: object) -> bool:
    """True for a text or a list of texts."""
    return isinstance(value, str) or is_texts(value)


def is_links(value: object) -> bool:
    """True for a list of texts and of objects with a url."""
    return isinstance(value, list) and all(isinstance(each.get("url") if isinstance(each, dict) else each, str) for each in value)


KINDS: tuple[tuple[tuple[str, str], Callable[[object], bool], str], ...] = (
    (("linkset", "purls"), is_texts, "a list of texts"),
    (("linkset", "cpes"), is_texts, "a list of texts"),
    (("linkset", "aliases"), is_texts, "a list of texts"),
    (("linkset", "references"), is_links, "a list of texts or of objects with a url"),
    (("identifiers", "cve"), is_names, "a text or a list of texts"),
    (("identifiers", "ghsa"), is_names, "a text or a list of texts"),
    (("identifiers", "aliases"), is_texts, "a list of texts"),
)

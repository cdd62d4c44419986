"""The aggregation-only contract, checked on each document of `advisory_raw` (facts 1.6): what breaks it, with the code of the rule. Pure.

(1) a derived field at the top: ERR_AOC_001, with `effective_` ERR_AOC_006; (2) more than one source in a document: ERR_AOC_002; (3) a
revision that replaces what is not there, or itself: ERR_AOC_003 (`revisions`); (4) provenance that is missing: ERR_AOC_004; (5) a
payload that is another one than was signed for: ERR_AOC_005 (`payloads`); (6) an unknown field at the top, or a field of the wrong
kind: ERR_AOC_007.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
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
    for name in sorted(map(str, document)):
        if name.startswith(EFFECTIVE):
            yield Violation("ERR_AOC_006", f"{name}: a derived field")
        elif name in DERIVED:
            yield Violation("ERR_AOC_001", f"{name}: a derived field")
        elif name not in TOP:
            yield Violation("ERR_AOC_007", f"{name}: an unknown field")
    for name in ("source", "upstream"):
        if isinstance(document.get(name), list):
            yield Violation("ERR_AOC_002", f"{name}: a list, so that several sources are merged in one document")
    yield from provenance(document)
    yield from kinds(document)


def provenance(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Rule 4."""
    if not is_text(document.get("tenant")):
        yield Violation("ERR_AOC_004", "tenant: not there")
    source, upstream = (part if isinstance(part := document.get(name), dict) else {} for name in ("source", "upstream"))
    if not is_text(source.get("vendor")):
        yield Violation("ERR_AOC_004", "source.vendor: not there")
    if not is_text(upstream.get("upstream_id")):
        yield Violation("ERR_AOC_004", "upstream.upstream_id: not there")
    if not isinstance(upstream.get("content_hash"), str) or not HASH.fullmatch(upstream["content_hash"]):
        yield Violation("ERR_AOC_004", "upstream.content_hash: wanted sha256: and 64 hex digits")
    if not isinstance(upstream.get("fetched_at"), dt.datetime):
        yield Violation("ERR_AOC_004", "upstream.fetched_at: wanted a date")


def kinds(document: Mapping[str, Any]) -> Iterator[Violation]:
    """Rule 6 for what is read of a document."""
    if not isinstance(document.get("content"), dict):
        yield Violation("ERR_AOC_007", "content: wanted an object")
    if not isinstance(document.get("linkset"), dict):
        yield Violation("ERR_AOC_007", "linkset: wanted an object")
    for name, fields in (("linkset", ("purls", "cpes", "aliases", "references")), ("identifiers", ("aliases",))):
        part = document.get(name)
        for each in fields if isinstance(part, dict) else ():
            if part.get(each) is not None and not is_texts(part[each]):
                yield Violation("ERR_AOC_007", f"{name}.{each}: wanted a list of texts")
    if document.get("supersedes") is not None and not is_text(document["supersedes"]):
        yield Violation("ERR_AOC_007", "supersedes: wanted the _id of a document")


def is_text(value: object) -> bool:
    """True for a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_texts(value: object) -> bool:
    """True for a list of texts."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)

"""What every reader makes of a payload: the facts of one advisory as its source gives them, before any document is made of them.

Rules: (1) nothing is inferred and nothing is merged: version ranges stay as they are given; (2) what a source leaves out is
empty; (3) the order is the source's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class PayloadError(Exception):
    """A payload that its reader does not understand; the text says where and what, and never more than a few words of it."""


@dataclass(frozen=True)
class Severity:
    """A score as the source gives it, or as its vector says."""

    system: str
    """cvssv2, cvssv3 or cvssv4."""
    score: float
    vector: str = ""


@dataclass(frozen=True)
class Range:
    """A range of versions, or of commits."""

    type: str
    """SEMVER, ECOSYSTEM or GIT as in OSV; CPE for those of an NVD configuration; VERS for those of CSAF."""
    events: tuple[Mapping[str, str], ...]
    """In the source's order and words: OSV's `{introduced | fixed | last_affected | limit: version}`, CSAF's `{range: text}`,
    NVD's `{versionEndExcluding: version}` and the like, of which none means every version."""
    repo: str = ""
    """Whose commits a range of GIT is about."""


@dataclass(frozen=True)
class Affected:
    """A package that the advisory is about."""

    purl: str
    """Without version, qualifiers and subpath."""
    package: str = ""
    ecosystem: str = ""
    versions: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    cpes: tuple[str, ...] = ()
    """In the 2.3 binding."""


@dataclass(frozen=True)
class Relationship:
    """Another advisory that this one names."""

    type: str
    source: str
    target: str


@dataclass(frozen=True)
class Record:
    """One advisory."""

    id: str
    """As the payload itself says."""
    aliases: tuple[str, ...] = ()
    title: str = ""
    summary: str = ""
    severities: tuple[Severity, ...] = ()
    affected: tuple[Affected, ...] = ()
    """One package may stand in several."""
    references: tuple[str, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    withdrawn: str = ""
    """When the source took it back, as it says so; empty where it stands."""

"""Linkset correlation v1: the confidence that observations speak of one vulnerability, and where they contradict each other.

Weights, signals and reasons: facts 3.3. Rules: (1) observations come in the order (source, advisoryId, fetchedAt, _id); (2) what
v1 says «across observations» holds for all of them: an intersection, not a chain; (3) one observation alone has no confidence;
(4) signals of pairs look at all pairs of up to `PAIRED` observations, and at neighbours in the order beyond; (5) conflicts are
added and never resolved, in the order (field, reason). Pure.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lnm_runner.advisories.cpes import vendor_and_product
from lnm_runner.backfill.version_ranges import Versions

PAIRED = 32  # 496 pairs; the largest component of the real advisories has far fewer
ALIKE, CLOSE = 0.1, 1.0  # of CVSS base scores
FRESH, STALE = dt.timedelta(hours=48), dt.timedelta(days=14)

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """What correlation looks at of an observation."""

    source: str
    advisory: str
    fetched_at: dt.datetime
    names: frozenset[str]
    """Its own id and its aliases, in capitals."""
    affected: Mapping[str, Versions]
    """`{purl: what is said of its versions}`"""
    cpes: frozenset[str]
    severities: Mapping[str, tuple[float, frozenset[str]]]
    """`{system: (highest score, vectors)}`"""
    references: frozenset[str]
    gaps: tuple[str, ...] = ()
    """Fields that a reader needs and its source left out."""

    @property
    def score(self) -> float | None:
        """The highest of all."""
        return max((score for score, _ in self.severities.values()), default=None)


@dataclass(frozen=True)
class Conflict:
    """Where observations contradict each other."""

    field: str
    reason: str
    values: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def pairs(members: Sequence[T]) -> Iterator[tuple[T, T]]:
    """Rule 4."""
    return itertools.combinations(members, 2) if len(members) <= PAIRED else itertools.pairwise(members)


def common(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """What is in all of them."""
    found = list(sets)
    return frozenset.intersection(*found) if found else frozenset()


# ---- signals, each 0 to 1


def alias(members: Sequence[Member]) -> float:
    """1: a name that all have; 0.5: names of one issuer (RHSA-, GHSA-, …) in all."""
    if common(member.names for member in members):
        return 1.0
    issuers = (frozenset(name.partition("-")[0] for name in member.names) for member in members)
    return 0.5 if common(issuers) else 0.0


def purl_overlap(members: Sequence[Member]) -> float:
    """1: a package that all name, with versions that surely meet in each pair; 0.6: one of whose versions that cannot be said."""
    packages = common(frozenset(member.affected) for member in members)
    if not packages:
        return 0.0
    return 1.0 if any(all(meeting(members, purl)) for purl in sorted(packages)) else 0.6


def meeting(members: Sequence[Member], purl: str) -> Iterator[bool | None]:
    """For each pair that names a package whether its versions meet; None where that cannot be said."""
    said = [member.affected[purl] for member in members if purl in member.affected]
    return (one.meet(other) for one, other in pairs(said))


def cpe_overlap(members: Sequence[Member]) -> float:
    """1: a CPE that all name; 0.5: a vendor and product."""
    if common(member.cpes for member in members):
        return 1.0
    products = (frozenset(":".join(vendor_and_product(name)) for name in member.cpes) for member in members)
    return 0.5 if common(products) else 0.0


def severity_agreement(members: Sequence[Member]) -> float:
    """1: highest base scores within 0.1; 0.5: within 1.0. Of one score alone nothing can be said."""
    scores = [member.score for member in members if member.score is not None]
    if len(scores) < 2:  # noqa: PLR2004 - agreement takes two
        return 0.0
    delta = round(max(scores) - min(scores), 4)
    return 1.0 if delta <= ALIKE else 0.5 if delta <= CLOSE else 0.0


def reference_overlap(members: Sequence[Member]) -> float:
    """The best pair's fraction of shared links."""
    return max((shared(one.references, other.references) for one, other in pairs(members)), default=0.0)


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Of all links of two, those that both have."""
    return len(one & other) / len(one | other) if one and other else 0.0


def freshness(members: Sequence[Member]) -> float:
    """1 where they were fetched within 48 hours; from there linear to 0 at 14 days."""
    dates = [member.fetched_at for member in members]
    spread = max(dates) - min(dates)
    return 1.0 if spread <= FRESH else max((STALE - spread) / (STALE - FRESH), 0.0)


SIGNALS: tuple[tuple[float, Callable[[Sequence[Member]], float]], ...] = (
    (0.40, alias),
    (0.25, purl_overlap),
    (0.15, cpe_overlap),
    (0.10, severity_agreement),
    (0.05, reference_overlap),
    (0.05, freshness),
)


def confidence(members: Sequence[Member]) -> float | None:
    """The weighted sum, rounded to four places so that it is the same on every machine; None for one alone."""
    if len(members) < 2:  # noqa: PLR2004 - rule 3
        return None
    return round(min(max(sum(weight * signal(members) for weight, signal in SIGNALS), 0.0), 1.0), 4)


# ---- conflicts


def conflicts(members: Sequence[Member]) -> list[Conflict]:
    """Rule 5."""
    found = list(metadata_gap(members))
    if len(members) > 1:  # one alone contradicts nobody
        found += [
            *severity_mismatch(members),
            *range_divergence(members),
            *reference_clash(members),
            *alias_inconsistency(members),
        ]
    return sorted(found, key=lambda one: (one.field, one.reason, one.values))


def severity_mismatch(members: Sequence[Member]) -> Iterator[Conflict]:
    """Scores of one system that are more than 1.0 apart, or another vector."""
    for system in sorted({system for member in members for system in member.severities}):
        scored = [member for member in members if system in member.severities]
        scores = [member.severities[system][0] for member in scored]
        vectors = [vectors for member in scored if (vectors := member.severities[system][1])]
        if round(max(scores) - min(scores), 4) > CLOSE or any(not one & other for one, other in pairs(vectors)):
            values = tuple(sorted({f"{member.source}:{member.severities[system][0]:.1f}" for member in scored}))
            yield Conflict(f"severities.{system}", "severity-mismatch", values, sources(scored))


def range_divergence(members: Sequence[Member]) -> Iterator[Conflict]:
    """A package of which two name versions that do not meet."""
    for purl in sorted({purl for member in members for purl in member.affected}):
        if any(met is False for met in meeting(members, purl)):
            yield Conflict(
                "affected.ranges", "affected-range-divergence", (purl,), sources(m for m in members if purl in m.affected)
            )


def reference_clash(members: Sequence[Member]) -> Iterator[Conflict]:
    """Sources that have links and share none."""
    linked = [member for member in members if member.references]
    if any(one.source != other.source and not one.references & other.references for one, other in pairs(linked)):
        yield Conflict("references", "reference-clash", (), sources(linked))


def alias_inconsistency(members: Sequence[Member]) -> Iterator[Conflict]:
    """Two that have no name in common: only others join them."""
    apart = [(one, other) for one, other in pairs(members) if not one.names & other.names]
    if apart:
        concerned = list(itertools.chain.from_iterable(apart))
        yield Conflict(
            "aliases", "alias-inconsistency", tuple(sorted({member.advisory for member in concerned})), sources(concerned)
        )


def metadata_gap(members: Sequence[Member]) -> Iterator[Conflict]:
    """What a source left out."""
    for name in sorted({name for member in members for name in member.gaps}):
        concerned = [member for member in members if name in member.gaps]
        yield Conflict(name, "metadata-gap", tuple(sorted({member.advisory for member in concerned})), sources(concerned))


def sources(members: Iterable[Member]) -> tuple[str, ...]:
    """Their sources, each once."""
    return tuple(sorted({member.source for member in members}))

"""Puts the revisions of an advisory in their order (decisions §4): each is a new observation that supersedes the one before.

Rules: (1) those that an earlier run has put in line come first, in its order; the others by fetch date, then by hash; (2) where
a document says which one it replaces, it comes after that one; (3) of two with the same natural key the first in inventory
order stands, the other is its twin; (4) one that replaces what is not there, another advisory's, or itself by a circle, has no
place: ERR_AOC_003. Pure, over the revisions of one advisory.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

NEVER = 2**31
"""Of a document of which no run has made anything."""


@dataclass(frozen=True)
class Revision:
    """A document."""

    n: int
    raw_id: bytes
    sha256: str
    fetched_ms: int
    supersedes: bytes | None
    stood: int = NEVER
    """The sequence of the run that has made its observation."""

    @property
    def order(self) -> tuple[int, int, str]:
        """By which it stands in line."""
        return self.stood, self.fetched_ms, self.sha256


@dataclass(frozen=True)
class Placed:
    """Where it stands."""

    n: int
    place: int
    twin: int | None = None
    problem: str | None = None


def placed(revisions: Sequence[Revision]) -> list[Placed]:
    """A place for each of them; those without a natural place come last, in the order of n."""
    by_hash: dict[str, int] = {}
    for one in sorted(revisions, key=lambda one: one.n):
        by_hash.setdefault(one.sha256, one.n)
    twins = {one.n: by_hash[one.sha256] for one in revisions if by_hash[one.sha256] != one.n}
    standing = {one.raw_id: one for one in revisions if one.n not in twins}
    known = {one.raw_id: one for one in revisions}
    wanted = {raw_id: before(one, known, standing, twins) for raw_id, one in standing.items()}
    after: dict[bytes | None, list[Revision]] = {}
    for one in standing.values():
        after.setdefault(wanted[one.raw_id], []).append(one)
    ready = [(one.order, one.raw_id) for one in after.get(None, ())]
    heapq.heapify(ready)
    ordered: list[Revision] = []
    while ready:
        one = standing[heapq.heappop(ready)[1]]
        ordered.append(one)
        for other in after.get(one.raw_id, ()):
            if other is not one:
                heapq.heappush(ready, (other.order, other.raw_id))
    waiting = standing.keys() - {one.raw_id for one in ordered}
    places = [Placed(one.n, place) for place, one in enumerate(ordered)]
    lost = sorted([*(standing[raw_id].n for raw_id in waiting), *twins])
    return [*places, *(Placed(n, len(places) + k, twins.get(n), None if n in twins else CIRCLE) for k, n in enumerate(lost))]


CIRCLE = "ERR_AOC_003 supersedes: it names a document that is no earlier revision of the same advisory"


def before(one: Revision, known: dict[bytes, Revision], standing: dict[bytes, Revision], twins: dict[int, int]) -> bytes | None:
    """What a revision says it replaces; itself where that is none of the same advisory, so that it never gets a place."""
    if one.supersedes is None:
        return None
    target = known.get(one.supersedes)
    if target is None:
        return one.raw_id
    if target.n in twins:
        target = next(other for other in standing.values() if other.n == twins[target.n])
    return target.raw_id

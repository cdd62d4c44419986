"""Whether two sets of versions of one package meet: by the comparer of its ecosystem (library `univers`). Pure.

A set is the versions that are listed, and the intervals between the events of its ranges (OSV 1.x, «Evaluation»; NVD's bounds). What
cannot be compared meets nothing and parts nothing: `None` is «unknown».
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from univers import versions as schemes
from univers.versions import InvalidVersion

BY_TYPE: Mapping[str, type[schemes.Version]] = {
    "alpm": schemes.ArchLinuxVersion, "apk": schemes.AlpineLinuxVersion, "cargo": schemes.SemverVersion,
    "composer": schemes.ComposerVersion, "conan": schemes.ConanVersion, "deb": schemes.DebianVersion,
    "gem": schemes.RubygemsVersion, "golang": schemes.GolangVersion, "hex": schemes.SemverVersion, "maven": schemes.MavenVersion,
    "npm": schemes.SemverVersion, "nuget": schemes.NugetVersion, "pub": schemes.SemverVersion, "pypi": schemes.PypiVersion,
    "rpm": schemes.RpmVersion, "swift": schemes.SemverVersion,
}  # fmt: skip
"""Comparers by the type of a purl; another type has none."""
BEGIN = "0"  # OSV: «introduced: 0» is before every version


class Ordered(Protocol):
    """A version."""

    def __lt__(self, other: Any, /) -> bool: ...


@dataclass(frozen=True)
class Interval:
    """Versions between two ends; None is without an end."""

    low: Ordered | None = None
    high: Ordered | None = None
    holds_low: bool = True
    holds_high: bool = False

    def meets(self, other: Interval) -> bool:
        """True where some version may be in both."""
        return begins_before_end(self, other) and begins_before_end(other, self)


def begins_before_end(one: Interval, other: Interval) -> bool:
    """True where `one` begins before `other` has ended."""
    if one.low is None or other.high is None or one.low < other.high:
        return True
    return one.holds_low and other.holds_high and not other.high < one.low


@functools.lru_cache(maxsize=65_536)
def version(kind: str, text: str) -> Ordered | None:
    """A version by the comparer of a purl's type; None where it has none, or cannot read it."""
    scheme = BY_TYPE.get(kind)
    if scheme is None:
        return None
    try:
        found: Ordered = scheme(text)
    except (InvalidVersion, ValueError, TypeError, AttributeError):
        return None
    return found


def intervals(kind: str, ranges: Iterable[Mapping[str, Any]]) -> Iterator[Interval | None]:
    """The intervals of ranges; None for one that cannot be compared."""
    for given in ranges:
        events: Sequence[Mapping[str, str]] = given["events"]
        if given["type"] in {"SEMVER", "ECOSYSTEM"}:
            yield from of_osv(kind, events)
        elif given["type"] == "CPE":
            yield of_nvd(kind, events)
        else:
            yield None


def of_osv(kind: str, events: Sequence[Mapping[str, str]]) -> Iterator[Interval | None]:
    """Each `introduced` up to the next `fixed`, `last_affected` or `limit`, in the order of the versions."""
    points = [(name, text, None if text == BEGIN else version(kind, text)) for event in events for name, text in event.items()]
    if any(found is None and text != BEGIN for _, text, found in points):
        yield None
        return
    low: tuple[Ordered | None] | None = None
    for name, _, at in sorted(points, key=functools.cmp_to_key(compared)):
        if name == "introduced":
            low = (at,) if low is None else low
        elif low is not None:
            yield Interval(low[0], at, holds_high=name == "last_affected")
            low = None
    if low is not None:
        yield Interval(low[0])


def compared(one: tuple[str, str, Ordered | None], other: tuple[str, str, Ordered | None]) -> int:
    """The order of events: the beginning first; at one version an end comes before a beginning."""
    a, b = one[2], other[2]
    if a is None or b is None:
        return (a is not None) - (b is not None)
    if a < b or b < a:
        return -1 if a < b else 1
    return (one[0] == "introduced") - (other[0] == "introduced")


def of_nvd(kind: str, events: Sequence[Mapping[str, str]]) -> Interval | None:
    """NVD's bounds, which are one interval."""
    bounds = {name: version(kind, text) for event in events for name, text in event.items()}
    if any(found is None for found in bounds.values()):
        return None
    return Interval(
        bounds.get("versionStartIncluding") or bounds.get("versionStartExcluding"),
        bounds.get("versionEndIncluding") or bounds.get("versionEndExcluding"),
        holds_low="versionStartExcluding" not in bounds,
        holds_high="versionEndIncluding" in bounds,
    )


def meet(kind: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    """Whether two `affected` entries of one package have a version in common; None where that cannot be said."""
    listed = set(one.get("versions", ())) & set(other.get("versions", ()))
    if listed or one.get("ranges", ()) == other.get("ranges", ()):
        return True
    mine, theirs = (
        [*intervals(kind, entry.get("ranges", ())), *(point(kind, text) for text in entry.get("versions", ()))]
        for entry in (one, other)
    )
    known = [[interval for interval in side if interval is not None] for side in (mine, theirs)]
    if any(a.meets(b) for a in known[0] for b in known[1]):
        return True
    return None if None in mine or None in theirs or not mine or not theirs else False


def point(kind: str, text: str) -> Interval | None:
    """One version alone."""
    found = version(kind, text)
    return None if found is None else Interval(found, found, holds_high=True)

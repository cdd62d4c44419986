"""Whether two sets of versions of one package meet: by the comparer of its ecosystem (library `univers`). Pure.

A set is the versions that are listed, and the intervals between the events of its ranges (OSV 1.x, «Evaluation»; NVD's bounds).
Commits (GIT) are no versions and are passed over. What cannot be compared meets nothing and parts nothing: `None` is «unknown».
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from univers import versions as schemes
from univers.nuget import InvalidNuGetVersion
from univers.versions import InvalidVersion

BY_TYPE: Mapping[str, type[schemes.Version]] = {
    "alpm": schemes.ArchLinuxVersion, "apk": schemes.AlpineLinuxVersion, "bitnami": schemes.SemverVersion,
    "cargo": schemes.SemverVersion, "composer": schemes.ComposerVersion, "conan": schemes.ConanVersion,
    "deb": schemes.DebianVersion, "gem": schemes.RubygemsVersion, "golang": schemes.GolangVersion, "hex": schemes.SemverVersion,
    "julia": schemes.SemverVersion, "maven": schemes.MavenVersion, "npm": schemes.SemverVersion, "nuget": schemes.NugetVersion,
    "pub": schemes.SemverVersion, "pypi": schemes.PypiVersion, "rpm": schemes.RpmVersion, "swift": schemes.SemverVersion,
}  # fmt: skip
"""Comparers by the type of a purl; another type has none."""
Point = tuple[str, "Ordered | None"]
"""An event of OSV: its name, and its version; None is before every version, or a limit that is none."""
BEGIN = "0"  # OSV: «introduced: 0» is before every version
WITHOUT_END = "*"  # OSV: a limit that is none
LONGEST = 200  # characters; a longer text is no version, and Python refuses to read an integer of more than 4,300 digits
REMEMBERED = 4_096  # versions, 1 KB each; lists of one package are alike from advisory to advisory


class Ordered(Protocol):
    """A version."""

    def __lt__(self, other: Any, /) -> bool:
        """True where it is before the other."""
        ...


@dataclass(frozen=True)
class Interval:
    """Versions between two ends; None is without an end."""

    low: Ordered | None = None
    high: Ordered | None = None
    holds_low: bool = True
    holds_high: bool = False

    @property
    def is_empty(self) -> bool:
        """True where no version can be in it."""
        return not self.begins_before_end_of(self)

    def begins_before_end_of(self, other: Interval) -> bool:
        """True where it begins before the other has ended."""
        if self.low is None or other.high is None or self.low < other.high:
            return True
        return self.holds_low and other.holds_high and not other.high < self.low

    def meets(self, other: Interval) -> bool:
        """True where some version may be in both; neither is empty."""
        return self.begins_before_end_of(other) and other.begins_before_end_of(self)


@functools.lru_cache(maxsize=REMEMBERED)
def version(kind: str, text: str) -> Ordered | None:
    """A version by the comparer of a purl's type; None where it has none, or cannot read it."""
    scheme = BY_TYPE.get(kind)
    if scheme is None or len(text) > LONGEST:
        return None
    try:
        found = scheme(text)
        value: Ordered | None = found.value
    except (InvalidNuGetVersion, InvalidVersion, ValueError, TypeError, AttributeError):
        return None
    if value is None:
        return None
    # most schemes compare their values and nothing else; without the detour through the library's tuples four times as fast
    return value if scheme.__lt__ is schemes.Version.__lt__ else found


@dataclass(frozen=True)
class Versions:
    """What one observation says of the versions of one package; what is compared is made when it is asked for."""

    kind: str
    """The type of its purl."""
    entries: Sequence[Mapping[str, Any]]
    """`affected` entries, of which a package may have several."""

    @functools.cached_property
    def listed(self) -> frozenset[str]:
        """The versions that are named one by one."""
        return frozenset(version for entry in self.entries for version in entry.get("versions", ()))

    @functools.cached_property
    def stated(self) -> frozenset[tuple[Any, ...]]:
        """The ranges as they stand, so that equal ones are known without a comparer."""
        ranges = (given for entry in self.entries for given in entry.get("ranges", ()))
        return frozenset(
            (given["type"], given.get("repo"), *(pair for event in given["events"] for pair in event.items()))
            for given in ranges
            if given["events"]
        )

    @functools.cached_property
    def compared(self) -> tuple[list[Interval], bool]:
        """The intervals in the order of their beginnings, and whether they are all that is said."""
        found: list[Interval | None] = []
        for entry in self.entries:
            mine = [
                *intervals(self.kind, entry.get("ranges", ())),
                *(point(self.kind, text) for text in entry.get("versions", ())),
            ]
            found += mine or [None]
        known = [interval for interval in found if interval is not None]
        begun = (interval for interval in known if interval.low is not None)
        ordered = [*(interval for interval in known if interval.low is None), *sorted(begun, key=operator.attrgetter("low"))]
        return ordered, None not in found

    def meet(self, other: Versions) -> bool | None:
        """Whether the two have a version in common; None where that cannot be said."""
        if not self.listed.isdisjoint(other.listed) or not self.stated.isdisjoint(other.stated):
            return True
        (mine, all_mine), (theirs, all_theirs) = self.compared, other.compared
        if overlap(mine, theirs):
            return True
        return False if all_mine and all_theirs else None


def overlap(mine: Sequence[Interval], theirs: Sequence[Interval]) -> bool:
    """True where one of these meets one of those; both stand in the order of their beginnings."""
    a = b = 0
    while a < len(mine) and b < len(theirs):
        one, other = mine[a], theirs[b]
        if not other.begins_before_end_of(one):
            a += 1
        elif not one.begins_before_end_of(other):
            b += 1
        else:
            return True
    return False


def intervals(kind: str, ranges: Iterable[Mapping[str, Any]]) -> Iterator[Interval | None]:
    """The intervals of ranges; None for one that cannot be compared."""
    for given in ranges:
        if given["type"] in {"SEMVER", "ECOSYSTEM"}:
            yield from of_osv(kind, given["events"]) or (None,)
        elif given["type"] == "CPE":
            yield of_nvd(kind, given["events"])
        elif given["type"] != "GIT":
            yield None


def of_osv(kind: str, events: Iterable[Mapping[str, str]]) -> list[Interval]:
    """From each `introduced` to the next `fixed` or `last_affected` in the order of the versions, up to the highest limit.

    Nothing where an event cannot be compared, and where no version is left.
    """
    points: list[Point] = []
    for name, text in ((name, text) for event in events for name, text in event.items()):
        is_end = (name, text) in {("introduced", BEGIN), ("limit", WITHOUT_END)}
        at = None if is_end else version(kind, text)
        if at is None and not is_end:
            return []
        points.append((name, at))
    limit = highest([at for name, at in points if name == "limit"])
    return [found for each in between(points) if not (found := before(limit, each)).is_empty]


def between(points: Iterable[Point]) -> Iterator[Interval]:
    """The intervals of events; what is affected stays so until an event ends it."""
    low: tuple[Ordered | None] | None = None
    for name, at in sorted(points, key=functools.cmp_to_key(in_order)):
        if name == "introduced":
            low = low or (at,)
        elif name != "limit" and low:
            yield Interval(*low, at, holds_high=name == "last_affected")
            low = None
    if low:
        yield Interval(*low)


def in_order(one: Point, other: Point) -> int:
    """By version; at one version as they are given, but what ends after it comes last."""
    (name, a), (other_name, b) = one, other
    if a is None or b is None:
        return (a is not None) - (b is not None)
    return (b < a) - (a < b) or (name == "last_affected") - (other_name == "last_affected")


def highest(limits: Sequence[Ordered | None]) -> Ordered | None:
    """The highest of some limits; None where there is none, or one of them is none."""
    known = [limit for limit in limits if limit is not None]
    return max(known) if known and len(known) == len(limits) else None


def before(limit: Ordered | None, interval: Interval) -> Interval:
    """What of an interval is before a limit."""
    if limit is None or (interval.high is not None and interval.high < limit):
        return interval
    return Interval(interval.low, limit, interval.holds_low)


def of_nvd(kind: str, events: Iterable[Mapping[str, str]]) -> Interval | None:
    """NVD's bounds, which are one interval; no bounds are every version."""
    bounds = {name: version(kind, text) for event in events for name, text in event.items()}
    if any(found is None for found in bounds.values()):
        return None
    low = "versionStartIncluding" if "versionStartIncluding" in bounds else "versionStartExcluding"
    high = "versionEndIncluding" if "versionEndIncluding" in bounds else "versionEndExcluding"
    found = Interval(bounds.get(low), bounds.get(high), low == "versionStartIncluding", high == "versionEndIncluding")
    return None if found.is_empty else found


def point(kind: str, text: str) -> Interval | None:
    """One version alone."""
    found = version(kind, text)
    return None if found is None else Interval(found, found, holds_high=True)

"""lnm_runner/backfill/version_ranges.py: whether versions of one package meet, do not, or cannot be compared."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from lnm_runner.backfill import version_ranges
from lnm_runner.backfill.version_ranges import Versions

Entry = dict[str, Any]


def osv(*events: str, kind: str = "ECOSYSTEM") -> Entry:
    """An entry with one range; `+1` introduced, `-1` fixed, `=1` last_affected, `<1` limit."""
    names = {"+": "introduced", "-": "fixed", "=": "last_affected", "<": "limit"}
    return {"ranges": [{"type": kind, "events": [{names[event[0]]: event[1:]} for event in events]}]}


def nvd(**bounds: str) -> Entry:
    """An entry with one range of NVD; `si`, `se`, `ei`, `ee` are the bounds."""
    names = {
        "si": "versionStartIncluding",
        "se": "versionStartExcluding",
        "ei": "versionEndIncluding",
        "ee": "versionEndExcluding",
    }
    return {"ranges": [{"type": "CPE", "events": [{names[name]: text} for name, text in bounds.items()]}]}


def exact(*versions: str) -> Entry:
    """An entry with a list."""
    return {"versions": list(versions)}


def meet(kind: str, ones: Entry | list[Entry], others: Entry | list[Entry]) -> bool | None:
    """The answer, which must be the same the other way round."""
    one, other = (Versions(kind, entries if isinstance(entries, list) else [entries]) for entries in (ones, others))
    assert one.meet(other) is other.meet(one)
    return one.meet(other)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (osv("+0", "-2.0"), osv("+1.0", "-3.0"), True),
        (osv("+0", "-2.0"), osv("+2.0", "-3.0"), False),  # fixed is outside
        (osv("+0", "=2.0"), osv("+2.0", "-3.0"), True),  # last_affected is inside
        (osv("+0", "=2.0"), osv("+2.0.1", "-3.0"), False),
        (osv("+2.0"), osv("+0", "-2.0"), False),  # no end
        (osv("+2.0"), osv("+9.0"), True),
        (osv("+0"), osv("+0", "-0.1"), True),
        (osv("+1.0", "-2.0", "+3.0", "-4.0"), osv("+2.0", "-3.0"), False),  # between two
        (osv("+1.0", "-2.0", "+3.0", "-4.0"), osv("+2.5", "-3.5"), True),
        (osv("-2.0", "+3.0", "-4.0", "+1.0"), osv("+2.0", "-3.0"), False),  # events in any order
        (osv("+1.0", "+1.5", "-2.0"), osv("+1.2", "-1.3"), True),  # introduced twice
        (osv("+1.0", "-2.0", "+2.0", "-3.0"), osv("+2.5", "-2.6"), True),  # ends and begins at one version
        (osv("+1.0", "=1.0"), exact("1.0"), True),
        (osv("+1.0", "=1.0"), exact("1.0.1"), False),
        (osv("=1.0", "+1.0"), exact("1.0.1"), False),
        (osv("+10.0"), osv("+0", "-9.0"), False),  # not as text
        (osv("+0", "-2.0"), exact("1.9"), True),
        (osv("+0", "-2.0"), exact("2.0"), False),
        (osv("+0", "<2.0"), exact("1.0"), True),
        (osv("+0", "<2.0"), exact("2.0"), False),
        (osv("+0", "<2.0", "<3.0"), exact("2.5"), True),  # the highest limit counts
        (osv("+0", "<2.0", "<*"), exact("2.5"), True),
        (osv("+0", "-1.0", "<2.0"), exact("1.5"), False),
        (osv("+0", "=3.0", "<2.0"), exact("2.0"), False),
        (osv("+0", "=2.0", "<2.0"), exact("2.0"), False),
        (osv("+0", "-3.0", "<3.0"), exact("2.9"), True),
        (exact("1.0", "1.1"), exact("1.1", "1.2"), True),
        (exact("1.0"), exact("1.1"), False),
        (exact("1.0"), exact("1.0.0"), True),  # PEP 440
        (exact("1.0rc1"), osv("+1.0"), False),
    ],
)
def test_what_osv_says_is_evaluated_as_osv_says(one: Entry, other: Entry, wanted: bool) -> None:
    assert meet("pypi", one, other) is wanted


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (nvd(ee="2.0"), nvd(si="2.0"), False),
        (nvd(ei="2.0"), nvd(si="2.0"), True),
        (nvd(ei="2.0"), nvd(se="2.0"), False),
        (nvd(si="1.0", ee="2.0"), nvd(si="1.5", ei="1.6"), True),
        (nvd(), exact("7"), True),  # without bounds: every version
        (nvd(se="1.0"), exact("1.0"), False),
    ],
)
def test_bounds_of_nvd_are_evaluated_as_nvd_says(one: Entry, other: Entry, wanted: bool) -> None:
    assert meet("rpm", one, other) is wanted


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("generic", exact("1"), exact("2")),  # no comparer
        ("generic", osv("+0", "-1"), osv("+1", "-2")),
        ("pypi", exact("what?"), exact("2")),  # no version of that ecosystem
        ("pypi", osv("+what?"), osv("+1", "-2")),
        ("pypi", osv("+1", "-what?"), osv("+5", "-6")),
        ("rpm", nvd(ee="1"), {"ranges": [{"type": "VERS", "events": [{"range": "vers:rpm/>2"}]}]}),
        ("nuget", exact("1"), exact("abc")),
        ("nuget", exact("1"), exact("")),
        ("npm", exact("1"), exact("9" * 5000)),
        ("alpm", exact("1"), exact("9" * 5000)),
        ("gem", exact("1"), exact("9" * 5000)),
        ("npm", {}, exact("1")),  # nothing is said
        ("npm", osv("+0", kind="GIT"), exact("1")),  # commits are no versions
        ("npm", osv("-1"), exact("1")),  # no beginning
        ("npm", osv("+1", "-1"), exact("1")),  # nothing is in it
        ("npm", nvd(si="2", ee="1"), exact("1")),
        ("npm", osv(), exact("1")),
        ("npm", osv(), osv()),
    ],
)
def test_what_cannot_be_compared_neither_meets_nor_parts(kind: str, one: Entry, other: Entry) -> None:
    assert meet(kind, one, other) is None


def test_one_part_that_cannot_be_compared_leaves_open_whether_the_rest_is_all() -> None:
    assert meet("pypi", [exact("1"), exact("what?")], exact("2")) is None
    assert meet("pypi", [exact("1"), exact("what?")], exact("1.0")) is True
    assert meet("pypi", [exact("1"), {}], exact("2")) is None
    assert meet("pypi", {**exact("1"), **osv("-1")}, exact("2")) is None


def test_commits_beside_versions_take_nothing_from_them() -> None:
    both = {"ranges": [*osv("+0", kind="GIT")["ranges"], *osv("+0", "-2")["ranges"]]}
    assert meet("pypi", both, exact("3")) is False
    assert meet("pypi", both, exact("1")) is True


def test_what_stands_alike_meets_without_a_comparer() -> None:
    vers = {"ranges": [{"type": "VERS", "events": [{"range": "< 7"}]}]}
    assert meet("generic", vers, vers) is True
    assert meet("generic", exact("x", "y"), exact("y")) is True
    assert meet("generic", osv("+0", "-1"), osv("+0", "-1")) is True
    commits = {"ranges": [{"type": "GIT", "repo": "https://a.example", "events": [{"introduced": "0"}]}]}
    elsewhere = {"ranges": [{**commits["ranges"][0], "repo": "https://b.example"}]}
    assert meet("npm", commits, commits) is True
    assert meet("npm", commits, elsewhere) is None


def test_lists_without_a_common_version_do_not_meet_for_having_no_ranges_both() -> None:
    assert meet("npm", exact("1.0.0"), exact("2.0.0")) is False


@pytest.mark.parametrize(
    ("kind", "lower", "higher"),
    [
        ("deb", "1.0~rc1-1", "1.0-1"),
        ("deb", "9:1", "10:0"),
        ("rpm", "1.0-9", "1.0-10"),
        ("apk", "1.2.3-r9", "1.2.3-r10"),
        ("npm", "1.0.0-alpha.2", "1.0.0"),
        ("golang", "0.0.0-20200101000000-abcdefabcdef", "0.1.0"),
        ("maven", "1.0-SNAPSHOT", "1.0"),
        ("pypi", "1.0.dev1", "1.0a1"),
        ("gem", "1.0.0.pre", "1.0.0"),
        ("nuget", "1.0.0.9", "1.0.0.10"),
        ("composer", "1.9.0", "1.10.0"),
        ("cargo", "0.9.0", "0.10.0"),
        ("alpm", "1:1-1", "2:0-1"),
        ("conan", "1.9", "1.10"),
    ],
)
def test_each_ecosystem_has_its_own_order(kind: str, lower: str, higher: str) -> None:
    below = osv("+0", f"-{higher}")
    assert meet(kind, below, exact(lower)) is True
    assert meet(kind, below, exact(higher)) is False


def test_every_comparer_can_compare_whatever_it_can_read() -> None:
    texts = (
        "0",
        "1",
        "1.2.3",
        "v1",
        "1-2",
        "1:2~3",
        "a",
        "*",
        "~",
        "-",
        "1..2",
        "1.0-rc.1+b",
        "\u0661",
        "é",
        " ",
        "9" * 200,
        "1-" * 99,
    )
    for kind in version_ranges.BY_TYPE:
        read = [found for text in texts if (found := version_ranges.version(kind, text)) is not None]
        assert all(isinstance(one < other, bool) for one, other in itertools.product(read, read))


def test_long_lists_are_compared_in_one_pass() -> None:
    """Each with each would be a million comparisons, of five microseconds each."""
    odd, even = (Versions("npm", [exact(*(f"1.{n}.{rest}" for n in range(1000)))]) for rest in (1, 2))
    began = time.perf_counter()
    assert odd.meet(even) is False
    assert time.perf_counter() - began < 1

"""lnm_runner/backfill/correlation.py: each signal at its boundaries, each reason of a conflict, and what must not matter."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from lnm_runner.backfill import correlation
from lnm_runner.backfill.correlation import PAIRED, Conflict, Member
from lnm_runner.backfill.version_ranges import Versions

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HIGH, LOW = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
PEAR = "pkg:npm/pear"


def member(source: str = "nvd", advisory: str = "CVE-1", **other: Any) -> Member:
    """An observation about which nothing is said but its name."""
    empty: dict[str, Any] = {"affected": {}, "cpes": frozenset(), "severities": {}, "references": frozenset()}
    return Member(source, advisory, **{"fetched_at": AT, "names": frozenset({advisory}), **empty, **other})


def named(*names: str) -> Member:
    return member(advisory=names[0], names=frozenset(names))


def scored(score: float, vector: str = "", system: str = "cvssv3", source: str = "nvd") -> Member:
    return member(source, severities={system: (score, frozenset({vector} if vector else ()))})


def affecting(*versions: str, purl: str = PEAR, source: str = "nvd") -> Member:
    entry: dict[str, Any] = {"purl": purl, "versions": list(versions)}
    return member(source, affected={purl: Versions(purl.removeprefix("pkg:").partition("/")[0], [entry])})


def linked(*links: str, source: str = "nvd", advisory: str = "CVE-1") -> Member:
    return member(source, advisory, references=frozenset(links))


def fetched(after: dt.timedelta) -> Member:
    return member(fetched_at=AT + after)


# ---- signals


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ([named("CVE-1", "GHSA-1"), named("GHSA-1", "X-2")], 1.0),
        ([named("CVE-1"), named("CVE-2")], 0.5),
        ([named("RHSA-2026:1", "CVE-1"), named("RHSA-2026:2", "GHSA-1")], 0.5),
        ([named("CVE-1"), named("GHSA-1")], 0.0),
        ([named("CVE-1"), named("CVE-1", "GHSA-1"), named("GHSA-1")], 0.0),  # a chain is no intersection
        ([named("CVE-1"), named("CVE-1", "GHSA-1"), named("CVE-1")], 1.0),
    ],
)
def test_alias(members: list[Member], wanted: float) -> None:
    assert correlation.alias(members) == wanted


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ([affecting("1.0.0"), affecting("1.0.0", "2.0.0")], 1.0),
        ([affecting("1.0.0"), affecting("2.0.0")], 0.6),
        ([affecting("1.0.0"), affecting()], 0.6),  # nothing is known of its versions
        ([affecting("1.0.0"), affecting("1.0.0", purl="pkg:npm/plum")], 0.0),
        ([affecting("1.0.0"), affecting("1.0.0"), affecting("2.0.0")], 0.6),  # all pairs
        ([affecting("1.0.0"), affecting("1.0.0"), member()], 0.0),  # all name it
    ],
)
def test_purl_overlap(members: list[Member], wanted: float) -> None:
    assert correlation.purl_overlap(members) == wanted


def cpe(*names: str) -> Member:
    return member(cpes=frozenset(f"cpe:2.3:a:{name}:*:*:*:*:*:*:*" for name in names))


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ([cpe("garden:pear:1"), cpe("garden:pear:1", "garden:pear:2")], 1.0),
        ([cpe("garden:pear:1"), cpe("garden:pear:2")], 0.5),
        ([cpe("garden:pear:1"), cpe("garden:plum:1")], 0.0),
        ([cpe("garden:pear:1"), cpe()], 0.0),
    ],
)
def test_cpe_overlap(members: list[Member], wanted: float) -> None:
    assert correlation.cpe_overlap(members) == wanted


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ((7.2, 7.2), 1.0),
        ((7.2, 7.1), 1.0),  # 0.1 in words, a little more in binary
        ((7.2, 7.0), 0.5),
        ((7.2, 6.2), 0.5),
        ((9.8, 8.8), 0.5),
        ((7.2, 6.1), 0.0),
        ((7.2, 7.1, 6.2), 0.5),  # the widest of all
        ((7.2,), 0.0),
        ((), 0.0),
    ],
)
def test_severity_agreement(scores: tuple[float, ...], wanted: float) -> None:
    assert correlation.severity_agreement([*(scored(score) for score in scores), member()]) == wanted


def test_the_highest_score_of_an_observation_counts() -> None:
    both = member(severities={"cvssv2": (5.0, frozenset()), "cvssv4": (9.0, frozenset())})
    assert correlation.severity_agreement([both, scored(9.0)]) == 1.0


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ([linked("a", "b"), linked("b", "c")], 1 / 3),
        ([linked("a"), linked("a")], 1.0),
        ([linked("a"), linked("b")], 0.0),
        ([linked("a"), linked()], 0.0),
        ([linked("a"), linked("b"), linked("b", "c")], 0.5),  # the best pair
        ([linked("a")], 0.0),
    ],
)
def test_reference_overlap(members: list[Member], wanted: float) -> None:
    assert correlation.reference_overlap(members) == wanted


@pytest.mark.parametrize(
    ("hours", "wanted"),
    [(0, 1.0), (48, 1.0), (48 + 144, 0.5), (14 * 24, 0.0), (15 * 24, 0.0), (365 * 24, 0.0)],
)
def test_freshness(hours: int, wanted: float) -> None:
    assert correlation.freshness([fetched(dt.timedelta(hours=hours)), fetched(dt.timedelta())]) == wanted


def test_freshness_falls_from_the_first_moment_after_48_hours() -> None:
    just_after = correlation.freshness([fetched(dt.timedelta(hours=48, milliseconds=1)), fetched(dt.timedelta())])
    assert 0.999 < just_after < 1


# ---- confidence


def test_the_weights_are_those_of_version_1() -> None:
    weights = {signal.__name__: weight for weight, signal in correlation.SIGNALS}
    assert weights == {
        "alias": 0.40, "purl_overlap": 0.25, "cpe_overlap": 0.15, "severity_agreement": 0.10, "reference_overlap": 0.05, "freshness": 0.05,
    }  # fmt: skip


def test_agreement_in_everything_is_1_and_in_nothing_0() -> None:
    full: dict[str, Any] = {
        "affected": affecting("1.0.0").affected,
        "cpes": cpe("garden:pear:1").cpes,
        "severities": scored(7.2).severities,
        "references": frozenset("a"),
    }
    assert correlation.confidence([member(**full), member(**full)]) == 1.0
    assert correlation.confidence([named("CVE-1"), member("x", "GHSA-1", fetched_at=AT + dt.timedelta(days=30))]) == 0.0


def test_confidence_is_the_weighted_sum_of_four_places() -> None:
    members = [linked("a", "b"), linked("b", "c")]
    assert correlation.confidence(members) == round(0.40 + 0.05 / 3 + 0.05, 4) == 0.4667


def test_one_alone_has_none() -> None:
    assert correlation.confidence([member()]) is None


# ---- conflicts


def reasons(*members: Member) -> list[tuple[str, str]]:
    return [(one.field, one.reason) for one in correlation.conflicts(members)]


def test_members_that_agree_or_say_nothing_are_in_no_conflict() -> None:
    assert reasons(scored(7.2, HIGH), scored(7.2, HIGH, source="ghsa")) == []
    assert reasons(member(), member("ghsa")) == []
    assert reasons(member()) == []


@pytest.mark.parametrize(
    ("one", "other", "is_mismatch"),
    [
        (scored(8.2), scored(7.2), False),  # 1.0 and no more
        (scored(8.3), scored(7.2), True),
        (scored(9.8, HIGH), scored(9.8, LOW), True),  # another vector
        (scored(9.8, HIGH), scored(9.8), False),  # no vector
        (scored(9.8), scored(2.0, system="cvssv2"), False),  # another scale
    ],
)
def test_severity_mismatch(one: Member, other: Member, is_mismatch: bool) -> None:
    assert reasons(one, other) == ([("severities.cvssv3", "severity-mismatch")] if is_mismatch else [])


def test_a_severity_mismatch_names_who_says_what() -> None:
    assert correlation.conflicts([scored(9.8), scored(5.0, source="ghsa")]) == [
        Conflict("severities.cvssv3", "severity-mismatch", ("ghsa:5.0", "nvd:9.8"), ("ghsa", "nvd"))
    ]


def test_one_of_several_vectors_that_is_the_others_is_no_mismatch() -> None:
    both = member(severities={"cvssv3": (9.8, frozenset({HIGH, LOW}))})
    assert reasons(both, scored(9.8, LOW)) == []


def test_affected_range_divergence() -> None:
    apart = [affecting("1.0.0"), affecting("2.0.0", source="ghsa")]
    assert correlation.conflicts(apart) == [Conflict("affected.ranges", "affected-range-divergence", (PEAR,), ("ghsa", "nvd"))]
    assert reasons(affecting("1.0.0"), affecting("1.0.0")) == []
    assert reasons(affecting("1.0.0"), affecting()) == []  # it cannot be said
    assert reasons(affecting("1.0.0"), affecting("2.0.0", purl="pkg:npm/plum")) == []
    assert reasons(affecting("1.0.0"), affecting("1.0.0", "2.0.0"), affecting("2.0.0")) == [
        ("affected.ranges", "affected-range-divergence")
    ]


def test_reference_clash() -> None:
    assert correlation.conflicts([linked("a"), linked("b", source="ghsa")]) == [
        Conflict("references", "reference-clash", (), ("ghsa", "nvd"))
    ]
    assert reasons(linked("a"), linked("b")) == []  # one vendor
    assert reasons(linked("a"), linked(source="ghsa")) == []
    assert reasons(linked("a", "b"), linked("b", "c", source="ghsa")) == []


def test_alias_inconsistency() -> None:
    chain = [named("CVE-1"), named("CVE-1", "GHSA-1"), named("GHSA-1")]
    assert correlation.conflicts(chain) == [Conflict("aliases", "alias-inconsistency", ("CVE-1", "GHSA-1"), ("nvd",))]
    assert reasons(*chain[:2]) == []


def test_metadata_gap() -> None:
    gaps = [member(gaps=("summary", "affected")), member("ghsa", "GHSA-1", names=frozenset({"CVE-1"}), gaps=("summary",))]
    assert correlation.conflicts(gaps) == [
        Conflict("affected", "metadata-gap", ("CVE-1",), ("nvd",)),
        Conflict("summary", "metadata-gap", ("CVE-1", "GHSA-1"), ("ghsa", "nvd")),
    ]
    assert reasons(gaps[1]) == [("summary", "metadata-gap")]


def test_all_conflicts_stand_side_by_side_by_field_and_reason() -> None:
    one = member(
        "nvd",
        "CVE-1",
        severities=scored(9.8).severities,
        references=frozenset("a"),
        affected=affecting("1.0.0").affected,
        gaps=("x",),
    )
    other = member(
        "ghsa", "GHSA-1", severities=scored(1.0).severities, references=frozenset("b"), affected=affecting("2.0.0").affected
    )
    found = reasons(one, other)
    assert found == sorted(found)
    assert {reason for _, reason in found} == {
        "severity-mismatch", "affected-range-divergence", "reference-clash", "alias-inconsistency", "metadata-gap",
    }  # fmt: skip


# ---- what must not matter


def test_the_order_of_a_few_members_changes_nothing() -> None:
    members = [
        member(
            "nvd",
            "CVE-1",
            severities=scored(9.8, HIGH).severities,
            affected=affecting("1.0.0").affected,
            references=frozenset("ab"),
        ),
        member(
            "ghsa",
            "GHSA-1",
            names=frozenset({"CVE-1", "GHSA-1"}),
            severities=scored(5.0, LOW).severities,
            references=frozenset("bc"),
        ),
        member("osv", "X-1", names=frozenset({"GHSA-1", "X-1"}), affected=affecting("2.0.0").affected, gaps=("summary",)),
        member("osv", "X-2", names=frozenset({"X-1"}), fetched_at=AT + dt.timedelta(days=5), references=frozenset("d")),
    ]
    orders = list(itertools.permutations(members))
    assert len({correlation.confidence(order) for order in orders}) == 1
    assert len({tuple(correlation.conflicts(order)) for order in orders}) == 1


def test_a_large_component_is_looked_at_by_neighbours() -> None:
    assert len(list(correlation.pairs(range(PAIRED)))) == PAIRED * (PAIRED - 1) // 2
    assert list(correlation.pairs(range(PAIRED + 1))) == [(n, n + 1) for n in range(PAIRED)]

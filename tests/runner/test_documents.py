"""lnm_runner/backfill: observations, linksets and events, field by field; ids and hashes are those of the worked example of the facts."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import hashlib
import itertools
import json
import time
import uuid
from typing import Any

import bson
import pytest
import rfc8785
from bson import Int64, ObjectId
from lnm_runner.advisories import formats
from lnm_runner.advisories.record import Affected, Range, Record, Relationship, Severity
from lnm_runner.backfill import events, identity, linksets, observations
from lnm_runner.backfill.observations import Place, Raw

TENANT = "urn:tenant:00000000-0000-0000-0000-000000000001"
RUN = "r" * 64
AT = dt.datetime(2025, 12, 1, 8, 0, 0, tzinfo=dt.UTC)
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"
PAYLOAD = b'{"id":"GHSA-35jh-r3h4-6jhm","modified":"2025-01-14T00:00:00Z","summary":"Command Injection in lodash"}'
SHA256 = "a4eac42abf403b8404384d7b0a0ae6f5dd285e7e0fd7f9071d6f452478ad03f3"
EXAMPLE: dict[str, Any] = {
    "_id": ObjectId("f1710e31d582b1b9f0661e2a"),
    "advisoryId": "GHSA-35jh-r3h4-6jhm",
    "affected": [
        {
            "cpes": ["cpe:2.3:a:lodash:lodash:*:*:*:*:*:node.js:*:*"],
            "ecosystem": "npm",
            "package": "lodash",
            "purl": "pkg:npm/lodash",
            "ranges": [{"events": [{"introduced": "0"}, {"fixed": "4.17.21"}], "type": "SEMVER"}],
            "versions": ["4.17.20"],
        }
    ],
    "contentHash": f"sha256:{SHA256}",
    "observationHash": "sha256:315cbe729271ce687e760dbf317f73e8201cd8d349801603aa95520b816238bc",
    "observationId": f"{TENANT}:ghsa:GHSA-35jh-r3h4-6jhm:1",
    "provenance": {"fetchedAt": AT, "sourceArtifactSha": SHA256},
    "references": ["https://github.com/advisories/GHSA-35jh-r3h4-6jhm"],
    "severities": [{"score": 7.2, "system": "cvssv3", "vector": VECTOR}],
    "source": "ghsa",
    "summary": "Command Injection in lodash",
    "supersedesId": None,
    "tenantId": TENANT,
}
RECORD = Record(
    id="GHSA-35jh-r3h4-6jhm",
    summary="Command Injection in lodash",
    severities=(Severity("cvssv3", 7.2, VECTOR),),
    affected=(
        Affected(
            "pkg:npm/lodash",
            "lodash",
            "npm",
            ("4.17.20",),
            (Range("SEMVER", ({"introduced": "0"}, {"fixed": "4.17.21"})),),
            ("cpe:2.3:a:lodash:lodash:*:*:*:*:*:node.js:*:*",),
        ),
    ),
    references=("https://github.com/advisories/GHSA-35jh-r3h4-6jhm",),
)


def raw(source: str = "ghsa", advisory: str = "GHSA-35jh-r3h4-6jhm", **other: Any) -> Raw:
    """A document of `advisory_raw` over the example's payload."""
    given: dict[str, Any] = {
        "content_hash": f"sha256:{SHA256}",
        "artifact_sha256": SHA256,
        "linkset": {},
        "identifiers": {},
        **other,
    }
    return Raw(tenant=TENANT, source=source, advisory=advisory, format="OSV", **{"fetched_at": AT, **given})


def observation(given: Raw | None = None, record: Record = RECORD, place: Place | None = None) -> dict[str, Any]:
    """An observation; without arguments the example."""
    return observations.document(given or raw(), record, place or Place(1, None), RUN)


# ---- observations


def test_the_worked_example_of_the_facts_comes_out() -> None:
    """But for ingestedAt, which is derived from the input (decisions §4)."""
    assert (len(PAYLOAD), hashlib.sha256(PAYLOAD).hexdigest()) == (102, SHA256)
    made = observation()
    assert {name: made[name] for name in EXAMPLE} == EXAMPLE
    assert made["ingestedAt"] == AT
    assert made["backfill"] == {"runId": RUN, "task": "21-102"}


def test_the_examples_payload_is_read_into_what_it_says() -> None:
    made = observation(record=formats.read("OSV", PAYLOAD))
    assert {name: made[name] for name in ("_id", "observationHash", "summary")} == {
        name: EXAMPLE[name] for name in ("_id", "observationHash", "summary")
    }


def test_the_order_of_the_fields_is_fixed() -> None:
    """Stored documents are hashed by their BSON bytes."""
    full = dataclasses.replace(RECORD, title="t", withdrawn="2026-01-01T00:00:00Z")
    assert list(observation(record=full)) == [
        "_id", "tenantId", "source", "advisoryId", "observationId", "title", "summary", "severities", "affected", "references",
        "relationships", "withdrawn", "linkset", "rawLinkset", "provenance", "contentHash", "observationHash", "supersedesId",
        "ingestedAt", "backfill",
    ]  # fmt: skip
    assert list(observation()["affected"][0]) == ["purl", "package", "ecosystem", "versions", "ranges", "cpes"]


def test_what_a_source_does_not_say_is_left_out() -> None:
    made = observation(record=Record("A-1", affected=(Affected("pkg:npm/pear"),)))
    assert not {"title", "summary", "withdrawn"} & set(made)
    assert made["affected"] == [{"purl": "pkg:npm/pear"}]
    assert (made["severities"], made["references"], made["relationships"]) == ([], [], [])


def test_a_revision_has_an_id_of_its_own_and_says_what_it_supersedes() -> None:
    first = observation()
    second = observation(raw(artifact_sha256="b" * 64, content_hash="sha256:" + "b" * 64), place=Place(2, first["_id"]))
    assert second["_id"] != first["_id"]
    assert second["observationId"] == f"{TENANT}:ghsa:GHSA-35jh-r3h4-6jhm:2"
    assert second["supersedesId"] == first["_id"]


def test_a_range_stays_as_it_is_given() -> None:
    git = Range("GIT", ({"introduced": "0"}, {"fixed": "abc"}), "https://example.org/pear.git")
    made = observation(record=Record("A-1", affected=(Affected("pkg:npm/pear", ranges=(git, git)),)))
    stated = {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}], "repo": "https://example.org/pear.git"}
    assert made["affected"][0]["ranges"] == [stated, stated]


def test_equal_scores_and_links_stand_once_in_the_sources_order() -> None:
    low, high = Severity("cvssv2", 1.0, ""), Severity("cvssv3", 7.2, VECTOR)
    made = observation(record=Record("A-1", severities=(high, low, high), references=("b", "a", "b")))
    assert made["severities"] == [{"system": "cvssv3", "score": 7.2, "vector": VECTOR}, {"system": "cvssv2", "score": 1.0}]
    assert made["references"] == ["b", "a"]
    assert all(isinstance(one["score"], float) for one in made["severities"])


def test_relationships_are_told() -> None:
    made = observation(record=Record("A-1", relationships=(Relationship("upstream", "A-1", "CVE-1"),)))
    assert made["relationships"] == [{"type": "upstream", "source": "A-1", "target": "CVE-1"}]


def test_the_canonical_linkset_has_what_document_and_payload_name_and_the_raw_one_what_the_document_says() -> None:
    given = {
        "purls": ["pkg:npm/%40garden/pear@1.0?x=y", "pkg:npm/lodash@1", "no purl"],
        "cpes": ["cpe:/a:garden:pear", "no cpe"],
        "aliases": ["CVE-2", " CVE-2 ", "", "CVE-1"],
        "references": [{"type": "WEB", "url": "https://b.example"}, "https://a.example", {"url": ""}],
        "reconciled_from": ["/content/raw/id"],
    }
    identifiers = {"cve": "CVE-3", "ghsa": ["GHSA-1", "GHSA-2"], "aliases": ["CVE-2", "X-9"]}
    payloads = dataclasses.replace(RECORD, id="GHSA-own", aliases=("CVE-1",))
    made = observation(raw(linkset=given, identifiers=identifiers), payloads)
    assert made["linkset"] == {
        "aliases": ["CVE-1", "CVE-2", "CVE-3", "GHSA-1", "GHSA-2", "GHSA-35jh-r3h4-6jhm", "GHSA-own", "X-9"],
        "purls": ["pkg:npm/%40garden/pear", "pkg:npm/lodash"],
        "cpes": ["cpe:2.3:a:garden:pear:*:*:*:*:*:*:*:*", "cpe:2.3:a:lodash:lodash:*:*:*:*:*:node.js:*:*"],
        "references": ["https://a.example", "https://b.example", "https://github.com/advisories/GHSA-35jh-r3h4-6jhm"],
    }
    assert made["rawLinkset"] == given
    assert list(made["rawLinkset"]) == list(given)


# ---- ids and dates


def test_dates_are_told_in_utc_with_milliseconds_only_where_there_are_some() -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    assert identity.text_of(AT) == "2025-12-01T08:00:00Z"
    assert identity.text_of(AT.astimezone(berlin)) == "2025-12-01T08:00:00Z"
    assert identity.text_of(AT.replace(tzinfo=None)) == "2025-12-01T08:00:00Z"
    assert identity.text_of(AT.replace(microsecond=120_000)) == "2025-12-01T08:00:00.120Z"
    assert identity.text_of(AT.replace(microsecond=999)) == "2025-12-01T08:00:00Z"
    assert identity.text_of(dt.datetime(1, 1, 1, tzinfo=dt.UTC)) == "0001-01-01T00:00:00Z"


def test_a_cursor_counts_ticks_since_the_year_one() -> None:
    assert identity.replay_cursor(dt.datetime(1, 1, 1, tzinfo=dt.UTC)) == 0
    assert identity.replay_cursor(dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) == 621_355_968_000_000_000
    assert identity.replay_cursor(dt.datetime(1970, 1, 1)) == 621_355_968_000_000_000  # noqa: DTZ001 - as a driver may give it
    assert identity.replay_cursor(AT.replace(microsecond=5_000)) - identity.replay_cursor(AT) == 50_000
    assert isinstance(identity.replay_cursor(AT), Int64)


def test_the_machines_zone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = AT.replace(tzinfo=None)
    before = identity.text_of(bare), identity.replay_cursor(bare)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/Lima")
        time.tzset()
        assert (identity.text_of(bare), identity.replay_cursor(bare)) == before
    time.tzset()


# ---- linksets


NVD = Record(
    id="CVE-2021-23337",
    summary="Command injection",
    severities=(Severity("cvssv3", 9.8, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),),
    affected=(Affected("pkg:npm/lodash", "lodash", ranges=(Range("SEMVER", ({"introduced": "0"}, {"fixed": "4.17.21"})),)),),
)


def component() -> list[dict[str, Any]]:
    """Two observations that share a name; not in their order."""
    later = AT + dt.timedelta(hours=1)
    alias = raw(identifiers={"cve": "CVE-2021-23337"})
    other = raw("nvd", "CVE-2021-23337", fetched_at=later, artifact_sha256="c" * 64, content_hash="sha256:" + "c" * 64)
    return [observation(other, NVD), observation(alias)]


def test_a_linkset_says_side_by_side_what_its_observations_say() -> None:
    ghsa, nvd = linksets.documents(component(), RUN)
    second, first = component()
    assert ghsa == {
        "_id": ObjectId(hashlib.sha256(f"{TENANT}|ghsa|GHSA-35jh-r3h4-6jhm".encode()).digest()[:12]),
        "tenantId": TENANT,
        "advisoryId": "GHSA-35jh-r3h4-6jhm",
        "source": "ghsa",
        "observations": [first["_id"], second["_id"]],
        "normalized": {
            "purls": ["pkg:npm/lodash"],
            "versions": ["4.17.20"],
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.21"}]}],
            "severities": [{"system": "cvssv3", "score": 7.2}, {"system": "cvssv3", "score": 9.8}],
        },
        "confidence": 0.7,  # a shared name 0.40, a package with versions that meet 0.25, fetched within 48 hours 0.05
        "conflicts": [
            {"field": "references", "reason": "metadata-gap", "values": ["CVE-2021-23337"], "sourceIds": ["nvd"]},
            {
                "field": "severities.cvssv3",
                "reason": "severity-mismatch",
                "values": ["ghsa:7.2", "nvd:9.8"],
                "sourceIds": ["ghsa", "nvd"],
            },
        ],
        "provenance": {"observationHashes": [first["observationHash"], second["observationHash"]], "toolVersion": "lnm-1.0"},
        "linksetHash": ghsa["linksetHash"],
        "createdAt": AT + dt.timedelta(hours=1),
        "backfill": {"runId": RUN, "task": "21-102"},
    }
    own = ("_id", "advisoryId", "source", "linksetHash")
    assert {name: ghsa[name] for name in ghsa if name not in own} == {name: nvd[name] for name in nvd if name not in own}
    assert (nvd["source"], nvd["advisoryId"]) == ("nvd", "CVE-2021-23337")
    assert list(ghsa) == list(nvd)


def test_the_hash_of_a_linkset_is_that_of_one_canonical_object() -> None:
    for one in linksets.documents(component(), RUN):
        said = {
            name: one[name]
            for name in ("tenantId", "source", "advisoryId", "normalized", "confidence", "conflicts", "provenance")
        }
        whole = rfc8785.dumps({**said, "observations": [str(each) for each in one["observations"]]})
        assert one["linksetHash"] == f"sha256:{hashlib.sha256(whole).hexdigest()}"


def test_neither_the_order_of_observations_nor_the_run_changes_what_a_linkset_says() -> None:
    third = observation(raw("osv", "X-1", artifact_sha256="c" * 64), dataclasses.replace(NVD, id="X-1"))
    made = [linksets.documents(order, RUN) for order in itertools.permutations([*component(), third])]
    assert len({bson.encode({"all": each}) for each in made}) == 1
    other = linksets.documents([*component(), third], "s" * 64)
    assert [one["linksetHash"] for one in other] == [one["linksetHash"] for one in made[0]]


def test_documents_are_not_changed_by_what_is_made_of_them() -> None:
    inside = component()
    before = copy.deepcopy(inside)
    made = linksets.documents(inside, RUN)
    frozen = copy.deepcopy(made)
    for one in made:
        events.of_linkset(one)
    assert (inside, made) == (before, frozen)


def test_two_revisions_of_one_advisory_are_one_linkset() -> None:
    newer = observation(raw(artifact_sha256="b" * 64, fetched_at=AT + dt.timedelta(days=1)))
    (one,) = linksets.documents([newer, observation()], RUN)
    assert one["observations"] == [EXAMPLE["_id"], newer["_id"]]
    assert one["createdAt"] == AT + dt.timedelta(days=1)


def test_one_observation_alone_has_no_confidence() -> None:
    (one,) = linksets.documents([observation()], RUN)
    assert one["confidence"] is None
    assert one["conflicts"] == []


def test_all_entries_of_a_package_are_compared() -> None:
    """Debian has one for each release: the last one alone would meet nothing."""
    low, high = (Range("ECOSYSTEM", ({"introduced": a}, {"fixed": b})) for a, b in (("1.0", "2.0"), ("5.0", "6.0")))
    deb = "pkg:deb/debian/pear"
    two = observation(record=Record("A-1", affected=(Affected(deb, ranges=(low,)), Affected(deb, ranges=(high,)))))
    one = observation(raw("nvd", "CVE-1"), Record("CVE-1", affected=(Affected(deb, versions=("1.5",)),)))
    made = linksets.documents([two, one], RUN)
    assert "affected-range-divergence" not in [conflict["reason"] for conflict in made[0]["conflicts"]]


def test_neither_capitals_of_names_and_links_nor_the_order_of_scores_makes_a_difference() -> None:
    scores = (Severity("cvssv3", 9.8, ""), Severity("cvssv3", 1.0, ""))
    one = observation(raw(), Record("ghsa-X", severities=scores, references=("https://A.example",)))
    other = observation(raw("nvd", "CVE-1"), Record("GHSA-x", severities=scores[:1], references=("https://a.example",)))
    made = linksets.documents([one, other], RUN)[0]
    assert made["confidence"] == 0.6  # a shared name 0.40, equal highest scores 0.10, equal links 0.05, fetched together 0.05
    assert [conflict["reason"] for conflict in made["conflicts"]] == ["metadata-gap", "metadata-gap"]


# ---- events


def test_the_event_of_an_observation_says_what_its_subscribers_need() -> None:
    made = observation(raw(identifiers={"cve": "CVE-2021-23337"}), place=Place(2, ObjectId("a" * 24)))
    source = {"vendor": "ghsa", "stream": "osv", "api": "https://example.org", "collectorVersion": "1"}
    event = events.of_observation(made, source)
    assert event == {
        "_id": event["_id"],
        "eventId": str(uuid.uuid5(identity.EVENTS, f"advisory_observations|{made['_id']}|{made['observationHash']}")),
        "type": "advisory.observation.updated@1",
        "tenantId": TENANT,
        "observationId": "f1710e31d582b1b9f0661e2a",
        "advisoryId": "GHSA-35jh-r3h4-6jhm",
        "source": source,
        "linksetSummary": {
            "aliases": ["CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"],
            "purls": ["pkg:npm/lodash"],
            "cpes": ["cpe:2.3:a:lodash:lodash:*:*:*:*:*:node.js:*:*"],
        },
        "supersedesId": "a" * 24,
        "documentSha": SHA256,
        "observationHash": EXAMPLE["observationHash"],
        "ingestedAt": AT,
        "replayCursor": 639_001_728_000_000_000,
        "publishedAt": None,
        "backfill": {"runId": RUN, "task": "21-102"},
    }
    assert isinstance(event["_id"], ObjectId)
    assert events.of_observation(observation(), source)["supersedesId"] is None


def test_the_event_of_a_linkset_says_what_its_subscribers_need() -> None:
    made = linksets.documents(component(), RUN)[0]
    event = events.of_linkset(made)
    given = [str(one) for one in made["observations"]]
    ids = sorted(given)
    assert ids != given
    assert event == {
        "_id": event["_id"],
        "eventId": str(uuid.uuid5(identity.EVENTS, f"advisory_linksets|{made['_id']}|{made['linksetHash']}")),
        "type": "advisory.linkset.updated@1",
        "tenantId": TENANT,
        "linksetId": str(made["_id"]),
        "advisoryId": "GHSA-35jh-r3h4-6jhm",
        "source": "ghsa",
        "observationIds": ids,
        "delta": {
            "type": "created",
            "observationsAdded": ids,
            "observationsRemoved": [],
            "confidenceChanged": True,
            "conflictsChanged": True,
        },
        "confidence": 0.7,
        "conflicts": [
            {"field": "references", "reason": "metadata-gap", "sourceIds": ["nvd"]},
            {"field": "severities.cvssv3", "reason": "severity-mismatch", "sourceIds": ["ghsa", "nvd"]},
        ],
        "provenance": made["provenance"],
        "createdAt": made["createdAt"],
        "replayCursor": identity.replay_cursor(made["createdAt"]),
        "publishedAt": None,
        "backfill": {"runId": RUN, "task": "21-102"},
    }
    assert events.of_linkset(linksets.documents([observation()], RUN)[0])["delta"]["confidenceChanged"] is False


def test_the_event_of_a_linkset_that_takes_anothers_place_says_what_is_new() -> None:
    before, made = linksets.documents(component()[:1], RUN)[0], linksets.documents(component(), RUN)[1]
    naive = {**before, "createdAt": before["createdAt"].replace(tzinfo=None)}  # as a driver may give it
    event = events.of_linkset(made, naive)
    added = str(component()[1]["_id"])
    assert event["delta"] == {
        "type": "updated",
        "observationsAdded": [added],
        "observationsRemoved": [],
        "confidenceChanged": True,
        "conflictsChanged": True,
    }
    assert event["replayCursor"] == identity.replay_cursor(before["createdAt"]) + 1 > identity.replay_cursor(made["createdAt"])
    assert isinstance(event["replayCursor"], Int64)
    assert events.of_linkset(before, made)["delta"]["observationsRemoved"] == [added]


def test_making_an_event_twice_makes_one_and_another_content_another() -> None:
    source = {"vendor": "ghsa"}
    again, newer = observation(), observation(raw(fetched_at=AT + dt.timedelta(seconds=1)))
    one, other = events.of_observation(again, source), events.of_observation(newer, source)
    assert events.of_observation(observation(), source) == one
    assert (one["_id"], one["eventId"]) != (other["_id"], other["eventId"])


def test_everything_that_is_made_is_bson_and_an_event_is_small() -> None:
    """The product's cap for a message is 512 KiB."""
    made = [*component(), *linksets.documents(component(), RUN)]
    outbox = [*(events.of_observation(one, {"vendor": "x"}) for one in made[:2]), *(events.of_linkset(one) for one in made[2:])]
    for one in (*made, *outbox):
        assert bson.decode(bson.encode(one), bson.CodecOptions(tz_aware=True)) == one
    assert len(json.dumps(outbox, default=str)) < 10_000

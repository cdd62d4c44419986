"""lnm_runner/backfill/aoc.py: what breaks the aggregation-only contract, each rule with its code."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest
from lnm_runner.backfill import aoc
from lnm_runner.backfill.aoc import Violation

DOCUMENT: dict[str, Any] = {
    "_id": "advisory_raw:ghsa:ghsa-1:aa",
    "tenant": "tenant-a",
    "source": {"vendor": "GHSA", "stream": "osv", "api": "https://example.org", "collector_version": "1"},
    "upstream": {
        "upstream_id": "GHSA-1",
        "document_version": "1",
        "fetched_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "received_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "content_hash": "sha256:" + "a" * 64,
    },
    "content": {"format": "OSV", "spec_version": "1.7.5", "raw": {"severity": [], "cvss": 7}},
    "identifiers": {"cve": "CVE-1", "ghsa": ["GHSA-1"], "aliases": ["X-1"]},
    "linkset": {
        "purls": ["pkg:npm/pear"],
        "cpes": [],
        "aliases": ["CVE-1"],
        "references": ["https://a.example", {"type": "WEB", "url": "https://b.example"}],
        "reconciled_from": ["/content/raw/id"],
    },
    "supersedes": None,
}


def found(*path: str, value: object) -> list[tuple[str, str]]:
    """What is wrong with a document of which one thing is changed."""
    document = copy.deepcopy(DOCUMENT)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return [(one.code, one.what) for one in aoc.violations(document)]


def test_a_document_as_it_should_be_breaks_nothing() -> None:
    assert list(aoc.violations(DOCUMENT)) == []


def test_fields_that_may_be_absent_may_be_absent() -> None:
    needed = {name: DOCUMENT[name] for name in ("tenant", "source", "upstream", "content")}
    assert list(aoc.violations({**needed, "linkset": {}})) == []
    assert list(aoc.violations({**needed, "linkset": {}, "identifiers": None})) == []


@pytest.mark.parametrize(
    "name",
    ["severity", "cvss", "cvss_vector", "consensus_provider", "risk_score", "reachability", "asset_criticality", "merged_from"],
)
def test_001_a_derived_field_at_the_top(name: str) -> None:
    assert found(name, value=None) == [("ERR_AOC_001", f"{name}: a derived field")]


@pytest.mark.parametrize("name", ["source", "upstream"])
def test_002_several_sources_in_one_document(name: str) -> None:
    first = found(name, value=[DOCUMENT[name], DOCUMENT[name]])[0]
    assert first == ("ERR_AOC_002", f"{name}: a list, so that several sources are merged in one document")


def test_002_several_vendors() -> None:
    assert found("source", "vendor", value=["nvd", "ghsa"]) == [
        ("ERR_AOC_002", "source.vendor: a list, so that several sources are merged in one document"),
        ("ERR_AOC_004", "source.vendor: not there"),
    ]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("tenant",), None, "tenant: not there"),
        (("tenant",), " ", "tenant: not there"),
        (("source", "vendor"), 7, "source.vendor: not there"),
        (("upstream", "upstream_id"), "", "upstream.upstream_id: not there"),
        (("upstream", "content_hash"), None, "upstream.content_hash: wanted sha256: and 64 hex digits"),
        (("upstream", "content_hash"), "a" * 64, "upstream.content_hash: wanted sha256: and 64 hex digits"),
        (("upstream", "content_hash"), "sha256:" + "A" * 64, "upstream.content_hash: wanted sha256: and 64 hex digits"),
        (("upstream", "content_hash"), "sha256:" + "a" * 64 + "\n", "upstream.content_hash: wanted sha256: and 64 hex digits"),
        (("upstream", "fetched_at"), "2026-01-01T00:00:00Z", "upstream.fetched_at: wanted a date"),
    ],
)
def test_004_provenance_that_is_missing(path: tuple[str, ...], value: object, words: str) -> None:
    assert found(*path, value=value) == [("ERR_AOC_004", words)]


@pytest.mark.parametrize("name", ["source", "upstream"])
def test_004_provenance_of_another_kind(name: str) -> None:
    assert {code for code, _ in found(name, value="nvd")} == {"ERR_AOC_004"}


@pytest.mark.parametrize("name", ["effective_status", "effective_range", "effective_"])
def test_006_an_effective_field(name: str) -> None:
    assert found(name, value="fixed") == [("ERR_AOC_006", f"{name}: a derived field")]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("colour",), "red", "colour: an unknown field"),
        (("linkset",), None, "linkset: wanted an object"),
        (("identifiers",), ["CVE-1"], "identifiers: wanted an object"),
        (("content", "format"), None, "content.format: wanted a text"),
        (("content", "format"), 7, "content.format: wanted a text"),
        (("linkset", "purls"), "pkg:npm/pear", "linkset.purls: wanted a list of texts"),
        (("linkset", "purls"), [7], "linkset.purls: wanted a list of texts"),
        (("linkset", "cpes"), {}, "linkset.cpes: wanted a list of texts"),
        (("linkset", "aliases"), [None], "linkset.aliases: wanted a list of texts"),
        (("linkset", "references"), [{"href": "x"}], "linkset.references: wanted a list of texts or of objects with a url"),
        (("linkset", "references"), {}, "linkset.references: wanted a list of texts or of objects with a url"),
        (("identifiers", "cve"), 7, "identifiers.cve: wanted a text or a list of texts"),
        (("identifiers", "ghsa"), [7], "identifiers.ghsa: wanted a text or a list of texts"),
        (("identifiers", "aliases"), "X", "identifiers.aliases: wanted a list of texts"),
        (("supersedes",), 7, "supersedes: wanted the _id of a document"),
    ],
)
def test_007_an_unknown_field_or_a_wrong_kind(path: tuple[str, ...], value: object, words: str) -> None:
    assert found(*path, value=value) == [("ERR_AOC_007", words)]


def test_007_content_that_is_no_object() -> None:
    assert found("content", value="{}") == [
        ("ERR_AOC_007", "content: wanted an object"),
        ("ERR_AOC_007", "content.format: wanted a text"),
    ]


def test_everything_is_told_at_once_in_one_order() -> None:
    wrong = {"severity": 1, "effective_x": 1, "colour": 1}
    told = list(aoc.violations(wrong))
    assert told == list(aoc.violations(dict(reversed(wrong.items()))))
    assert [one.code for one in told[:3]] == ["ERR_AOC_007", "ERR_AOC_006", "ERR_AOC_001"]
    assert len(told) == len(set(told)) == 11
    assert all(isinstance(one, Violation) for one in told)


def test_a_document_of_nothing_is_told_and_does_not_crash() -> None:
    for strange in ({}, {"": None}, {"source": 7, "upstream": "x", "linkset": [], "content": [], "identifiers": "x"}):
        assert list(aoc.violations(strange))

"""lnm_runner/advisories: what each reader makes of a payload in the shape of its format, and what it says of one that is not."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from lnm_runner.advisories import formats, packages
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record, Relationship, Severity

V2 = "AV:N/AC:L/Au:N/C:P/I:P/A:P"
V3 = "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
TREE_CPE = "cpe:2.3:a:garden:tree\\:house:2.0:*:*:*:*:*:*:*"

OSV: dict[str, Any] = {
    "schema_version": "1.7.5",
    "id": "GHSA-aaaa-bbbb-cccc",
    "modified": "2026-01-02T03:04:05Z",
    "aliases": ["CVE-2026-0001"],
    "related": ["CVE-2025-0009"],
    "upstream": ["CVE-2026-0002"],
    "summary": "A pear falls",
    "details": "from a tree",
    "severity": [{"type": "CVSS_V3", "score": V3}, {"type": "Ubuntu", "score": "high"}],
    "affected": [
        {
            "package": {"ecosystem": "npm", "name": "@garden/pear", "purl": "pkg:npm/%40garden/pear@1.0?x=y"},
            "severity": [{"type": "CVSS_V4", "score": V4}],
            "ranges": [
                {
                    "type": "SEMVER",
                    "events": [{"introduced": "0"}, {"fixed": "1.2.0"}, {"introduced": "2.0.0"}, {"last_affected": "2.1"}],
                },
                {"type": "GIT", "repo": "https://example.org/pear.git", "events": [{"introduced": "0"}, {"limit": "abc"}]},
            ],
            "versions": ["1.0.0", "1.1.0"],
            "database_specific": {"source": "anything"},
        },
        {"package": {"ecosystem": "Debian:12", "name": "pear"}},
        {"ranges": [{"type": "GIT", "repo": "https://example.org/pear.git", "events": [{"introduced": "0"}]}]},
    ],
    "references": [{"type": "WEB", "url": "https://example.org/pear"}],
}

NVD: dict[str, Any] = {
    "id": "CVE-2026-0001",
    "vulnStatus": "Analyzed",
    "lastModified": "2026-01-02T03:04:05.678",
    "descriptions": [{"lang": "es", "value": "Una pera cae"}, {"lang": "en", "value": "A pear falls"}],
    "metrics": {
        "cvssMetricV2": [{"type": "Primary", "cvssData": {"version": "2.0", "vectorString": V2, "baseScore": 7.5}}],
        "cvssMetricV31": [{"type": "Secondary", "cvssData": {"version": "3.1", "vectorString": V3, "baseScore": 7.1}}],
    },
    "configurations": [
        {
            "operator": "AND",
            "nodes": [
                {
                    "operator": "OR",
                    "negate": False,
                    "cpeMatch": [
                        {"vulnerable": True, "criteria": "cpe:2.3:a:garden:pear:*:*:*:*:*:*:*:*", "versionStartIncluding": "1.0",
                         "versionEndExcluding": "1.2"},
                        {"vulnerable": True, "criteria": "cpe:2.3:a:garden:pear:2.0:*:*:*:*:*:*:*"},
                        {"vulnerable": True, "criteria": "cpe:2.3:a:garden:pear:2.1:rc1:*:*:*:*:*:*"},
                        {"vulnerable": True, "criteria": "cpe:2.3:h:garden:ladder:*:*:*:*:*:*:*:*"},
                        {"vulnerable": False, "criteria": "cpe:2.3:o:garden:soil:-:*:*:*:*:*:*:*"},
                    ],
                },
                {"negate": True, "cpeMatch": [{"vulnerable": True, "criteria": "cpe:2.3:a:garden:plum:1:*:*:*:*:*:*:*"}]},
            ],
        },
    ],
    "references": [{"url": "https://example.org/nvd", "source": "cve@example.org"}],
}  # fmt: skip

CSAF: dict[str, Any] = {
    "document": {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "title": "Garden: pears fall",
        "notes": [{"category": "description", "text": "From a tree."}, {"category": "summary", "text": "Pears fall."}],
        "references": [{"category": "self", "summary": "self", "url": "https://example.org/csaf"}],
        "tracking": {"id": "GSA-2026:0001", "status": "final", "version": "1"},
    },
    "product_tree": {
        "branches": [
            {
                "category": "vendor",
                "name": "Red Hat",
                "branches": [
                    {
                        "category": "product_name",
                        "name": "Pear",
                        "branches": [
                            {"category": "product_version", "name": "1.0", "product": {"product_id": "P1", "name": "Pear 1.0"}},
                            {"category": "product_version_range", "name": "vers:npm/<2.0", "product": {
                                "product_id": "P2", "name": "Pear before 2.0"}},
                            {"category": "product_version", "name": "pear-3-1.x86_64", "product": {
                                "product_id": "P3", "name": "pear-3-1.x86_64", "product_identification_helper": {
                                    "purl": "pkg:rpm/redhat/pear@3-1?arch=x86_64"}}},
                        ],
                    },
                ],
            },
        ],
        "full_product_names": [
            {"product_id": "T", "name": "Tree house", "product_identification_helper": {"cpe": TREE_CPE}},
            {"product_id": "OS", "name": "Soil 9"},
        ],
        "relationships": [
            {"category": "default_component_of", "product_reference": "P3", "relates_to_product_reference": "OS",
             "full_product_name": {"product_id": "OS:P3", "name": "pear on Soil 9"}},
        ],
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2026-0001",
            "ids": [{"system_name": "Garden bugs", "text": "123"}, {"system_name": "GHSA", "text": "GHSA-aaaa-bbbb-cccc"}],
            "product_status": {"known_affected": ["P1", "P2", "OS:P3"], "fixed": ["OS"]},
            "scores": [{"products": ["P1"], "cvss_v3": {"version": "3.1", "vectorString": V3, "baseScore": 7.2}, "cvss_v2": {
                "version": "2.0", "vectorString": V2}}],
            "references": [{"summary": "one", "url": "https://example.org/one"}],
        },
        {"cve": "CVE-2026-0002", "product_status": {"first_affected": ["T"], "last_affected": ["P1"]}},
    ],
}  # fmt: skip

PAYLOADS = {"OSV": OSV, "NVD": NVD, "CSAF": CSAF}


def changed(name: str, change: Callable[[Any], object]) -> dict[str, Any]:
    """A payload with one thing changed."""
    payload = copy.deepcopy(PAYLOADS[name])
    change(payload)
    return payload


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    """A change: what stands at a path becomes another value."""

    def change(payload: Any) -> None:
        for step in path[:-1]:
            payload = payload[step]
        payload[path[-1]] = value

    return change


def refusal(name: str, payload: Any) -> str:
    """What a reader says of a payload that it must refuse."""
    with pytest.raises(PayloadError) as caught:
        formats.read(name, payload)
    return str(caught.value)


# ---- what is read


def test_an_osv_advisory_is_read_as_it_stands() -> None:
    given = (
        Range("SEMVER", ({"introduced": "0"}, {"fixed": "1.2.0"}, {"introduced": "2.0.0"}, {"last_affected": "2.1"})),
        Range("GIT", ({"introduced": "0"}, {"limit": "abc"}), "https://example.org/pear.git"),
    )
    assert formats.read("OSV", OSV) == Record(
        id="GHSA-aaaa-bbbb-cccc",
        aliases=("CVE-2026-0001",),
        summary="A pear falls",
        severities=(Severity("cvssv3", 7.2, V3), Severity("cvssv4", 9.3, V4)),
        affected=(
            Affected("pkg:npm/%40garden/pear", "@garden/pear", "npm", ("1.0.0", "1.1.0"), given),
            Affected("pkg:deb/debian/pear", "pear", "Debian:12"),
        ),
        references=("https://example.org/pear",),
        relationships=(
            Relationship("related", "GHSA-aaaa-bbbb-cccc", "CVE-2025-0009"),
            Relationship("upstream", "GHSA-aaaa-bbbb-cccc", "CVE-2026-0002"),
        ),
    )


def test_an_nvd_cve_is_read_as_it_stands() -> None:
    pear = "cpe:2.3:a:garden:pear:"
    assert formats.read("NVD", NVD) == Record(
        id="CVE-2026-0001",
        summary="A pear falls",
        severities=(Severity("cvssv3", 7.1, V3), Severity("cvssv2", 7.5, V2)),
        affected=(
            Affected(
                "pkg:generic/garden/pear",
                "garden/pear",
                versions=("2.0",),
                ranges=(Range("CPE", ({"versionStartIncluding": "1.0"}, {"versionEndExcluding": "1.2"})),),
                cpes=(f"{pear}*:*:*:*:*:*:*:*", f"{pear}2.0:*:*:*:*:*:*:*", f"{pear}2.1:rc1:*:*:*:*:*:*"),
            ),
            Affected(
                "pkg:generic/garden/ladder",
                "garden/ladder",
                ranges=(Range("CPE", ()),),
                cpes=("cpe:2.3:h:garden:ladder:*:*:*:*:*:*:*:*",),
            ),
        ),
        references=("https://example.org/nvd",),
    )


def test_a_csaf_document_is_read_as_it_stands() -> None:
    assert formats.read("CSAF", CSAF) == Record(
        id="GSA-2026:0001",
        aliases=("CVE-2026-0001", "Garden bugs:123", "GHSA-aaaa-bbbb-cccc", "CVE-2026-0002"),
        title="Garden: pears fall",
        summary="Pears fall.",
        severities=(Severity("cvssv2", 7.5, V2), Severity("cvssv3", 7.2, V3)),
        affected=(
            Affected(
                "pkg:generic/Red%20Hat/Pear", "Pear", versions=("1.0",), ranges=(Range("VERS", ({"range": "vers:npm/<2.0"},)),)
            ),
            Affected("pkg:rpm/redhat/pear", "Pear", versions=("3-1",)),
            Affected("pkg:generic/garden/tree:house", "Tree house", versions=("2.0",), cpes=(TREE_CPE,)),
        ),
        references=("https://example.org/csaf", "https://example.org/one"),
    )


@pytest.mark.parametrize("name", PAYLOADS)
def test_bytes_text_and_object_are_read_alike(name: str) -> None:
    text = json.dumps(PAYLOADS[name], ensure_ascii=False)
    read = formats.read(name, PAYLOADS[name])
    assert formats.read(name, text) == read
    assert formats.read(name.lower(), text.encode()) == read
    assert formats.read(name, b"\xef\xbb\xbf" + text.encode()) == read


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_reader_changes_nothing_in_what_it_reads(name: str) -> None:
    payload = copy.deepcopy(PAYLOADS[name])
    formats.read(name, payload)
    assert payload == PAYLOADS[name]


def test_a_cve_of_nvd_may_stand_bare_or_in_an_answer() -> None:
    assert formats.read("NVD", {"cve": NVD}) == formats.read("NVD", NVD)
    assert formats.read("NVD", {"resultsPerPage": 1, "vulnerabilities": [{"cve": NVD}]}) == formats.read("NVD", NVD)


def test_what_a_source_leaves_out_is_empty() -> None:
    assert formats.read("OSV", {"id": "A-1"}) == Record("A-1")
    assert formats.read("NVD", {"id": "CVE-1"}) == Record("CVE-1")
    document = {"csaf_version": "2.0", "title": "t", "tracking": {"id": "A-1"}}
    assert formats.read("CSAF", {"document": document}) == Record("A-1", title="t")
    nothing = dict.fromkeys(["aliases", "summary", "severity", "affected", "references", "withdrawn", "schema_version"])
    assert formats.read("OSV", {"id": "A-1", **nothing}) == Record("A-1")


def test_an_advisory_that_was_taken_back_says_when() -> None:
    assert formats.read("OSV", {**OSV, "withdrawn": "2026-02-01T00:00:00Z"}).withdrawn == "2026-02-01T00:00:00Z"
    assert formats.read("NVD", {**NVD, "vulnStatus": "Rejected"}).withdrawn == "2026-01-02T03:04:05.678"


def test_details_stand_in_for_a_summary_and_any_language_for_english() -> None:
    assert formats.read("OSV", {**OSV, "summary": ""}).summary == "from a tree"
    assert formats.read("NVD", {**NVD, "descriptions": NVD["descriptions"][:1]}).summary == "Una pera cae"
    assert formats.read("CSAF", changed("CSAF", lambda csaf: csaf["document"]["notes"].pop())).summary == "From a tree."


def test_integers_of_bson_are_numbers() -> None:
    metrics = {"cvssMetricV31": [{"cvssData": {"vectorString": V3, "baseScore": Int64(7)}}]}
    (score,) = formats.read("NVD", {**NVD, "metrics": metrics}).severities
    assert score == Severity("cvssv3", 7.0, V3)
    assert isinstance(score.score, float)


@pytest.mark.parametrize(
    ("ecosystem", "name", "wanted"),
    [
        ("PyPI", "Zope.Interface_x", "pkg:pypi/zope.interface-x"),
        ("PyPI", "a\\b/c", "pkg:pypi/a%5Cb/c"),
        ("Go", "github.com/A/b", "pkg:golang/github.com/A/b"),
        ("Go", "stdlib", "pkg:golang/stdlib"),
        ("Maven", "org.garden:pear", "pkg:maven/org.garden/pear"),
        ("npm", "@garden/pear", "pkg:npm/%40garden/pear"),
        ("Packagist", "Garden/Pear", "pkg:composer/garden/pear"),
        ("SwiftURL", "https://github.com/garden/pear", "pkg:swift/github.com/garden/pear"),
        ("Ubuntu:22.04:LTS", "pear", "pkg:deb/ubuntu/pear"),
        ("Red Hat:rhel_eus:9.2::baseos", "pear", "pkg:rpm/redhat/pear"),
        ("Linux", "Kernel", "pkg:generic/Linux/Kernel"),
        ("Orchard:9", "pear", "pkg:generic/Orchard:9/pear"),
        ("", "pear", "pkg:generic/pear"),
    ],
)
def test_a_package_that_is_only_named_gets_the_purl_of_its_ecosystem(ecosystem: str, name: str, wanted: str) -> None:
    (found,) = formats.read("OSV", {"id": "A-1", "affected": [{"package": {"ecosystem": ecosystem, "name": name}}]}).affected
    assert found.purl == wanted == packages.purl(wanted, "")
    assert (found.package, found.ecosystem) == (name, ecosystem)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("cpe:/a:garden:pear:1.0:rc1:~~pro~node.js~x64~:en", "cpe:2.3:a:garden:pear:1.0:rc1:*:en:pro:node.js:x64:*"),
        ("cpe:/o:Garden:Soil:-", "cpe:2.3:o:garden:soil:-:*:*:*:*:*:*:*"),
        ("cpe:/a:garden:pe%01r%02:1.0%2b", "cpe:2.3:a:garden:pe?r*:1.0\\+:*:*:*:*:*:*:*"),
        ("cpe:2.3:a:GARDEN:pear\\\\:1.0:*:*:*:*:*:*:*", "cpe:2.3:a:garden:pear\\\\:1.0:*:*:*:*:*:*:*"),
    ],
)
def test_a_cpe_is_read_in_either_binding(given: str, wanted: str) -> None:
    helper = {"product_id": "T", "name": "n", "product_identification_helper": {"cpe": given}}
    found = formats.read("CSAF", changed("CSAF", put("product_tree", "full_product_names", 0, value=helper)))
    assert found.affected[-1].cpes == (wanted,)


def test_a_backslash_before_the_end_of_a_cpes_part_does_not_join_it_to_the_next() -> None:
    name = "cpe:2.3:a:garden:pear\\\\:1.0:*:*:*:*:*:*:*"
    match = {"vulnerable": True, "criteria": name}
    (found,) = formats.read("NVD", {"id": "CVE-1", "configurations": [{"nodes": [{"cpeMatch": [match]}]}]}).affected
    assert (found.package, found.versions) == ("garden/pear\\", ("1.0",))


def test_a_version_in_a_name_says_nothing_where_there_are_bounds_and_nothing_negated_is_affected() -> None:
    match = {"vulnerable": True, "criteria": "cpe:2.3:a:garden:pear:1:*:*:*:*:*:*:*", "versionEndIncluding": "7"}
    configurations = [
        {"nodes": [{"cpeMatch": [match]}]},
        {"negate": True, "nodes": [{"cpeMatch": [{**match, "versionEndIncluding": None}]}]},
    ]
    (found,) = formats.read("NVD", {"id": "CVE-1", "configurations": configurations}).affected
    assert (found.versions, found.ranges) == ((), (Range("CPE", ({"versionEndIncluding": "7"},)),))


def test_empty_texts_of_a_list_are_left_out() -> None:
    assert formats.read("OSV", {"id": "A-1", "aliases": ["", "B-1"]}).aliases == ("B-1",)


def test_a_component_is_what_its_own_helper_says() -> None:
    helper = {"product_identification_helper": {"purl": "pkg:rpm/redhat/pear-libs@4"}}
    own = put("product_tree", "relationships", 0, "full_product_name", value={"product_id": "OS:P3", "name": "libs", **helper})
    found = formats.read("CSAF", changed("CSAF", own)).affected[1]
    assert found == Affected("pkg:rpm/redhat/pear-libs", "libs", versions=("4",))


def test_a_component_of_a_component_is_named_by_what_it_is_alone() -> None:
    outer = {
        "category": "installed_on",
        "product_reference": "OS:P3",
        "relates_to_product_reference": "T",
        "full_product_name": {"product_id": "T:OS:P3", "name": "pear on Soil 9 in a tree house"},
    }

    def change(csaf: Any) -> None:
        csaf["product_tree"]["relationships"].append(outer)
        csaf["vulnerabilities"] = [{"product_status": {"known_affected": ["T:OS:P3"]}}]

    (found,) = formats.read("CSAF", changed("CSAF", change)).affected
    assert found == Affected("pkg:rpm/redhat/pear", "Pear", versions=("3-1",))


def test_many_products_are_grouped_in_one_pass() -> None:
    """A CVE of NVD may have thousands: looking through all matches for each product took minutes."""
    matches = [{"vulnerable": True, "criteria": f"cpe:2.3:a:garden:pear{n}:1:*:*:*:*:*:*:*"} for n in range(5000)]
    found = formats.read("NVD", {"id": "CVE-1", "configurations": [{"nodes": [{"cpeMatch": matches}]}]})
    assert len(found.affected) == 5000


# ---- what is refused, and in which words


def test_a_format_without_a_reader_is_named_with_those_that_have_one() -> None:
    assert refusal("GARDEN", b"{}") == "content.format: 'GARDEN' has no reader, wanted one of OSV, CSAF, NVD"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "it is no JSON (JSONDecodeError)"),
        (b'{"id": "A-1"', "it is no JSON (JSONDecodeError)"),
        (b'{"id": "\xff"}', "it is no JSON (UnicodeDecodeError)"),
        ('{"id": "A-1"}'.encode("utf-16"), "it is no JSON (UnicodeDecodeError)"),
        ("\ud800", "it is no JSON (UnicodeDecodeError)"),
        (b"[" * 100_000, "it is no JSON (RecursionError)"),
        (b'{"a":' * 100_000, "it is no JSON (RecursionError)"),
        (b'{"id": ' + b"9" * 5000 + b"}", "it is no JSON (ValueError)"),
        (b"[]", "it is no JSON object"),
        (b"null", "it is no JSON object"),
        (b'{"id": "A-1", "x": {"b": 1, "a": 1, "b": 2}}', "the name 'b' stands twice in an object"),
        (b'{"id": "A-1", "x": NaN}', "NaN is no JSON number"),
        (b'{"id": "A-1", "x": -Infinity}', "-Infinity is no JSON number"),
        (None, "content.raw: found null, wanted an object or its JSON"),
        ([OSV], "content.raw: found a list, wanted an object or its JSON"),
        (7, "content.raw: found a number, wanted an object or its JSON"),
    ],
    ids=range(16),
)
def test_what_is_no_json_object_is_refused(payload: Any, words: str) -> None:
    assert refusal("OSV", payload) == words


WRONG: tuple[tuple[str, tuple[str | int, ...], object, str], ...] = (
    ("OSV", ("id",), None, "id: not there"),
    ("OSV", ("id",), " ", "id: not there"),
    ("OSV", ("id",), 7, "id: found a number, wanted text"),
    ("OSV", ("id",), "A\x00", "id: it holds a character that no text may hold"),
    ("OSV", ("id",), "A\ud800", "id: it holds a character that no text may hold"),
    ("OSV", ("schema_version",), "2.0.0", "schema_version: '2.0.0', wanted 1.x"),
    ("OSV", ("summary",), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "summary: found datetime, wanted text"),
    ("OSV", ("summary",), ObjectId(), "summary: found ObjectId, wanted text"),
    ("OSV", ("withdrawn",), True, "withdrawn: found true or false, wanted text"),
    ("OSV", ("aliases",), "A-1", "aliases: found text, wanted a list"),
    ("OSV", ("aliases", 0), None, "aliases[0]: found null, wanted text"),
    ("OSV", ("aliases", 0), Int64(7), "aliases[0]: found Int64, wanted text"),
    ("OSV", ("aliases", 0), "A\x00", "aliases[0]: it holds a character that no text may hold"),
    ("OSV", ("related",), {}, "related: found an object, wanted a list"),
    ("OSV", ("severity", 0), "x", "severity[0]: found text, wanted an object"),
    ("OSV", ("severity", 0, "type"), None, "severity[0].type: not there"),
    ("OSV", ("severity", 0, "score"), "9.8", "severity[0].score: '9.8' is no CVSS vector"),
    ("OSV", ("affected", 0, "severity", 0, "score"), "CVSS:4.0/AV:N", "affected[0].severity[0].score: 'CVSS:4.0/AV:N' is no CVSS vector"),
    ("OSV", ("affected",), {}, "affected: found an object, wanted a list"),
    ("OSV", ("affected", 1), None, "affected[1]: found null, wanted an object"),
    ("OSV", ("affected", 0, "package"), [], "affected[0].package: found a list, wanted an object"),
    ("OSV", ("affected", 0, "package"), {"ecosystem": "npm"}, "affected[0].package.name: not there"),
    ("OSV", ("affected", 0, "package", "purl"), "npm/pear", "affected[0].package.purl: 'npm/pear' is no package URL"),
    ("OSV", ("affected", 1, "package", "name"), " / ", "affected[1].package.name: ' / ' cannot be named by a package URL"),
    ("OSV", ("affected", 0, "versions"), ["1", 2.5], "affected[0].versions[1]: found a number, wanted text"),
    ("OSV", ("affected", 0, "ranges", 0, "type"), None, "affected[0].ranges[0].type: not there"),
    ("OSV", ("affected", 0, "ranges", 1, "repo"), [], "affected[0].ranges[1].repo: found a list, wanted text"),
    ("OSV", ("affected", 0, "ranges", 0, "events", 1), {"fixt": "1"}, "affected[0].ranges[0].events[1]: none of introduced, fixed, last_affected, limit"),
    ("OSV", ("affected", 0, "ranges", 0, "events", 1), {"fixed": ""}, "affected[0].ranges[0].events[1].fixed: not there"),
    ("OSV", ("affected", 0, "ranges", 0, "events", 1), {"fixed": 2}, "affected[0].ranges[0].events[1].fixed: found a number, wanted text"),
    ("OSV", ("references", 0), {"type": "WEB"}, "references[0].url: not there"),
    ("NVD", ("id",), None, "id: not there"),
    ("NVD", ("cve",), None, "cve.id: not there"),
    ("NVD", ("cve",), [], "cve: found a list, wanted an object"),
    ("NVD", ("vulnerabilities",), [], "vulnerabilities: found 0, wanted one"),
    ("NVD", ("vulnerabilities",), [{"cve": {}}, {"cve": {}}], "vulnerabilities: found 2, wanted one"),
    ("NVD", ("vulnerabilities",), [{}], "vulnerabilities[0].cve.id: not there"),
    ("NVD", ("vulnerabilities",), [7], "vulnerabilities[0]: found a number, wanted an object"),
    ("NVD", ("descriptions", 1, "value"), 7, "descriptions[1].value: found a number, wanted text"),
    ("NVD", ("metrics",), [], "metrics: found a list, wanted an object"),
    ("NVD", ("metrics", "cvssMetricV31", 0, "cvssData"), {}, "metrics.cvssMetricV31[0].cvssData.vectorString: not there"),
    ("NVD", ("metrics", "cvssMetricV31", 0, "cvssData", "vectorString"), "AV:X", "metrics.cvssMetricV31[0].cvssData.vectorString: 'AV:X' is no CVSS vector"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), "7.5", "metrics.cvssMetricV2[0].cvssData.baseScore: found text, wanted a number"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), True, "metrics.cvssMetricV2[0].cvssData.baseScore: found true or false, wanted a number"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), Decimal128("7.5"), "metrics.cvssMetricV2[0].cvssData.baseScore: found Decimal128, wanted a number"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), 10.1, "metrics.cvssMetricV2[0].cvssData.vectorString: the score beside it is not between 0 and 10"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), -0.1, "metrics.cvssMetricV2[0].cvssData.vectorString: the score beside it is not between 0 and 10"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), math.nan, "metrics.cvssMetricV2[0].cvssData.vectorString: the score beside it is not between 0 and 10"),
    ("NVD", ("metrics", "cvssMetricV2", 0, "cvssData", "baseScore"), 10**400, "metrics.cvssMetricV2[0].cvssData.vectorString: the score beside it is not between 0 and 10"),
    ("NVD", ("configurations",), {}, "configurations: found an object, wanted a list"),
    ("NVD", ("configurations", 0, "nodes", 0, "cpeMatch", 0, "vulnerable"), 1, "configurations[0].nodes[0].cpeMatch[0].vulnerable: found a number, wanted true or false"),
    ("NVD", ("configurations", 0, "nodes", 0, "negate"), "no", "configurations[0].nodes[0].negate: found text, wanted true or false"),
    ("NVD", ("configurations", 0, "nodes", 0, "cpeMatch", 0, "criteria"), None, "configurations[0].nodes[0].cpeMatch[0].criteria: not there"),
    ("NVD", ("configurations", 0, "nodes", 0, "cpeMatch", 0, "criteria"), "cpe:2.3:a:b:c", "configurations[0].nodes[0].cpeMatch[0].criteria: 'cpe:2.3:a:b:c' is no CPE name"),
    ("NVD", ("configurations", 0, "nodes", 0, "cpeMatch", 0, "criteria"), "cpe:/a:b:c:1:2:3:4:5", "configurations[0].nodes[0].cpeMatch[0].criteria: 'cpe:/a:b:c:1:2:3:4:5' is no CPE name"),
    ("NVD", ("configurations", 0, "nodes", 0, "cpeMatch", 0, "versionEndExcluding"), 2, "configurations[0].nodes[0].cpeMatch[0].versionEndExcluding: found a number, wanted text"),
    ("NVD", ("references", 0), {}, "references[0].url: not there"),
    ("CSAF", ("document",), None, "document.csaf_version: not there"),
    ("CSAF", ("document",), "x", "document: found text, wanted an object"),
    ("CSAF", ("document", "csaf_version"), "2.1", "document.csaf_version: '2.1', wanted 2.0"),
    ("CSAF", ("document", "title"), None, "document.title: not there"),
    ("CSAF", ("document", "tracking"), None, "document.tracking.id: not there"),
    ("CSAF", ("document", "references", 0, "url"), None, "document.references[0].url: not there"),
    ("CSAF", ("document", "notes", 0, "text"), [], "document.notes[0].text: found a list, wanted text"),
    ("CSAF", ("vulnerabilities",), {}, "vulnerabilities: found an object, wanted a list"),
    ("CSAF", ("vulnerabilities", 0, "cve"), 7, "vulnerabilities[0].cve: found a number, wanted text"),
    ("CSAF", ("vulnerabilities", 0, "ids", 0, "text"), None, "vulnerabilities[0].ids[0].text: not there"),
    ("CSAF", ("vulnerabilities", 0, "ids", 0, "system_name"), None, "vulnerabilities[0].ids[0].system_name: not there"),
    ("CSAF", ("vulnerabilities", 0, "scores", 0, "cvss_v3", "vectorString"), None, "vulnerabilities[0].scores[0].cvss_v3.vectorString: not there"),
    ("CSAF", ("vulnerabilities", 0, "product_status", "known_affected", 0), "P9", "vulnerabilities[0].product_status.known_affected: 'P9' is not in the product tree"),
    ("CSAF", ("vulnerabilities", 0, "product_status"), [], "vulnerabilities[0].product_status: found a list, wanted an object"),
    ("CSAF", ("product_tree", "branches", 0, "category"), None, "product_tree.branches[0].category: not there"),
    ("CSAF", ("product_tree", "branches", 0, "branches", 0, "name"), 7, "product_tree.branches[0].branches[0].name: found a number, wanted text"),
    ("CSAF", ("product_tree", "full_product_names", 0, "product_id"), None, "product_tree.full_product_names[0].product_id: not there"),
    ("CSAF", ("product_tree", "full_product_names", 0, "product_identification_helper", "cpe"), "pear", "product_tree.full_product_names[0].product_identification_helper.cpe: 'pear' is no CPE name"),
    ("CSAF", ("product_tree", "full_product_names", 0, "product_identification_helper", "purl"), "pear", "product_tree.full_product_names[0].product_identification_helper.purl: 'pear' is no package URL"),
    ("CSAF", ("product_tree", "relationships", 0, "full_product_name"), None, "product_tree.relationships[0].full_product_name.name: not there"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "words"), WRONG, ids=range(len(WRONG)))
def test_a_value_of_the_wrong_kind_is_named_by_its_place(
    name: str, path: tuple[str | int, ...], value: object, words: str
) -> None:
    assert refusal(name, changed(name, put(*path, value=value))) == words


def test_branches_that_never_end_are_refused_and_deep_ones_are_read() -> None:
    def deep(depth: int) -> dict[str, Any]:
        inside: dict[str, Any] = {"category": "product_version", "name": "1", "product": {"product_id": "P", "name": "n"}}
        for _ in range(depth):
            inside = {"category": "product_family", "name": "f", "branches": [inside]}
        return {
            **CSAF,
            "product_tree": {"branches": [inside]},
            "vulnerabilities": [{"product_status": {"known_affected": ["P"]}}],
        }

    assert formats.read("CSAF", deep(60)).affected[0].versions == ("1",)
    assert refusal("CSAF", deep(5000)) == "product_tree: branches deeper than 64"


def values(payload: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value in a payload."""
    children: Any = payload.items() if isinstance(payload, dict) else enumerate(payload) if isinstance(payload, list) else ()
    for name, value in children:
        yield (*path, name)
        yield from values(value, (*path, name))


STRANGE: tuple[object, ...] = (
    None, 7, -1.5, "", "x", [], [None], {}, {"": {}}, True, b"x", dt.datetime(1, 1, 1, tzinfo=dt.UTC), ObjectId(), Decimal128("NaN"),
)  # fmt: skip


@pytest.mark.parametrize("name", PAYLOADS)
def test_whatever_stands_anywhere_a_payload_is_read_or_refused(name: str) -> None:
    said: set[str] = set()
    for path, value in itertools.product(values(PAYLOADS[name]), STRANGE):
        try:
            formats.read(name, changed(name, put(*path, value=value)))
        except PayloadError as err:
            said.add(str(err))
    assert len(said) > 100
    assert all(len(words) < 250 for words in said)

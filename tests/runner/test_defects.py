"""What is in the way of the schema: found before anything is built, told with both sides, never dropped or replaced."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod


def refused(lnm: Lnm, site: Site) -> dict[str, Any]:
    """The answer of an apply that is refused and writes nothing."""
    with watched(site.server) as writes:
        answer = lnm.apply("--json", wanted=2).json
    assert writes.oplog == []
    return answer


OTHERS: dict[str, tuple[list[tuple[str, int]], dict[str, Any]]] = {
    "other_keys": ([("tenantId", 1), ("source", 1)], {"unique": True}),
    "other_order": ([("tenantId", 1), ("source", 1), ("advisoryId", 1)], {"unique": True}),
    "not_unique": ([("tenantId", 1), ("advisoryId", 1), ("source", 1)], {}),
    "descending": ([("tenantId", 1), ("advisoryId", 1), ("source", -1)], {"unique": True}),
    "hidden": ([("tenantId", 1), ("advisoryId", 1), ("source", 1)], {"unique": True, "hidden": True}),
    "sparse": ([("tenantId", 1), ("advisoryId", 1), ("source", 1)], {"unique": True, "sparse": True}),
    "partial": (
        [("tenantId", 1), ("advisoryId", 1), ("source", 1)],
        {"unique": True, "partialFilterExpression": {"source": {"$exists": True}}},
    ),
    "collation": ([("tenantId", 1), ("advisoryId", 1), ("source", 1)], {"unique": True, "collation": {"locale": "de"}}),
    "dying": ([("tenantId", 1)], {"expireAfterSeconds": 5}),
}


@pytest.mark.parametrize("case", OTHERS)
def test_an_index_of_the_same_name_with_another_specification_is_an_error_with_both(lnm: Lnm, site: Site, case: str) -> None:
    keys, options = OTHERS[case]
    site.database["advisory_linksets"].create_index(keys, name="lnm_ls_advisory_unique", **options)

    error = refused(lnm, site)["error"]

    assert error["type"] == "IndexConflictError"
    assert (error["collection"], error["index"]) == ("advisory_linksets", "lnm_ls_advisory_unique")
    assert error["found"]["key"] == dict(keys)
    assert error["wanted"]["key"] == {"tenantId": 1, "advisoryId": 1, "source": 1}
    assert "dropIndex('lnm_ls_advisory_unique')" in error["hint"]


def test_an_index_that_must_not_expire_and_does_is_an_error(lnm: Lnm, site: Site) -> None:
    site.database["lnm_object_map"].create_index("status", name="lnm_map_status", expireAfterSeconds=5)

    error = refused(lnm, site)["error"]

    assert error["type"] == "IndexConflictError"
    assert error["found"]["expireAfterSeconds"] == 5
    assert "expireAfterSeconds" not in error["wanted"]


def test_an_equal_index_of_another_name_is_an_error_with_both(lnm: Lnm, site: Site) -> None:
    """The server would refuse to build ours beside it, half-way through (code 85)."""
    site.database["advisory_linkset_events"].create_index("publishedAt")

    error = refused(lnm, site)["error"]

    assert error["type"] == "IndexConflictError"
    assert error["found"]["name"] == "publishedAt_1"
    assert error["wanted"]["name"] == "lnm_ls_events_ttl"
    assert "dropIndex('publishedAt_1')" in error["hint"]


def test_another_validator_is_never_replaced(lnm: Lnm, site: Site) -> None:
    theirs = {"$jsonSchema": {"required": ["tenantId"]}}
    site.database.create_collection("advisory_observations", validator=theirs)

    error = refused(lnm, site)["error"]

    assert error["type"] == "ValidatorConflictError"
    assert error["found"] == {"validator": theirs, "validationLevel": "strict", "validationAction": "error"}
    assert error["wanted"]["validationLevel"] == "moderate"


def test_a_collection_without_a_validator_gets_ours(lnm: Lnm, site: Site) -> None:
    site.database["advisory_linksets"].insert_one({"old": True})

    lnm.apply()

    options = site.database["advisory_linksets"].options()
    assert options["validationLevel"] == "moderate"
    assert "observations" in options["validator"]["$jsonSchema"]["required"]


def test_a_view_in_the_place_of_a_collection_is_an_error(lnm: Lnm, site: Site) -> None:
    site.database["elsewhere"].insert_one({})
    site.database.create_collection("advisory_linksets", viewOn="elsewhere", pipeline=[])

    error = refused(lnm, site)["error"]

    assert error["type"] == "PlanError"
    assert "found a view, wanted a collection" in error["message"]


def test_duplicates_are_counted_and_shown_before_anything_is_built(lnm: Lnm, site: Site) -> None:
    twice = {"tenantId": "t", "advisoryId": "CVE-1", "source": "nvd"}
    site.database["advisory_linksets"].insert_many([{**twice, "_id": n} for n in range(3)])
    site.database["advisory_linksets"].insert_many([{**twice, "advisoryId": "CVE-2", "_id": n} for n in (7, 8)])
    site.database["advisory_linksets"].insert_one({**twice, "advisoryId": "CVE-3", "_id": 9})

    error = refused(lnm, site)["error"]

    assert error["type"] == "DuplicateKeysError"
    assert error["keys"] == 2
    assert error["examples"] == [
        {"key": twice, "documents": 3, "ids": ["0", "1", "2"]},
        {"key": {**twice, "advisoryId": "CVE-2"}, "documents": 2, "ids": ["7", "8"]},
    ]


def test_documents_that_both_lack_a_field_of_a_unique_index_are_duplicates(lnm: Lnm, site: Site) -> None:
    site.database["advisory_linkset_tombstones"].insert_many([{"tenantId": "t"}, {"tenantId": "t", "legacyAdvisoryKey": None}])

    error = refused(lnm, site)["error"]

    assert error["type"] == "DuplicateKeysError"
    assert error["examples"][0]["key"] == {"tenantId": "t", "legacyAdvisoryKey": None}


def test_every_defect_is_told_at_once(lnm: Lnm, site: Site) -> None:
    site.database["advisory_raw"].insert_one({})
    site.database.create_collection("advisory_observations", validator={"a": 1})
    site.database["lnm_object_map"].create_index("other", name="lnm_map_sha256")

    answer = refused(lnm, site)

    assert answer["error"]["type"] == "PreconditionError"
    assert [other["type"] for other in answer["others"]] == ["ValidatorConflictError", "IndexConflictError"]
    assert lnm.plan(wanted=2).stderr.count("error: ") == 3


RAW_KEYS = [("source.vendor", 1), ("upstream.upstream_id", 1), ("upstream.content_hash", 1), ("tenant", 1)]


@pytest.mark.parametrize("name", ["their_own_name", "advisory_raw_idempotency"])
def test_the_idempotency_index_of_advisory_raw_is_found_by_its_content(lnm: Lnm, site: Site, name: str) -> None:
    site.database["advisory_raw"].create_index(RAW_KEYS, unique=True, name=name)

    answer = lnm.apply("--json").json

    assert answer["notes"] == [f"advisory_raw has the unique index that is needed ({name})"]
    assert set(site.database["advisory_raw"].index_information()) == {"_id_", name}


@pytest.mark.parametrize("options", [{}, {"unique": True, "sparse": True}], ids=["not_unique", "sparse"])
def test_without_the_idempotency_index_nothing_is_applied(lnm: Lnm, site: Site, options: dict[str, Any]) -> None:
    site.database["advisory_raw"].create_index(RAW_KEYS, **options)

    error = refused(lnm, site)["error"]

    assert error["type"] == "PreconditionError"
    assert "20251028_advisory_raw_idempotency_index" in error["hint"]


@pytest.mark.parametrize(
    ("collection", "options"),
    [
        ("advisory_linksets", {"collation": {"locale": "en"}}),
        ("advisory_linkset_events", {"capped": True, "size": 1 << 20}),
        ("advisory_observations", {"capped": True, "size": 4096, "max": 3}),
        ("lnm_object_map", {"capped": True, "size": 4096}),
    ],
    ids=["collation", "capped", "capped-observations", "capped-map"],
)
def test_a_collection_that_no_index_can_mend_is_refused_before_anything_is_changed(
    lnm: Lnm, site: Site, collection: str, options: dict[str, Any]
) -> None:
    site.database.create_collection(collection, **options)

    error = lnm.apply("--json", wanted=2).json["error"]

    assert error["collection"] == collection
    assert site.database.list_collection_names(filter={"name": {"$regex": "^(advisory|lnm_)"}}) == [collection]


SHA = "provenance.sourceArtifactSha"


@pytest.mark.parametrize(
    ("documents", "fields"),
    [
        ([{"source": ["a", "b"]}, {"source": "a"}], ["source"]),
        ([{"source": ["a", "b"]}, {"source": ["b", "c"], "provenance": {"sourceArtifactSha": None}}], ["source"]),
        ([{"tenantId": ["a", "b"]}], ["tenantId"]),
        ([{"advisoryId": ["a", "b"]}], ["advisoryId"]),
        ([{"source": ["a"], "provenance": [{}]}], ["provenance", "source"]),
        ([{"provenance": {"sourceArtifactSha": ["a"]}}], [SHA]),
    ],
    ids=["unique", "overlapping", "tenant", "hashed", "parallel", "nested"],
)
def test_arrays_where_an_index_wants_one_value_are_counted_with_examples_before_anything_is_built(
    lnm: Lnm, site: Site, documents: list[dict[str, Any]], fields: list[str]
) -> None:
    site.database["advisory_observations"].insert_many([{"_id": n, **document} for n, document in enumerate(documents)])

    answer = refused(lnm, site)

    errors = [error for error in (answer["error"], *answer["others"]) if error["type"] == "ArrayValueError"]
    assert sorted(error["field"] for error in errors) == sorted(fields)
    assert all(error["ids"] and error["collection"] == "advisory_observations" for error in errors)
    assert site.database["advisory_observations"].options() == {}


def test_arrays_where_an_index_is_about_their_elements_hinder_nothing(lnm: Lnm, site: Site) -> None:
    site.database["advisory_observations"].insert_one({"tenantId": "t", "affected": [{"purl": "a"}, {"purl": "b"}]})
    site.database["advisory_linksets"].insert_one({"tenantId": "t", "observations": [1, 2], "normalized": {"purls": ["a"]}})

    lnm.apply()


def test_more_indexes_than_a_collection_may_have_are_refused_before_anything_is_changed(lnm: Lnm, site: Site) -> None:
    for number in range(58):
        site.database["advisory_linksets"].create_index([(f"f{number}", 1)])

    error = refused(lnm, site)["error"]

    assert error["message"] == "advisory_linksets would have 65 indexes; the limit is 64"


def test_a_key_that_is_very_long_is_not_told_whole(lnm: Lnm, site: Site) -> None:
    site.database["advisory_linkset_tombstones"].insert_many(
        [{"tenantId": "t", "legacyAdvisoryKey": "x" * 300_000} for _ in "ab"]
    )

    assert len(lnm.plan(wanted=2).stderr) < 2_000

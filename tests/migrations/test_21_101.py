"""What the schema of 21-101 is for: which documents it takes, and which queries it serves."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import DuplicateKeyError, WriteError

from tests.runner.fixtures import Site
from tests.runner.installed import Lnm
from tests.runner.kits import Kit

pytestmark = pytest.mark.mongod

DOCUMENT_VALIDATION_FAILURE = 121
AT = dt.datetime(2025, 12, 1, 8, tzinfo=dt.UTC)
SHA = "a4eac42abf403b8404384d7b0a0ae6f5dd285e7e0fd7f9071d6f452478ad03f3"

OBSERVATION: dict[str, Any] = {  # the worked example of facts.md 1.4
    "_id": ObjectId("f1710e31d582b1b9f0661e2a"),
    "tenantId": "urn:tenant:00000000-0000-0000-0000-000000000001",
    "source": "ghsa",
    "advisoryId": "GHSA-35jh-r3h4-6jhm",
    "affected": [
        {
            "purl": "pkg:npm/lodash",
            "package": "lodash",
            "ecosystem": "npm",
            "versions": ["4.17.20"],
            "ranges": [{"events": [{"introduced": "0"}, {"fixed": "4.17.21"}], "type": "SEMVER"}],
        }
    ],
    "contentHash": f"sha256:{SHA}",
    "ingestedAt": AT,
    "provenance": {"fetchedAt": AT, "sourceArtifactSha": SHA},
    "severities": [{"score": 7.2, "system": "cvssv3", "vector": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}],
    "summary": "Command Injection in lodash",
    "supersedesId": None,
}
LINKSET: dict[str, Any] = {
    "_id": ObjectId("0123456789abcdef01234567"),
    "tenantId": OBSERVATION["tenantId"],
    "advisoryId": OBSERVATION["advisoryId"],
    "source": "ghsa",
    "observations": [OBSERVATION["_id"]],
    "normalized": {"purls": ["pkg:npm/lodash"], "versions": [], "ranges": [], "severities": []},
    "confidence": 0.4,
    "conflicts": [],
    "provenance": {"observationHashes": [], "toolVersion": "lnm-1.0"},
    "createdAt": AT,
}
TAKEN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "observation": ("advisory_observations", OBSERVATION, {}),
    "observation_affecting_nothing": ("advisory_observations", OBSERVATION, {"affected": []}),
    "observation_whole_score": ("advisory_observations", OBSERVATION, {"severities": [{"system": "cvssv3", "score": 7}]}),
    "linkset": ("advisory_linksets", LINKSET, {}),
    "linkset_unknown_confidence": ("advisory_linksets", LINKSET, {"confidence": None}),
}
MISSING = object()
REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    **{f"observation_without_{name}": ("advisory_observations", OBSERVATION, {name: MISSING})
       for name in ("tenantId", "source", "advisoryId", "affected", "provenance", "ingestedAt")},
    **{f"linkset_without_{name}": ("advisory_linksets", LINKSET, {name: MISSING})
       for name in ("tenantId", "advisoryId", "source", "observations", "provenance", "createdAt")},
    "observation_text_id": ("advisory_observations", OBSERVATION, {"_id": "text"}),
    "observation_without_purl": ("advisory_observations", OBSERVATION, {"affected": [{"package": "lodash"}]}),
    "observation_text_score": ("advisory_observations", OBSERVATION, {"severities": [{"system": "cvssv3", "score": "7.2"}]}),
    "observation_text_date": ("advisory_observations", OBSERVATION, {"ingestedAt": "2025-12-01"}),
    "linkset_of_text_ids": ("advisory_linksets", LINKSET, {"observations": ["f1710e31d582b1b9f0661e2a"]}),
    "linkset_too_sure": ("advisory_linksets", LINKSET, {"confidence": 1.5}),
}  # fmt: skip


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A document with other fields."""
    return {name: value for name, value in {**copy.deepcopy(document), **changes}.items() if value is not MISSING}


@pytest.fixture
def applied(lnm: Lnm, site: Site) -> Site:
    """A database to which 21-101 was applied."""
    lnm.apply()
    return site


def test_the_validators_take_documents_of_the_frozen_schema(applied: Site) -> None:
    for name, document, changes in TAKEN.values():
        with applied.server.client.start_session() as session, session.start_transaction():
            applied.database[name].insert_one(changed(document, changes), session=session)
            session.abort_transaction()


def test_the_validators_refuse_what_lacks_a_field_or_has_another_type(applied: Site) -> None:
    for case, (name, document, changes) in REFUSED.items():
        with pytest.raises(WriteError) as refused:
            applied.database[name].insert_one(changed(document, changes))
        assert refused.value.code == DOCUMENT_VALIDATION_FAILURE, case


def test_what_was_there_before_and_is_not_valid_can_still_be_changed(lnm: Lnm, site: Site) -> None:
    site.database["advisory_observations"].insert_one({"_id": 1, "tenantId": "t", "odd": True})

    lnm.apply()

    assert site.database["advisory_observations"].update_one({"_id": 1}, {"$set": {"seen": True}}).modified_count == 1


def test_an_artifact_is_observed_once(applied: Site) -> None:
    applied.database["advisory_observations"].insert_one(OBSERVATION)

    with pytest.raises(DuplicateKeyError):
        applied.database["advisory_observations"].insert_one({**OBSERVATION, "_id": ObjectId()})
    revised = {
        **OBSERVATION,
        "_id": ObjectId(),
        "provenance": {"sourceArtifactSha": "0" * 64},
        "supersedesId": OBSERVATION["_id"],
    }
    applied.database["advisory_observations"].insert_one(revised)


TENANT = {"tenantId": "t"}
QUERIES = {
    "lnm_obs_artifact_unique": (
        "advisory_observations",
        {**TENANT, "advisoryId": "a", "source": "s", "provenance.sourceArtifactSha": SHA},
        [],
    ),
    "lnm_obs_fetched": ("advisory_observations", {**TENANT, "advisoryId": "a"}, [("provenance.fetchedAt", -1)]),
    "lnm_obs_purl": ("advisory_observations", {**TENANT, "affected.purl": "p"}, []),
    "lnm_obs_supersedes": ("advisory_observations", {**TENANT, "supersedesId": OBSERVATION["_id"]}, []),
    "lnm_obs_backfill_run": ("advisory_observations", {"backfill.runId": "r"}, []),
    "lnm_ls_observations": ("advisory_linksets", {**TENANT, "observations": OBSERVATION["_id"]}, []),
    "lnm_ls_purls": ("advisory_linksets", {**TENANT, "normalized.purls": "p"}, []),
    "lnm_ls_created": ("advisory_linksets", TENANT, [("createdAt", -1)]),
    "lnm_obs_events_pending": ("advisory_observation_events", {"publishedAt": None}, [("replayCursor", 1)]),
    "lnm_tomb_legacy_unique": ("advisory_linkset_tombstones", {**TENANT, "legacyAdvisoryKey": "k"}, []),
    "lnm_map_status": ("lnm_object_map", {"status": "pending"}, []),
}


def test_the_indexes_serve_the_queries_that_they_are_for(applied: Site) -> None:
    for index, (name, query, order) in QUERIES.items():
        cursor = applied.database[name].find(query)
        planner = (cursor.sort(order) if order else cursor).explain()["queryPlanner"]
        considered = json.dumps([planner["winningPlan"], *planner["rejectedPlans"]], default=str)
        assert f'"indexName": "{index}"' in considered, considered
        assert '"SORT"' not in json.dumps(planner["winningPlan"], default=str)


def test_the_seed_manifest_is_the_placeholder_that_was_agreed_on(kit: Kit) -> None:
    data = (kit.folder / "seeds/object-store/seed-manifest.json").read_bytes()

    manifest = json.loads(data)

    assert data == json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert manifest.pop("version")
    assert manifest == {
        "bucketTemplate": "{tenant-uuid}-concelier-raw",
        "entries": [],
        "keyLayout": "advisory-raw/sha256/<aa>/<sha256>",
        "rootHash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",  # of no leaf: SHA-256 of nothing
        "schema": "stellaops.lnm.object-seed/1",
        "status": "placeholder",
    }

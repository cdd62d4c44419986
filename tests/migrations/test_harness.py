"""Every migration in the kit, from every starting point, through the harness."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pymongo.database import Database

from tests.migrations import harness
from tests.migrations.harness import Case
from tests.migrations.table_21_101 import INDEXES, REQUIRED
from tests.runner.fixtures import Site
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod

RAW_KEYS = [("source.vendor", 1), ("upstream.upstream_id", 1), ("upstream.content_hash", 1), ("tenant", 1)]
AT = dt.datetime(2025, 12, 1, 8, tzinfo=dt.UTC)


def empty(database: Database[dict[str, Any]]) -> None:
    """A new database."""
    assert database.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}}) == []


def of_the_old_model(database: Database[dict[str, Any]]) -> None:
    """A database that the product has used before Link-Not-Merge."""
    database["advisory_raw"].create_index(RAW_KEYS, unique=True, name="advisory_raw_idempotency")
    database["advisory_raw"].insert_many(
        {"_id": f"raw:{n}", "tenant": "t", "source": {"vendor": "nvd"}, "upstream": {"upstream_id": n}} for n in range(20)
    )
    database["advisory"].insert_many({"tenantId": "t", "advisoryKey": f"CVE-2025-{n}"} for n in range(20))


def half_made(database: Database[dict[str, Any]]) -> None:
    """Some collections and indexes are there already, with documents, also with some that the validator would refuse."""
    of_the_old_model(database)
    rows = database["advisory_observations"]
    rows.insert_one({"tenantId": "t", "advisoryId": "old", "odd": True})
    rows.insert_many({"tenantId": "t", "advisoryId": f"CVE-2025-{n}", "source": "nvd"} for n in range(500))
    rows.create_index([("tenantId", 1), ("affected.purl", 1)], name="lnm_obs_purl")
    rows.create_index("title", name="somebody_elses")
    events = database["advisory_observation_events"]
    events.insert_many({"observationHash": n, "publishedAt": None if n % 2 else dt.datetime.now(dt.UTC)} for n in range(20))
    events.create_index("publishedAt", name="lnm_obs_events_ttl", expireAfterSeconds=7_776_000)


def schema_of_21_101(database: Database[dict[str, Any]]) -> None:
    """Every collection has the indexes of the table, as the server tells them, and no other of ours."""
    for name, wanted in INDEXES.items():
        found: dict[str, dict[str, Any]] = {}
        for index in database[name].list_indexes():
            options = {key: value for key, value in index.items() if key not in {"v", "name", "key"}}
            found[index["name"]] = {"key": list(index["key"].items()), **options}
        assert {index: found[index] for index in found if index.startswith("lnm_")} == wanted
    for name, required in REQUIRED.items():
        stored = database[name].options()
        assert stored["validationLevel"] == "moderate"
        assert stored["validationAction"] == "error"
        assert set(stored["validator"]["$jsonSchema"]["required"]) == required
    assert all("validator" not in database[name].options() for name in INDEXES if name not in REQUIRED)


CASES = [
    Case("21-101", empty, schema_of_21_101),
    Case("21-101", of_the_old_model, schema_of_21_101),
    Case("21-101", half_made, schema_of_21_101),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.delivery}-{case.start.__name__}")
def test_check_up_assert_up_again(lnm: Lnm, site: Site, case: Case) -> None:
    harness.run(case, lnm, site)


WORKED = ("21-102",)
"""Has no plan, and so no case: `lnm backfill` does it (tests/runner/test_backfill*.py, tests/crash/test_backfill*.py)."""


def test_every_delivery_that_is_ready_has_a_case(lnm: Lnm) -> None:
    ready = [part["id"] for part in lnm.kit.manifest["deliveries"] if part["status"] == "ready"]

    assert ready == sorted({*(case.delivery for case in CASES), *WORKED})

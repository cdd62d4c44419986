"""21-101 behind a router: what it makes, that it makes it once, and what it refuses. Also for a real mongos (LNM_MONGOS)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.migrations.table_21_101 import INDEXES
from tests.runner.installed import Lnm
from tests.sharding.conftest import Router

pytestmark = pytest.mark.mongod

KEY: dict[str, Any] = {"tenantId": 1, "advisoryId": "hashed"}
SHARDED = ["advisory_linkset_events", "advisory_linksets", "advisory_observation_events", "advisory_observations"]
UNSHARDED = ["advisory_linkset_tombstones", "lnm_object_map"]
ID = "20251202_lnm_21_101_sharding_and_ttl"


def index_names(router: Router, collection: str) -> set[str]:
    """The indexes of a collection, the one of _id apart."""
    return {index["name"] for index in router.database[collection].list_indexes()} - {"_id_"}


def assert_as_declared(router: Router) -> None:
    """The four collections are sharded by the key, no other is, and all indexes of the table stand."""
    assert router.keys == {name: list(KEY.items()) for name in SHARDED}
    assert {name: index_names(router, name) for name in INDEXES} == {name: set(indexes) for name, indexes in INDEXES.items()}


def test_a_plan_says_what_will_be_sharded_and_shards_nothing(lnm: Lnm, router: Router) -> None:
    planned = lnm.plan("--json").json
    told = lnm.plan().stdout

    actions = [action for action in planned["plans"][0]["actions"] if action["action"] == "shard-collection"]
    assert sorted(action["collection"] for action in actions) == SHARDED
    assert all(action["key"] == KEY and action["unique"] is False for action in actions)
    assert "shard advisory_linksets by (tenantId, advisoryId: hashed); this cannot be taken back" in told
    assert "sharding: 0 collections of this database sharded" in told
    assert router.database.list_collection_names() == []


def test_a_new_database_is_sharded_and_a_second_apply_has_nothing_to_do(lnm: Lnm, router: Router) -> None:
    applied = lnm.apply("--json").json
    again = lnm.apply("--json").json

    assert_as_declared(router)
    assert applied["sharding"].startswith("4 collections of this database sharded, ")
    assert again["nothingToDo"]
    assert not again["writes"]
    assert again["sharding"] == applied["sharding"]
    assert lnm("status", "--json").json["server"]["topology"] == "router"
    row = router.database["lnm_migrations"].find_one({"_id": ID})
    assert row is not None
    assert row["state"] == "applied"


def test_a_collection_that_holds_documents_is_sharded_and_keeps_them(lnm: Lnm, router: Router) -> None:
    rows = [{"tenantId": f"t{n % 3}", "advisoryId": f"CVE-2025-{n}", "source": "nvd"} for n in range(60)]
    router.database["advisory_linksets"].insert_many(rows)

    lnm.apply()

    assert_as_declared(router)
    assert lnm.apply("--json").json["nothingToDo"]
    if router.is_real:  # the stand-in reads no documents of a sharded collection
        assert router.database["advisory_linksets"].count_documents({}) == len(rows)


def test_what_is_sharded_by_the_same_key_already_stays_so(lnm: Lnm, router: Router) -> None:
    """The server made the index of the key then, under a name of its own, and it can no longer be dropped."""
    router.shard("advisory_observations", KEY)

    applied = lnm.apply("--json").json

    sharded = [action["collection"] for action in applied["actions"] if action["action"] == "shard-collection"]
    assert sorted(sharded) == [name for name in SHARDED if name != "advisory_observations"]
    assert "advisory_observations is sharded already, by an index of another name, which stays" in applied["notes"]
    assert router.keys == {name: list(KEY.items()) for name in SHARDED}
    wanted = set(INDEXES["advisory_observations"]) - {"lnm_obs_shard_key"} | {"tenantId_1_advisoryId_hashed"}
    assert index_names(router, "advisory_observations") == wanted
    assert lnm.apply("--json").json["nothingToDo"]


@pytest.mark.parametrize(
    "key",
    [{"tenantId": "hashed"}, {"tenantId": 1, "advisoryId": 1}, {"advisoryId": "hashed", "tenantId": 1}],
    ids=["another-field", "not-hashed", "another-order"],
)
def test_what_is_sharded_by_another_key_is_refused_and_nothing_is_changed(lnm: Lnm, router: Router, key: dict[str, Any]) -> None:
    router.shard("advisory_linksets", key)

    error = lnm.apply("--json", wanted=2).json["error"]

    assert error["type"] == "ShardKeyConflictError"
    assert (error["found"], error["wanted"]) == (key, KEY)
    assert "restore the backup" in error["hint"]
    assert router.keys == {"advisory_linksets": list(key.items())}
    assert router.database.list_collection_names() == ["advisory_linksets"]


@pytest.mark.parametrize("collection", UNSHARDED)
def test_what_must_not_be_sharded_and_is_is_refused(lnm: Lnm, router: Router, collection: str) -> None:
    router.shard(collection, KEY)

    error = lnm.apply("--json", wanted=2).json["error"]

    assert error["type"] == "ShardKeyConflictError"
    assert error["wanted"] is None
    assert router.database.list_collection_names() == [collection]


def test_all_that_is_in_the_way_is_told_at_once(lnm: Lnm, router: Router) -> None:
    router.shard("advisory_linksets", {"tenantId": "hashed"})
    rows = router.database["advisory_observations"]
    rows.create_index("title", unique=True)
    rows.create_index("slug")
    router.database.command("collMod", rows.name, index={"name": "slug_1", "prepareUnique": True})
    router.database.create_collection("advisory_linkset_events", collation={"locale": "fr"})
    router.database.create_collection("advisory_observation_events", capped=True, size=4096)

    answer = lnm.apply("--json", wanted=2).json

    found = [(error["type"], error["collection"], error["message"]) for error in (answer["error"], *answer["others"])]
    wanted = [
        ("NotShardableError", "advisory_linkset_events", "its default collation is 'fr'"),
        ("NotShardableError", "advisory_observation_events", "it is capped"),
        (
            "NotShardableError",
            "advisory_observations",
            "its unique index slug_1 on (slug) does not begin with (tenantId, advisoryId)",
        ),
        ("NotShardableError", "advisory_observations", "its unique index title_1 on (title) does not begin with"),
        ("ShardKeyConflictError", "advisory_linksets", "is sharded by {'tenantId': 'hashed'}"),
    ]
    assert len(found) == len(wanted)
    for (kind, collection, message), (kind_wanted, of_it, part) in zip(sorted(found), wanted, strict=True):
        assert (kind, collection) == (kind_wanted, of_it)
        assert part in message
    assert "lnm_migrations" not in router.database.list_collection_names()
    assert set(router.keys) == {"advisory_linksets"}

"""What a cluster may already hold, and what others do to it between the plan and the command; behind the stand-in of shim.py."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from bson import Binary, MaxKey, MinKey
from bson.binary import UUID_SUBTYPE
from pymongo.errors import OperationFailure

from tests.migrations.table_21_101 import INDEXES
from tests.runner.installed import Lnm
from tests.sharding.cluster import Cluster
from tests.sharding.conftest import Router
from tests.sharding.shim import Shim, ddl
from tests.sharding.test_on_a_router import KEY, assert_as_declared

pytestmark = [pytest.mark.mongod, pytest.mark.usefixtures("never_a_real_router")]


def test_indexes_are_made_on_every_shard_that_owns_a_chunk(lnm: Lnm, shim: Shim, router: Router, cluster: Cluster) -> None:
    namespace = f"{router.database.name}.advisory_linksets"
    lnm.apply()
    other = move_away(cluster, namespace)
    router.database["advisory_linksets"].drop_index("lnm_ls_purls")
    there = cluster.shards[other].client[router.database.name]["advisory_linksets"]
    assert "lnm_ls_purls" not in there.index_information()
    there.drop_index("lnm_ls_shard_key")  # through a router the server refuses it (code 370), on the shard itself it does not
    shim.sent.clear()

    lnm.apply()

    assert [(one.name, one.collection) for one in ddl(shim.sent)] == [("createIndexes", "advisory_linksets")]
    assert set(there.index_information()) - {"_id_"} == set(INDEXES["advisory_linksets"])
    assert lnm.apply("--json").json["nothingToDo"]


def test_a_validator_that_could_not_be_seen_is_refused(lnm: Lnm, shim: Shim, router: Router, cluster: Cluster) -> None:
    """A router shows a collection's options as the primary shard has them, and that one has no part of this collection."""
    router.shard("advisory_linksets", KEY)
    move_away(cluster, f"{router.database.name}.advisory_linksets")
    shim.sent.clear()

    error = lnm.apply("--json", wanted=2).json["error"]

    assert error["type"] == "UnseenOptionsError"
    assert "sh.moveChunk" in error["hint"]
    assert shim.changes() == []


def move_away(cluster: Cluster, namespace: str) -> str:
    """Moves the one chunk of a collection to the shard that has none; returns that shard."""
    (primary,) = cluster.owners(namespace)
    other = next(name for name in cluster.shards if name != primary)
    cluster.move(namespace, other)
    assert cluster.owners(namespace) == [other]
    return other


def add_zone(cluster: Cluster, namespace: str, low: dict[str, Any], high: dict[str, Any]) -> None:
    """Gives a namespace a zone on the second shard."""
    cluster.configure("_configsvrAddShardToZone", "shard1", zone="one")
    cluster.configure("_configsvrUpdateZoneKeyRange", namespace, min=low, max=high, zone="one")


def test_a_zone_over_the_fields_of_the_key_is_kept_and_a_jumbo_chunk_hinders_nothing(
    lnm: Lnm, router: Router, cluster: Cluster
) -> None:
    namespace = f"{router.database.name}.advisory_linksets"
    add_zone(cluster, namespace, {"tenantId": "a", "advisoryId": MinKey()}, {"tenantId": "b", "advisoryId": MinKey()})

    lnm.apply()

    assert_as_declared(router)
    lowest, within, highest = cluster.chunks(namespace)
    assert lowest["min"]["tenantId"] == MinKey()
    assert (within["min"]["tenantId"], within["max"]["tenantId"], within["shard"]) == ("a", "b", "shard1")
    assert highest["max"]["tenantId"] == MaxKey()
    cluster.catalogue["config"]["chunks"].update_one({"_id": within["_id"]}, {"$set": {"jumbo": True}})
    assert lnm.apply("--json").json["nothingToDo"]


def test_a_zone_over_other_fields_is_refused_before_anything_is_changed(
    lnm: Lnm, shim: Shim, router: Router, cluster: Cluster
) -> None:
    add_zone(cluster, f"{router.database.name}.advisory_linksets", {"region": "a"}, {"region": "b"})

    error = lnm.apply("--json", wanted=2).json["error"]

    assert error["type"] == "NotShardableError"
    assert error["zone"] == ["region"]
    assert shim.changes() == []


@pytest.mark.parametrize("mark", ["unsplittable", "dropped"])
def test_a_row_of_the_catalogue_that_is_no_sharded_collection_counts_for_nothing(
    lnm: Lnm, router: Router, cluster: Cluster, mark: str
) -> None:
    """As MongoDB 8.0 keeps rows of unsharded collections, and 4.4 of dropped ones; neither can be had, so the row is planted."""
    rows = cluster.catalogue["config"]["collections"]
    namespace = f"{router.database.name}.advisory_linkset_tombstones"
    rows.insert_one({"_id": namespace, "uuid": Binary(secrets.token_bytes(16), UUID_SUBTYPE), "key": {"_id": 1}, mark: True})
    try:
        plan = lnm.plan("--json").json
    finally:
        rows.delete_one({"_id": namespace})

    assert plan["sharding"].startswith("0 collections")


# ---- what others do between the plan and the command


def test_a_collection_that_another_shards_meanwhile_by_the_same_key_will_do(
    lnm: Lnm, shim: Shim, router: Router, cluster: Cluster
) -> None:
    shim.before["admin", "shardCollection"] = lambda: cluster.shard(f"{router.database.name}.advisory_observations", KEY)

    lnm.apply()

    assert_as_declared(router)


def test_a_server_that_calls_the_same_key_a_conflict_is_asked_for_the_key(
    lnm: Lnm, shim: Shim, router: Router, cluster: Cluster
) -> None:
    """6.0.5 says yes to the same key again; that every version does was not looked up."""

    def sharded_and_refused() -> None:
        cluster.shard(f"{router.database.name}.advisory_observations", KEY)
        raise OperationFailure("", 23, {"errmsg": "it is the test that refuses", "codeName": "AlreadyInitialized"})

    shim.before["admin", "shardCollection"] = sharded_and_refused

    lnm.apply()

    assert_as_declared(router)


def test_a_collection_that_another_shards_meanwhile_by_another_key_stops_it(
    lnm: Lnm, shim: Shim, router: Router, cluster: Cluster
) -> None:
    namespace = f"{router.database.name}.advisory_observations"
    shim.before["admin", "shardCollection"] = lambda: cluster.shard(namespace, {"tenantId": "hashed"})

    stopped = lnm.apply("--json", wanted=3).json["error"]
    again = lnm.apply("--json", wanted=2).json["error"]

    assert stopped["cause"] == again["type"] == "ShardKeyConflictError"
    assert stopped["found"] == again["found"] == {"tenantId": "hashed"}
    assert set(router.keys) == {"advisory_observations"}


def test_a_unique_index_that_comes_meanwhile_is_the_servers_refusal_in_words(lnm: Lnm, shim: Shim, router: Router) -> None:
    shim.before["admin", "shardCollection"] = lambda: router.database["advisory_observations"].create_index("title", unique=True)

    error = lnm.apply("--json", wanted=3).json["error"]
    router.database["advisory_observations"].drop_index("title_1")
    lnm.apply()

    assert (error["cause"], error["code"]) == ("NotShardableError", 72)
    assert "getIndexes()" in error["hint"]
    assert_as_declared(router)


def test_an_apply_that_was_stopped_half_way_goes_on(lnm: Lnm, shim: Shim, router: Router) -> None:
    """Two collections are sharded, then the index of a third meets an obstacle that is taken away again."""

    def obstacle() -> None:
        router.database["advisory_linksets"].insert_many([{"tenantId": "t"}, {"tenantId": "t"}])

    shim.before["admin", "shardCollection"] = obstacle
    lnm.apply(wanted=3)
    assert list(router.keys) == ["advisory_observations"]

    router.database["advisory_linksets"].delete_many({})
    lnm.apply()

    assert_as_declared(router)

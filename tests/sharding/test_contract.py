"""The contract with a router: exactly which commands are sent to it, and what the real catalogue of 6.0.5 makes of them.

The router is the stand-in of shim.py, always: it remembers commands, and reaches behind itself into config server and shards.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, MaxKey, MinKey
from bson.binary import UUID_SUBTYPE
from pymongo.errors import OperationFailure

from tests.migrations.table_21_101 import INDEXES, REQUIRED
from tests.runner.fixtures import Writes, watched
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod
from tests.sharding import shim as shims
from tests.sharding.cluster import Cluster
from tests.sharding.conftest import Router
from tests.sharding.shim import DDL, WRITES, Sent, Shim
from tests.sharding.test_on_a_router import KEY, SHARDED, assert_as_declared

pytestmark = [pytest.mark.mongod, pytest.mark.xdist_group("sharding")]

ORDER = [
    "advisory_observations",
    "advisory_linksets",
    "advisory_observation_events",
    "advisory_linkset_events",
    "advisory_linkset_tombstones",
    "lnm_object_map",
]
OWN_STATE = {"lnm_migrations", "schema_migrations", "lnm_lease"}


@pytest.fixture(autouse=True)
def _never_a_real_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests change what only the stand-in has."""
    monkeypatch.delenv("LNM_MONGOS", raising=False)


def ddl(commands: list[Sent]) -> list[Sent]:
    """Those commands that change a schema, our own state collections apart."""
    return [sent for sent in commands if sent.name in DDL and sent.collection not in OWN_STATE]


def of_a_client(*seen: Writes) -> list[dict[str, Any]]:
    """What servers wrote, less what a cluster writes into the database config by itself (config.lockpings, every 30 s)."""
    return [entry for writes in seen for entry in writes.oplog if not entry["ns"].startswith("config.")]


def golden(database: str) -> list[tuple[str, str, str]]:
    """(database, command, target) of a first apply: collection by collection, sharded when its indexes stand."""
    commands: list[tuple[str, str, str]] = []
    for name in ORDER:
        commands += [(database, "create", name), (database, "createIndexes", name)]
        commands += [("admin", "shardCollection", f"{database}.{name}")] if name in SHARDED else []
    return commands


def as_told(specification: dict[str, Any]) -> dict[str, Any]:
    """An index of a createIndexes, in the form of table_21_101."""
    kept = {name: value for name, value in specification.items() if name != "name"}
    return {**kept, "key": list(specification["key"].items())}


@dataclass(frozen=True)
class Runs:
    """What two applies to a new database sent, one after the other."""

    database: str
    first: list[Sent]
    notes: list[str]
    second: list[Sent]
    oplog: list[dict[str, Any]]
    """What the shards wrote in the second."""


@pytest.fixture(scope="module")
def runs(program: Path, kit: Kit, cluster: Cluster) -> Iterator[Runs]:
    """Two applies to a database that is left as it is for the tests that look at it."""
    name = f"lnm_{secrets.token_hex(6)}"
    with shims.running(cluster) as shim:
        lnm = Lnm(program, kit, {"CONCELIER_MONGO_URI": shim.uri, "CONCELIER_DB": name, "LNM_TRUSTED_KEY": str(kit.key)})
        notes = lnm.apply("--json").json["notes"]
        first = shim.sent.copy()
        shim.sent.clear()
        with watched(cluster.shards["shard0"]) as one, watched(cluster.shards["shard1"]) as other:
            lnm.apply()
        yield Runs(name, first, notes, shim.sent.copy(), of_a_client(one, other))
        cluster.on_primary("_shardsvrDropDatabase", name, 1, {})


def test_a_first_apply_sends_these_commands_in_this_order_and_no_other(runs: Runs) -> None:
    assert [(one.database, one.name, str(one.collection)) for one in ddl(runs.first)] == golden(runs.database)


def test_each_command_says_exactly_this(runs: Runs, cluster: Cluster) -> None:
    bodies = {(one.name, one.collection): one.body for one in ddl(runs.first)}

    for name in SHARDED:
        namespace = f"{runs.database}.{name}"
        body = bodies["shardCollection", namespace]
        assert list(body.items()) == [("shardCollection", namespace), ("key", KEY), ("unique", False)]
        assert list(body["key"]) == list(KEY)
        row = cluster.collection(namespace)
        assert row is not None
        assert (list(row["key"].items()), row["unique"]) == (list(KEY.items()), False)
    for name in ORDER:
        body = bodies["createIndexes", name]
        assert {index["name"]: as_told(index) for index in body["indexes"]} == INDEXES[name]
        assert (body["commitQuorum"], body["writeConcern"]) == ("majority", {"w": "majority"})
        schema = bodies["create", name].get("validator", {}).get("$jsonSchema", {})
        assert set(schema.get("required", ())) == REQUIRED.get(name, set())


def test_a_second_apply_sends_nothing_that_changes_anything(runs: Runs) -> None:
    assert [one for one in runs.second if one.name in WRITES | DDL] == []
    assert runs.oplog == []


def test_the_catalogue_is_read_with_read_concern_majority(runs: Runs) -> None:
    asked = [one.body for one in runs.second if one.database == "config"]

    assert {body["find"] for body in asked} == {"collections", "shards", "tags"}
    assert all(body["readConcern"] == {"level": "majority"} for body in asked)


def test_nothing_internal_and_nothing_undocumented_is_sent(runs: Runs) -> None:
    sent = runs.first + runs.second

    assert [one.name for one in sent if one.name.startswith("_")] == []
    assert {one.name for one in sent if one.database == "admin"} <= {
        *("hello", "ismaster", "ping", "endSessions", "buildInfo"),
        *("shardCollection", "balancerStatus", "commitTransaction", "abortTransaction"),
    }


def test_a_balancer_that_is_off_is_noted(runs: Runs) -> None:
    assert [note for note in runs.notes if note.startswith("the balancer is off")]


def test_a_balancer_that_is_on_hinders_nothing(lnm: Lnm, router: Router, cluster: Cluster) -> None:
    cluster.balance(on=True)
    try:
        notes = lnm.apply("--json").json["notes"]
    finally:
        cluster.balance(on=False)

    assert [note for note in notes if "balancer" in note] == []
    assert_as_declared(router)


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


# ---- what servers of other kinds and versions refuse, told by the stand-in


def refuse(shim: Shim, database: str, command: str, code: int, name: str) -> None:
    """Has a command refused, once."""

    def refusal() -> None:
        raise OperationFailure("", code, {"errmsg": "it is the test that refuses", "codeName": name})

    shim.before[database, command] = refusal


@pytest.mark.parametrize(
    ("code", "name", "cause", "exit_code", "hint"),
    [
        (13, "Unauthorized", "PrivilegeError", 3, "the action enableSharding on the database"),
        (20, "IllegalOperation", "NotShardableError", 3, "MongoDB before 6.0 wants sh.enableSharding('lnm_"),
        (67, "CannotCreateIndex", "NotShardableError", 3, "each unique index must begin with (tenantId, advisoryId)"),
        (117, "ConflictingOperationInProgress", "RetryableError", 10, "run the same command again"),
    ],
)
def test_a_refusal_to_shard_is_told_in_words(
    lnm: Lnm, shim: Shim, router: Router, code: int, name: str, cause: str, exit_code: int, hint: str
) -> None:
    refuse(shim, "admin", "shardCollection", code, name)

    error = lnm.apply("--json", wanted=exit_code).json["error"]

    assert (error["cause"], error["code"]) == (cause, code)
    assert hint in error["hint"]
    assert router.keys == {}


def test_a_user_who_may_not_read_the_catalogue_is_told_the_role(lnm: Lnm, shim: Shim) -> None:
    refuse(shim, "config", "find", 13, "Unauthorized")

    error = lnm.plan("--json", wanted=2).json["error"]

    assert error["type"] == "PrivilegeError"
    assert "the role read on the database config" in error["hint"]
    assert shim.changes() == []


def test_a_user_who_may_not_ask_the_balancer_plans_all_the_same(lnm: Lnm, shim: Shim) -> None:
    refuse(shim, "admin", "balancerStatus", 13, "Unauthorized")

    assert [note for note in lnm.plan("--json").json["plans"][0]["notes"] if "balancer" in note] == []


# ---- no router at all


@pytest.mark.parametrize(("name", "command"), [("shard0", "apply"), ("config", "plan")])
def test_a_member_of_the_cluster_is_refused(lnm: Lnm, cluster: Cluster, name: str, command: str) -> None:
    member: Mongod = cluster.shards.get(name, cluster.config)

    with watched(member) as writes:
        error = getattr(lnm, command)("--json", wanted=2, CONCELIER_MONGO_URI=f"mongodb://{member.address}").json["error"]

    assert error["type"] == "TopologyError"
    assert error["topology"] == "member of a sharded cluster"
    assert "do not apply on the shards one by one" in error["hint"]
    assert of_a_client(writes) == []


# ---- the stand-in itself


def test_the_stand_in_refuses_what_it_does_not_model(router: Router) -> None:
    router.shard("advisory_linksets", KEY)
    rows = router.database["advisory_linksets"]
    tried: list[Callable[[], object]] = [
        lambda: rows.insert_one({"tenantId": "t"}),
        rows.find_one,
        lambda: rows.update_one({}, {"$set": {"a": 1}}),
        lambda: rows.delete_many({}),
        lambda: router.database.client.admin.command("reshardCollection", "a.b", key=KEY),
        lambda: router.database.client.admin.command("shardCollection", "a.b", key=KEY, numInitialChunks=4),
        lambda: router.database.command("collStats", "advisory_linksets"),
        lambda: router.database.client["config"]["collections"].delete_many({}),
    ]

    for attempt in tried:
        with pytest.raises(OperationFailure) as caught:
            attempt()
        assert caught.value.code == 59


def test_the_stand_in_passes_transactions_on_unsharded_collections_on(router: Router) -> None:
    rows = router.database["lnm_lease"]
    rows.insert_one({"_id": "a", "epoch": 1})

    with router.database.client.start_session() as session:
        with session.start_transaction():
            rows.update_one({"_id": "a"}, {"$inc": {"epoch": 1}}, session=session)
            rows.insert_one({"_id": "b"}, session=session)
        session.start_transaction()
        rows.delete_many({}, session=session)
        session.abort_transaction()

    assert list(rows.find().sort("_id", 1)) == [{"_id": "a", "epoch": 2}, {"_id": "b"}]

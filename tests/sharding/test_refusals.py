"""What a router, its servers and its members refuse, told by the stand-in of shim.py; and what the stand-in refuses itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymongo.errors import OperationFailure

from tests.runner.fixtures import watched
from tests.runner.installed import Lnm
from tests.runner.mongod import Mongod
from tests.sharding.cluster import Cluster, of_a_client
from tests.sharding.conftest import Router
from tests.sharding.shim import Shim
from tests.sharding.test_on_a_router import KEY

pytestmark = [pytest.mark.mongod, pytest.mark.usefixtures("never_a_real_router")]


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
        lambda: rows.distinct("a"),
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

"""The contract with a router: exactly which commands are sent to it, and what the real catalogue of 6.0.5 makes of them.

The router is the stand-in of shim.py, always: it remembers commands, and reaches behind itself into config server and shards.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.migrations.table_21_101 import INDEXES, REQUIRED
from tests.runner.fixtures import watched
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.sharding import shim as shims
from tests.sharding.cluster import Cluster, of_a_client
from tests.sharding.conftest import Router
from tests.sharding.shim import DDL, WRITES, Sent, ddl
from tests.sharding.test_on_a_router import KEY, SHARDED, assert_as_declared

pytestmark = [pytest.mark.mongod, pytest.mark.usefixtures("never_a_real_router")]

ORDER = [
    "advisory_observations",
    "advisory_linksets",
    "advisory_observation_events",
    "advisory_linkset_events",
    "advisory_linkset_tombstones",
    "lnm_object_map",
]


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
        *("hello", "ismaster", "ping", "endSessions", "buildInfo", "connectionStatus"),
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

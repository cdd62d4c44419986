"""A real config server and two real shards, and what a router would tell them, sent by ourselves.

The commands that begin with an underscore are what MongoDB's own servers send each other: they are not documented, were found by trying
them on mongod 6.0.5, and are for these tests alone. The balancer is stopped, or it would move what a test has just placed.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import MinKey
from pymongo import MongoClient

from tests.runner import mongod
from tests.runner.fixtures import Writes
from tests.runner.mongod import FAST_ELECTION, Mongod

MAJORITY = {"w": "majority", "wtimeout": 15_000}

Row = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """The servers."""

    config: Mongod
    shards: Mapping[str, Mongod]

    @property
    def catalogue(self) -> MongoClient[Row]:
        """The config server, to look at."""
        return self.config.client

    def database(self, name: str) -> Row | None:
        """A database's row in the catalogue."""
        return self.catalogue["config"]["databases"].find_one({"_id": name})

    def collection(self, namespace: str) -> Row | None:
        """A sharded collection's row in the catalogue."""
        return self.catalogue["config"]["collections"].find_one({"_id": namespace})

    def chunks(self, namespace: str) -> list[Row]:
        """The chunks of a sharded collection, the lowest first."""
        row = self.collection(namespace)
        return list(self.catalogue["config"]["chunks"].find({"uuid": row["uuid"]}).sort("min", 1)) if row else []

    def owners(self, namespace: str) -> list[str]:
        """The shards that own a chunk of a sharded collection, the one of the lowest first."""
        return list(dict.fromkeys(chunk["shard"] for chunk in self.chunks(namespace)))

    def create_database(self, name: str) -> Row:
        """Gives a database a primary shard, unless it has one; returns its row."""
        self.configure("_configsvrCreateDatabase", name)
        row = self.database(name)
        assert row is not None
        return row

    def on_primary(self, command: str, database: str, target: Any, options: Mapping[str, Any]) -> Row:
        """Runs one of the shards' own commands on the primary shard of a database."""
        row = self.create_database(database)
        versioned = {command: target, **options, "databaseVersion": row["version"], "writeConcern": MAJORITY}
        return self.shards[row["primary"]].client[database].command(versioned)

    def shard(self, namespace: str, key: Mapping[str, Any], **options: Any) -> Row:
        """Shards a collection, as a router does it when it is sent shardCollection."""
        database, _, name = namespace.partition(".")
        return self.on_primary("_shardsvrCreateCollection", database, name, {"shardKey": dict(key), **options})

    def configure(self, command: str, target: Any, **options: Any) -> None:
        """Runs one of the config server's own commands."""
        self.config.client.admin.command({command: target, **options, "writeConcern": MAJORITY})

    def move(self, namespace: str, shard: str) -> None:
        """Moves the lowest chunk of a collection to another shard, for real."""
        lowest = dict.fromkeys(self.collection(namespace)["key"], MinKey())  # type: ignore[index]
        self.configure("_configsvrMoveRange", namespace, toShard=shard, min=lowest, waitForDelete=True)

    def balance(self, *, on: bool) -> None:
        """Starts or stops the balancer."""
        self.config.client.admin.command("_configsvrBalancerStart" if on else "_configsvrBalancerStop")

    def stop(self) -> None:
        """Ends all of it."""
        for server in (*self.shards.values(), self.config):
            server.stop()


def member(name: str, role: str) -> Mongod:
    """A replica set of one that is a part of a cluster."""
    folder, port = Path(tempfile.mkdtemp(prefix="lnm-mongod-")), mongod.free_port()
    process = mongod.start(folder, port, "--replSet", name, "--oplogSize", "64", role)
    client = mongod.direct(port)
    mongod.wait_for(folder, process, client, primary=False)
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    wanted = {"_id": name, "members": members, "settings": FAST_ELECTION, "configsvr": role == "--configsvr"}
    client.admin.command("replSetInitiate", wanted)
    mongod.wait_for(folder, process, client, primary=True)
    return Mongod(port, client, process, folder)


@functools.cache
def running() -> Cluster:
    """The cluster of this test process, started when it is first wanted."""
    config = member("config", "--configsvr")
    shards = {name: member(name, "--shardsvr") for name in ("shard0", "shard1")}
    made = Cluster(config, shards)
    for name, server in shards.items():
        made.configure("_configsvrAddShard", f"{name}/{server.address}", name=name)
    made.balance(on=False)
    return made


def of_a_client(*seen: Writes) -> list[dict[str, Any]]:
    """What servers wrote, less what a cluster writes into the database config by itself (config.lockpings, every 30 s)."""
    return [entry for writes in seen for entry in writes.oplog if not entry["ns"].startswith("config.")]

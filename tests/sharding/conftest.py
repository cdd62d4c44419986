"""A router for these tests: the one that LNM_MONGOS names, or the stand-in of shim.py in front of real shards.

`nox -s sharded` with LNM_MONGOS set runs test_on_a_router.py on a real sharded cluster, in a database of a random name that is dropped
again. The password may stand in LNM_MONGOS or in the file that CONCELIER_MONGO_PASSWORD_FILE names.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.uri_parser import parse_uri

from tests.runner.fixtures import built_kit, light_kit, program
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.sharding import cluster as clusters
from tests.sharding import shim as shims
from tests.sharding.cluster import Cluster
from tests.sharding.shim import Shim

__all__ = ["built_kit", "light_kit", "program"]

PASSWORD_FILE = "CONCELIER_MONGO_PASSWORD_FILE"


@dataclass(frozen=True)
class Router:
    """A database of its own for one test, seen through a router."""

    uri: str
    database: Database[dict[str, Any]]
    is_real: bool

    @property
    def keys(self) -> dict[str, list[tuple[str, Any]]]:
        """What the catalogue says: `{collection: shard key}`."""
        ours = {"_id": {"$regex": f"^{self.database.name}\\."}, "unsplittable": {"$ne": True}}
        rows = self.database.client["config"]["collections"].find(ours)
        return {row["_id"].split(".", 1)[1]: list(row["key"].items()) for row in rows}

    def shard(self, collection: str, key: dict[str, Any]) -> None:
        """Shards a collection, as an operator would."""
        self.database.client.admin.command({"shardCollection": f"{self.database.name}.{collection}", "key": key})


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A config server and two shards, without a router."""
    yield clusters.running()
    clusters.running().stop()


@pytest.fixture
def shim(cluster: Cluster) -> Iterator[Shim]:
    """The stand-in for a router."""
    with shims.running(cluster) as made:
        yield made


@pytest.fixture
def router(request: pytest.FixtureRequest) -> Iterator[Router]:
    """The router that was named, or the stand-in."""
    named = os.environ.get("LNM_MONGOS")
    uri = named or request.getfixturevalue("shim").uri
    with client_of(uri) as client:
        made = Router(uri, client[f"lnm_{secrets.token_hex(6)}"], is_real=bool(named))
        assert client.admin.command("hello").get("msg") == "isdbgrid", "LNM_MONGOS is no router"
        yield made
        client.drop_database(made.database.name)


@pytest.fixture
def lnm(program: Path, kit: Kit, router: Router) -> Lnm:
    """The program, pointed at the router."""
    environment = {
        "CONCELIER_MONGO_URI": router.uri,
        "CONCELIER_DB": router.database.name,
        "LNM_TRUSTED_KEY": str(kit.key),
        **{name: os.environ[name] for name in (PASSWORD_FILE,) if router.is_real and name in os.environ},
    }
    password = parse_uri(router.uri)["password"]
    return Lnm(program, kit, environment, (password,) if password else ())


def client_of(uri: str) -> MongoClient[dict[str, Any]]:
    """A client of the router, as the operator."""
    file = os.environ.get(PASSWORD_FILE)
    named = parse_uri(uri)["username"]
    password = {"username": named, "password": Path(file).read_text(encoding="utf-8").rstrip("\r\n")} if named and file else {}
    return MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=5000, **password)


@pytest.fixture
def never_a_real_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that change what only the stand-in has."""
    monkeypatch.delenv("LNM_MONGOS", raising=False)

"""What the tests of runner and migrations share; each of the two folders takes it into its conftest."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.runner import installed, mongod, roles
from tests.runner.installed import Lnm
from tests.runner.kits import Kit, variant
from tests.runner.mongod import Mongod


class Server(Protocol):
    """One mongod, or several that are one replica set."""

    @property
    def client(self) -> MongoClient[dict[str, Any]]:
        """As root."""

    @property
    def address(self) -> str:
        """The hosts of a URI."""

    @property
    def tls(self) -> str:
        """The options of a URI for TLS; empty where the server has none."""


@dataclass(frozen=True)
class Site:
    """A database of its own for one test, and its users."""

    server: Server
    database: Database[dict[str, Any]]
    """As root."""
    passwords: dict[str, str]
    """`{user: password}`; each password is a sentinel that must never be printed."""

    def uri(self, user: str, password: str | None = None) -> str:
        """The URI of a user, over TLS; another password may be given."""
        given = self.passwords[user] if password is None else password
        return self.uri_without_password(f"{user}:{given}")

    def uri_without_password(self, user: str) -> str:
        """The URI for a password that comes another way."""
        return f"mongodb://{user}@{self.server.address}/?" + "&".join(
            option for option in (f"authSource={self.database.name}", self.server.tls) if option
        )

    def add_user(self, name: str, *granted: roles.Granted) -> None:
        """Makes a user of this database."""
        self.passwords[name] = f"Sentinel-{secrets.token_hex(12)}"
        self.database.command("createUser", name, pwd=self.passwords[name], roles=list(granted))

    def give(self, name: str, *granted: roles.Granted) -> None:
        """Makes a user, or gives one that is there these roles and no other."""
        if name in self.passwords:
            self.database.command("updateUser", name, roles=list(granted))
        else:
            self.add_user(name, *granted)


@pytest.fixture(scope="session")
def server() -> Iterator[Mongod]:
    """A replica set of one, with users and TLS; one for each test process."""
    yield mongod.replica_set()
    mongod.replica_set().stop()


@pytest.fixture(scope="session")
def standalone() -> Iterator[Mongod]:
    """A server that is no replica set."""
    yield mongod.standalone()
    mongod.standalone().stop()


@pytest.fixture(scope="session")
def built_kit(dist: Path, version: str) -> Kit:
    """The kit that was built from this tree, for the files whose tests look at its images or wheels."""
    return Kit(dist / f"concelier-lnm-{version}", dist / "signing-key.pub")


@pytest.fixture(scope="session", name="kit")
def light_kit(built_kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """The same without its images and the wheels of the runner's extra, signed by a key of the tests.

    A quarter of the time of a run of `lnm` is the hashing of these; for tests that run it hundreds of times and look at neither.
    """
    target = tmp_path_factory.mktemp("light") / built_kit.folder.name
    return variant(built_kit, target, {}, without="wheelhouse-extras")


@pytest.fixture(scope="session")
def program(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lnm` in a fresh environment."""
    base = tmp_path_factory.getbasetemp()
    return installed.environment(kit.folder / "runner", base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bin/lnm"


@contextlib.contextmanager
def fresh_site(server: Server, kit: Kit) -> Iterator[Site]:
    """A database with the kit's own roles while the block runs.

    Its users: `operator` may apply, `undoer` may roll back, `backfiller` and `unfiller` may do so with 21-102, `reader` may read.
    """
    database = server.client[f"lnm_{secrets.token_hex(6)}"]
    made = Site(server, database, {})
    roles.make(database, roles.shipped(kit))
    made.add_user("operator", "lnmApply21101", roles.PREFLIGHT)
    made.add_user("undoer", "lnmRollback21101")
    made.add_user("backfiller", "lnmBackfill21102", roles.PREFLIGHT)
    made.add_user("unfiller", "lnmRollback21102")
    made.add_user("reader", "lnmRead")
    try:
        yield made
    finally:
        database.command("dropAllUsersFromDatabase")
        database.command("dropAllRolesFromDatabase")
        server.client.admin.command("dropAllRolesFromDatabase")
        server.client.drop_database(database.name)


@pytest.fixture
def site(server: Mongod, kit: Kit) -> Iterator[Site]:
    """A fresh site for one test."""
    with fresh_site(server, kit) as made:
        yield made


def operators(program: Path, kit: Kit, site: Site) -> Lnm:
    """The program as the operator of a site calls it."""
    environment = {
        "CONCELIER_MONGO_URI": site.uri("operator"),
        "CONCELIER_DB": site.database.name,
        "LNM_TRUSTED_KEY": str(kit.key),
    }
    return Lnm(program, kit, environment, tuple(site.passwords.values()), site.uri("undoer"))


@pytest.fixture
def lnm(program: Path, kit: Kit, site: Site) -> Lnm:
    """The program as the operator of the test's site calls it."""
    return operators(program, kit, site)


@dataclass
class Writes:
    """What a server wrote while it was watched."""

    opcounters: dict[str, int]
    oplog: list[dict[str, Any]]


@contextlib.contextmanager
def watched(server: Server) -> Iterator[Writes]:
    """Counts what the server writes inside the block: by its opcounters, and by its oplog apart from no-op entries."""
    oplog = server.client.local["oplog.rs"]
    last = next(iter(oplog.find().sort("$natural", -1).limit(1)))["ts"]
    before = server.client.admin.command("serverStatus")["opcounters"]
    seen = Writes({}, [])
    yield seen
    after = server.client.admin.command("serverStatus")["opcounters"]
    seen.opcounters = {name: after[name] - before[name] for name in ("insert", "update", "delete")}
    seen.oplog = list(oplog.find({"ts": {"$gt": last}, "op": {"$ne": "n"}}))

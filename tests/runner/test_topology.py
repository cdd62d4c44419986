"""Kinds of servers: a replica set is applied to, a standalone server is planned for. Routers and shards: tests/sharding."""

from __future__ import annotations

import pytest

from tests.runner.installed import Lnm
from tests.runner.mongod import Mongod

pytestmark = pytest.mark.mongod


def test_a_standalone_server_is_refused_except_for_a_plan(lnm: Lnm, standalone: Mongod) -> None:
    uri = f"mongodb://{standalone.address}"

    planned = lnm.plan(CONCELIER_MONGO_URI=uri)
    dry = lnm("apply", "21-101", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=uri)
    error = lnm.apply("--json", wanted=2, CONCELIER_MONGO_URI=uri).json["error"]

    assert "sharding: skipped (standalone)" in planned.stdout
    assert "Nothing was written" in dry.stdout
    assert error["type"] == "TopologyError"
    assert error["topology"] == "standalone"
    assert set(standalone.client.list_database_names()) <= {"admin", "config", "local"}


def test_a_standalone_status_says_what_it_is(lnm: Lnm, standalone: Mongod) -> None:
    status = lnm("status", "--json", CONCELIER_MONGO_URI=f"mongodb://{standalone.address}").json

    assert status["server"]["topology"] == "standalone"
    assert status["sharding"] == "skipped (standalone)"


def test_a_server_that_is_not_there_can_be_tried_again(lnm: Lnm) -> None:
    uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300"

    error = lnm.plan("--json", wanted=10, CONCELIER_MONGO_URI=uri).json["error"]

    assert error["type"] == "RetryableError"


def test_a_database_of_no_valid_name_is_refused(lnm: Lnm) -> None:
    assert "--db: no name of a database" in lnm.plan("--db", "a b/c", wanted=2).stderr


def test_no_server_named_is_told(lnm: Lnm) -> None:
    assert "no MongoDB was named" in lnm.plan(wanted=2, CONCELIER_MONGO_URI="").stderr

"""`lnm plan` and `lnm status`: they read, and nothing else."""

from __future__ import annotations

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod

NO_WRITES = {"insert": 0, "update": 0, "delete": 0}


@pytest.mark.parametrize("user", ["operator", "reader"])
def test_plan_and_status_write_nothing_and_need_only_the_role_read(lnm: Lnm, site: Site, user: str) -> None:
    uri = site.uri(user)

    with watched(site.server) as writes:
        plan = lnm.plan("--json", CONCELIER_MONGO_URI=uri).json
        status = lnm("status", "--json", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=uri).json

    assert writes.opcounters == NO_WRITES
    assert writes.oplog == []
    assert plan["plans"][0]["actions"]
    assert plan["sharding"] == "skipped (replica set)"
    assert status["migrations"] == []


def test_plan_says_what_apply_then_does(lnm: Lnm, site: Site) -> None:
    planned = lnm.plan("--json").json["plans"][0]["actions"]

    lnm.apply()

    made = {action["collection"] for action in planned}
    assert made | {"lnm_lease", "lnm_migrations", "schema_migrations"} == set(site.database.list_collection_names()) - {
        "system.users"
    }
    indexes = [(action["collection"], index) for action in planned for index in action.get("indexes", ())]
    for collection, index in indexes:
        assert index["name"] in site.database[collection].index_information()


def test_plan_without_a_delivery_plans_each_that_is_ready(lnm: Lnm) -> None:
    answer = lnm("plan", "--json", "--kit", lnm.kit.folder).json

    assert [plan["delivery"] for plan in answer["plans"]] == ["21-101", "21-102"]


def test_a_reader_who_applies_is_told_what_is_missing(lnm: Lnm, site: Site) -> None:
    error = lnm.apply("--json", wanted=2, CONCELIER_MONGO_URI=site.uri("reader")).json["error"]

    assert error["type"] == "PrivilegeError"
    assert error["hint"] == "grant lnmApply21101 of runbook/roles/ in the kit; nothing was changed"
    assert site.database.list_collection_names() == []


def test_status_tells_what_was_applied_from_which_kit(lnm: Lnm, version: str) -> None:
    lnm.apply()

    answer = lnm("status", "--kit", lnm.kit.folder)

    assert "20251202_lnm_21_101_sharding_and_ttl: applied 2" in answer.stdout
    assert f"kit {version}, rootHash {lnm.kit.manifest['rootHash']}" in answer.stdout
    assert "21-103: absent from this kit" in answer.stdout


def test_a_delivery_that_is_absent_says_why(lnm: Lnm) -> None:
    answer = lnm("apply", "21-103", "--kit", lnm.kit.folder, wanted=4)

    assert "21-103 is absent from this kit: " in answer.stderr


@pytest.mark.parametrize("name", ["21-999", "21-101/../21-101", "lnm"])
def test_a_delivery_that_nobody_knows_is_refused(lnm: Lnm, name: str) -> None:
    answer = lnm("plan", name, "--kit", lnm.kit.folder, wanted=4 if name == "21-999" else 2)

    assert "one of 21-101, 21-102, 21-103" in answer.stderr


def test_a_kit_that_a_development_key_signed_is_called_so(lnm: Lnm) -> None:
    said = "a development key signed this kit: it is for trying out, not for production"

    assert said in lnm.plan().stdout
    assert said in lnm("apply", "21-101", "--kit", lnm.kit.folder).stdout
    assert said in lnm.apply().stdout
    assert said in lnm("rollback", "21-101", "--kit", lnm.kit.folder).stdout

"""The roles that the kit ships: each is enough for its stage, and everything in it is needed."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from scripts.roles import as_json, table
from tests.conftest import ROOT
from tests.migrations.table_21_101 import INDEXES
from tests.runner import mongod, roles
from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod

UNAUTHORIZED = 13
SOURCE = table(ROOT / "runner/src/lnm_runner/roles.py")
TABLE = {role["role"]: role for role in as_json(SOURCE, "DATABASE")["roles"]}
VALIDATED = ("advisory_observations", "advisory_linksets")
OUTBOXES = ("advisory_observation_events", "advisory_linkset_events")
RAW_KEYS = [("source.vendor", 1), ("upstream.upstream_id", 1), ("upstream.content_hash", 1), ("tenant", 1)]


def cases(name: str) -> list[Any]:
    """Everything that a role may do on a replica set."""
    found = []
    for resource, action in roles.each(TABLE[name]):
        place = resource.get("collection", "cluster") or "database"
        found.append(pytest.param(resource, action, id=f"{action}-{place}"))
    return found


def here(site: Site, resource: Mapping[str, Any]) -> dict[str, Any]:
    """A resource of the table, in the database of a test."""
    own = resource.get("db") == "DATABASE"
    return {**resource, "db": site.database.name} if own else dict(resource)


def restricted(site: Site, kit: Kit, name: str, resource: Mapping[str, Any], action: str) -> Any:
    """A role that lacks one thing, made; what to grant."""
    role = next(role for role in roles.of_database(roles.shipped(kit), site.database.name) if role["role"] == name)
    lacking = roles.without(role, here(site, resource), action)
    assert lacking["privileges"] != role["privileges"], "nothing was taken away"
    roles.create(site.database, lacking, f"less_{site.database.name}")
    return {"role": f"less_{site.database.name}", "db": role["db"]}


def of_the_old_model(site: Site) -> None:
    """Collections that hold documents, and lack validators and indexes."""
    for name in INDEXES:
        site.database[name].insert_one({"tenantId": "t"})
    site.database["advisory_raw"].create_index(RAW_KEYS, unique=True)


def failed_checks(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The checks of a preflight that failed, by name."""
    return {error["check"]: error for error in (answer["error"], *answer["others"])}


# ---- apply


def test_the_roles_are_about_the_collections_of_the_migration() -> None:
    made = {resource["collection"] for resource, action in roles.each(TABLE["lnmApply21101"]) if action == "createIndex"}

    assert made == set(INDEXES)


def test_the_role_alone_is_enough_to_apply(lnm: Lnm, site: Site) -> None:
    site.add_user("bare", "lnmApply21101")
    of_the_old_model(site)

    for days in ("90", "30", "0"):
        lnm.apply(CONCELIER_MONGO_URI=site.uri("bare"), LNM_EVENTS_TTL_DAYS=days)


@pytest.mark.parametrize(("resource", "action"), cases("lnmApply21101"))
def test_without_any_one_thing_apply_is_refused_and_preflight_says_which(
    lnm: Lnm, site: Site, kit: Kit, resource: dict[str, Any], action: str
) -> None:
    days = "90"
    if action == "collMod":
        of_the_old_model(site)
        if resource["collection"] in OUTBOXES:
            lnm.apply()
            days = "30"
    site.add_user("less", restricted(site, kit, "lnmApply21101", resource, action), roles.PREFLIGHT)
    less = {"CONCELIER_MONGO_URI": site.uri("less"), "LNM_EVENTS_TTL_DAYS": days}

    looked = failed_checks(lnm("preflight", "21-101", "--json", "--kit", kit.folder, wanted=2, **less).json)
    with watched(site.server) as writes:
        error = lnm.apply("--json", wanted=2, **less).json["error"]

    missing = {"resource": here(site, resource), "action": action, "role": "lnmApply21101"}
    assert list(looked) == ["privileges"]
    assert looked["privileges"]["missing"] == [missing]
    assert (error["type"], error["missing"], writes.oplog) == ("PrivilegeError", [missing], [])


def test_apply_may_not_touch_a_document_of_the_product(site: Site) -> None:
    of_the_old_model(site)
    client = MongoClient[dict[str, Any]](site.uri("operator"), tz_aware=True)
    for name in (*INDEXES, "advisory", "advisory_raw"):
        rows = client[site.database.name][name]
        refused(partial(rows.insert_one, {}))
        refused(partial(rows.update_one, {}, {"$set": {"x": 1}}))
        refused(partial(rows.delete_one, {}))
        refused(rows.drop)
    refused(client[site.database.name]["advisory"].find_one)
    refused(client[site.database.name]["advisory_raw"].find_one)
    client.close()


def refused(work: Callable[[], Any]) -> None:
    """The server does not allow it."""
    with pytest.raises(OperationFailure) as caught:
        work()
    assert caught.value.code == UNAUTHORIZED


# ---- the roles that only look


@pytest.mark.parametrize(
    ("resource", "action"),
    [case for case in cases("lnmRead") if not str(case.values[0].get("collection")).startswith("lnm_undo_")],
)
def test_without_any_one_thing_of_lnm_read_something_cannot_be_seen(
    lnm: Lnm, site: Site, kit: Kit, resource: dict[str, Any], action: str
) -> None:
    of_the_old_model(site)
    if action == "listIndexes" and resource["collection"] in {"lnm_migrations", "schema_migrations", "lnm_lease"}:
        lnm.apply()
    site.add_user("less", restricted(site, kit, "lnmRead", resource, action), roles.PREFLIGHT)
    less = {"CONCELIER_MONGO_URI": site.uri("less")}

    if action in {"dbStats", "collStats"}:
        looked = failed_checks(lnm("preflight", "21-101", "--json", "--kit", kit.folder, wanted=2, **less).json)
        assert (looked["disk"]["status"], looked["disk"]["role"]) == ("unknown", "lnmRead")
    elif resource["collection"] == "lnm_lease" and action == "find":
        lnm("doctor", "--json", "--kit", kit.folder, wanted=2, **less)
    else:
        assert lnm.plan("--json", wanted=2, **less).json["error"]["type"] == "PrivilegeError"


@pytest.mark.parametrize(("resource", "action"), cases("lnmPreflight"))
def test_without_any_one_thing_of_lnm_preflight_something_cannot_be_seen(
    lnm: Lnm, site: Site, kit: Kit, resource: dict[str, Any], action: str
) -> None:
    site.add_user("less", restricted(site, kit, "lnmPreflight", resource, action), "lnmApply21101")

    runner = lnm.start("preflight", "21-101", "--json", "--kit", kit.folder, CONCELIER_MONGO_URI=site.uri("less"))
    told = runner.communicate(timeout=60)[0]

    assert '"status": "unknown"' in told
    assert '"role": "lnmPreflight"' in told


# ---- rollback, by the commands that it is made of


def steps_back(database: Database[dict[str, Any]]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """All that taking 21-101 back is made of, in order: `(what, work)`."""
    rename = partial(database.client.admin.command, "renameCollection")
    for name, indexes in INDEXES.items():
        twin = f"lnm_undo_{name}"
        there, away = f"{database.name}.{name}", f"{database.name}.{twin}"
        yield f"drop an index of {name}", partial(database[name].drop_index, next(iter(indexes)))
        if name in OUTBOXES:
            index = next(index for index in indexes if index.endswith("_ttl"))
            change = {"name": index, "expireAfterSeconds": 5}
            yield f"expiry of {name}", partial(database.command, "collMod", name, index=change)
        elif name in VALIDATED:
            yield f"validator of {name}", partial(database.command, "collMod", name, validator={})
        yield f"rename {name}", partial(rename, there, to=away)
        yield f"look into {twin}", database[twin].find_one
        yield f"rename {twin}", partial(rename, away, to=there)
        yield f"rename {name} again", partial(rename, there, to=away)
        yield f"drop {twin}", partial(database.drop_collection, twin)
    for name in ("lnm_migrations", "lnm_lease"):
        for number in range(2):
            change = {"$set": {"n": number}}
            yield f"write {name}", partial(database[name].update_one, {"_id": "x"}, change, upsert=True)
    yield "unpublish", partial(database["schema_migrations"].delete_one, {"_id": "x"})


def go_back(database: Database[dict[str, Any]]) -> str:
    """Takes the steps up to the first that is refused; which one that was, or nothing."""
    for what, work in steps_back(database):
        try:
            work()
        except OperationFailure as err:
            if err.code != UNAUTHORIZED:
                raise
            return what
    return ""


@pytest.fixture
def applied(lnm: Lnm, site: Site) -> Site:
    lnm.apply()
    return site


def test_the_role_alone_is_enough_to_go_back_and_for_nothing_else(applied: Site) -> None:
    client = MongoClient[dict[str, Any]](applied.uri("undoer"), tz_aware=True)
    database = client[applied.database.name]
    applied.database["advisory"].insert_one({})

    assert go_back(database) == ""
    refused(database["advisory"].drop)
    refused(partial(database["advisory"].delete_one, {}))
    away = f"{database.name}.lnm_undo_advisory"
    refused(partial(client.admin.command, "renameCollection", f"{database.name}.advisory", to=away))
    client.close()


def test_without_any_one_thing_going_back_is_refused(applied: Site, lnm: Lnm, kit: Kit) -> None:
    """One test for all of them: what was taken back is applied again in between."""
    for resource, action in roles.each(TABLE["lnmRollback21101"]):
        granted = restricted(applied, kit, "lnmRollback21101", resource, action)
        applied.database.command("updateUser", "undoer", roles=[granted])
        with MongoClient[dict[str, Any]](applied.uri("undoer"), tz_aware=True) as client:
            assert go_back(client[applied.database.name]) != "", (action, resource)
        for name in INDEXES:
            applied.database[name].drop()
            applied.database[f"lnm_undo_{name}"].drop()
        for name in ("lnm_migrations", "schema_migrations", "lnm_lease"):
            applied.database[name].drop()
        lay_out(applied)
    lnm("status")


def lay_out(site: Site) -> None:
    """The collections with their indexes, as far as going back looks at them; quicker than applying."""
    for name, indexes in INDEXES.items():
        for index, wanted in list(indexes.items()):
            if index == next(iter(indexes)) or index.endswith("_ttl"):
                options = {option: value for option, value in wanted.items() if option != "key"}
                site.database[name].create_index(wanted["key"], name=index, **options)


# ---- validate


def test_without_any_one_thing_validating_is_refused_and_lnm_validate_alone_is_enough(
    lnm: Lnm, site: Site, kit: Kit, program: Path, tmp_path: Path
) -> None:
    """One test for all of them: nothing is written, so that one backfill is enough."""
    state: dict[str, Any] = {"LNM_STATE_DIR": str(tmp_path)}
    module(program, "lnm_runner.demo").seed(site.database, documents=80)
    lnm.apply()
    lnm("backfill", "--execute", "--kit", kit.folder, CONCELIER_MONGO_URI=site.uri("backfiller"), **state)
    site.add_user("validator", "lnmValidate")
    asked = partial(lnm, "validate", "--json", "--kit", kit.folder, CONCELIER_MONGO_URI=site.uri("validator"), **state)

    assert asked().json["ok"]
    for resource, action in roles.each(TABLE["lnmValidate"]):
        site.database.command("updateUser", "validator", roles=[restricted(site, kit, "lnmValidate", resource, action)])
        assert asked(wanted=2).json["error"]["type"] == "PrivilegeError", (action, resource)


# ---- while the cluster is frozen


def test_who_may_bypass_a_freeze_applies_in_one(lnm: Lnm, site: Site, kit: Kit) -> None:
    bypass = {"role": "lnmBypassFreeze", "db": "admin"}
    site.add_user("in_the_window", "lnmApply21101", roles.PREFLIGHT, bypass)
    admin = site.server.client.admin
    admin.command({"setUserWriteBlockMode": 1, "global": True})
    try:
        looked = failed_checks(lnm("preflight", "21-101", "--json", "--kit", kit.folder, wanted=2).json)
        lnm("preflight", "21-101", "--kit", kit.folder, CONCELIER_MONGO_URI=site.uri("in_the_window"))
        lnm.apply(CONCELIER_MONGO_URI=site.uri("in_the_window"))
    finally:
        admin.command({"setUserWriteBlockMode": 1, "global": False})

    assert list(looked) == ["freeze"]
    assert "lnmBypassFreeze" in looked["freeze"]["remedy"]


def test_making_the_roles_again_changes_nothing(site: Site, kit: Kit) -> None:
    def stored() -> Any:
        """As the server has them."""
        return site.database.command("rolesInfo", 1, showPrivileges=True)["roles"]

    before = stored()
    roles.make(site.database, roles.shipped(kit))
    assert stored() == before


def test_the_recipe_for_a_site_without_mongosh_makes_the_roles(site: Site, kit: Kit, program: Path, tmp_path: Path) -> None:
    page = (kit.folder / "runbook/roles/README.md").read_text()
    recipe = textwrap.dedent(page[page.index("<<'END'\n") + len("<<'END'\n") : page.index("    END\n")])
    other = site.server.client[f"{site.database.name}_recipe"]
    root = f"mongodb://{':'.join(mongod.ROOT)}@{site.server.address}/admin?{site.server.tls}"
    variables = {"ADMIN_URI": root, "CONCELIER_DB": other.name, "KIT": str(kit.folder), "PATH": os.defpath}

    said = [
        subprocess.run(
            [program.parent / "python", "-"],
            input=recipe,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        ).stdout
        for _ in range(2)
    ]

    made = {role["role"]: role for role in other.command("rolesInfo", 1, showPrivileges=True)["roles"]}
    assert set(made) == {name for name, role in TABLE.items() if role["db"] == "DATABASE"}
    for name, role in made.items():
        held = {(one["resource"]["collection"], action) for one in role["privileges"] for action in one["actions"]}
        wanted = TABLE[name]["privileges"]
        assert held == {(one["resource"]["collection"], action) for one in wanted for action in one["actions"]}
    assert "createRole lnmRead" in said[0]
    assert "updateRole lnmRead" in said[1]
    other.command("dropAllRolesFromDatabase")

"""The ledger's story beside the kit's: whatever does not fit is a typed error, nothing is skipped, and nothing is written."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm
from tests.runner.kits import Kit, variant

pytestmark = pytest.mark.mongod

FIRST = "20251202_lnm_21_101_sharding_and_ttl"
SECOND = "20251202_lnm_21_102_backfill"
THIRD = "20251202_lnm_21_103_object_store"
AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
SOURCE = b'''"""A migration of the tests, which wants nothing."""

from lnm_runner.planning import Plan

ID = "%s"
SUMMARY = "Nothing."


def plan(database, settings):
    return Plan(())
'''


@pytest.fixture(scope="module")
def whole(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit in which all three deliveries are ready."""
    more = {f"migrations/{name}/migration.py": SOURCE % text.encode() for name, text in (("21-102", SECOND), ("21-103", THIRD))}
    ready = {"21-102": SECOND, "21-103": THIRD}
    return variant(kit, tmp_path_factory.mktemp("whole") / "kit", more, ready=ready)


@pytest.fixture(autouse=True)
def may_do_all(site: Site) -> None:
    """The users of these tests have the roles of each delivery, whatever a test puts in its place."""
    for user, role in (("operator", "lnmBackfill21102"), ("undoer", "lnmRollback21102")):
        site.database.command("grantRolesToUser", user, roles=[role])


def digest(kit: Kit, delivery: str) -> str:
    """The migration digest that a kit says."""
    return next(f"sha256:{part['digest']}" for part in kit.manifest["deliveries"] if part["id"] == delivery)


def enter(site: Site, migration: str, delivery: str, found: str, state: str = "applied") -> None:
    """A row of the ledger as a runner writes it, and upstream's."""
    row = {"_id": migration, "state": state, "run": "x", "delivery": delivery, "migrationDigest": found, "startedAt": AT}
    site.database["lnm_migrations"].insert_one(row)
    if state == "applied":
        site.database["schema_migrations"].insert_one({"_id": migration, "appliedAt": AT})


def refused(lnm: Lnm, site: Site, *arguments: str) -> list[dict[str, Any]]:
    """Every error of a command that must write nothing."""
    with watched(site.server) as writes:
        answer = lnm(*arguments, "--json", "--kit", lnm.kit.folder, wanted=2).json
    assert writes.oplog == []
    assert writes.opcounters == {"insert": 0, "update": 0, "delete": 0}
    return [answer["error"], *answer["others"]]


@pytest.mark.parametrize("command", [("plan", "21-101"), ("apply", "21-101", "--execute")], ids=" ".join)
def test_an_older_one_that_arrives_late_is_an_error_and_not_skipped(
    lnm: Lnm, site: Site, whole: Kit, command: tuple[str, ...]
) -> None:
    """Attack R8."""
    enter(site, SECOND, "21-102", digest(whole, "21-102"))

    errors = refused(lnm.with_kit(whole), site, *command)

    assert [error["type"] for error in errors] == ["OutOfOrderError"]
    assert errors[0]["later"] == [SECOND]


def test_a_gap_is_an_error(lnm: Lnm, site: Site, whole: Kit) -> None:
    enter(site, FIRST, "21-101", digest(whole, "21-101"))

    errors = refused(lnm.with_kit(whole), site, "apply", "21-103", "--execute")

    assert [error["type"] for error in errors] == ["GapError"]
    assert errors[0]["missing"] == {"21-102": "not applied"}
    assert errors[0]["hint"] == "first: lnm apply 21-102 --execute"


def test_a_gap_that_is_in_the_ledger_already_is_found_by_the_doctor(lnm: Lnm, site: Site, whole: Kit) -> None:
    enter(site, FIRST, "21-101", digest(whole, "21-101"))
    enter(site, THIRD, "21-103", digest(whole, "21-103"))

    answer = lnm.with_kit(whole)("doctor", "--kit", whole.folder, wanted=2)

    assert "21-103 comes after what is not applied here: 21-102 (not applied)" in answer.stdout


def test_a_plan_of_all_that_a_kit_holds_knows_no_gap(lnm: Lnm, whole: Kit) -> None:
    answer = lnm.with_kit(whole)("plan", "--json", "--kit", whole.folder).json

    assert [plan["delivery"] for plan in answer["plans"]] == ["21-101", "21-102", "21-103"]


def test_in_order_all_three_are_applied(lnm: Lnm, site: Site, whole: Kit) -> None:
    for delivery in ("21-101", "21-102", "21-103"):
        lnm.with_kit(whole)("apply", delivery, "--execute", "--kit", whole.folder)

    rows = site.database["lnm_migrations"].find({}, {"state": 1}).sort("_id", 1)
    assert list(rows) == [{"_id": name, "state": "applied"} for name in (FIRST, SECOND, THIRD)]


def test_an_unknown_entry_of_ours_is_an_error_in_either_collection(lnm: Lnm, site: Site) -> None:
    enter(site, "20270101_lnm_21_104_later", "21-104", "sha256:1")
    site.database["schema_migrations"].insert_one({"_id": "20270101_lnm_21_105_latest"})

    errors = refused(lnm, site, "apply", "21-101", "--execute")

    assert [(error["type"], error["collection"]) for error in errors] == [
        ("UnknownEntryError", "lnm_migrations"),
        ("UnknownEntryError", "schema_migrations"),
    ]


def test_every_defect_is_told_at_once(lnm: Lnm, site: Site, whole: Kit) -> None:
    enter(site, FIRST, "21-101", "sha256:edited")
    enter(site, "20270101_lnm_21_104_later", "21-104", "sha256:1")
    enter(site, THIRD, "21-103", digest(whole, "21-103"))

    errors = refused(lnm.with_kit(whole), site, "apply", "21-102", "--execute")

    assert [error["type"] for error in errors] == ["DigestMismatchError", "UnknownEntryError", "OutOfOrderError"]


def test_a_ledger_that_was_lost_is_not_passed_over(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].drop()

    (error,) = refused(lnm, site, "apply", "21-101", "--execute")
    assert error["type"] == "LostEntryError"

    assert "--execute --resume" in error["command"]
    lnm.apply("--resume")
    row = site.database["lnm_migrations"].find_one({"_id": FIRST})
    assert row is not None
    assert row["state"] == "applied"


def test_what_was_rolled_back_stops_nobody(lnm: Lnm, site: Site) -> None:
    enter(site, "20270101_lnm_21_104_later", "21-104", "sha256:1", "rolled-back")

    lnm.apply()


def test_a_migration_that_later_ones_stand_on_is_not_rolled_back(lnm: Lnm, site: Site, whole: Kit) -> None:
    lnm.with_kit(whole)("apply", "21-101", "--execute", "--kit", whole.folder)
    lnm.with_kit(whole)("apply", "21-102", "--execute", "--kit", whole.folder)

    errors = refused(lnm.with_kit(whole), site, "rollback", "21-101", "--execute")

    assert [error["type"] for error in errors] == ["StillNeededError"]
    assert errors[0]["hint"] == "first: lnm rollback 21-102 --execute"


def test_a_newer_version_of_the_tool_and_of_the_kit_is_fine(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    """Attack R9: only the migration's own bytes count."""
    lnm.apply()
    site.database["lnm_migrations"].update_one({"_id": FIRST}, {"$set": {"runner": "1.0.0", "kit.version": "2020.1.0"}})
    other = variant(lnm.kit, tmp_path / "other", {"README.md": b"# another kit\n"})

    assert "nothing to do" in lnm.with_kit(other).apply().stdout


def test_an_applied_one_that_later_ones_stand_on_can_be_changed_and_mended(lnm: Lnm, site: Site, whole: Kit) -> None:
    """Another expiry, and an index that somebody dropped, are set right after 21-102 was applied, too; and it can fail half-way."""
    three = lnm.with_kit(whole)
    for delivery in ("21-101", "21-102"):
        three("apply", delivery, "--execute", "--kit", whole.folder)
    site.database["advisory_linksets"].drop_index("lnm_ls_purls")

    three.apply(LNM_EVENTS_TTL_DAYS="120")

    row = site.database["lnm_migrations"].find_one({"_id": FIRST})
    assert row is not None
    assert row["state"] == "applied"
    site.database["lnm_migrations"].update_one({"_id": FIRST}, {"$set": {"state": "failed"}})
    three.apply(LNM_EVENTS_TTL_DAYS="120")
    site.database["lnm_migrations"].update_one({"_id": FIRST}, {"$set": {"state": "failed"}})
    three.rollback_of("21-102")
    three.rollback_of("21-101")


def test_a_lost_row_is_told_with_the_command_of_its_own_delivery(lnm: Lnm, site: Site, whole: Kit) -> None:
    three = lnm.with_kit(whole)
    for delivery in ("21-101", "21-102"):
        three("apply", delivery, "--execute", "--kit", whole.folder)
    site.database["lnm_migrations"].delete_one({"_id": FIRST})

    errors = refused(three, site, "apply", "21-102", "--execute")

    assert errors[0]["type"] == "GapError"
    assert [error["command"].split(" --kit")[0] for error in errors[1:]] == ["lnm apply 21-101 --execute --resume"]
    assert "lnm apply 21-101 --execute --resume" in three("doctor", "--kit", whole.folder, wanted=2).stdout


def test_a_lost_ledger_that_was_recorded_anew_is_never_rolled_back_as_if_it_had_made_nothing(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].delete_many({})

    (lost,) = refused(lnm, site, "rollback", "21-101", "--execute")
    lnm.apply("--resume")
    answer = lnm.rollback("--json", wanted=2).json

    assert lost["type"] == "LostEntryError"
    assert "lnm can no longer roll it back" in lost["hint"]
    assert "its entry was lost and recorded anew" in answer["error"]["message"]
    assert lnm("status", "--json").json["migrations"][0]["state"] == "applied"


def test_what_the_migration_found_as_declared_stays_and_is_called_so(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    for name in ("lnm_migrations", "schema_migrations"):
        site.database[name].delete_many({})
    lnm.apply()

    answer = lnm("rollback", "21-101", "--kit", lnm.kit.folder)

    assert "all of it was there before, nothing was made" in answer.stdout


OWN = ("lnm_migrations", "schema_migrations", "lnm_lease")
TIMES = {"timeField": "startedAt"}
UNFIT: dict[str, dict[str, Any]] = {
    "view": {"viewOn": "advisory", "pipeline": []},
    "capped": {"capped": True, "size": 4096},
    "time-series": {"timeseries": TIMES},
    "validator": {"validator": {"nobody": {"$exists": True}}},
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("kind", [*UNFIT, "expiring"])
def test_collections_of_the_runners_own_that_cannot_hold_its_rows_are_refused_before_anything_is_changed(
    lnm: Lnm, site: Site, name: str, kind: str
) -> None:
    site.database.create_collection(name, **UNFIT.get(kind, {}))
    if kind == "expiring":
        site.database[name].create_index("startedAt", expireAfterSeconds=60)

    (error,) = refused(lnm, site, "apply", "21-101", "--execute")
    looked = lnm("preflight", "21-101", "--json", "--kit", lnm.kit.folder, wanted=2).json
    found = lnm("doctor", "--json", "--kit", lnm.kit.folder, wanted=2).json

    assert error["type"] == "LedgerError"
    assert error["message"].startswith(f"{name}: ")
    assert error["hint"]
    assert looked["error"]["check"] in {"ledger", "lease"}
    assert any(error["message"] == finding["what"] for finding in found["findings"])

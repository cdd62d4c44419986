"""`lnm rollback 21-101`: each thing that was made goes back, and nothing else; no document is ever lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.hold import let_the_lease_run_out
from tests.runner.installed import Answer, Lnm

pytestmark = pytest.mark.mongod

ID = "20251202_lnm_21_101_sharding_and_ttl"
EVENTS, TTL = "advisory_observation_events", "lnm_obs_events_ttl"


def rollback(lnm: Lnm, *arguments: str, wanted: int = 0) -> Answer:
    """`lnm rollback 21-101 --execute --json` for the kit."""
    return lnm.rollback("--json", *arguments, wanted=wanted)


def names(site: Site) -> set[str]:
    """The collections that are no state of the runner."""
    found = site.database.list_collection_names(filter={"name": {"$regex": "^(advisory|lnm_o|lnm_undo)"}})
    return set(found)


def ledger_row(site: Site) -> dict[str, Any]:
    """The row of 21-101."""
    row = site.database["lnm_migrations"].find_one({"_id": ID})
    assert row is not None
    return row


def test_without_execute_it_says_what_would_go(lnm: Lnm, site: Site) -> None:
    lnm.apply()

    with watched(site.server) as writes:
        answer = lnm("rollback", "21-101", "--kit", lnm.kit.folder)

    assert "drop the collection advisory_linksets, which is empty" in answer.stdout
    assert "Nothing was written" in answer.stdout
    assert writes.oplog == []


def test_what_was_never_applied_needs_no_way_back(lnm: Lnm, site: Site) -> None:
    answer = rollback(lnm)

    assert not answer.json["writes"]
    assert site.database.list_collection_names() == []


def test_a_collection_that_was_made_and_holds_a_document_stops_all_of_it(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_object_map"].insert_one({"_id": 1})
    before = names(site)

    with watched(site.server) as writes:
        error = rollback(lnm, wanted=2).json["error"]

    assert error["type"] == "NotEmptyError"
    assert error["documents"] == {"lnm_object_map": 1}
    assert names(site) == before
    assert writes.oplog == []


def test_a_document_that_comes_at_the_last_moment_is_not_lost(lnm: Lnm, site: Site) -> None:
    """It lies in the renamed collection when the rollback goes on; so it did where a writer was faster than the drop."""
    lnm.apply()
    site.database["lnm_migrations"].update_one({"_id": ID}, {"$set": {"state": "applying", "direction": "back"}})
    site.database["lnm_object_map"].rename("lnm_undo_lnm_object_map")
    site.database["lnm_undo_lnm_object_map"].insert_one({"_id": "late"})
    let_the_lease_run_out(site)

    error = rollback(lnm, "--resume", wanted=2).json["error"]

    assert error["documents"] == {"lnm_undo_lnm_object_map": 1}
    assert site.database["lnm_undo_lnm_object_map"].count_documents({}) == 1
    assert "left half-way" in lnm("doctor", wanted=2).stdout


def test_a_rollback_that_was_killed_between_rename_and_drop_goes_on(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].update_one({"_id": ID}, {"$set": {"state": "applying", "direction": "back"}})
    site.database["lnm_object_map"].rename("lnm_undo_lnm_object_map")
    let_the_lease_run_out(site)

    assert rollback(lnm, wanted=3).json["error"]["type"] == "InterruptedApplyError"
    rollback(lnm, "--resume")

    assert names(site) == set()
    assert ledger_row(site)["state"] == "rolled-back"
    assert ledger_row(site)["made"] == []


def test_what_was_there_before_stays_and_what_somebody_changed_is_left_and_told(lnm: Lnm, site: Site) -> None:
    linksets = site.database["advisory_linksets"]
    linksets.insert_one({"_id": 1, "tenantId": "t"})
    linksets.create_index("title", name="somebody_elses")
    lnm.apply()
    linksets.drop_index("lnm_ls_created")
    linksets.create_index([("tenantId", 1), ("createdAt", 1)], name="lnm_ls_created")
    site.database.command({"collMod": "advisory_linksets", "validator": {"tenantId": {"$exists": True}}})

    answer = rollback(lnm).json

    assert answer["state"] == "rolled-back"
    assert set(linksets.index_information()) == {"_id_", "somebody_elses", "lnm_ls_created"}
    assert linksets.options()["validator"] == {"tenantId": {"$exists": True}}
    assert linksets.count_documents({}) == 1
    assert [note.split(" is left")[0] for note in answer["notes"]] == [
        "index:advisory_linksets.lnm_ls_created",
        "validator:advisory_linksets",
    ]


def test_an_expiry_goes_back_and_where_that_kills_the_fuse_holds(lnm: Lnm, site: Site) -> None:
    day = dt.timedelta(days=1)
    events = site.database[EVENTS]
    site.server.client.admin.command({"setParameter": 1, "ttlMonitorEnabled": False})
    try:
        events.create_index("publishedAt", name=TTL, expireAfterSeconds=30 * 86_400)
        lnm.apply()
        events.insert_many({"observationHash": n, "publishedAt": dt.datetime.now(dt.UTC) - 60 * day} for n in range(3))

        error = rollback(lnm, wanted=2).json["error"]
        assert (error["type"], error["deletes"]) == ("TtlFuseError", 3)
        rollback(lnm, "--accept-ttl-deletes", "3")
    finally:
        site.server.client.admin.command({"setParameter": 1, "ttlMonitorEnabled": True})

    assert events.index_information()[TTL]["expireAfterSeconds"] == 30 * 86_400
    assert set(events.index_information()) == {"_id_", TTL}


def test_the_first_expiry_is_what_it_goes_back_to_after_several_changes(lnm: Lnm, site: Site) -> None:
    site.database[EVENTS].create_index("publishedAt", name=TTL, expireAfterSeconds=30 * 86_400)
    for days in ("40", "50"):
        lnm.apply(LNM_EVENTS_TTL_DAYS=days)

    rollback(lnm)

    assert site.database[EVENTS].index_information()[TTL]["expireAfterSeconds"] == 30 * 86_400


def test_a_user_who_may_only_apply_is_told_so_and_nothing_is_lost(lnm: Lnm, site: Site) -> None:
    lnm.apply()

    error = lnm("rollback", "21-101", "--execute", "--json", "--kit", lnm.kit.folder, wanted=2).json["error"]

    assert error["type"] == "PrivilegeError"
    assert {need["role"] for need in error["missing"]} == {"lnmRollback21101"}
    assert ledger_row(site)["state"] == "applied"


def test_an_apply_over_a_rollback_that_was_stopped_hides_no_document(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].update_one({"_id": ID}, {"$set": {"state": "applying", "direction": "back"}})
    site.database["lnm_object_map"].rename("lnm_undo_lnm_object_map")
    let_the_lease_run_out(site)

    error = lnm.apply("--resume", "--json", wanted=2).json["error"]

    assert "lnm_undo_lnm_object_map is left of a rollback" in error["message"]
    (finding,) = lnm("doctor", "--json", wanted=2).json["findings"]
    assert [command.split()[1] for command in finding["commands"]] == ["rollback"], "doctor names what would be refused"
    assert "lnm_object_map" not in names(site)

"""When a restore may be done, what it must not end with, and that the roles of saving hold what is used and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.backup import loading, prove
from lnm_runner.errors import BackupError, InputError, LeaseLostError, RetryableError, StageError
from lnm_runner.mongo import Topology
from lnm_runner.runbook import saving
from pymongo import monitoring

from tests.runner import backups, roles
from tests.runner.backups import FAR, Saver, frozen
from tests.runner.fixtures import Site
from tests.runner.kits import Kit
from tests.runner.test_backup import saver_of
from tests.runner.test_roles import TABLE

pytestmark = pytest.mark.mongod


@pytest.fixture
def saved(site: Site, kit: Kit, tmp_path: Path) -> Saver:
    """A small database with a backup."""
    saver = saver_of(site, kit, tmp_path)
    saver.database["things"].insert_many([{"_id": number} for number in range(10)])
    saver.database["others"].insert_one({"_id": 1})
    saver.stage("backup")
    return saver


def test_it_is_refused_while_users_may_write_and_once_they_could_unless_it_is_forced(saved: Saver) -> None:
    saved.database["things"].insert_one({"_id": 10})
    with pytest.raises(StageError, match="is not frozen"):
        saved.stage("restore")
    saved.done["unfreeze"] = {"marker": True, "mode": "open"}
    with frozen(saved.database), pytest.raises(StageError, match=r"would be lost: things: 11 documents now, 10 in the backup"):
        saved.stage("restore")
    assert saved.database["things"].count_documents({}) == 11

    with frozen(saved.database):
        saved.stage("restore", forced="the customer agreed")
    assert saved.database["things"].count_documents({}) == 10


def test_a_freeze_that_began_after_the_backup_does_not_hide_what_users_wrote_before_it(saved: Saver) -> None:
    """The freeze was skipped, and came when the restore asked for one: nobody has told of an unfreeze."""
    began = dt.datetime.fromtimestamp(saved.manifest["operationTime"]["t"], dt.UTC)
    marker = {"_id": "ingest", "enabled": False, "stage": "freeze"}
    saved.database["things"].insert_one({"_id": 10})
    saved.database["lnm_settings"].insert_one({**marker, "at": began + dt.timedelta(seconds=1)})
    with (
        frozen(saved.database),
        pytest.raises(StageError, match=r"frozen after that.*things: 11 documents now, 10 in the backup"),
    ):
        saved.stage("restore")
    assert saved.database["things"].count_documents({}) == 11

    saved.done["unfreeze"] = {"marker": True, "mode": "open"}  # of an earlier window
    saved.database["lnm_settings"].replace_one({"_id": "ingest"}, {**marker, "at": began})
    with frozen(saved.database):
        saved.stage("restore")


def test_the_cluster_of_somebody_else_that_is_called_the_same_is_not_written_over(saved: Saver) -> None:
    """Two clusters whose replica sets are rs0 have one journal on a machine; this one has no lease, or one of its own."""
    saved.database.drop_collection("lnm_lease")
    saved.database["things"].insert_one({"_id": "theirs"})
    for theirs in range(2):
        with frozen(saved.database), pytest.raises(StageError, match="another cluster than the one that was backed up"):
            saved.stage("restore")
        saved.database["lnm_lease"].insert_one({"_id": theirs})
    assert saved.database["things"].count_documents({}) == 11

    with frozen(saved.database):
        saved.stage("restore", forced="the cluster was built anew")


def test_it_is_refused_while_publishers_are_switched_on(saved: Saver) -> None:
    """A site's own publisher is switched by its hook alone: it would go on, and publish what is backfilled next unvalidated."""
    for row in ({"enabled": True, "hook": "ran"}, {"enabled": False, "hook": "pending"}):
        saved.database["lnm_settings"].replace_one({"_id": "outbox"}, row, upsert=True)
        with frozen(saved.database), pytest.raises(StageError, match="the outbox is switched on") as caught:
            saved.stage("restore")
        assert "lnm outbox disable --execute" in caught.value.hint


def test_a_backup_is_not_restored_on_the_proof_of_an_earlier_one(saved: Saver) -> None:
    """Another window: its freeze wants a new backup, and the journal knows the proof of the old one."""
    saved.stage("prove_backup")
    saved.place.rename(saved.place.with_name("first"))
    saved.database["things"].insert_one({"_id": 10})
    saved.stage("backup")
    with frozen(saved.database), pytest.raises(StageError, match="was never proved"):
        saved.stage("restore")
    saved.stage("prove_backup")
    with frozen(saved.database):
        saved.stage("restore")


def test_what_a_restore_has_left_half_way_is_not_backed_up(saved: Saver) -> None:
    saved.database["lnm_restoring_0"].insert_one({})
    saved.place.rename(saved.place.with_name("first"))
    with pytest.raises(StageError, match="begun here and not ended: lnm_restoring_0"):
        saved.check("backup")


def test_through_a_router_it_is_refused_with_the_command_that_does_it(saved: Saver) -> None:
    with saved.context() as context:
        routed = replace(context, server=replace(context.server, topology=Topology.ROUTER))
        with pytest.raises(StageError) as caught:
            saving.check_restore(routed)
    assert "mongorestore --config=FILE --drop --bypassDocumentValidation" in caught.value.hint


def test_a_restore_that_ends_with_less_than_the_dump_lists_is_an_error(saved: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sefaria's restore said ok with 8 of 73 collections (attack F11): somebody drops one, or a document, meanwhile."""
    saved.database["things"].delete_many({})
    load = loading.load

    def robbed(database: Any, name: str, *arguments: Any, **more: Any) -> Any:
        found = load(database, name, *arguments, **more)
        saved.database["others"].drop()
        return found

    monkeypatch.setattr(loading, "load", robbed)
    with frozen(saved.database), pytest.raises(BackupError, match="less than the backup lists: others: no collection, 1 in the"):
        saved.stage("restore")


def test_it_stops_before_the_next_change_once_its_lease_is_gone(saved: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.database["things"].delete_many({})
    load = loading.load

    def slow(database: Any, name: str, *arguments: Any, **more: Any) -> Any:
        found = load(database, name, *arguments, **more)
        saved.database["lnm_lease"].update_one({"_id": "runner"}, {"$set": {"epoch": 99, "expiresAt": FAR}})
        return found

    monkeypatch.setattr(loading, "load", slow)
    with frozen(saved.database), pytest.raises(LeaseLostError):
        saved.stage("restore")
    assert saved.database["things"].count_documents({}) == 0


def test_settings_that_the_backup_does_not_list_go_and_the_switches_of_now_stay(saved: Saver) -> None:
    saved.database["lnm_settings"].insert_many([{"_id": "ingest"}, {"_id": "outbox"}])
    with frozen(saved.database):
        done = saved.stage("restore").evidence

    assert [row["_id"] for row in saved.database["lnm_settings"].find()] == ["ingest"]
    assert done["fingerprint"] == saved.done["backup"]["fingerprint"]["database"]


def test_a_proof_needs_a_name_and_room_on_the_servers_disk(saved: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="the server takes 63"):
        prove.scratch(saved.database.client["x" * 60])
    monkeypatch.setattr(prove, "ROOM", 1e15)
    with pytest.raises(RetryableError, match="the server's disk has"):
        saved.check("prove_backup")


# ---- the roles

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "find": ("find",), "aggregate": ("find",), "insert": ("insert",), "delete": ("remove",), "drop": ("dropCollection",),
    "listCollections": ("listCollections",), "listIndexes": ("listIndexes",), "createIndexes": ("createIndex",),
    "create": ("createCollection",), "collMod": ("collMod",), "dbStats": ("dbStats",), "dropDatabase": ("dropDatabase",),
    "findAndModify": ("update", "insert"), "update": ("update",), "serverStatus": ("serverStatus",),
}  # fmt: skip
"""What a command needs («Privilege Actions» of the MongoDB manual)."""


class Used(monitoring.CommandListener):
    """Notes `(database, action)` of what is sent while it is on."""

    def __init__(self) -> None:
        """Off."""
        self.found: set[tuple[str, str]] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Before a command is sent."""
        if self.found is not None:
            self.found |= {(event.database_name, action) for action in needs(event.command_name, event.command)}

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing."""


def needs(name: str, command: Mapping[str, Any]) -> Iterator[str]:
    """The actions that a command needs."""
    yield from ACTIONS.get(name, ())
    if command.get("bypassDocumentValidation"):
        yield "bypassDocumentValidation"
    if command.get("capped"):
        yield "convertToCapped"


USED = Used()


def test_each_privilege_of_the_two_roles_is_used(site: Site, kit: Kit, tmp_path: Path) -> None:
    """That they suffice is seen by every test of backups: its user has nothing else."""
    monitoring.register(USED)
    saver = saver_of(site, kit, tmp_path)
    backups.fill(saver.database)
    used: dict[str, set[tuple[str, str]]] = {}
    with frozen(saver.database):
        USED.found = used["lnmBackup"] = set()
        saver.stage("backup")
        saver.stage("prove_backup")
    USED.found = None
    backups.spoil(saver.database)
    with frozen(saver.database):
        USED.found = used["lnmRestore"] = set()
        saver.stage("restore")
    USED.found = None

    for role, found in used.items():
        here = {(name.replace(saver.database.name, "DATABASE") if name != "admin" else "", action) for name, action in found}
        granted = {(resource.get("db", ""), action) for resource, action in roles.each(TABLE[role])}
        # without the one, each write would be refused in the freeze; the other is seen where settings go that were not backed up
        assert granted - here == {("", "bypassWriteBlockingMode")} | ({("DATABASE", "remove")} if role == "lnmRestore" else set())

"""`rollback-lnm-backfill.js`: a site that only has mongosh comes to the same bytes as by `lnm rollback 21-102`."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from tests.crash.fingerprint import documents
from tests.runner.backfills import OUTPUTS, RAW_KEYS, Ready
from tests.runner.fixtures import Site, fresh_site, operators, watched
from tests.runner.hold import hold_lease, let_the_lease_run_out
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod
from tests.runner.mongosh import Script, ended
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod

SCRIPT = "migrations/21-102/rollback-lnm-backfill.js"
MIGRATION = "20251202_lnm_21_102_backfill"
Stored = Mapping[str, list[RawBSONDocument]]
PATIENCE_S = 20


@dataclass(frozen=True)
class Story:
    """A database after two runs of the backfill, some of whose documents somebody has touched."""

    stored: Stored
    after: Mapping[str, Mapping[str, str]]
    """`{collection: {_id: hash}}` once `lnm` has taken both back."""
    said: list[str]
    """What it said."""


def everything(site: Site) -> dict[str, dict[str, str]]:
    """Every document by its bytes, less what is of the runner's clock."""
    names = set(site.database.list_collection_names()) - {"lnm_lease", "lnm_migrations"}
    return {name: found for name in sorted(names) if (found := documents(site.database, name))}


def raw(site: Site, name: str) -> Collection[RawBSONDocument]:
    """A collection whose documents stay bytes."""
    options: bson.CodecOptions[RawBSONDocument] = bson.CodecOptions(document_class=RawBSONDocument)
    return site.database.get_collection(name, options)  # type: ignore[return-value]


def filled(site: Site, stored: Stored) -> Site:
    """A site that has the same documents."""
    for name, rows in ((name, rows) for name, rows in stored.items() if rows):
        raw(site, name).insert_many(rows)
    return site


def backfilled_twice(ready: Ready, demo: Any) -> None:
    """The second run finds documents that the first did not, so that it replaces linksets and tombstones."""
    demo.seed(ready.database, documents=120)
    source = ready.database["advisory_raw"]
    replaced = source.distinct("supersedes")
    later = list(source.find({"supersedes": None, "_id": {"$nin": replaced}}).sort("_id", 1))[::5]
    source.delete_many({"_id": {"$in": [one["_id"] for one in later]}})
    ready.backfill("--batch-size=10")
    source.insert_many(later)
    ready.backfill("--batch-size=10")


def touch(site: Site) -> None:
    """What a user may have done meanwhile: in each collection one is changed, another only in a type, a third is gone."""
    for name in OUTPUTS:
        first, second, third = site.database[name].find({}, {"_id": 1}).sort("_id", 1).limit(3)
        site.database[name].update_one(first, {"$set": {"note": "mine"}})
        site.database[name].update_one(second, [{"$set": {"backfill": {"task": "$backfill.task", "runId": "$backfill.runId"}}}])
        site.database[name].delete_one(third)
    replaced = site.database["lnm_backfill_before"].find_one({"_id.collection": "advisory_linksets"}) or {}
    site.database["advisory_linksets"].update_one({"_id": replaced["_id"]["id"]}, {"$set": {"confidence": bson.Int64(1)}})


@pytest.fixture(scope="module")
def story(server: Mongod, program: Path, kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The database that all tests begin with, made once."""
    before = server.client.admin.command("getParameter", transactionLifetimeLimitSeconds=1)["transactionLifetimeLimitSeconds"]
    server.client.admin.command("setParameter", transactionLifetimeLimitSeconds=3)  # of one whose runner was killed
    with fresh_site(server, kit) as site:
        lnm = operators(program, kit, site)
        site.database["advisory_raw"].create_index(RAW_KEYS, unique=True, name="advisory_raw_idempotency")
        lnm.apply()
        ready = Ready(site, lnm, tmp_path_factory.mktemp("state"))
        backfilled_twice(ready, module(program, "lnm_runner.demo"))
        touch(site)
        names = set(site.database.list_collection_names()) - {"lnm_lease"}
        stored = {name: list(raw(site, name).find()) for name in sorted(names)}
        command = ("rollback", "21-102", "--execute", "--kit", kit.folder)
        said = lnm(*command, wanted=3, **ready.variables("unfiller")).stdout.splitlines()
        yield Story(stored, everything(site), said)
    server.client.admin.command("setParameter", transactionLifetimeLimitSeconds=before)


@pytest.fixture
def script(site: Site, kit: Kit, story: Story, tmp_path: Path) -> Script:
    """The kit's script on a copy of that database."""
    return Script(kit.folder / SCRIPT, filled(site, story.stored), tmp_path)


def ledger(site: Site) -> dict[str, Any]:
    """What the ledger says of 21-102, less times and owners."""
    row = site.database["lnm_migrations"].find_one({"_id": MIGRATION}) or {}
    return {name: row.get(name) for name in ("state", "direction", "made", "score", "actions", "error", "delivery", "kit")}


def half_way(process: subprocess.Popen[Any], site: Site, collection: str) -> None:
    """Waits until a runner has taken back a row of this collection, and no more than some."""
    deadline = time.monotonic() + PATIENCE_S
    while site.database["lnm_checkpoints"].find_one({"takenBack": collection}, {"_id": 1}) is None:
        assert process.poll() is None, "it was over before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def going_back(lnm: Lnm, site: Site) -> Callable[..., subprocess.Popen[str]]:
    """Starts `lnm rollback 21-102`."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = ["rollback", "21-102", "--execute", "--kit", str(lnm.kit.folder), *arguments]
        return lnm.start(*command, CONCELIER_MONGO_URI=site.uri("unfiller"))

    return start


# ---- the same as lnm


def test_it_comes_to_the_same_bytes_and_says_the_same(script: Script, story: Story) -> None:
    answer = script(EXECUTE="1", wanted=3)

    assert everything(script.site) == story.after
    said = [line for line in answer.stdout.splitlines() if not line.startswith("taking back ")]  # progress, where it takes long
    assert said == story.said
    assert "set back to what an earlier run had made" in answer.stdout
    row = ledger(script.site)
    assert (row["state"], row["direction"], row["score"], row["error"]) == ("rolled-back", "back", {"runs": 2}, None)
    assert script.site.database["schema_migrations"].count_documents({"_id": MIGRATION}) == 0
    lease = script.site.database["lnm_lease"].find_one({"_id": "runner"}) or {}
    assert lease["releasedAt"] == lease["expiresAt"]

    with watched(script.site.server) as writes:
        assert "nothing to take back" in script(EXECUTE="1").stdout
    assert writes.oplog == []


def test_without_execute_it_writes_nothing(script: Script) -> None:
    with watched(script.site.server) as writes:
        answer = script()

    assert "Nothing was written; set EXECUTE=1 to do it." in answer.stdout
    assert answer.stdout.count("would be taken back") == 2
    assert writes.oplog == []


def test_what_was_published_stops_it(script: Script, lnm: Lnm) -> None:
    site = script.site
    unpublished = {"publishedAt": None}
    for name in ("advisory_observation_events", "advisory_linkset_events"):
        site.database[name].update_one(unpublished, {"$currentDate": {"publishedAt": True}})

    with watched(site.server) as writes:
        answer = script(EXECUTE="1", wanted=2)
        other = ended(going_back(lnm, site)(), wanted=2)

    assert answer.stdout.splitlines()[0].removeprefix("error: ") in other.stderr
    assert "2 events of the backfill were published" in answer.stdout
    assert writes.oplog == []


def test_another_runner_is_respected(script: Script) -> None:
    hold_lease(script.site, 3600)

    with watched(script.site.server) as writes:
        answer = script(EXECUTE="1", wanted=9)

    assert "another runner is at work: process 4711 on other-host, " in answer.stdout
    assert writes.oplog == []


# ---- each goes on where the other stopped


def test_lnm_goes_on_where_the_script_was_killed(script: Script, story: Story, lnm: Lnm) -> None:
    process = script.start(EXECUTE="1")
    half_way(process, script.site, "advisory_linksets")
    process.kill()
    process.communicate()
    let_the_lease_run_out(script.site)
    assert everything(script.site) != story.after

    ended(going_back(lnm, script.site)(), wanted=3)

    assert everything(script.site) == story.after


def test_the_script_goes_on_where_lnm_was_killed(script: Script, story: Story, lnm: Lnm) -> None:
    process = going_back(lnm, script.site)()
    half_way(process, script.site, "advisory_linksets")
    process.kill()
    process.communicate()
    let_the_lease_run_out(script.site)

    script(EXECUTE="1", wanted=3)

    assert everything(script.site) == story.after


def test_a_script_that_was_paused_writes_nothing_once_another_has_begun(script: Script, story: Story, lnm: Lnm) -> None:
    process = script.start(EXECUTE="1")
    half_way(process, script.site, "advisory_observations")
    process.send_signal(signal.SIGSTOP)
    try:
        let_the_lease_run_out(script.site)
        ended(going_back(lnm, script.site)(), wanted=3)
        assert everything(script.site) == story.after
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)

    answer = ended(process, wanted=9)

    assert "no longer holds the lease" in answer.stdout
    assert everything(script.site) == story.after
    assert ledger(script.site)["state"] == "rolled-back"

"""`lnm backfill`: what it makes of what is stored; the same bytes and the same report however it is done; and a second run."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.fingerprint import documents
from tests.runner.backfills import FETCHED, OUTPUTS, RAW_KEYS, TENANT, Ready, legacy, osv, raw
from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod


@pytest.fixture
def ready(lnm: Lnm, site: Site, tmp_path: Path) -> Ready:
    """A site where 21-101 is applied."""
    site.database["advisory_raw"].create_index(RAW_KEYS, unique=True, name="advisory_raw_idempotency")
    lnm.apply()
    return Ready(site, lnm, tmp_path / "state")


@pytest.fixture
def demo(program: Path) -> Any:
    """The invented corpus."""
    return module(program, "lnm_runner.demo")


def everything(ready: Ready, *more: str) -> dict[str, dict[str, str]]:
    """The bytes of all that a backfill writes."""
    return {name: documents(ready.database, name) for name in (*OUTPUTS, *more)}


# ---- what is made


def test_a_document_becomes_an_observation_a_linkset_and_their_events(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("GHSA-1", "CVE-1"), raw("PYSEC-1", "CVE-1", source__vendor="PyPA")])
    ready.database["advisory"].insert_one(legacy("CVE-1", "GHSA-1"))

    answer = ready.backfill()

    assert answer.json["outputs"] == dict.fromkeys(OUTPUTS, 2) | {"advisory_linkset_tombstones": 1}
    one = ready.database["advisory_observations"].find_one({"advisoryId": "PYSEC-1"}) or {}
    assert one["source"] == "pypa"
    assert one["observationId"] == f"{TENANT}:pypa:PYSEC-1:1"
    assert one["backfill"] == {"runId": answer.json["run"], "task": "21-102"}
    linkset = ready.database["advisory_linksets"].find_one({"advisoryId": "GHSA-1"}) or {}
    assert len(linkset["observations"]) == 2
    assert linkset["confidence"] is not None
    assert linkset["createdAt"] == FETCHED
    tombstone = ready.database["advisory_linkset_tombstones"].find_one() or {}
    assert (tombstone["legacyAdvisoryKey"], tombstone["reason"], len(tombstone["linksetIds"])) == (
        "CVE-1",
        "superseded-by-linkset",
        2,
    )
    assert ready.database["advisory_observation_events"].count_documents({"publishedAt": None}) == 2
    assert ready.lnm("status", **ready.variables("reader")).stdout.count("20251202_lnm_21_102_backfill") == 1


def test_revisions_supersede_each_other_and_only_the_last_is_linked(ready: Ready) -> None:
    first = raw("GHSA-1")
    second = raw("GHSA-1", payload=osv("GHSA-1", summary="Worse"), supersedes=first["_id"])
    third = raw("GHSA-1", payload=osv("GHSA-1", summary="Worst"), upstream__fetched_at=FETCHED.replace(hour=9))
    ready.database["advisory_raw"].insert_many([third, second, first])

    ready.backfill()

    chain = list(ready.database["advisory_observations"].find().sort("observationId", 1))
    assert [one["summary"] for one in chain] == ["Bad", "Worse", "Worst"]
    assert [one["supersedesId"] for one in chain] == [None, chain[0]["_id"], chain[1]["_id"]]
    (linkset,) = ready.database["advisory_linksets"].find()
    assert linkset["observations"] == [chain[2]["_id"]]


def test_tombstones_say_where_the_content_is(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_one(raw("GHSA-1", "CVE-1"))
    ready.database["advisory"].insert_many([legacy("CVE-1"), legacy("GHSA-1", "CVE-1"), legacy("CVE-9")])

    ready.backfill()

    said = {one["legacyAdvisoryKey"]: one["reason"] for one in ready.database["advisory_linkset_tombstones"].find()}
    assert said == {"CVE-1": "superseded-by-linkset", "GHSA-1": "duplicate", "CVE-9": "raw-missing"}


def test_tenants_never_meet(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("GHSA-1", "CVE-1"), raw("GHSA-2", "CVE-1", tenant="tenant-b")])

    ready.backfill()

    assert [len(one["observations"]) for one in ready.database["advisory_linksets"].find()] == [1, 1]


# ---- the same, however it is done


def test_neither_batches_nor_workers_nor_the_order_of_arrival_change_a_byte(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database)
    first = ready.backfill("--batch-size=500").json
    wanted = everything(ready)
    report = ready.report()
    ready.rollback()
    rows = list(ready.database["advisory_raw"].find())
    ready.database["advisory_raw"].delete_many({})
    random.Random(7).shuffle(rows)  # noqa: S311 - any other order
    ready.database["advisory_raw"].insert_many(rows)
    shutil.rmtree(ready.state)

    again = ready.backfill("--batch-size=7", "--workers=2").json

    assert again["reportSha256"] == first["reportSha256"]
    assert everything(ready) == wanted
    assert ready.report() == report
    assert first["errors"]["count"] == 0
    assert {name: tree["leaves"] for name, tree in report["outputs"].items()} == {name: len(wanted[name]) for name in OUTPUTS}


def test_a_second_run_over_the_same_input_writes_nothing_but_the_lease(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=50)
    first = ready.backfill().json

    with watched(ready.site.server) as writes:
        again = ready.backfill().json

    assert (again["writes"], again["run"], again["reportSha256"]) == (False, first["run"], first["reportSha256"])
    assert {entry["ns"].partition(".")[2] for entry in writes.oplog} == {"lnm_lease"}


def test_without_execute_nothing_is_written(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=100)

    for more in ((), ("--execute", "--dry-run")):
        command = ("backfill", "--json", "--kit", ready.lnm.kit.folder, *more)
        with watched(ready.site.server) as writes:
            found = ready.lnm(*command, **ready.variables("backfiller")).json
        assert (found["documents"], found["sample"]["tried"], found["sample"]["failed"]) == (100, 100, 0)
        assert writes.oplog == []
    assert not ready.state.exists()


def test_it_needs_21_101(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    found = Ready(site, lnm, tmp_path).backfill(wanted=2).json

    assert found["error"]["type"] == "GapError"


def test_apply_sends_to_the_command_that_does_it(ready: Ready) -> None:
    assert "lnm backfill" in ready.lnm("apply", "21-102", "--kit", ready.lnm.kit.folder, wanted=2).stderr


@pytest.mark.parametrize(
    "option", ["--batch-size=0", "--batch-size=10001", "--max-errors=-1", "--max-lag=0", "--workers=0", "--workers=65"]
)
def test_numbers_that_make_no_sense_are_refused(ready: Ready, option: str) -> None:
    assert option.partition("=")[0] in ready.backfill(option, wanted=2).json["error"]["message"]


# ---- what comes later


def test_what_comes_later_is_a_run_of_its_own_and_a_rollback_takes_both_back(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("GHSA-1", "CVE-1"), raw("GHSA-2")])
    ready.database["advisory"].insert_many([legacy("CVE-1"), legacy("CVE-9")])
    before = everything(ready)
    first = ready.backfill().json
    middle = everything(ready)
    ready.database["advisory_raw"].insert_many(
        [raw("GHSA-3", "CVE-1", source__vendor="ghsa"), raw("CVE-9", source__vendor="nvd")]
    )

    second = ready.backfill().json

    assert second["run"] != first["run"]
    after = everything(ready)
    assert {name: len(after[name]) - len(middle[name]) for name in OUTPUTS} == {
        "advisory_observations": 2,
        "advisory_observation_events": 2,
        "advisory_linksets": 2,
        "advisory_linkset_events": 3,  # that of GHSA-1 has a further observation now
        "advisory_linkset_tombstones": 0,
    }
    event = ready.database["advisory_linkset_events"].find_one({"advisoryId": "GHSA-1", "delta.type": "updated"}) or {}
    older = ready.database["advisory_linkset_events"].find_one({"advisoryId": "GHSA-1", "delta.type": "created"}) or {}
    assert len(event["delta"]["observationsAdded"]) == 1
    assert event["replayCursor"] > older["replayCursor"]
    tombstone = ready.database["advisory_linkset_tombstones"].find_one({"legacyAdvisoryKey": "CVE-9"}) or {}
    assert tombstone["reason"] == "superseded-by-linkset"
    assert ready.rollback().json["restored"] == 3  # one linkset and both tombstones
    assert everything(ready) == before


def test_a_revision_that_comes_after_a_run_stands_behind_those_that_are_there_whatever_its_date(ready: Ready) -> None:
    """What is stored is never changed, so the line of the revisions only grows at its end."""
    ready.database["advisory_raw"].insert_one(raw("GHSA-1", upstream__fetched_at=FETCHED.replace(hour=9)))
    ready.backfill()
    ready.database["advisory_raw"].insert_one(raw("GHSA-1", payload=osv("GHSA-1", summary="Older")))

    ready.backfill()

    first, second = ready.database["advisory_observations"].find().sort("observationId", 1)
    assert (first["summary"], second["summary"]) == ("Bad", "Older")
    assert second["supersedesId"] == first["_id"]
    (linkset,) = ready.database["advisory_linksets"].find()
    assert linkset["observations"] == [second["_id"]]


def test_what_arrives_while_it_runs_is_counted_as_late(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=60)
    ready.database["lnm_settings"].insert_one({"_id": "backfill-pace", "pause": True})
    command = ("backfill", "--execute", "--json", "--batch-size=10", "--kit", ready.lnm.kit.folder)
    runner = ready.lnm.start(*command, **ready.variables("backfiller"))
    while not [line for line in ready.log() if line["event"] == "pace"]:
        assert runner.poll() is None
        time.sleep(0.05)
    ready.database["advisory_raw"].insert_one(raw("LATE-1"))
    ready.database["lnm_settings"].delete_one({})

    stdout, stderr = runner.communicate(timeout=60)

    assert runner.returncode == 0, stderr
    assert '"late": 1' in stdout
    assert ready.database["advisory_observations"].count_documents({"advisoryId": "LATE-1"}) == 0
    said = [line["said"] for line in ready.log() if line["event"] == "pace"]
    assert said[0] == "pause: asked for by lnm_settings"
    assert said[1].startswith("goes on after a pause of")


# ---- the state folder


def test_a_lost_state_folder_loses_nothing(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=50)
    first = ready.backfill().json
    shutil.rmtree(ready.state)

    again = ready.backfill().json

    assert (again["writes"], again["reportSha256"]) == (False, first["reportSha256"])


@pytest.mark.parametrize("collection", ["lnm_checkpoints", "lnm_backfill_errors"])
def test_a_report_is_not_replaced_by_another_one_where_somebody_has_changed_what_it_is_made_of(
    ready: Ready, collection: str
) -> None:
    ready.database["advisory_raw"].insert_many([raw("A"), raw("B", severity=1)])
    ready.backfill(wanted=3)
    report = ready.report()
    ready.database[collection].delete_one({})

    error = ready.backfill(wanted=2).json["error"]

    assert error["type"] == "LedgerError"
    assert "would be another one now" in error["message"]
    assert ready.report() == report


def test_a_state_folder_that_cannot_be_made_is_told(ready: Ready) -> None:
    ready.state.write_text("a file in its place")

    error = ready.backfill(wanted=10).json["error"]

    assert (error["type"], "LNM_STATE_DIR" in error["hint"]) == ("RetryableError", True)
    assert ready.lnm("status", "--json", **ready.variables("reader")).json["migrations"][0]["state"] == "applied"


def test_the_report_holds_nothing_of_this_machine(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=20)
    ready.backfill()

    report = ready.report()

    assert set(report) == {
        "schema", "runId", "migration", "migrationDigest", "transformation", "inventory", "outputs", "counts", "errors", "touched",
    }  # fmt: skip
    row = ready.database["lnm_runs"].find_one() or {}
    (path,) = ready.state.glob("backfill/*/lnm-backfill-report.json")
    assert row["report"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

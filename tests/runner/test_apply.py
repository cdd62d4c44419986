"""`lnm apply`: what it writes, what it does not, and what the ledger says of it."""

from __future__ import annotations

import datetime as dt
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.hold import held, refused_half_way, wait_for_primary, wait_until_it_waits
from tests.runner.installed import Lnm, schema
from tests.runner.kits import Kit, variant

ID = "20251202_lnm_21_101_sharding_and_ttl"
LEFT = {"_id": ID, "state": "applying", "run": "x", "migrationDigest": "sha256:"}
MIGRATION = "migrations/21-101/migration.py"

pytestmark = pytest.mark.mongod


def ledger_row(site: Site) -> dict[str, Any]:
    """The row of 21-101."""
    row = site.database["lnm_migrations"].find_one({"_id": ID})
    assert row is not None
    return row


def test_apply_writes_the_ledger_and_upstreams_row(lnm: Lnm, site: Site, kit: Kit, version: str) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)

    answer = lnm.apply("--json").json

    row = ledger_row(site)
    assert row["state"] == "applied"
    assert row["kit"]["rootHash"] == f"sha256:{kit.manifest['rootHash']}"
    assert row["kit"]["version"] == version
    assert row["kit"]["signer"].startswith("sha256:")
    ready = kit.manifest["deliveries"][0]
    assert row["migrationDigest"] == f"sha256:{ready['digest']}"
    assert ready["migration"] == ID
    assert before < row["startedAt"] <= row["finishedAt"]
    assert (row["direction"], row["epoch"]) == ("up", 1)
    assert row["durationMs"] == (row["finishedAt"] - row["startedAt"]) // dt.timedelta(milliseconds=1)
    assert row["settings"] == {"eventsTtlDays": 90, "acceptTtlDeletes": 0}
    assert row["earlier"] == []
    published = site.database["schema_migrations"].find_one({"_id": ID})
    assert published is not None
    assert published["appliedAt"] >= row["startedAt"]
    assert answer["ok"]
    assert answer["writes"]
    assert answer["durationMs"] == row["durationMs"]
    assert answer["sharding"] == "skipped (replica set)"


def test_apply_without_execute_prints_the_plan_and_writes_nothing(lnm: Lnm, site: Site) -> None:
    with watched(site.server) as writes:
        answer = lnm("apply", "21-101", "--kit", lnm.kit.folder)

    assert "lnm_obs_artifact_unique" in answer.stdout
    assert "Nothing was written; add --execute to do it." in answer.stdout
    assert writes.opcounters == {"insert": 0, "update": 0, "delete": 0}
    assert writes.oplog == []
    assert site.database.list_collection_names() == []


def test_a_second_apply_writes_nothing_at_all(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    row = site.database["lnm_migrations"].find_one({"_id": ID})

    with watched(site.server) as writes:
        answer = lnm.apply()

    assert "nothing to do, nothing was written" in answer.stdout
    assert writes.opcounters == {"insert": 0, "update": 0, "delete": 0}
    assert writes.oplog == []
    assert site.database["lnm_migrations"].find_one({"_id": ID}) == row


def test_the_watch_sees_a_write_when_there_is_one(site: Site) -> None:
    """The counter of the two tests above is not blind."""
    with watched(site.server) as writes:
        site.database["anything"].insert_one({"_id": 1})

    assert writes.opcounters == {"insert": 1, "update": 0, "delete": 0}
    assert [entry["op"] for entry in writes.oplog] == ["c", "i"]


def test_foreign_rows_of_upstream_are_listed_and_left_alone(lnm: Lnm, site: Site) -> None:
    foreign = {"_id": "20251028_advisory_raw_idempotency_index", "description": "theirs"}
    site.database["schema_migrations"].insert_one(foreign)

    lnm.apply()

    status = lnm("status", "--json").json
    assert status["foreign"] == [foreign["_id"]]
    assert status["published"] == [ID]
    assert site.database["schema_migrations"].find_one({"_id": foreign["_id"]}) == foreign


def test_a_schema_that_is_complete_already_is_only_recorded(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].drop()
    site.database["schema_migrations"].drop()

    answer = lnm.apply("--json").json

    assert answer["actions"] == []
    assert answer["writes"]
    assert lnm("status", "--json").json["migrations"][0]["state"] == "applied"


def test_a_crash_before_upstreams_row_is_made_up_for(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    row = site.database["lnm_migrations"].find_one({"_id": ID})
    site.database["schema_migrations"].drop()

    lnm.apply()

    assert site.database["schema_migrations"].count_documents({"_id": ID}) == 1
    assert site.database["lnm_migrations"].find_one({"_id": ID}) == row


def test_an_index_that_somebody_dropped_comes_back(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["advisory_linksets"].drop_index("lnm_ls_purls")

    lnm.apply()

    assert "lnm_ls_purls" in site.database["advisory_linksets"].index_information()
    row = ledger_row(site)
    assert [run["state"] for run in row["earlier"]] == ["applied"]


def test_an_edited_migration_is_refused_also_when_only_a_comment_changed(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    lnm.apply()
    source = (lnm.kit.folder / MIGRATION).read_bytes()
    edited = variant(lnm.kit, tmp_path / "edited", {MIGRATION: source + b"# a remark\n"})

    with watched(site.server) as writes:
        error = lnm.with_kit(edited).apply("--json", wanted=2).json["error"]

    assert error["type"] == "DigestMismatchError"
    assert error["applied"] == f"sha256:{lnm.kit.manifest['deliveries'][0]['digest']}"
    assert error["found"] == f"sha256:{edited.manifest['deliveries'][0]['digest']}"
    assert writes.oplog == []


def test_a_kit_that_differs_only_in_its_readme_is_the_same_migration(lnm: Lnm, tmp_path: Path) -> None:
    lnm.apply()
    other = variant(lnm.kit, tmp_path / "other", {"migrations/21-101/README.md": b"# another page\n"})

    answer = lnm.with_kit(other).apply()

    assert "nothing to do" in answer.stdout


def test_resume_goes_on_after_a_runner_that_is_gone(lnm: Lnm, site: Site) -> None:
    site.database["lnm_migrations"].insert_one({**LEFT, "startedAt": dt.datetime.now(dt.UTC)})

    lnm.apply("--resume")

    row = ledger_row(site)
    assert row["state"] == "applied"
    assert [run["state"] for run in row["earlier"]] == ["applying"]


@pytest.mark.parametrize(
    "row", [{}, {"state": "done"}, {"state": 1, "run": 2, "startedAt": "now"}], ids=["bare", "state", "types"]
)
def test_a_row_that_no_runner_wrote_is_refused_and_shown(lnm: Lnm, site: Site, row: dict[str, Any]) -> None:
    site.database["lnm_migrations"].insert_one({**row, "_id": ID})

    assert lnm.apply("--json", wanted=2).json["error"]["type"] == "LedgerError"
    assert "is none that a runner wrote" in lnm("status", "--kit", lnm.kit.folder).stdout


def test_of_runners_that_start_together_no_two_work_at_once(lnm: Lnm, site: Site) -> None:
    """Each ends as the one that applied, as one that was locked out, or as one that came after; the schema is complete."""
    runners = [lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder) for _ in range(4)]

    said = [(*runner.communicate(timeout=60), runner.returncode) for runner in runners]

    assert all("Traceback" not in stderr for _, stderr, _ in said)
    codes = [code for _, _, code in said]
    assert set(codes) <= {0, 9}
    assert 0 in codes
    row = ledger_row(site)
    assert row["state"] == "applied"
    assert row["earlier"] == []
    assert lnm.plan("--json").json["plans"][0]["nothingToDo"]


def test_what_the_server_refuses_half_way_is_told_and_recorded(lnm: Lnm, site: Site) -> None:
    code, told = refused_half_way(lnm, site)

    error = told["error"]
    assert (code, error["type"]) == (3, "StoppedError")
    assert error["cause"] == "PrivilegeError"
    assert "may not run the command collMod" in error["message"]
    row = ledger_row(site)
    assert row["state"] == "failed"
    assert row["error"]["type"] == "PrivilegeError"
    lnm.apply()
    assert ledger_row(site)["state"] == "applied"


def test_a_frozen_cluster_is_a_reason_to_try_again_later(lnm: Lnm, site: Site) -> None:
    admin = site.server.client.admin
    admin.command({"setUserWriteBlockMode": 1, "global": True})
    try:
        error = lnm.apply("--json", wanted=10).json["error"]
    finally:
        admin.command({"setUserWriteBlockMode": 1, "global": False})

    assert "frozen" in error["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_an_apply_with_130_and_the_next_one_goes_on(lnm: Lnm, site: Site, number: signal.Signals) -> None:
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        runner.send_signal(number)
        stdout, stderr = runner.communicate(timeout=60)

    assert (runner.returncode, stdout, stderr.splitlines()[-2]) == (130, "", "cancelled")
    assert "Traceback" not in stderr
    row = ledger_row(site)
    assert row["state"] == "failed"
    assert row["error"]["message"] == "it was cancelled"
    lnm.apply()
    assert ledger_row(site)["state"] == "applied"


def test_a_signal_is_told_as_json_where_json_was_asked_for(lnm: Lnm, site: Site) -> None:
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--json", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        runner.terminate()
        stdout, stderr = runner.communicate(timeout=60)

    told = json.loads(stdout)
    schema(lnm.kit.folder).validate(told)
    assert (runner.returncode, told["exitCode"], told["error"]["type"], stderr) == (130, 130, "CancelledError", "")


def test_duplicates_that_come_after_the_plan_are_shown_too(lnm: Lnm, site: Site) -> None:
    twice = {"tenantId": "t", "advisoryId": "CVE-1", "source": "nvd"}
    site.database["advisory_linksets"].insert_one({**twice, "_id": 1})
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--json", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        site.database["advisory_linksets"].insert_one({**twice, "_id": 2})
    error = json.loads(runner.communicate(timeout=60)[0])["error"]

    assert runner.returncode == 3
    assert error["cause"] == "DuplicateKeysError"
    assert error["examples"] == [{"key": twice, "documents": 2, "ids": ["1", "2"]}]
    assert ledger_row(site)["state"] == "failed"


def test_a_schema_that_somebody_changes_meanwhile_is_not_called_applied(lnm: Lnm, site: Site) -> None:
    """A collection comes without its validator between the plan and its turn."""
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--json", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        site.database.create_collection("advisory_linksets")
    error = json.loads(runner.communicate(timeout=60)[0])["error"]

    assert runner.returncode == 3
    assert "still something to do: set the validator of advisory_linksets" in error["message"]
    lnm.apply()


def test_a_primary_that_steps_down_is_a_reason_to_try_again(lnm: Lnm, site: Site) -> None:
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--json", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        site.server.client.admin.command("replSetStepDown", 1, force=True)
    error = json.loads(runner.communicate(timeout=60)[0])["error"]
    wait_for_primary(site)

    assert runner.returncode == 10
    assert error["type"] == "RetryableError"
    assert ledger_row(site)["state"] == "failed"
    lnm.apply()

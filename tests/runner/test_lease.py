"""One runner at a time: the lease is judged by the server's clock, who cannot renew stops, who comes back late writes nothing."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import time
from typing import Any

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.hold import held, hold_lease, let_the_lease_run_out, wait_until_it_waits
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
ID = "20251202_lnm_21_101_sharding_and_ttl"


def ledger_row(site: Site) -> dict[str, Any]:
    """The row of 21-101."""
    row = site.database["lnm_migrations"].find_one({"_id": ID})
    assert row is not None
    return row


def start(lnm: Lnm, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts an apply and does not wait."""
    return lnm.start("apply", "21-101", "--execute", "--json", "--kit", lnm.kit.folder, *arguments, **environment)


def test_who_finds_the_lease_held_is_told_by_whom_and_writes_nothing(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 60)

    with watched(site.server) as writes:
        error = lnm.apply("--json", wanted=9).json["error"]

    assert error["type"] == "LockedError"
    assert "process 4711 on other-host since 20" in error["message"]
    assert error["holder"]["isHeld"]
    assert 0 < error["holder"]["expiresInMs"] <= 60_000
    assert writes.oplog == []
    assert "a runner is at work: process 4711 on other-host" in lnm("status").stdout
    assert "another runner is at work: process 4711 on other-host" in lnm.plan().stdout


def test_who_waits_goes_on_as_soon_as_the_lease_is_free(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 2)

    began = time.monotonic()
    lnm.apply("--wait", "30")

    assert time.monotonic() - began < 30
    assert ledger_row(site)["epoch"] == 8


def test_who_has_waited_does_not_go_by_settings_that_are_others_now(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 60)
    site.database.command("profile", 2)
    runner = start(lnm, "--wait", "60")
    while site.database["system.profile"].count_documents({"command.findAndModify": "lnm_lease"}) < 2:
        assert runner.poll() is None
        time.sleep(0.1)

    row = {"_id": ID, "state": "rolled-back", "run": "x", "delivery": "21-101", "migrationDigest": "sha256:1", "startedAt": AT}
    site.database["lnm_migrations"].insert_one({**row, "settings": {"eventsTtlDays": 0}})
    let_the_lease_run_out(site)
    told = runner.communicate(timeout=60)[0]

    assert runner.returncode == 10, told
    assert "how long published events are kept" in told
    assert site.database.list_collection_names(filter={"name": {"$regex": "^advisory"}}) == []


def test_who_waits_too_short_stops_without_a_trace(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 60)

    lnm.apply("--wait", "1", wanted=9)

    assert site.database["lnm_lease"].find_one({"_id": "runner"}, {"owner.pid": 1}) == {"_id": "runner", "owner": {"pid": 4711}}
    assert site.database["lnm_migrations"].count_documents({}) == 0


def test_each_runner_has_a_higher_epoch_and_lets_go_at_its_end(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    lnm.apply(LNM_EVENTS_TTL_DAYS="91")

    lease = site.database["lnm_lease"].find_one({"_id": "runner"})

    assert lease is not None
    assert lease["epoch"] == 2
    assert lease["expiresAt"] == lease["releasedAt"]


def test_who_is_paused_and_overtaken_writes_nothing_when_it_comes_back(lnm: Lnm, site: Site) -> None:
    """Attack R2: SIGSTOP of the holder, a takeover, SIGCONT."""
    with held(site):
        first = start(lnm)
        wait_until_it_waits(site)
        first.send_signal(signal.SIGSTOP)
        assert lnm.apply("--json", wanted=9).json["error"]["holder"]["owner"]["pid"] == first.pid
        let_the_lease_run_out(site)
        left = lnm.apply("--json", wanted=3).json["error"]
    assert left["type"] == "InterruptedApplyError"
    lnm.apply("--resume", "--wait", "5")
    before = ledger_row(site)
    assert (before["state"], before["epoch"]) == ("applied", 2)

    with watched(site.server) as writes:
        first.send_signal(signal.SIGCONT)
        stdout, stderr = first.communicate(timeout=60)

    assert (first.returncode, stderr) == (9, "")
    assert "LeaseLostError" in stdout
    assert writes.oplog == []
    assert ledger_row(site) == before


def test_who_cannot_renew_stops_itself_while_it_waits_for_the_server(lnm: Lnm, site: Site) -> None:
    with held(site):
        runner = start(lnm, LNM_LEASE_SECONDS="2")
        wait_until_it_waits(site)
        time.sleep(3)
        assert runner.poll() is None, "a lease that can be renewed is renewed"
        let_the_lease_run_out(site)
        stdout, stderr = runner.communicate(timeout=10)

    assert (runner.returncode, stderr) == (9, "")
    assert "no longer holds the lease" in stdout
    assert ledger_row(site)["state"] == "applying"


def test_a_transaction_that_a_killed_runner_has_left_open_is_waited_for_with_a_word(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    fence = {"_id": "fence:ledger"}
    with site.server.client.start_session() as session, session.start_transaction():
        site.database["lnm_lease"].update_one(fence, {"$inc": {"writes": 1}}, session=session)
        runner = lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder, LNM_EVENTS_TTL_DAYS="91")
        assert runner.stderr is not None
        said = runner.stderr.readline()
        session.abort_transaction()
    runner.communicate(timeout=60)

    assert said.startswith("waiting for the server to end the transaction of a runner that is gone")
    assert runner.returncode == 0
    assert ledger_row(site)["epoch"] == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "3601", "soon"])
def test_a_lease_of_no_sensible_length_is_refused(lnm: Lnm, seconds: str) -> None:
    answer = lnm.apply(wanted=2, LNM_LEASE_SECONDS=seconds)

    assert "LNM_LEASE_SECONDS: wanted whole seconds between 1 and 3600" in answer.stderr


def test_a_runner_that_waits_finds_nothing_left_to_do(lnm: Lnm, site: Site) -> None:
    with held(site):
        first = start(lnm)
        wait_until_it_waits(site)
        second = start(lnm, "--wait", "60")
        time.sleep(1)
    said = [(*runner.communicate(timeout=60), runner.returncode) for runner in (first, second)]

    assert [code for _, _, code in said] == [0, 0], said
    row = ledger_row(site)
    assert row["state"] == "applied"
    assert row["earlier"] == []


@pytest.mark.parametrize("row", [{}, {"owner": 1, "expiresAt": "soon"}, {"expiresAt": "9999"}], ids=["bare", "types", "text"])
def test_a_lease_that_no_runner_wrote_is_refused_and_left_alone(lnm: Lnm, site: Site, row: dict[str, Any]) -> None:
    site.database["lnm_lease"].insert_one({"_id": "runner", **row})

    with watched(site.server) as writes:
        error = lnm.apply("--json", wanted=2).json["error"]

    assert error["type"] == "LedgerError"
    assert "none that a runner wrote" in error["message"]
    assert writes.oplog == []


def test_who_removes_a_strange_lease_as_told_can_apply(lnm: Lnm, site: Site) -> None:
    """The fences remember their epochs, so the next lease must have a higher one."""
    for days in ("91", "92", "93"):
        lnm.apply(LNM_EVENTS_TTL_DAYS=days)
    site.database["lnm_lease"].replace_one({"_id": "runner"}, {"epoch": "?"})
    lnm.apply(wanted=2, LNM_EVENTS_TTL_DAYS="94")
    site.database["lnm_lease"].delete_one({"_id": "runner"})

    lnm.apply(LNM_EVENTS_TTL_DAYS="94")

    assert ledger_row(site)["epoch"] == 4


def test_a_fence_that_no_runner_wrote_is_told(lnm: Lnm, site: Site) -> None:
    site.database["lnm_lease"].insert_one({"_id": "fence:ledger", "epoch": "?"})

    error = lnm.apply("--json", wanted=2).json["error"]

    assert "fence:ledger is none that a runner wrote" in error["message"]

"""Makes a runner wait where a test wants it: in the middle of its first action, by a lock of the server; and lets time pass."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

from pymongo.client_session import ClientSession

from tests.runner.fixtures import Site
from tests.runner.installed import Lnm

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def held(site: Site) -> ClientSession:
    """A transaction on the first collection of the plan: it keeps every change of its schema waiting."""
    site.database["advisory_observations"].insert_one({"there": True})
    session = site.server.client.start_session()
    session.start_transaction()
    site.database["advisory_observations"].insert_one({"held": True}, session=session)
    return session


def wait_until_it_waits(site: Site) -> None:
    """Returns when the runner waits for the server in the middle of its first action."""
    wait_for_operation(site, {"command.collMod": "advisory_observations", "waitingForLock": True})


def wait_for_operation(site: Site, wanted: dict[str, Any]) -> None:
    """Returns when the server is at work for the runner on something."""
    deadline = time.monotonic() + 30
    pipeline: list[dict[str, Any]] = [{"$currentOp": {"allUsers": True}}, {"$match": {"appName": "lnm", **wanted}}]
    while not list(site.server.client.admin.aggregate(pipeline)):
        assert time.monotonic() < deadline, "the runner does not wait"
        time.sleep(0.05)


def wait_for_primary(site: Site) -> None:
    """Returns when the server takes writes again."""
    deadline = time.monotonic() + 30
    while not site.server.client.admin.command("hello")["isWritablePrimary"]:
        assert time.monotonic() < deadline, "no primary"
        time.sleep(0.05)


def let_the_lease_run_out(site: Site) -> None:
    """Time passes: only the server's clock judges a lease, so its end is moved instead of the clock."""
    site.database["lnm_lease"].update_one({"_id": "runner"}, {"$set": {"expiresAt": LONG_AGO}})


def hold_lease(site: Site, seconds: float) -> None:
    """Another runner holds the lease for so long."""
    now = site.server.client.admin.command("hello")["localTime"]
    lease = {
        "_id": "runner",
        "epoch": 7,
        "owner": {"host": "other-host", "pid": 4711, "run": "another"},
        "purpose": "apply 21-101",
        "acquiredAt": now,
        "renewedAt": now,
        "expiresAt": now + dt.timedelta(seconds=seconds),
    }
    site.database["lnm_lease"].replace_one({"_id": "runner"}, lease, upsert=True)


def refused_half_way(lnm: Lnm, site: Site) -> tuple[int, dict[str, Any]]:
    """An apply whose user may not collMod any more, from its first action on; its exit code and what it printed as JSON."""
    site.database.create_collection("advisory_linksets")  # wants a validator, later in the plan
    site.add_user("half", "lnmApply21101")
    with held(site):
        runner = lnm.start(
            "apply", "21-101", "--execute", "--json", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=site.uri("half")
        )
        wait_until_it_waits(site)
        site.database.command("updateUser", "half", roles=["readWrite"])
    told = json.loads(runner.communicate(timeout=60)[0])
    return runner.returncode, told

"""`lnm preflight`: every check is made to fail by a real cause where one can be had, and what cannot be seen is never called ok."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner import mongod, roles, router
from tests.runner.fixtures import Site, watched
from tests.runner.hold import hold_lease
from tests.runner.installed import Lnm
from tests.runner.mongod import Mongod

pytestmark = pytest.mark.mongod

NAMES = [
    "server version", "feature version", "topology", "members", "write concern", "privileges", "freeze", "kit", "lease", "ledger", "plan",
    "disk", "oplog", "clock", "expiry monitor", "operations", "TLS",
]  # fmt: skip
EVERYTHING = {"authInfo": {
    "authenticatedUsers": [{"user": "u", "db": "admin"}],
    "authenticatedUserPrivileges": [{"resource": {"anyResource": True}, "actions": ["find", "collMod"]}],
}}  # fmt: skip


def checks(lnm: Lnm, wanted: int = 0, uri: str | None = None) -> dict[str, dict[str, Any]]:
    """All checks by name, whether some failed or not."""
    named = {"CONCELIER_MONGO_URI": uri} if uri else {}
    answer = lnm("preflight", "21-101", "--json", "--kit", lnm.kit.folder, wanted=wanted, **named).json
    found = (answer if answer["ok"] else answer["error"])["checks"]
    failed = [] if answer["ok"] else [error["check"] for error in (answer["error"], *answer["others"])]
    assert [check["check"] for check in found] == NAMES
    assert [check["check"] for check in found if check["verdict"] == "fail"] == failed
    assert all(check["neededBy"] for check in found)
    return {check["check"]: check for check in found}


def verdicts(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What is not ok, beside that the tests' kit is signed by a development key."""
    assert found["kit"]["verdict"] == "warn"
    return {name: check["verdict"] for name, check in found.items() if check["verdict"] != "ok" and name != "kit"}


def test_a_site_that_is_ready_passes_and_nothing_is_written(lnm: Lnm, site: Site) -> None:
    with watched(site.server) as writes:
        found = checks(lnm)
        said = lnm("preflight", "21-101", "--kit", lnm.kit.folder)

    assert verdicts(found) == {}
    assert writes.oplog == []
    lines = said.stdout.splitlines()
    assert len(lines) == len(NAMES) + 1
    assert lines[0] == "ok      server version (21-101, freeze, validate): MongoDB 6.0.5"
    assert lines[-1] == "server and user are as 21-101 needs them: 17 checks, warnings: 1. Nothing was written."


def test_it_passes_again_after_the_delivery_was_applied(lnm: Lnm) -> None:
    lnm.apply()

    assert verdicts(checks(lnm)) == {}


def test_what_may_not_be_seen_is_unknown_and_names_the_role(lnm: Lnm, site: Site) -> None:
    found = checks(lnm, 2, site.uri("reader"))

    unknown = {name for name, check in found.items() if check["status"] == "unknown"}
    assert unknown == {"feature version", "members", "write concern", "freeze", "oplog", "expiry monitor", "operations"}
    assert {found[name]["role"] for name in unknown} == {"lnmPreflight"}
    assert found["oplog"]["verdict"] == "warn", "only a later stage needs it"
    assert found["members"]["verdict"] == "fail"
    assert {need["role"] for need in found["privileges"]["missing"]} == {"lnmApply21101"}


def test_every_failure_is_told_in_words_with_what_to_do(lnm: Lnm, site: Site) -> None:
    answer = lnm("preflight", "21-101", "--kit", lnm.kit.folder, wanted=2, CONCELIER_MONGO_URI=site.uri("reader"))

    assert answer.stderr.count("error: ") == 6
    assert "error: privileges: this user may not createCollection on " in answer.stderr
    assert answer.stderr.count("next: grant ") == 6
    assert "\nunknown oplog (21-102): " in answer.stderr
    assert answer.stdout == ""


def test_no_user_at_all_is_told_before_anything_else(lnm: Lnm, site: Site) -> None:
    uri = f"mongodb://{site.server.address}/?{site.server.tls}"

    error = lnm("preflight", "21-101", "--json", "--kit", lnm.kit.folder, wanted=2, CONCELIER_MONGO_URI=uri).json["error"]

    assert error["type"] == "CredentialsError"


def test_a_standalone_server_fails(lnm: Lnm, standalone: Mongod) -> None:
    found = checks(lnm, 2, f"mongodb://{standalone.address}")

    assert verdicts(found) == {
        "topology": "fail", "members": "fail", "freeze": "fail",
        "write concern": "warn", "oplog": "warn", "privileges": "warn", "TLS": "warn",
    }  # fmt: skip
    assert "no access control" in found["privileges"]["evidence"]


# ---- other runners


def test_another_runner_at_work_fails(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 60)

    found = checks(lnm, 2)

    assert verdicts(found) == {"lease": "fail"}
    assert "process 4711 on other-host" in found["lease"]["evidence"]


def test_a_migration_that_was_left_half_way_fails(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].update_one({}, {"$set": {"state": "applying"}})

    found = checks(lnm, 2)

    assert verdicts(found) == {"ledger": "fail"}
    assert "lnm doctor" in found["ledger"]["remedy"]


def test_a_migration_that_is_another_one_in_the_kit_fails(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["lnm_migrations"].update_one({}, {"$set": {"migrationDigest": f"sha256:{'0' * 64}"}})

    found = checks(lnm, 2)

    assert verdicts(found) == {"ledger": "fail"}
    assert "0000000" in found["ledger"]["evidence"]


@pytest.mark.parametrize(("collection", "check"), [("lnm_lease", "lease"), ("lnm_migrations", "ledger")])
def test_documents_that_no_runner_wrote_fail(lnm: Lnm, site: Site, collection: str, check: str) -> None:
    lnm.apply()
    site.database[collection].update_many({}, {"$unset": {"owner": "", "startedAt": ""}})

    found = checks(lnm, 2)

    assert verdicts(found) == {check: "fail"}
    assert "none that a runner wrote" in found[check]["evidence"]


# ---- versions


@pytest.mark.parametrize("command", ["status", "plan", "apply", "preflight"])
@pytest.mark.parametrize(
    ("wire", "said"),
    [
        ({"maxWireVersion": 6}, "the server is too old: it is MongoDB 3.6 (wire version 6, the driver takes "),
        ({"maxWireVersion": 0}, "the server is too old: it is MongoDB 2.4 or older (wire version 0, "),
        ({"minWireVersion": 99, "maxWireVersion": 99}, "the server is too new for this runner's driver (wire version 99, "),
    ],
    ids=["3.6", "2.4", "new"],
)
def test_a_server_that_the_driver_cannot_speak_to_is_told(lnm: Lnm, command: str, wire: dict[str, int], said: str) -> None:
    arguments = {"status": (), "plan": (), "apply": ("21-101", "--execute"), "preflight": ()}[command]
    with router.running(hello=wire) as server:
        answer = lnm(command, *arguments, "--json", "--kit", lnm.kit.folder, wanted=2, CONCELIER_MONGO_URI=server.uri).json

    assert answer["error"]["type"] == "TopologyError"
    assert answer["error"]["message"].startswith(said)


def test_an_old_server_and_what_it_lacks_are_told(lnm: Lnm) -> None:
    """A stand-in that says what MongoDB 5.0 would, with a member down, and somebody's long transaction."""
    empty = {"cursor": {"id": 0, "ns": "db.$cmd", "firstBatch": []}}
    slow = {"cursor": {"id": 0, "ns": "admin.$cmd", "firstBatch": [{"transaction": {"timeOpenMicros": 75_000_000}}]}}
    answers: dict[str, dict[str, Any]] = {
        "hello": {"msg": "", "setName": "rs0", "hosts": ["127.0.0.1:1"], "setVersion": 1},
        "buildInfo": {"version": "5.0.9"},
        "connectionStatus": EVERYTHING,
        "listCollections": empty,
        "find": empty,
        "getParameter": {"featureCompatibilityVersion": {"version": "5.0", "targetVersion": "6.0"}, "ttlMonitorEnabled": False},
        "serverStatus": {},
        "replSetGetConfig": {"config": {"members": [{"_id": 0, "votes": 1}, {"_id": 1, "votes": 1}, {"_id": 2, "votes": 1}]}},
        "replSetGetStatus": {
            "writeMajorityCount": 2,
            "members": [
                {"_id": 0, "name": "a", "health": 1, "stateStr": "PRIMARY", "optimeDate": dated(100)},
                {"_id": 1, "name": "b", "health": 0, "stateStr": "(not reachable/healthy)", "optimeDate": dated(0)},
                {"_id": 2, "name": "c", "health": 1, "stateStr": "SECONDARY", "optimeDate": dated(10)},
            ],
        },
        "getDefaultRWConcern": {"defaultWriteConcern": {"w": 1}, "defaultWriteConcernSource": "global"},
        "dbStats": {"fsTotalSize": 1, "fsUsedSize": 1},
        "collStats": {"size": 10, "maxSize": 10},
        "aggregate": slow,
    }
    with router.running(**answers) as server:
        runner = lnm.start(
            "preflight", "21-101", "--json", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=f"{server.uri}/?directConnection=true"
        )
        told, _ = runner.communicate(timeout=60)

    assert runner.returncode == 2
    assert "server version: MongoDB 5.0.9 (21-101 gives a plain index an expiry by collMod" in told
    assert "it is being changed from 5.0 to 6.0" in told
    assert "2 of 3 members can acknowledge, a majority is 2; b is (not reachable/healthy); c lags 90 s" in told
    assert "the default is w: 1 (global)" in told
    assert "1 operations or transactions, the longest since 75 s" in told


def test_what_a_router_does_not_show_is_said(lnm: Lnm) -> None:
    """By a stand-in: no real one can be had."""
    row = {"_id": "db.x", "ns": "db.x", "version": "6.0", "key": {"a": 1}, "min": {"a": 1}}
    answers: dict[str, dict[str, Any]] = {
        "connectionStatus": EVERYTHING,
        "listCollections": {"cursor": {"id": 0, "ns": "db.$cmd", "firstBatch": []}},
        "find": {"cursor": {"id": 0, "ns": "admin.system.version", "firstBatch": [row]}},
    }
    with router.running(**answers) as server:
        runner = lnm.start("preflight", "21-101", "--json", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=server.uri)
        found = {check["check"]: check for check in json.loads(runner.communicate(timeout=60)[0])["error"]["checks"]}

    assert runner.returncode == 2
    assert found["topology"]["evidence"] == "router"
    assert found["feature version"]["evidence"] == "6.0"
    for name in ("members", "freeze", "oplog"):
        assert found[name]["evidence"] == "a router does not show it"
        assert found[name]["verdict"] == "warn"
    assert {"enableSharding", "createIndex"} <= {need["action"] for need in found["privileges"]["missing"]}


def dated(seconds: int) -> dt.datetime:
    """A time."""
    return dt.datetime.fromtimestamp(1_764_000_000 + seconds, dt.UTC)


def test_a_server_that_was_upgraded_and_kept_its_old_feature_version_fails(lnm: Lnm, site: Site) -> None:
    admin = site.server.client.admin
    admin.command("setFeatureCompatibilityVersion", "5.0")
    try:
        found = checks(lnm, 2)
    finally:
        admin.command("setFeatureCompatibilityVersion", "6.0")

    assert verdicts(found) == {"feature version": "fail"}
    assert found["feature version"]["evidence"] == "5.0, though the program is 6.0.5"
    assert 'setFeatureCompatibilityVersion: "6.0"' in found["feature version"]["remedy"]


# ---- the database


def test_what_is_in_the_way_of_the_plan_is_told_and_what_hangs_on_it_is_unknown(lnm: Lnm, site: Site) -> None:
    site.database.create_collection("advisory_observations", validator={"a": 1})
    site.database["lnm_object_map"].create_index("other", name="lnm_map_sha256")

    found = checks(lnm, 2)

    assert verdicts(found) == {"plan": "fail", "disk": "fail"}
    assert "there is another validator" in found["plan"]["evidence"]
    assert "the index lnm_map_sha256 cannot be made" in found["plan"]["evidence"]
    assert found["disk"]["status"] == "unknown"


DOCUMENTS = 20_000


def documents() -> Iterator[dict[str, Any]]:
    """Documents with the keys of the product, of half a kilobyte and more each."""
    for number in range(DOCUMENTS):
        yield {
            "tenantId": "urn:tenant:00000000-0000-0000-0000-000000000001",
            "advisoryId": f"CVE-2025-{number:07}",
            "source": "ghsa",
            "provenance": {"sourceArtifactSha": hashlib.sha256(b"%d" % number).hexdigest()},
            "affected": [{"purl": f"pkg:npm/package-{number % 1000}-{part}"} for part in range(5)],
            "summary": "x" * 500,
        }


def test_the_estimate_of_the_disk_is_above_what_the_indexes_then_take(lnm: Lnm, site: Site) -> None:
    rows = site.database["advisory_observations"]
    rows.insert_many(documents())

    found = checks(lnm)
    lnm.apply()

    sizes = site.database.command("collStats", "advisory_observations")["indexSizes"]
    taken = sum(size for name, size in sizes.items() if name != "_id_")
    print(f"estimated {found['disk']['neededBytes']}, taken {taken}")
    assert 0 < taken < found["disk"]["neededBytes"]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 400 MB, of which a server takes 300 at once and somebody else nearly all the rest."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leaves 20 MB free."""
    left = os.statvfs(folder)
    with (folder / "somebody-elses").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize - 20_000_000)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_disk_without_room_for_the_indexes_fails(lnm: Lnm, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as folder:
        server = mongod.standalone_in(folder)
        try:
            server.client["concelier"]["advisory_observations"].insert_many(documents())
            fill(folder)
            found = checks(lnm.with_database("concelier"), 2, f"mongodb://{server.address}")
        finally:
            server.stop()

    print(found["disk"]["evidence"])
    assert found["disk"]["status"] == "fail"
    assert found["disk"]["neededBytes"] > found["disk"]["freeBytes"]


# ---- the server's state


def test_an_expiry_monitor_that_is_off_is_a_warning(lnm: Lnm, site: Site) -> None:
    admin = site.server.client.admin
    admin.command({"setParameter": 1, "ttlMonitorEnabled": False})
    try:
        found = checks(lnm)
    finally:
        admin.command({"setParameter": 1, "ttlMonitorEnabled": True})

    assert verdicts(found) == {"expiry monitor": "warn"}


@pytest.mark.parametrize(("seconds", "status"), [(600, "fail"), (-20, "warn")])
def test_a_clock_that_is_wrong_is_a_warning_for_this_delivery(lnm: Lnm, tmp_path: Path, seconds: int, status: str) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("no faketime: apt install faketime")
    program = tmp_path / "lnm"
    program.write_text(f'#!/bin/sh\nexec faketime -f {seconds:+}s {lnm.program} "$@"\n')
    program.chmod(0o755)

    found = checks(Lnm(program, lnm.kit, lnm.environment, lnm.secrets))

    assert verdicts(found) == {"clock": "warn"}
    assert found["clock"]["status"] == status
    assert found["clock"]["skewSeconds"] == pytest.approx(-seconds, abs=1)


@pytest.mark.parametrize(
    ("option", "said"), [("tls=false", "is not encrypted"), ("tls=true&tlsInsecure=true", "to whom is not checked")]
)
def test_a_connection_that_may_be_listened_to_is_a_warning(lnm: Lnm, site: Site, option: str, said: str) -> None:
    uri = site.uri("operator").replace(site.server.tls, option)

    found = checks(lnm, uri=uri)

    assert verdicts(found) == {"TLS": "warn"}
    assert said in found["TLS"]["evidence"]


def test_a_set_that_cannot_acknowledge_a_majority_and_a_short_oplog_are_told(lnm: Lnm) -> None:
    """One data member that is there, an arbiter, and one that never was: the primary stays, and waits for ever."""
    server, arbiter = mongod.bare_replica_set("--oplogSize", "1"), mongod.bare_member()
    try:
        admin = server.client.admin
        admin.command({"setDefaultRWConcern": 1, "defaultWriteConcern": {"w": 1}})
        server.client["fill"]["rows"].insert_many({"x": "x" * 10_000} for _ in range(3000))
        config = admin.command("replSetGetConfig")["config"]
        config["version"] += 1
        config["members"] += [
            {"_id": 1, "host": arbiter.address, "arbiterOnly": True},
            {"_id": 2, "host": f"127.0.0.1:{mongod.free_port()}"},
        ]
        admin.command("replSetReconfig", config, force=True)
        wait_for_arbiter(server)
        found = checks(lnm, 2, f"mongodb://{server.address}/?directConnection=true")
    finally:
        server.stop()
        arbiter.stop()

    assert found["members"]["verdict"] == "fail"
    assert found["members"]["evidence"].startswith("1 of 3 members can acknowledge, a majority is 2; ")
    assert "is an arbiter" in found["members"]["evidence"]
    assert found["write concern"]["evidence"].startswith("the default is w: 1 (global)")
    assert (found["oplog"]["status"], found["oplog"]["verdict"]) == ("fail", "warn")


def wait_for_arbiter(server: Mongod) -> None:
    """Returns when the set has its arbiter and still its primary."""
    deadline = time.monotonic() + 30
    while [row["stateStr"] for row in server.client.admin.command("replSetGetStatus")["members"][:2]] != ["PRIMARY", "ARBITER"]:
        assert time.monotonic() < deadline, "no arbiter"
        time.sleep(0.1)


# ---- how it is called


def test_a_delivery_that_is_absent_is_not_found(lnm: Lnm) -> None:
    assert "21-103 is absent from this kit" in lnm("preflight", "21-103", "--kit", lnm.kit.folder, wanted=4).stderr


def test_it_needs_a_kit(lnm: Lnm) -> None:
    assert "no kit was named" in lnm("preflight", wanted=2).stderr


def test_the_built_in_roles_of_the_server_are_understood(lnm: Lnm, site: Site) -> None:
    """Who may do more than is needed may do what is needed."""
    site.add_user("built_in", "readWrite", "dbAdmin", {"role": "clusterMonitor", "db": "admin"})
    site.add_user("anywhere", {"role": "root", "db": "admin"})
    site.add_user("half", "readWrite", roles.PREFLIGHT)

    assert verdicts(checks(lnm, uri=site.uri("built_in"))) == {}
    assert verdicts(checks(lnm, uri=site.uri("anywhere"))) == {}
    missing = checks(lnm, 2, site.uri("half"))["privileges"]["missing"]
    assert {need["action"] for need in missing} == {"collMod"}

"""`lnm doctor`: what a runner that is gone has left, with evidence, and the exact command that goes on."""

from __future__ import annotations

import shlex

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.hold import held, hold_lease, let_the_lease_run_out, refused_half_way, wait_until_it_waits
from tests.runner.installed import Answer, Lnm

pytestmark = pytest.mark.mongod

ID = "20251202_lnm_21_101_sharding_and_ttl"


def left_half_way(lnm: Lnm, site: Site) -> int:
    """A runner is killed in the middle of its work; returns its pid."""
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        runner.kill()
        runner.communicate(timeout=60)
    let_the_lease_run_out(site)
    return runner.pid


def commands(answer: Answer) -> list[list[str]]:
    """The commands that are said, as they would be typed."""
    said = [line.partition(": ")[2] for line in answer.stdout.splitlines() if line.strip().startswith(("go on:", "or go back:"))]
    return [shlex.split(command) for command in said]


def test_a_new_database_is_healthy(lnm: Lnm, site: Site) -> None:
    with watched(site.server) as writes:
        answer = lnm("doctor", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=site.uri("reader"))

    assert answer.stdout.splitlines() == ["lease: no runner has ever worked here", "nothing is wrong as far as can be seen"]
    assert writes.oplog == []


def test_what_a_crash_has_left_is_probed_and_the_command_that_is_said_goes_on(lnm: Lnm, site: Site) -> None:
    pid = left_half_way(lnm, site)
    site.database.create_collection("advisory_linkset_tombstones")  # as far as it might have come

    said = lnm("doctor", "--json", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=site.uri("reader"), wanted=2).json
    answer = lnm("doctor", "--kit", lnm.kit.folder, wanted=2)

    (finding,) = said["findings"]
    evidence = {item["thing"]: item["stands"] for item in finding["evidence"]}
    assert evidence["collection:advisory_linkset_tombstones"]
    assert not evidence["index:advisory_linksets.lnm_ls_advisory_unique"]
    assert f"left half-way by process {pid}" in finding["what"]
    standing = sum(evidence.values())  # the server may have done what it was told, though nobody waited any more
    assert f"partly done: {standing} of {len(evidence)} things stand" in finding["what"]
    assert not said["healthy"]
    forward, back = commands(answer)
    assert forward == ["lnm", "apply", "21-101", "--execute", "--resume", "--kit", str(lnm.kit.folder)]
    assert back[:3] == ["lnm", "rollback", "21-101"]
    lnm(*forward[1:])
    assert lnm("doctor", "--json", "--kit", lnm.kit.folder).json["healthy"]


def test_the_other_command_that_is_said_goes_back(lnm: Lnm, site: Site) -> None:
    left_half_way(lnm, site)

    _, back = commands(lnm("doctor", "--kit", lnm.kit.folder, wanted=2))
    lnm(*back[1:], CONCELIER_MONGO_URI=lnm.rollback_uri)

    assert site.database.list_collection_names(filter={"name": {"$regex": "^(advisory|lnm_object)"}}) == ["advisory_observations"]
    assert list(site.database["advisory_observations"].index_information()) == ["_id_"]


def test_an_apply_over_a_crash_says_the_same_and_changes_nothing(lnm: Lnm, site: Site) -> None:
    left_half_way(lnm, site)

    with watched(site.server) as writes:
        error = lnm.apply("--json", wanted=3).json["error"]

    assert error["type"] == "InterruptedApplyError"
    assert error["verdict"] in {"not done", "partly done"}
    assert error["command"].startswith("lnm apply 21-101 --execute --resume --kit ")
    assert writes.oplog == []


def test_while_a_runner_is_at_work_nothing_is_wrong(lnm: Lnm, site: Site) -> None:
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        answer = lnm("doctor", "--kit", lnm.kit.folder)
    runner.communicate(timeout=60)

    assert f"lease: held by process {runner.pid}" in answer.stdout
    assert "nothing is wrong" in answer.stdout


def test_what_somebody_took_away_is_found_and_comes_back(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["advisory_linksets"].drop_index("lnm_ls_purls")
    site.database.command(
        {"collMod": "advisory_observation_events", "index": {"name": "lnm_obs_events_ttl", "expireAfterSeconds": 99}}
    )

    answer = lnm("doctor", "--kit", lnm.kit.folder, wanted=2)

    assert "not there: index:advisory_linksets.lnm_ls_purls (no index of that name)" in answer.stdout
    ((*_, command),) = (commands(answer),)
    lnm(*command[1:])
    assert "lnm_ls_purls" in site.database["advisory_linksets"].index_information()


def test_a_failure_is_told_with_its_reason(lnm: Lnm, site: Site) -> None:
    refused_half_way(lnm, site)

    answer = lnm("doctor", wanted=2)

    assert f"{ID} stopped: the MongoDB user may not run the command collMod" in answer.stdout
    assert "go on: lnm apply 21-101 --execute --kit KIT" in answer.stdout


@pytest.mark.parametrize(
    "odd",
    [
        {"kind": "index", "collection": "advisory_linksets", "name": "x", "made": "{}"},
        {"kind": "view", "collection": "a", "name": "b"},
    ],
    ids=["no key", "of a later runner"],
)
@pytest.mark.parametrize("command", ["doctor", "rollback"])
def test_what_was_made_and_is_not_understood_is_never_passed_over(
    lnm: Lnm, site: Site, odd: dict[str, str], command: str
) -> None:
    lnm.apply()
    site.database["lnm_migrations"].update_one({"_id": ID}, {"$push": {"made": odd}})

    with watched(site.server) as writes:
        words = ("rollback", "21-101", "--execute") if command == "rollback" else ("doctor",)
        error = lnm(*words, "--json", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=lnm.rollback_uri, wanted=2).json["error"]

    assert error["type"] == "LedgerError"
    assert "this runner does not know what was made" in error["message"]
    assert writes.oplog == []


def test_a_lease_that_no_runner_asks_for_is_found(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 10**9)

    (finding,) = lnm("doctor", "--json", "--kit", lnm.kit.folder, wanted=2).json["findings"]

    assert "longer than any runner asks for" in finding["what"]
    assert "updateOne" in finding["advice"]


def test_while_a_lease_is_held_doctor_says_when_to_look_again(lnm: Lnm, site: Site) -> None:
    hold_lease(site, 20)

    assert "if it is gone, look again in " in lnm("doctor", "--kit", lnm.kit.folder).stdout


@pytest.mark.parametrize(
    ("documents", "original", "said"), [(0, False, ".drop()"), (2, False, "renameCollection"), (2, True, "insertOne")]
)
def test_what_a_rollback_left_out_of_sight_comes_with_what_to_do(
    lnm: Lnm, site: Site, documents: int, original: bool, said: str
) -> None:
    twin = site.database.create_collection("lnm_undo_advisory_observations")
    if documents:
        twin.insert_many([{"n": n} for n in range(documents)])
    if original:
        site.database.create_collection("advisory_observations")

    (finding,) = lnm("doctor", "--json", "--kit", lnm.kit.folder, wanted=2).json["findings"]
    error = lnm.plan("--json", wanted=2).json["error"]

    assert said in finding["advice"]
    assert error["hint"] == "lnm doctor says what it holds, and what to do with it"

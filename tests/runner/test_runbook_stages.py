"""The runbook on a real server: the order of its stages, what a dry run leaves, kills and resumes, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lnm_runner import cli, lease, mongo
from lnm_runner.commands import Result, runbook
from lnm_runner.errors import (
    EvidenceError,
    InputError,
    LockedError,
    PrivilegeError,
    PublishedError,
    RunnerError,
    StageError,
    StateError,
)
from lnm_runner.options import Options, Runbook
from lnm_runner.runbook import call as calls
from lnm_runner.runbook import journal, rehearsed, stages
from lnm_runner.runbook.journal import Entry

from tests.conftest import WHEEL
from tests.runner import installed, mongod
from tests.runner.backfills import RAW_KEYS, legacy, raw
from tests.runner.fixtures import Site, fresh_site, watched
from tests.runner.kits import Kit, variant
from tests.runner.mongod import Mongod
from tests.runner.test_runbook_book import no_file_longer_than

pytestmark = pytest.mark.mongod

PATIENCE_S = 30
NO_FREEZE = "the server of the tests is shared, and frozen by none of them"
CAPTAIN = ("lnmFingerprint", "lnmApply21101", "lnmBackfill21102", "lnmRollback21102", "lnmValidate")
OF_THE_CLUSTER = ("lnmPreflight", "lnmBackup", "lnmRestore", "lnmRunbook")


@dataclass(frozen=True)
class Bridge:
    """A site with documents, and the runbook as its captain calls it."""

    site: Site
    kit: Kit
    state: Path
    uri: str = ""
    """As whom, and where, if not as the captain on the site."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment."""
        return {
            "CONCELIER_MONGO_URI": self.uri or self.site.uri("captain"),
            "CONCELIER_DB": self.site.database.name,
            "LNM_TRUSTED_KEY": str(self.kit.key),
            "LNM_STATE_DIR": str(self.state),
            "LNM_LEASE_SECONDS": "2",
            "LNM_BACKUP_TOOL": "lnm",
        }

    def options(self, stage: str, *, execute: bool = True, **asked: Any) -> Options:
        """The parsed command line."""
        return Options(
            kit=self.kit.folder, execute=execute, subcommand=stage, environment=self.variables, runbook=Runbook(**asked)
        )

    def call(self, stage: str, *, execute: bool = True, **asked: Any) -> Result:
        """`lnm runbook STAGE --execute`, in this process; with --json it would follow the schema."""
        result = runbook.run(self.options(stage, execute=execute, **asked))
        head = {"schema": cli.SCHEMA, "ok": True, "command": "runbook", "exitCode": result.exit_code}
        installed.schema(self.kit.folder).validate(json.loads(cli.rendered({**head, **result.data})))
        return result

    def refused(self, stage: str, kind: type[RunnerError], *, execute: bool = True, **asked: Any) -> RunnerError:
        """The same, which is refused: nothing is written, neither on the server nor below the state folder."""
        before = self.files()
        with watched(self.site.server) as writes, pytest.raises(kind) as caught:
            self.call(stage, execute=execute, **asked)
        assert (writes.oplog, self.files()) == ([], before)
        return caught.value

    def files(self) -> dict[str, bytes]:
        """What lies below the state folder, the lock apart."""
        return {str(path): path.read_bytes() for path in self.state.rglob("*") if path.is_file() and path.name != "lock"}

    def journal(self) -> tuple[Entry, ...]:
        """The lines, without a defect."""
        (path,) = self.state.glob("runbook/*/journal.jsonl")
        read = journal.read(path.read_bytes())
        assert (read.defect, read.whole) == ("", path.stat().st_size)
        return read.entries

    def lines(self) -> list[tuple[str, str]]:
        """`(stage, state)` of each line behind those of the absent stages."""
        return [(entry.stage, entry.state) for entry in self.journal() if entry.state not in {journal.BEGUN, journal.ABSENT}]

    def go(self, *stages: str) -> None:
        """Does stages, one after the other, the freeze apart."""
        for stage in stages:
            skip = stage == "freeze"
            assert self.call(stage, skip=skip, reason=NO_FREEZE if skip else "").data["state"] in {"done", "skipped"}


@pytest.fixture(scope="module")
def light(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """The kit without images and wheels, which each of a hundred calls would hash."""
    return variant(kit, tmp_path_factory.mktemp("light") / kit.folder.name, {}, without="wheelhouse*")


@pytest.fixture
def bridge(server: Mongod, light: Kit, tmp_path: Path) -> Iterator[Bridge]:
    """A fresh one."""
    with fresh_site(server, light) as site:
        site.add_user("captain", *CAPTAIN, *({"role": name, "db": "admin"} for name in OF_THE_CLUSTER))
        site.database["advisory_raw"].create_index(RAW_KEYS, unique=True)
        site.database["advisory_raw"].insert_many([raw(f"GHSA-{n:04}", f"CVE-2025-{n // 2:04}") for n in range(12)])
        site.database["advisory"].insert_one(legacy("CVE-2025-0001", "GHSA-0002"))
        yield Bridge(site, light, tmp_path / "state")


@contextmanager
def running(server: Mongod) -> Iterator[Mongod]:
    """Another server, for a block."""
    try:
        yield server
    finally:
        server.stop()


WINDOW = ("preflight", "freeze", "backup", "prove-backup", "apply-21-101", "backfill-21-102", "validate")


def test_the_whole_way_and_back_ends_where_it_began_and_what_is_done_is_not_done_again(bridge: Bridge) -> None:
    bridge.go(*WINDOW)
    outbox = bridge.site.database["advisory_linkset_events"]
    event = outbox.find_one({}, {"_id": 1}) or {}
    outbox.update_one(event, {"$currentDate": {"publishedAt": True}})

    with pytest.raises(PublishedError):
        bridge.call("rollback-21-102")
    outbox.update_one(event, {"$set": {"publishedAt": None}})
    back = bridge.call("rollback-21-102").data["evidence"]

    forward = [("freeze", "skipped") if name == "freeze" else (name, word) for name in WINDOW for word in ("started", "done")]
    back_lines = [("rollback-21-102", word) for word in ("started", "refused", "started", "done")]
    assert bridge.lines() == [*dict.fromkeys(forward), *back_lines]
    left = {entry.stage: entry.evidence for entry in bridge.journal() if entry.state == "done"}
    assert back["fingerprint"] == left["apply-21-101"]["fingerprint"]
    assert (back["removed"], back["equalsBefore"]) == (49, True)
    assert [left["backfill-21-102"][name] for name in ("documents", "observations", "events", "lagSamples")] == [12, 12, 24, 1]
    before, lines = bridge.files(), bridge.lines()
    with watched(bridge.site.server) as writes:
        for name in ("backup", "prove-backup", "apply-21-101", "rollback-21-102"):
            assert "nothing was done" in bridge.call(name).lines[-2]
        status = bridge.call("status", execute=False)
        bridge.call("evidence", execute=False)
        bridge.call("receipt", execute=False)
        bridge.call("report", execute=False)
    assert (writes.oplog, bridge.files(), bridge.lines()) == ([], before, lines)
    assert status.data["next"] == "backfill-21-102"
    assert f"next: lnm runbook backfill-21-102 --execute --kit {bridge.kit.folder}" in status.lines


def test_nothing_is_begun_out_of_its_order_or_by_words_that_make_no_sense(bridge: Bridge) -> None:
    """X4, X5."""
    for name in ("freeze", "backup", "apply-21-101", "watch"):
        for execute in (True, False):
            error = bridge.refused(name, StageError, execute=execute)
            assert error.facts["missing"][0] == "preflight"
            assert error.hint.startswith("first: lnm runbook preflight --execute")
    assert "backfill-21-102, which is not begun" in bridge.refused("rollback-21-102", StageError).message
    assert "restore leads back from backup" in bridge.refused("restore", StageError).message
    bridge.refused("preflight", InputError, skip=True)
    assert "never be skipped" in bridge.refused("preflight", StageError, skip=True, reason=NO_FREEZE).message
    bridge.refused("preflight", InputError, environment="moon")
    bridge.refused("aftermath", InputError)
    bridge.refused("evidence", StageError)
    bridge.refused("preflight", EvidenceError, environment="production", operator="Ada")
    bridge.site.database["lnm_settings"].insert_one({"_id": "environment", "environment": "production"})
    assert "production has begun here" in bridge.refused("preflight", StageError).message
    assert bridge.files() == {}


READS_ALL = tuple({"role": name, "db": "admin"} for name in OF_THE_CLUSTER[1:3])


@pytest.mark.parametrize(("lacking", "stage"), [("lnmRunbook", "preflight"), ("lnmFingerprint", "apply-21-101")])
def test_who_lacks_a_role_of_the_runbook_is_told_which_and_nothing_is_begun(bridge: Bridge, lacking: str, stage: str) -> None:
    bridge.go(*(WINDOW[:4] if stage != "preflight" else ()))
    others = CAPTAIN if stage == "preflight" else (lacking,)  # whoever may read all, or the pace of a backfill, may read enough
    lacks = [{"role": lacking, "db": "admin"}] if stage == "preflight" else []
    bridge.site.database.command("revokeRolesFromUser", "captain", roles=[*others, *READS_ALL, *lacks])

    error = bridge.refused(stage, PrivilegeError)

    assert f"grant {lacking} of runbook/roles/" in error.hint


def test_without_execute_a_stage_is_planned_and_one_that_only_looks_is_done_and_nothing_is_written(bridge: Bridge) -> None:
    """R7."""
    with watched(bridge.site.server) as writes:
        looked = bridge.call("preflight", execute=False)
    assert (writes.oplog, writes.opcounters, bridge.files()) == ([], {"insert": 0, "update": 0, "delete": 0}, {})
    assert (looked.data["state"], looked.data["evidence"]["checks"] > 10) == ("looked", True)

    bridge.go("preflight", "freeze")
    before = bridge.files()
    with watched(bridge.site.server) as writes:
        planned = bridge.call("backup", execute=False)

    assert (writes.oplog, writes.opcounters, bridge.files()) == ([], {"insert": 0, "update": 0, "delete": 0}, before)
    assert planned.data["state"] == "planned"
    assert planned.lines[-2:] == [f"way back: {stages.named('backup').back}", "Nothing was written; add --execute to do it."]


def test_a_stage_that_fails_says_so_in_the_journal_and_its_own_error_comes_first(bridge: Bridge) -> None:
    """R6."""
    bridge.go("preflight", "freeze", "backup", "prove-backup")
    (path,) = bridge.state.glob("runbook/*/journal.jsonl")
    with lease.held(bridge.site.database, "another one", lasts_s=30):
        with pytest.raises(LockedError):
            bridge.call("apply-21-101")
        failed = bridge.journal()[-1]
        room = len(
            journal.line(journal.read(path.read_bytes()), failed.at, {**failed.as_json(), "evidence": {}, "state": "started"})
        )
        with no_file_longer_than(path.stat().st_size + room + 9), pytest.raises(LockedError) as caught:
            bridge.call("apply-21-101")

    assert (failed.stage, failed.state, failed.evidence["exit"], failed.evidence["type"]) == (
        "apply-21-101",
        "failed",
        9,
        "LockedError",
    )
    assert [type(other) for other in caught.value.others] == [InputError]
    assert "journal.jsonl" in caught.value.others[0].message
    assert bridge.lines()[-1] == ("apply-21-101", "started")
    assert "never ended" in bridge.call("status", execute=False).lines[1]
    bridge.go("apply-21-101")
    assert bridge.lines()[-2:] == [("apply-21-101", "started"), ("apply-21-101", "done")]


def paused(bridge: Bridge, number: int) -> int:
    """Starts the backfill, which waits, and sends it a signal; its exit code."""
    command = [sys.executable, "-m", "lnm_runner.cli", "runbook", "backfill-21-102", "--execute", "--kit", str(bridge.kit.folder)]
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join([str(WHEEL), *sys.path]), **bridge.variables}
    before = pauses(bridge)
    runner = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while pauses(bridge) == before and runner.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    runner.send_signal(number)
    told = runner.communicate(timeout=PATIENCE_S)[1]
    assert "Traceback" not in told
    assert number == signal.SIGKILL or "next: go on: lnm runbook backfill-21-102 --execute" in told, told
    return runner.returncode


def pauses(bridge: Bridge) -> int:
    """How often a backfill began to wait."""
    return sum(path.read_text().count('"said": "pause') for path in bridge.state.glob("backfill/*/run-log.jsonl"))


def test_a_stage_whose_runner_was_killed_or_stopped_goes_on_by_the_same_command(bridge: Bridge) -> None:
    """R3, X9."""
    bridge.go(*WINDOW[:5])
    switches = bridge.site.database["lnm_settings"]
    switches.insert_one({"_id": "backfill-pace", "pause": True})

    assert paused(bridge, signal.SIGKILL) == -signal.SIGKILL
    assert bridge.lines()[-1] == ("backfill-21-102", "started")
    assert bridge.call("status", execute=False).data["next"] == "backfill-21-102"
    assert bridge.refused("validate", StageError).facts["missing"] == ["backfill-21-102"]
    assert paused(bridge, signal.SIGTERM) == 130
    assert bridge.lines()[-2:] == [("backfill-21-102", "started"), ("backfill-21-102", "interrupted")]
    switches.delete_one({"_id": "backfill-pace"})
    bridge.go("backfill-21-102", "validate")

    assert [word for name, word in bridge.lines() if name == "backfill-21-102"] == [
        *["started"] * 2,
        "interrupted",
        "started",
        "done",
    ]
    assert bridge.journal()[-3].evidence["documents"] == 12


def test_a_journal_about_another_kit_is_refused_and_begun_anew_for_a_reason(bridge: Bridge, tmp_path: Path) -> None:
    bridge.go("preflight")
    old, files = bridge.journal(), bridge.files()
    text = (bridge.kit.folder / "runbook/import.md").read_bytes()
    other = replace(bridge, kit=variant(bridge.kit, tmp_path / "kit", {"runbook/import.md": text + b"More.\n"}))

    error = other.refused("freeze", StageError)
    assert error.message.startswith("the journal here is about another plan: the kit: there sha256:")
    assert "lnm runbook begin --reason WHY --execute" in error.hint
    other.refused("begin", InputError)
    other.refused("begin", InputError, reason="because")
    other.refused("begin", InputError, reason="see mongodb://captain:secret@host/ for why")
    other.refused("begin", StageError, environment="production", reason="production begins now")
    assert "a journal of 8 lines is there" in other.call("begin", execute=False, reason="a newer kit has come").lines[1]
    assert bridge.files() == files
    kept = other.call("begin", reason="a newer kit has come").data["evidence"]["kept"]

    anew = next(path for path in bridge.state.glob("runbook/*/journal.jsonl") if ".kept-" not in str(path))
    begun = journal.read(anew.read_bytes()).entries[0].evidence
    assert (begun["before"], begun["reason"]) == (old[-1].sha256, "a newer kit has come")
    assert journal.read((bridge.state / "runbook" / kept / "journal.jsonl").read_bytes()).entries == old
    other.refused("freeze", StageError, skip=True, reason="A newer kit  has come")


def test_what_was_done_on_another_cluster_of_the_same_name_is_not_done_here(bridge: Bridge) -> None:
    """X3, X4: a replica set is called rs0 at every second site; a backup of the one is none of the other."""
    bridge.go(*WINDOW[:4])
    with running(mongod.replica_set_with_users()) as other:
        assert other.client.admin.command("hello")["setName"] == bridge.site.server.client.admin.command("hello")["setName"]
        other.client[bridge.site.database.name]["advisory_raw"].insert_one({"_id": "a document of the other one"})
        there = replace(bridge, uri=f"mongodb://{':'.join(mongod.ROOT)}@{other.address}/?authSource=admin&{other.tls}")
        for stage in ("apply-21-101", "restore"):
            with pytest.raises(StageError) as caught:
                there.call(stage)
            assert "the journal here is about another plan: the database: there sha256:" in caught.value.message
        assert other.client[bridge.site.database.name].list_collection_names() == ["advisory_raw"]


def test_no_stage_begins_over_a_journal_that_was_edited(bridge: Bridge) -> None:
    """X10."""
    bridge.go("preflight", "freeze")
    (path,) = bridge.state.glob("runbook/*/journal.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"warnings":', b'"warninks":'))

    for name in ("preflight", "backup", "status", "evidence"):
        error = bridge.refused(name, StateError)
        assert (error.exit_code, "line 9: " in error.message, "behind preflight" in error.message) == (7, True, True)
    assert bridge.call("begin", reason="somebody has edited the journal").data["state"] == "begun"
    bridge.go("preflight")


def test_an_unfreeze_that_begins_a_journal_of_production_names_no_evidence_that_nobody_has_judged(
    bridge: Bridge, tmp_path: Path
) -> None:
    """X4: an unfreeze waits for no evidence, so it must not look as if it had any."""
    bridge.site.give("captain", *({"role": name, "db": "admin"} for name in ("lnmFreeze", "lnmPreflight", "lnmRunbook")))
    made_up = tmp_path / "rehearsal-evidence.dsse.json"
    made_up.write_bytes(b"{}")
    said: dict[str, Any] = {"environment": "production", "operator": "Ada", "evidence": made_up}

    assert bridge.call("unfreeze", **said).data["state"] == "done"

    begun = bridge.journal()[0].evidence
    assert (begun["environment"], begun["rehearsal"]) == ("production", "")
    assert "not at its end" in "".join(bridge.call("evidence", execute=False, **said).lines)


def test_an_unfreeze_is_not_skipped_before_its_turn_or_while_the_cluster_is_frozen(bridge: Bridge) -> None:
    """F13."""
    nobody = "there is nobody here who writes"
    assert bridge.refused("unfreeze", StageError, skip=True, reason=nobody).facts["missing"][0] == "preflight"
    bridge.go(*WINDOW)
    bridge.call("enable-outbox", skip=True, reason="nothing is published here")
    bridge.site.database["lnm_settings"].insert_one({"_id": "ingest", "enabled": False, "stage": "freeze"})
    roles = [{"role": name, "db": "admin"} for name in OF_THE_CLUSTER[:3]]
    bridge.site.database.command("revokeRolesFromUser", "captain", roles=roles)

    assert "is frozen, and would stay so" in bridge.refused("unfreeze", StageError, skip=True, reason=nobody).message
    bridge.site.database["lnm_settings"].delete_one({"_id": "ingest"})
    assert bridge.call("unfreeze", skip=True, reason=nobody).data["state"] == "skipped"
    bridge.call("watch", skip=True, reason="nothing is to be seen here")
    told = bridge.call("evidence", execute=False).lines
    assert "production would refuse this: restore: was never done, or was taken back and not done again, wanted done" in told


def test_what_somebody_writes_commands_no_terminal_and_is_seen(bridge: Bridge) -> None:
    """X5."""
    for text in ("nobody\x1b[2K writes here", "nobody \u202eereh setirw", "\u200b" * 12, "as MONGODB://ada:secret@db/ says"):
        bridge.refused("begin", InputError, reason=text)


def test_a_clock_of_this_host_that_is_set_back_makes_no_evidence_younger(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5."""
    there = mongo.now(bridge.site.database)

    class SetBack(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> SetBack:
            return cls(2020, 1, 1, tzinfo=tz)

    with calls.opened(bridge.options("preflight")) as call:
        monkeypatch.setattr(dt, "datetime", SetBack)
        found = rehearsed.latest(call)
        monkeypatch.undo()
    assert dt.timedelta(0) <= found - there < dt.timedelta(minutes=1)

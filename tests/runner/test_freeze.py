"""The freeze: it refuses, it says whose it is, it survives a kill at any step, and no block of somebody else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lnm_runner import freeze, lease, mongo, probe
from lnm_runner.commands import doctor, runbook
from lnm_runner.driver_errors import USER_WRITES_BLOCKED
from lnm_runner.errors import CredentialsError, LockedError, PrivilegeError, RetryableError, StageError, TopologyError
from lnm_runner.kit import Trust, open_kit
from lnm_runner.options import Options
from lnm_runner.runbook import flow
from lnm_runner.runbook.stage import Context
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.conftest import ROOT, WHEEL
from tests.runner import mongod, roles, router
from tests.runner.backfills import RAW_KEYS
from tests.runner.fixtures import Site, fresh_site
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod
from tests.runner.outboxes import Boxes
from tests.runner.test_roles import TABLE, restricted
from tests.runner.test_runbook_stages import CAPTAIN, OF_THE_CLUSTER

pytestmark = pytest.mark.mongod

PLAN, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
BYPASS = {"role": "lnmBypassFreeze", "db": "admin"}


@dataclass(frozen=True)
class Window:
    """A site on a server of its own, as a write block holds for the whole cluster."""

    site: Site

    def variables(self, user: str, **more: str) -> dict[str, str]:
        """The environment of a user."""
        return {"CONCELIER_MONGO_URI": self.site.uri(user), "CONCELIER_DB": self.site.database.name, "PLAN": PLAN, **more}

    def freeze(self, user: str = "freezer", *, plan: str = PLAN, **more: str) -> None:
        """Freezes as a user."""
        options = Options(environment=self.variables(user, **more))
        with mongo.connect(options) as server:
            freeze.freeze(server, options, plan=plan, reason="window of the tests")

    def unfreeze(self, user: str = "freezer", *, plan: str = PLAN, **more: str) -> None:
        """Goes back as a user."""
        options = Options(environment=self.variables(user, **more))
        with mongo.connect(options) as server:
            freeze.unfreeze(server, options, plan=plan)

    def disturbed(self, word: str, number: int, what: str) -> tuple[int, str]:
        """The same in a process to which something happens; its exit code and what it printed."""
        root = f"mongodb://{':'.join(mongod.ROOT)}@{self.site.server.address}/"
        done = subprocess.run(
            [sys.executable, "-m", "tests.runner.struck", word, str(number), what],
            cwd=ROOT,
            env={"PATH": os.defpath, "PYTHONPATH": str(WHEEL), **self.variables("freezer", LIFTER_URI=root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    def leftover(self, user: str = "freezer") -> str | None:
        """What a start would say."""
        with mongo.connect(Options(environment=self.variables(user))) as server:
            return freeze.leftover(server)

    def block(self, *, is_on: bool) -> None:
        """Somebody else blocks, or lifts it."""
        self.site.server.client.admin.command({"setUserWriteBlockMode": 1, "global": is_on})

    @property
    def takes_writes(self) -> bool:
        """Whether the product could write now."""
        with MongoClient[dict[str, Any]](self.site.uri("product")) as client:
            try:
                client[self.site.database.name]["advisory_raw"].insert_one({})
            except OperationFailure as err:
                if err.code != USER_WRITES_BLOCKED:
                    raise
                return False
        return True

    @property
    def settings(self) -> Mapping[str, Any]:
        """`lnm_settings` by id."""
        return {row["_id"]: row for row in self.site.database["lnm_settings"].find()}

    @property
    def is_open(self) -> bool:
        """As it is when nothing is frozen and nothing is left."""
        marked = self.settings.get("ingest", {"enabled": True})["enabled"]
        return self.takes_writes and marked and self.leftover() is None and "probe" not in self.settings


@pytest.fixture(scope="module")
def own_server() -> Iterator[Mongod]:
    started = mongod.replica_set_with_users()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def own_site(own_server: Mongod, kit: Kit) -> Iterator[Site]:
    """One for all: to make its roles takes longer than most of these tests."""
    with fresh_site(own_server, kit) as site:
        yield site


@pytest.fixture
def window(own_site: Site) -> Iterator[Window]:
    made = Window(own_site)
    Boxes(own_site, Path()).prepare()
    own_site.give("freezer", {"role": "lnmFreeze", "db": "admin"}, "lnmRead")
    own_site.give("everything", {"role": "lnmFreeze", "db": "admin"}, BYPASS)
    own_site.give("product", "readWrite")
    yield made
    made.block(is_on=False)


def test_a_freeze_refuses_the_product_says_whose_it_is_and_ends(window: Window) -> None:
    window.freeze()
    window.freeze()

    assert not window.takes_writes
    marker = window.settings["ingest"]
    assert (marker["enabled"], marker["plan"], marker["stage"]) == (False, PLAN, "freeze")
    assert (marker["owner"]["pid"], marker["owner"]["user"]) == (os.getpid(), "freezer")
    told = window.leftover()
    assert told is not None
    for word in ("are frozen", str(os.getpid()), "as freezer", PLAN, "«window of the tests»"):
        assert word in told
    found = doctor.run(Options(environment=window.variables("freezer")))
    assert [finding["what"] for finding in found.data["findings"]] == [told]
    assert "lnm runbook unfreeze" in found.data["findings"][0]["commands"][1]

    window.unfreeze()
    window.unfreeze()
    assert window.is_open
    assert window.settings["ingest"]["stage"] == "unfreeze"


FREEZING = {2: "", 3: "", 4: "was begun or taken back, and not ended", 5: "are frozen, by process"}
UNFREEZING = {1: "are frozen, by process", 2: "was begun or taken back, and not ended", 3: "", 4: ""}
"""What is told after a kill before the command of this number: probe, its removal, marker, block, probe; unblock, marker, probe, its removal."""


@pytest.mark.parametrize(
    ("word", "number", "left"),
    [("freeze", *row) for row in FREEZING.items()] + [("unfreeze", *row) for row in UNFREEZING.items()],
)
def test_after_a_kill_at_any_step_it_is_told_and_the_same_command_goes_on(
    window: Window, word: str, number: int, left: str
) -> None:
    if word == "unfreeze":
        window.freeze()

    assert window.disturbed(word, number, "kill")[0] == -signal.SIGKILL

    told = window.leftover()
    assert (told is None) == (not left)
    assert left in (told or "")
    if word == "freeze":
        window.freeze()
        assert not window.takes_writes
    window.unfreeze()
    assert window.is_open


def test_nobody_lifts_the_freeze_behind_which_a_runner_is_at_work(window: Window) -> None:
    """The same kit on another machine has the same plan, and a journal in which nothing was begun."""
    window.freeze()
    with lease.held(window.site.database, "backfill", lasts_s=30), pytest.raises(LockedError, match="«backfill»"):
        window.unfreeze()
    assert not window.takes_writes
    window.unfreeze()
    assert window.is_open


def test_a_block_that_does_not_hold_is_found_by_a_write_and_is_an_error(window: Window) -> None:
    code, said = window.disturbed("freeze", 5, "lift")

    assert code == 2
    assert said.startswith("StageError: the freeze leaks")
    assert "probe" not in window.settings
    assert window.leftover() is not None


def test_a_block_of_somebody_else_is_neither_joined_nor_lifted(window: Window) -> None:
    window.block(is_on=True)

    for command in (window.freeze, window.unfreeze):
        with pytest.raises(StageError, match="not by this runbook"):
            command()
    assert not window.takes_writes
    told = window.leftover()
    assert told is not None
    assert "no marker of the runbook says by whom" in told


def test_whatever_stands_in_the_marker_is_told_without_harm(window: Window) -> None:
    marker = {"enabled": False, "stage": "freeze", "owner": 7, "at": "then", "reason": "\x1b[2Jx\ny" + "z" * 999}
    window.site.database["lnm_settings"].insert_one({"_id": "ingest", **marker})
    told = window.leftover()
    assert told is not None
    assert "process ? on ?, as ?, since ?, plan ?: «[2Jxyz" in told
    assert len(told) < 600
    window.freeze()
    assert window.settings["ingest"]["plan"] == PLAN


def test_the_freeze_of_another_plan_is_neither_joined_nor_lifted(window: Window) -> None:
    window.freeze(plan=OTHER)

    for command in (window.freeze, window.unfreeze):
        with pytest.raises(StageError, match="by another runbook, process") as caught:
            command()
        assert OTHER in caught.value.message
    assert not window.takes_writes


def test_who_may_write_in_a_freeze_needs_somebody_else_for_the_probe(window: Window) -> None:
    with pytest.raises(StageError, match="bypassWriteBlockingMode") as caught:
        window.freeze("everything")
    assert "CONCELIER_PROBE_URI" in caught.value.hint
    assert window.settings == {}

    with pytest.raises(StageError, match=r"as the user of CONCELIER_PROBE_URI: .* writes also in a freeze"):
        window.freeze("everything", CONCELIER_PROBE_URI=window.site.uri("everything"))
    with pytest.raises(CredentialsError, match="as the user of CONCELIER_PROBE_URI") as refused:
        window.freeze("everything", CONCELIER_PROBE_URI=window.site.uri("product", "wrong"))
    assert "CONCELIER_PROBE_PASSWORD_FILE" in refused.value.hint
    assert "wrong" not in f"{refused.value.message}{refused.value.hint}"
    assert window.settings == {}

    ordinary = window.site.uri("product")
    window.freeze("everything", CONCELIER_PROBE_URI=ordinary)
    assert not window.takes_writes
    window.unfreeze("everything", CONCELIER_PROBE_URI=ordinary)
    assert window.is_open
    window.site.give("everything", {"role": "root", "db": "admin"})
    window.freeze("everything", CONCELIER_PROBE_URI=ordinary)
    window.unfreeze("everything", CONCELIER_PROBE_URI=ordinary)


def test_a_probe_that_may_not_write_at_all_proves_nothing(window: Window) -> None:
    with pytest.raises(PrivilegeError, match="as the user of CONCELIER_PROBE_URI"):
        window.freeze("everything", CONCELIER_PROBE_URI=window.site.uri("reader"))
    assert window.settings == {}
    assert window.takes_writes


def test_a_probe_on_another_server_proves_nothing(window: Window, server: Mongod) -> None:
    elsewhere = f"mongodb://{':'.join(mongod.ROOT)}@{server.address}/"
    with pytest.raises(StageError, match="it is another server"):
        window.freeze("everything", CONCELIER_PROBE_URI=elsewhere)


def test_a_server_without_access_control_cannot_be_frozen(standalone: Mongod) -> None:
    options = Options(environment={"CONCELIER_MONGO_URI": f"mongodb://{standalone.address}/"})
    with mongo.connect(options) as server:
        with pytest.raises(TopologyError):
            freeze.freeze(server, options, plan=PLAN, reason="")
        with pytest.raises(StageError, match="no access control"):
            probe.require(server, options)


def test_an_older_server_is_refused_in_words() -> None:
    with router.running(buildInfo={"version": "5.0.30"}) as old:
        options = Options(environment={"CONCELIER_MONGO_URI": old.uri})
        with mongo.connect(options) as server, pytest.raises(TopologyError, match=r"MongoDB 5\.0\.30 .*setUserWriteBlockMode"):
            freeze.freeze(server, options, plan=PLAN, reason="")


def test_a_feature_version_that_knows_no_freeze_is_refused_in_words_and_leaves_nothing(window: Window) -> None:
    admin = window.site.server.client.admin
    admin.command("setFeatureCompatibilityVersion", "5.0")
    try:
        with pytest.raises(TopologyError, match="cannot refuse the writes") as caught:
            window.freeze()
    finally:
        admin.command("setFeatureCompatibilityVersion", "6.0")
    assert "feature compatibility version" in caught.value.hint
    assert window.is_open


def test_each_privilege_of_the_freezers_role_is_needed_and_asked_for(window: Window, kit: Kit) -> None:
    for resource, action in roles.each(TABLE["lnmFreeze"]):
        window.site.database.command("updateUser", "freezer", roles=[restricted(window.site, kit, "lnmFreeze", resource, action)])
        with pytest.raises(PrivilegeError, match=action):
            window.freeze()
        with MongoClient[dict[str, Any]](window.site.uri("freezer")) as client:
            settings = client[window.site.database.name]["lnm_settings"]
            with pytest.raises(OperationFailure, match="not authorized"):
                steps(client, settings)


def steps(client: MongoClient[dict[str, Any]], settings: Any) -> None:
    """What freezing is made of."""
    client.admin.command("serverStatus")
    settings.database["lnm_lease"].find_one()
    settings.find_one({"_id": "ingest"})
    settings.update_one({"_id": "probe"}, {"$set": {"nonce": 1}}, upsert=True)
    settings.delete_one({"_id": "probe"})
    client.admin.command({"setUserWriteBlockMode": 1, "global": False})


def test_the_stages_name_their_plan_and_leave_evidence(window: Window, kit: Kit, tmp_path: Path) -> None:
    options = Options(environment=window.variables("freezer"))
    with mongo.connect(options) as server:
        context = Context(options, open_kit(kit.folder, Trust(None, (kit.key,)), None), server, tmp_path, plan=PLAN)

        assert flow.check_freeze(context)
        assert window.settings == {}
        assert flow.run_freeze(context).evidence == {"mode": "user-write-block", "probe": "refused", "marker": True}
        assert (window.settings["ingest"]["plan"], window.takes_writes) == (PLAN, False)
        assert "frozen by this runbook already" in flow.check_freeze(context)[-1]
        assert "concelier-lnm" in window.settings["ingest"]["reason"]
        assert flow.check_unfreeze(context)[0] == "the cluster is frozen by this runbook"
        assert flow.run_unfreeze(context).evidence == {"marker": True, "mode": "open"}
    assert window.is_open


def test_a_freeze_that_somebody_has_lifted_by_hand_is_done_no_more(window: Window, kit: Kit, tmp_path: Path) -> None:
    """The runbook's own hints name the command that lifts it; the journal must not hold a window frozen that takes writes."""
    of_cluster = ({"role": name, "db": "admin"} for name in (*OF_THE_CLUSTER, "lnmFreeze"))
    window.site.give("captain", *CAPTAIN, *of_cluster)
    window.site.database["advisory_raw"].create_index(RAW_KEYS, unique=True)
    variables = window.variables("captain", CONCELIER_PROBE_URI=window.site.uri("product"), LNM_BACKUP_TOOL="lnm")
    environment = {**variables, "LNM_TRUSTED_KEY": str(kit.key), "LNM_STATE_DIR": str(tmp_path / "state")}

    def call(stage: str) -> str:
        options = Options(kit=kit.folder, execute=True, subcommand=stage, environment=environment)
        return " ".join(runbook.run(options).lines)

    call("preflight")
    call("freeze")
    window.block(is_on=False)
    with pytest.raises(StageError, match=r"backup comes after what is not done: freeze \(over\)"):
        call("backup")
    assert "freeze: done after" in call("freeze")
    assert not window.takes_writes
    assert "backup: done after" in call("backup")
    assert "nothing was done" in call("freeze")
    assert "unfreeze: done after" in call("unfreeze")


def test_a_publisher_that_a_freeze_binds_writes_no_event(window: Window, tmp_path: Path) -> None:
    boxes = Boxes(window.site, tmp_path)
    boxes.fill(1)
    boxes.enable()
    window.freeze()
    with pytest.raises(RetryableError, match="it is frozen"):
        boxes.publish()
    assert boxes.out.read_bytes() == b""
    window.unfreeze()
    boxes.publish()
    assert len(boxes.published) == 2

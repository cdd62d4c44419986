"""A model check of lease and fences on the real server: any interleaving of runners that acquire, renew, write, stall and come back.

The model knows who may write: the holder of the highest epoch that has claimed the fence. After each step the server must agree: every
document that was written carries the epochs in an order that never falls, and nobody writes who was overtaken. Time passes by
moving the end of the lease; the runners are the wheel's own code, each as if it were a process of its own.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from tests.runner.hold import LONG_AGO
from tests.runner.mongod import Mongod
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod

EXAMPLES = 300 if os.environ.get("LNM_KILLS") == "all" else 25
STEPS = 25
LASTS_S = 3600


class Runners(RuleBasedStateMachine):
    """What the runners do, and what must be so."""

    server: ClassVar[Mongod]
    lease: ClassVar[Any]
    """The module of the wheel."""
    errors: ClassVar[Any]
    """The same."""
    leases = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        """A database of its own."""
        self.database = self.server.client[f"lnm_model_{secrets.token_hex(6)}"]
        self.holder: Any = None
        self.claimed = 0
        self.epoch = 0
        self.written: list[int] = []

    def teardown(self) -> None:
        """Takes the database away."""
        self.server.client.drop_database(self.database.name)

    @rule(target=leases)
    def acquire(self) -> Any:
        """Somebody wants to begin; it gets the lease if, and only if, nobody holds it."""
        try:
            taken = self.lease.acquire(self.database, "model", lasts_s=LASTS_S)
        except self.errors.LockedError:
            assert self.holder is not None
            return None
        assert self.holder is None
        assert taken.epoch == self.epoch + 1
        self.holder, self.epoch = taken, taken.epoch
        return taken

    @rule()
    def time_passes(self) -> None:
        """Nobody has renewed: the lease runs out, and its holder does not know."""
        self.database["lnm_lease"].update_one({"_id": "runner"}, {"$set": {"expiresAt": LONG_AGO}})
        self.holder = None

    @rule(one=leases)
    def renew(self, one: Any) -> None:
        """Whoever thinks that it holds the lease renews it."""
        if one is not None:
            assert one.renew() == (one is self.holder)

    @rule(one=leases)
    def check(self, one: Any) -> None:
        """Whoever thinks that it holds the lease asks before it does what cannot be fenced."""
        if one is None:
            return
        if one is self.holder and not one.lost.is_set():
            one.check()
            return
        with pytest.raises(self.errors.LeaseLostError):
            one.check()

    @rule(one=leases)
    def claim(self, one: Any) -> None:
        """It claims the partition; only a later epoch keeps it from that."""
        if one is None:
            return
        if one.epoch >= self.claimed:
            one.fence("part")
            self.claimed = one.epoch
            return
        with pytest.raises(self.errors.LeaseLostError):
            one.fence("part")

    @rule(one=leases)
    def write(self, one: Any) -> None:
        """It writes documents, whatever it believes of its lease."""
        if one is None:
            return

        def insert(session: Any) -> None:
            self.database["documents"].insert_one({"place": len(self.written), "epoch": one.epoch}, session=session)

        if one.epoch == self.claimed == self.epoch:  # nobody has taken the lease over, whatever has run out
            one.transaction("part", insert)
            self.written.append(one.epoch)
            return
        with pytest.raises(self.errors.LeaseLostError):
            one.transaction("part", insert)

    @rule(one=consumes(leases))
    def release(self, one: Any) -> None:
        """It ends."""
        if one is None:
            return
        one.release()
        if one is self.holder:
            self.holder = None

    @invariant()
    def the_server_agrees(self) -> None:
        """What was written is what the model says, in an order of epochs that never falls."""
        if not hasattr(self, "database"):
            return
        found = [row["epoch"] for row in self.database["documents"].find().sort("place", 1)]
        assert found == self.written == sorted(found)
        shown = self.lease.holder(self.database)
        assert bool(shown and shown["isHeld"]) == (self.holder is not None)


class Unfenced(Runners):
    """The same, but whoever writes does so without the fence."""

    @rule(one=Runners.leases)
    def write(self, one: Any) -> None:
        """It writes, whoever it is."""
        if one is not None:
            self.database["documents"].insert_one({"place": len(self.written), "epoch": one.epoch})
            self.written.append(one.epoch)


def check(machine: type[Runners], server: Mongod, program: Path, examples: int, *phases: Phase) -> None:
    """Runs a machine over a server and the modules of the wheel."""
    wheel = {name: module(program, f"lnm_runner.{name}") for name in ("lease", "errors")}
    run_state_machine_as_test(
        type("Bound", (machine,), {"server": server, **wheel}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=bool(os.environ.get("CI")),
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_interleaving_lets_an_overtaken_runner_write(server: Mongod, program: Path) -> None:
    check(Runners, server, program, EXAMPLES, Phase.generate, Phase.shrink)


def test_the_model_finds_a_lease_that_is_not_fenced(server: Mongod, program: Path) -> None:
    """The check itself can fail: without fences, an overtaken runner writes."""
    with pytest.raises(AssertionError):
        check(Unfenced, server, program, 200, Phase.generate)

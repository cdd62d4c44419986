"""Runs of the runner that somebody disturbs: where they start from, through a proxy, how one goes on, and what must hold then.

`LNM_KILLS=all` (`nox -s crash`) tries every point at every moment; without it a part of them is tried, each at one moment.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo.database import Database

from tests.crash.fingerprint import Fingerprint, fingerprint
from tests.crash.proxy import Controller, Proxy, between, every_command_passes
from tests.runner.fixtures import Server, Site, fresh_site, operators, watched
from tests.runner.hold import let_the_lease_run_out
from tests.runner.installed import TIMEOUT_S, Answer, Lnm
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod

ID = "20251202_lnm_21_101_sharding_and_ttl"
IS_EXHAUSTIVE = os.environ.get("LNM_KILLS") == "all"
RAW_KEYS = [("source.vendor", 1), ("upstream.upstream_id", 1), ("upstream.content_hash", 1), ("tenant", 1)]
TODAY = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
ATTEMPTS, LOCKED = 3, 9
OTHER_EXPIRY_S = 2_592_000  # 30 days, where 90 are wanted: it is changed by collMod, and nothing dies


def half_made(database: Database[dict[str, Any]]) -> None:
    """Some collections and indexes are there, with documents; each time the same bytes.

    Every kind of action of 21-101 has something to do: create, createIndexes, collMod of a validator and of an expiry.
    """
    raw, rows, events = (database[name] for name in ("advisory_raw", "advisory_observations", "advisory_observation_events"))
    raw.create_index(RAW_KEYS, unique=True, name="advisory_raw_idempotency")
    raw.insert_many({"_id": f"raw:{n}", "source": {"vendor": "nvd"}, "upstream": {"upstream_id": n}} for n in range(20))
    rows.insert_one({"_id": "odd", "tenantId": "t", "advisoryId": "old"})
    numbers = range(100)
    rows.insert_many({"_id": oid(n), "tenantId": "t", "advisoryId": f"CVE-2025-{n}", "source": "nvd"} for n in numbers)
    rows.create_index([("tenantId", 1), ("affected.purl", 1)], name="lnm_obs_purl")
    rows.create_index("title", name="somebody_elses")
    events.insert_many({"_id": oid(n), "observationHash": n, "publishedAt": None if n % 2 else TODAY} for n in range(20))
    events.create_index("publishedAt", name="lnm_obs_events_ttl", expireAfterSeconds=OTHER_EXPIRY_S)


def oid(number: int) -> bson.ObjectId:
    """The same id each time."""
    return bson.ObjectId(number.to_bytes(12, "big"))


def empty(_: Database[dict[str, Any]]) -> None:
    """A new database."""


@dataclass(frozen=True)
class Direction:
    """Where a run goes."""

    verb: str
    """Its command."""
    user: str
    """Who may do it."""
    ends_as: str
    """The last state in the ledger."""
    arguments: tuple[str, ...] = ("21-101",)
    """What follows the verb."""


APPLY = Direction("apply", "operator", "applied")
ROLLBACK = Direction("rollback", "undoer", "rolled-back")
WRITERS = ("operator", "undoer", "backfiller", "unfiller")
"""The users who may have left a transaction open."""


@dataclass(frozen=True)
class Bench:
    """A server, and the program to be hurt on it."""

    server: Server
    program: Path
    kit: Kit

    @contextlib.contextmanager
    def database(self, start: Callable[[Database[dict[str, Any]]], None], direction: Direction = APPLY) -> Iterator[Patient]:
        """A database of its own, filled, while the block runs; applied, where a run is to take that back."""
        with fresh_site(self.server, self.kit) as site:
            start(site.database)
            patient = Patient(site, operators(self.program, self.kit, site))
            if direction is ROLLBACK:
                patient.lnm.apply()
            yield patient


@dataclass(frozen=True)
class Patient:
    """One database, and the program as its operator calls it."""

    site: Site
    lnm: Lnm

    @contextlib.contextmanager
    def proxy(self, controller: Controller = every_command_passes) -> Iterator[Proxy]:
        """A proxy to the server while the block runs."""
        with between(self.site.server.address, controller) as proxy:
            yield proxy

    def plain_uri(self, proxy: Proxy, user: str = "operator") -> str:
        """The URI of a user through a proxy, which reads along: so without TLS."""
        uri = self.site.uri(user).replace(self.site.server.address, proxy.address)
        return uri.replace(f"&{self.site.server.tls}", "") if self.site.server.tls else uri

    def start(
        self, proxy: Proxy, *arguments: str, direction: Direction = APPLY, **variables: str | None
    ) -> subprocess.Popen[str]:
        """Starts a run through a proxy."""
        uri = self.plain_uri(proxy, direction.user)
        environment = {"CONCELIER_MONGO_URI": f"{uri}&directConnection=true&serverSelectionTimeoutMS=2000", **variables}
        return self.lnm.start(*command(self.lnm, *arguments, direction=direction), **environment)

    def answer(self, runner: subprocess.Popen[str]) -> Answer:
        """Waits for the end of a run, which prints neither a traceback nor a secret."""
        stdout, stderr = runner.communicate(timeout=TIMEOUT_S)
        printed = f"{stdout}\n{stderr}"
        assert "Traceback" not in printed, printed
        assert not any(secret in printed for secret in self.lnm.secrets), "a secret was printed"
        return Answer(runner.returncode, stdout, stderr)

    def fingerprint(self) -> Fingerprint:
        """What the database holds."""
        return fingerprint(self.site.database)

    def end_transactions(self) -> None:
        """What the server does after transactionLifetimeLimitSeconds, 60: a connection that is lost ends no transaction."""
        users = [{"user": user, "db": self.site.database.name} for user in WRITERS]
        self.site.server.client.admin.command({"killAllSessions": users})

    def let_time_pass(self) -> None:
        """A minute is over for a runner that is gone: its lease has run out, and the server has ended its transaction."""
        let_the_lease_run_out(self.site)
        self.end_transactions()

    def go_on(self, direction: Direction = APPLY) -> None:
        """What the operator does after a runner is gone: waits until its lease has run out, and resumes.

        A lease that was on its way when its runner was killed may be taken after time has passed: then it has to pass again.
        """
        answers = [self.resumed(direction)]
        while answers[-1].exit_code == LOCKED and len(answers) < ATTEMPTS:
            answers.append(self.resumed(direction))
        assert answers[-1].exit_code == 0, answers[-1].stderr

    def resumed(self, direction: Direction) -> Answer:
        """Time passes, and the operator resumes."""
        self.let_time_pass()
        return self.run(*command(self.lnm, "--resume", direction=direction))

    def turn(self, direction: Direction) -> None:
        """What an operator does who wants to go in a direction after a runner is gone: all that `lnm doctor` says, and no more."""
        for _ in range(ATTEMPTS):
            self.let_time_pass()
            advised = self.advised(direction)
            answer = self.run(*advised)
            assert answer.exit_code in {0, LOCKED}, f"{advised}: {answer.stderr}"
            if answer.exit_code == 0 and advised[0] == direction.verb:
                return
        pytest.fail(f"following lnm doctor does not {direction.verb}")

    def advised(self, direction: Direction) -> tuple[str | Path, ...]:
        """The command of `lnm doctor` in a direction; else the first that it says; the plain one where nothing is wrong."""
        answer = self.run("doctor", "--json", "--kit", self.lnm.kit.folder)
        said = [tuple(shlex.split(line)[1:]) for finding in answer.json["findings"] for line in finding["commands"]]
        wanted = [words for words in said if words[0] == direction.verb]
        return [*wanted, *said, command(self.lnm, direction=direction)][0]

    def run(self, *arguments: str | Path) -> Answer:
        """Runs the program as the user who may, to its end."""
        user = ROLLBACK.user if arguments[0] == ROLLBACK.verb else APPLY.user
        return self.answer(self.lnm.start(*arguments, CONCELIER_MONGO_URI=self.site.uri(user)))

    def assert_converged(self, wanted: Fingerprint, direction: Direction = APPLY) -> None:
        """The end is that of a run that nobody disturbed, nothing is there twice, and a further run writes nothing.

        What was taken back is as before the first run, whose ledger knew nothing: all that is wanted of this one is that it
        says so, if it says anything.
        """
        found = self.fingerprint()
        assert found.collections == wanted.collections
        if direction is APPLY:
            assert found.state == wanted.state
        assert {row["state"] for row in found.documents("lnm_migrations").values()} <= {direction.ends_as}
        assert direction is APPLY or not found.documents("schema_migrations")
        with watched(self.site.server) as writes:
            assert self.run(*command(self.lnm, direction=direction)).exit_code == 0
        assert writes.opcounters == {"insert": 0, "update": 0, "delete": 0}
        assert writes.oplog == []


def command(lnm: Lnm, *arguments: str, direction: Direction = APPLY) -> tuple[str | Path, ...]:
    """A run as an operator types it."""
    return (direction.verb, *direction.arguments, "--execute", "--kit", lnm.kit.folder, *arguments)


@dataclass(frozen=True)
class Uninterrupted:
    """A run that nobody disturbed."""

    effects: list[str]
    """The labels of what it changed, in order."""
    changed: set[str] = field(repr=False)
    """The names of the collections that it changed."""
    end: Fingerprint = field(repr=False)


def uninterrupted(bench: Bench, start: Callable[[Database[dict[str, Any]]], None], direction: Direction = APPLY) -> Uninterrupted:
    """Runs it once from a start."""
    with bench.database(start, direction) as patient, patient.proxy() as proxy:
        answer = patient.answer(patient.start(proxy, direction=direction))
        assert answer.exit_code == 0, answer.stderr
        changed = {command.collection for command in proxy.commands if command.effect and command.collection}
        return Uninterrupted(proxy.effects, changed, patient.fingerprint())


@pytest.fixture(scope="session")
def bench(server: Mongod, program: Path, kit: Kit) -> Bench:
    """The server of this test process, and the program from the kit."""
    return Bench(server, program, kit)

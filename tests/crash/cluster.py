"""A real replica set, with users and fast elections, whose primary can step down, be killed and be started again."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from tests.crash.runs import Bench
from tests.runner import mongod
from tests.runner.kits import Kit
from tests.runner.mongod import FAST_ELECTION, READY_S, ROOT

NAME = "crash"


@dataclass
class Member:
    """One server of it."""

    folder: Path
    port: int
    within: tuple[str, ...]
    """The command that starts it elsewhere."""
    options: tuple[str, ...]
    """What it is started with beside the rest."""
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Cluster:
    """The replica set."""

    folder: Path
    key: Path
    members: tuple[Member, ...]
    client: MongoClient[dict[str, Any]]
    """As root, of the whole set."""

    @property
    def address(self) -> str:
        """The hosts of a URI."""
        return ",".join(member.address for member in self.members)

    @property
    def tls(self) -> str:
        """It has none."""
        return ""

    def primary(self) -> Member:
        """The primary, as soon as there is one that takes writes."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            with contextlib.suppress(PyMongoError):
                hello = self.client.admin.command("hello")
                if hello["isWritablePrimary"]:
                    return next(member for member in self.members if member.address == hello["me"])
            time.sleep(0.05)
        pytest.fail("no primary")

    def step_down(self) -> None:
        """Makes the primary step down, and waits for the next one."""
        before = self.primary()
        with contextlib.suppress(AutoReconnect):
            self.client.admin.command("replSetStepDown", 20, secondaryCatchUpPeriodSecs=15)
        assert self.primary() is not before

    def kill(self) -> Member:
        """SIGKILL of the primary; returns it when there is another one."""
        before = self.primary()
        before.process.kill()
        before.process.wait()
        assert self.primary() is not before
        return before

    def kill_and_restart(self) -> None:
        """SIGKILL of every member, where it has not ended by itself, and a new start."""
        for member in self.members:
            member.process.kill()
            member.process.wait()
            self.restart(member)

    def restart(self, member: Member) -> None:
        """Starts a member that was killed, and waits until it has caught up."""
        member.process = start(member.folder, member.port, self.key, member.within, member.options)
        self.wait_until_all_are_there()

    def wait_until_all_are_there(self) -> None:
        """Returns when one member is primary and the others are secondaries."""
        deadline = time.monotonic() + READY_S
        states: list[str] = []
        while time.monotonic() < deadline:
            with contextlib.suppress(PyMongoError):
                states = sorted(member["stateStr"] for member in self.client.admin.command("replSetGetStatus")["members"])
                if states == ["PRIMARY"] + ["SECONDARY"] * (len(self.members) - 1):
                    return
            time.sleep(0.1)
        pytest.fail(f"the members do not come together: {states}")

    def stop(self) -> None:
        """Ends everything and removes the data."""
        self.client.close()
        for member in self.members:
            member.process.kill()
            member.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start(folder: Path, port: int, key: Path, within: Sequence[str], options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts one member."""
    return mongod.start(folder, port, "--replSet", NAME, "--oplogSize", "64", "--keyFile", str(key), *options, within=within)


@contextlib.contextmanager
def running(folder: Path, size: int, within: Sequence[str] = (), options: Sequence[str] = ()) -> Iterator[Cluster]:
    """A replica set of so many members while the block runs; member n keeps its data in `<folder>/<n>/data`."""
    key = folder / "key"
    key.write_bytes(base64.b64encode(os.urandom(96)))
    key.chmod(0o400)
    members = []
    for number in range(size):
        home, port = folder / str(number), mongod.free_port()
        home.mkdir(exist_ok=True)
        members.append(Member(home, port, tuple(within), tuple(options), start(home, port, key, within, options)))
    first = members[0]
    with mongod.direct(first.port) as client:
        for member in members:
            with mongod.direct(member.port) as own:
                mongod.wait_for(member.folder, member.process, own, primary=False)
        named = [{"_id": number, "host": member.address} for number, member in enumerate(members)]
        client.admin.command("replSetInitiate", {"_id": NAME, "members": named, "settings": FAST_ELECTION})
        mongod.wait_for(first.folder, first.process, client, primary=True)
        client.admin.command("createUser", ROOT[0], pwd=ROOT[1], roles=["root"])
    hosts = [member.address for member in members]
    root = MongoClient[dict[str, Any]](
        hosts, replicaSet=NAME, username=ROOT[0], password=ROOT[1], serverSelectionTimeoutMS=5000, tz_aware=True
    )
    made = Cluster(folder, key, tuple(members), root)
    made.wait_until_all_are_there()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def bench_of_its_own(replica_set: Cluster, program: Path, kit: Kit) -> Bench:
    """The program, to be hurt on the replica set that a test module has for itself: its fixture `replica_set`."""
    return Bench(replica_set, program, kit)

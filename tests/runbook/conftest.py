"""A rehearsal that every test of a process looks at, and the kit that it is of."""

from __future__ import annotations

import dataclasses
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.staging import embedded, environment, rehearsal, seed, server, users
from scripts.staging.environment import Kit
from scripts.staging.program import Lnm
from scripts.staging.users import SEEDER
from tests.faults.keys import STRANGER
from tests.runbook.rehearsals import DOCUMENTS, KEY_PASSWORD, Killed, Rehearsed, command_lines, sealed_key
from tests.runner import kits
from tests.runner.fixtures import built_kit, light_kit

__all__ = ["built_kit", "light_kit"]


@pytest.fixture(scope="session")
def program(dist: Path, version: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lnm` with the extras of the kit, installed once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "lnm-extras-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return environment.install(Kit(dist / f"concelier-lnm-{version}", dist / "signing-key.pub"), shared / "lnm-extras")


@pytest.fixture(scope="session")
def rehearsed(kit: kits.Kit, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    """A rehearsal that was killed at lines of its journal, signed by a key of its own; its server still runs."""
    folder = tmp_path_factory.mktemp("staging")
    key = sealed_key(STRANGER, folder)
    signed = Kit(kit.folder, kit.key)
    with server.running(folder / "server", os.environ) as running, command_lines() as seen:
        made = users.made(running, embedded.DATABASE, signed, folder / "users", embedded.ROLES)
        with embedded.scene(running, made, signed, program, folder / "out", calm_s=1) as scene:
            assert isinstance(scene.lnm, Lnm)
            lnm = dataclasses.replace(scene.lnm, environment={**scene.lnm.environment, **key})
            scene.lnm = killed = Killed(lnm)
            seed.fill(lnm, (), DOCUMENTS, **made.variables(SEEDER))
            said: list[str] = []
            rehearsal.carry_out(scene, said.append)
            secrets = [KEY_PASSWORD, *(path.read_text() for path in (folder / "users").iterdir())]
            yield Rehearsed(signed, scene, lnm, running, made, killed, said, seen, secrets)

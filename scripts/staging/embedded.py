"""A rehearsal on embedded defaults: server, users and corpus are its own, and go with it; what is to be kept is in `out`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from scripts.staging import rehearsal, seed, server, users
from scripts.staging.environment import WORK, Kit
from scripts.staging.program import Lnm
from scripts.staging.rehearsal import Say
from scripts.staging.scene import Scene
from scripts.staging.server import Server
from scripts.staging.users import PRODUCT, SEEDER, Users

DATABASE = "concelier"
OPERATOR = "staging"
SERVER = WORK / "server"
RUNBOOK, PASSES = "lnmRunbook", "lnmBypassFreeze"
"""What each stage needs beside its own role; and what lets it write while the cluster is frozen."""
CLUSTER, HASHES = "lnmPreflight", "lnmFingerprint"
STATUS = "status"
ROLES: Mapping[str, tuple[str, ...]] = {
    SEEDER: ("lnmSeedDemo",),
    PRODUCT: ("readWrite",),
    STATUS: ("lnmRead", CLUSTER, RUNBOOK),
    "preflight": ("lnmApply21101", "lnmBackfill21102", CLUSTER, RUNBOOK),
    "freeze": ("lnmFreeze", RUNBOOK),
    "backup": ("lnmBackup", RUNBOOK),
    "prove-backup": ("lnmBackup", RUNBOOK),
    "apply-21-101": ("lnmApply21101", HASHES, PASSES, CLUSTER, RUNBOOK),
    "backfill-21-102": ("lnmBackfill21102", PASSES, CLUSTER, RUNBOOK),
    "validate": ("lnmValidate", CLUSTER, RUNBOOK),
    "rollback-21-102": ("lnmRollback21102", HASHES, PASSES, RUNBOOK),
    "restore": ("lnmRestore", RUNBOOK),
    "enable-outbox": ("lnmEnableOutbox", PASSES, RUNBOOK),
    "unfreeze": ("lnmFreeze", RUNBOOK),
    "outbox publish": ("lnmPublish",),
    "watch": ("lnmWatch", RUNBOOK),
}
"""`{stage: roles of the user who does it}`; PRODUCT has a role of the server's own."""


def rehearse(kit: Kit, program: Path, out: Path, say: Say, *, documents: int, calm_s: int) -> None:
    """A whole rehearsal.

    Raises: KitError, PyMongoError.
    """
    files = seed.corpus(os.environ)
    with server.running(SERVER, os.environ) as running:
        say(f"server a replica set of one, MongoDB {running.client.server_info()['version']}, with users")
        made = users.made(running, DATABASE, kit, SERVER / "users", ROLES)
        with scene(running, made, kit, program, out, calm_s=calm_s) as on_stage:
            for line in seed.fill(on_stage.lnm, files, documents, **made.variables(SEEDER)):
                say(f"       {line}")
            rehearsal.carry_out(on_stage, say)


@contextlib.contextmanager
def scene(running: Server, made: Users, kit: Kit, program: Path, out: Path, *, calm_s: int) -> Iterator[Scene]:
    """The scene, with its state in `out/state`.

    Raises: PyMongoError.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = out / "state"
    environment = {
        "CONCELIER_DB": made.database,
        "LNM_STATE_DIR": str(state),
        "LNM_TRUSTED_KEY": str(kit.key),
        "LNM_OPERATOR": os.environ.get("LNM_OPERATOR") or OPERATOR,
    }
    lnm = Lnm((str(program),), kit.folder, environment)
    uri = running.uri(PRODUCT, made.database)
    with MongoClient[dict[str, Any]](uri, password=made.password(PRODUCT), tz_aware=True) as product:
        database = running.client[made.database]
        yield Scene(lnm, made.variables, database, state, out, product[made.database], calm_s)

"""A rehearsal on an operator's own staging: the database that CONCELIER_MONGO_URI and CONCELIER_DB name, as the user named there.

Nothing is started, seeded or made by it but what the stages do; their state is in the operator's own LNM_STATE_DIR. A database
that has been in production is refused: a rehearsal takes back and restores. Without --execute each stage's plan is printed. One
that was stopped goes on where it stood.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError

from scripts import files
from scripts.errors import InputError
from scripts.staging import rehearsal, witness
from scripts.staging.environment import Kit
from scripts.staging.program import Lnm
from scripts.staging.rehearsal import ORDER, Say
from scripts.staging.scene import Scene

DEFAULT_DATABASE = "concelier"  # decisions §9
PRODUCTION = "production"


def rehearse(kit: Kit, program: Path, out: Path, say: Say, *, calm_s: int, executes: bool) -> None:
    """A whole rehearsal, or its plans.

    Raises: KitError, PyMongoError.
    """
    with client(os.environ) as connected:
        database = connected[database_name(os.environ)]
        refuse_production(database.name, database["lnm_settings"].find_one({"_id": "environment"}))
        environment = {**os.environ, "LNM_TRUSTED_KEY": str(kit.key)}
        lnm = Lnm((str(program),), kit.folder, environment)
        scene = Scene(lnm, lambda _: {}, database, state_folder(os.environ), out, calm_s=calm_s)
        if executes:
            out.mkdir(parents=True, exist_ok=True)
            rehearsal.carry_out(scene, say)
        else:
            plans(scene, say)


def database_name(environment: Mapping[str, str]) -> str:
    """The database that is rehearsed on."""
    return environment.get("CONCELIER_DB") or DEFAULT_DATABASE


def client(environment: Mapping[str, str]) -> MongoClient[dict[str, Any]]:
    """A client as the named user; the password may come from the file that CONCELIER_MONGO_PASSWORD_FILE names.

    Raises: KitError, PyMongoError.
    """
    given: dict[str, Any] = {"tz_aware": True, "appname": "lnm-staging"}
    if file := environment.get("CONCELIER_MONGO_PASSWORD_FILE"):
        text = files.read_bytes(Path(file)).decode("utf-8", "replace")
        given["password"] = text.removesuffix("\n").removesuffix("\r")
    try:
        return MongoClient(environment["CONCELIER_MONGO_URI"], **given)
    except ConfigurationError as err:  # its text may hold any part of the URI
        hint = "mongodb://USER@HOST:PORT/?replicaSet=NAME, and the password in a file: CONCELIER_MONGO_PASSWORD_FILE"
        raise InputError(f"CONCELIER_MONGO_URI is not understood ({type(err).__name__})", hint=hint) from err


def refuse_production(database: str, said: Mapping[str, Any] | None) -> None:
    """Refuses a database that its own settings call production.

    Raises: InputError.
    """
    if said and said.get("environment") == PRODUCTION:
        hint = "name your staging: CONCELIER_MONGO_URI, CONCELIER_DB"
        raise InputError(
            f"{database}: has been in production; a rehearsal takes back and restores, and is refused here", hint=hint
        )


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where `lnm` keeps its state (decisions §12)."""
    if named := environment.get("LNM_STATE_DIR"):
        return Path(named)
    return Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "lnm"


def plans(scene: Scene, say: Say) -> None:
    """Says what each stage would do; one whose turn has not come says what it waits for."""
    for name in dict.fromkeys(step.name for step in ORDER if step.ends_as or step.sees is witness.absent):
        say(f"\n{name}")
        for line in rehearsal.told(scene.lnm("runbook", name)):
            say(f"       {line}")
    say("\nNothing was written; add --execute to do it: nox -s staging -- --execute")

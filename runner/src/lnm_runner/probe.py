"""One write of an ordinary user, which says whether the cluster refuses such writes: into `lnm_settings`, and taken away again.

It proves something only as a user whom a write block binds, who does not hold `bypassWriteBlockingMode`. Where the runner's own
user does, as root and whoever works in a freeze, it is made as the user of CONCELIER_PROBE_URI, best the product's own. The rules
are those of CONCELIER_MONGO_URI: its password is in it, or in the file that CONCELIER_PROBE_PASSWORD_FILE names.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from pymongo.errors import OperationFailure

from lnm_runner import mongo, roles
from lnm_runner.driver_errors import USER_WRITES_BLOCKED
from lnm_runner.errors import RunnerError, StageError
from lnm_runner.mongo import Database, Server
from lnm_runner.options import Options
from lnm_runner.roles import SWITCHES

URI, PASSWORD_FILE = "CONCELIER_PROBE_URI", "CONCELIER_PROBE_PASSWORD_FILE"
DOCUMENT = "probe"
"""Always the same, so that one which a killed runner has left is taken away by the next."""
NAME_ONE = f"name an ordinary user, best the product's own, in {URI}"

T = TypeVar("T")


def passes(server: Server, options: Options) -> bool:
    """True where the write came through.

    Raises: StageError where it would prove nothing; RunnerError where it failed for another reason than a block.
    """
    return as_ordinary(server, options, written)


def require(server: Server, options: Options) -> None:
    """Sees that the write can be made by somebody whom it tells of; nothing is written.

    Raises: StageError, and RunnerError where that user cannot connect.
    """
    as_ordinary(server, options, lambda _: None)


def as_ordinary(server: Server, options: Options, work: Callable[[Database], T]) -> T:
    """Works with the product's database as a user whom a block binds.

    Raises: StageError where there is none; RunnerError.
    """
    named = options.environment.get(URI)
    if not named:
        if why := exempt(server.database):
            raise StageError(f"a write that must be refused proves nothing here: {why}", hint=NAME_ONE)
        return work(server.database)
    password = options.environment.get(PASSWORD_FILE, "")
    environment = {**options.environment, "CONCELIER_MONGO_URI": named, "CONCELIER_MONGO_PASSWORD_FILE": password}
    try:
        with mongo.connect(replace(options, mongo_uri=None, environment=environment)) as other:
            if why := another(server, other) or exempt(other.database):
                raise StageError(f"a write that must be refused proves nothing: {why}", hint=NAME_ONE)
            return work(other.database)
    except RunnerError as err:
        err.message = f"as the user of {URI}: {err.message}"
        err.args = (err.message,)
        err.hint = err.hint.replace("CONCELIER_MONGO_", "CONCELIER_PROBE_")
        raise


def exempt(database: Database) -> str:
    """Why a block does not bind the user of a connection; empty where it does."""
    found = database.client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    if not found["authenticatedUsers"]:
        return "the server has no access control, or no user was named, and a write block binds nobody then"
    cluster = {"cluster": True}
    for held in found["authenticatedUserPrivileges"]:
        actions = {"bypassWriteBlockingMode", "anyAction"} & set(held["actions"])
        if actions and roles.covers(held["resource"], cluster):
            return "this user writes also in a freeze (bypassWriteBlockingMode)"
    return ""


def another(server: Server, other: Server) -> str:
    """Why a second connection does not lead to the same server; empty where it does, and between routers, which do not tell."""
    mine, its = (each.database.client.admin.command("hello") for each in (server, other))
    names = ("setName", "hosts", "msg")
    if [mine.get(name) for name in names] == [its.get(name) for name in names]:
        return ""
    return "it is another server than that of CONCELIER_MONGO_URI"


def written(database: Database) -> bool:
    """Writes, and takes it away; False where a block refuses it.

    Raises: PyMongoError.
    """
    rows = database[SWITCHES]
    try:
        rows.update_one({"_id": DOCUMENT}, {"$set": {"nonce": uuid.uuid4().hex}}, upsert=True)
    except OperationFailure as err:
        if err.code == USER_WRITES_BLOCKED:
            return False
        raise
    rows.delete_one({"_id": DOCUMENT})
    return True

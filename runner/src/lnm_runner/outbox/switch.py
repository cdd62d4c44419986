"""The switch of the outbox: the document `outbox` of `lnm_settings`, `{_id, enabled, plan, hook, by, at}`.

The reference publisher obeys it; a site's own is switched by its hook. `hook` is `pending` while that runs, so that one which was
killed or has failed half-way is run again; then `ran`, or `none` where there is no hook. Switching to what it is already changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lnm_runner import privileges, switches
from lnm_runner.backfill import runs
from lnm_runner.errors import StageError
from lnm_runner.mongo import Database, Server
from lnm_runner.options import BACKFILL, Options
from lnm_runner.outbox import hook

NAME = "outbox"
PRIVILEGES = "outbox switch"
PENDING, RAN, NONE = "pending", "ran", "none"


def read(database: Database) -> Mapping[str, Any]:
    """The switch; off where it was never set.

    Raises: PyMongoError.
    """
    return switches.read(database, NAME) or {"enabled": False, "hook": NONE}


def is_on(database: Database) -> bool:
    """True where events may be published.

    Raises: PyMongoError.
    """
    return read(database).get("enabled") is True


def is_silent(database: Database) -> bool:
    """True where nobody publishes, a publisher of the site's own included: its hook has come to its end.

    Raises: PyMongoError.
    """
    found = read(database)
    return found.get("enabled") is not True and found.get("hook") != PENDING


def require_settled(server: Server, options: Options) -> None:
    """Refuses while a run of the backfill, or of its rollback, is half-way.

    Raises: StageError.
    """
    for row in runs.standing(server.database):
        if row["state"] != runs.DONE:
            verb = "apply" if row["state"] == runs.RUNNING else "rollback"
            raise StageError(
                f"the outbox stays off: run {row['_id']} of {BACKFILL} is {row['state']}",
                hint=f"end it first: {options.going(verb, BACKFILL)}",
            )


def require(server: Server, options: Options) -> None:
    """Sees that it can be switched on.

    Raises: StageError; PrivilegeError; InputError, NotFoundError for a hook that is not to be run.
    """
    privileges.require(server, PRIVILEGES)
    require_settled(server, options)
    hook.named(options)


def enable(server: Server, options: Options, *, plan: str) -> str:
    """Switches it on; what the hook did: `none`, `ran`, or `ran: ` and its last line.

    Raises: StageError where the hook fails, and the switch is then set back; RunnerError.
    """
    require(server, options)
    found, path = read(server.database), hook.named(options)
    if found.get("enabled") is True and found.get("hook") != PENDING:
        return str(found.get("hook"))
    if path is None:
        put(server.database, is_on=True, plan=plan, hooked=NONE)
        return NONE
    put(server.database, is_on=True, plan=plan, hooked=PENDING)
    try:
        told = hook.run(path, "enable")
    except BaseException:
        put(server.database, is_on=False, plan=plan, hooked=PENDING)  # how far it has come nobody knows
        raise
    put(server.database, is_on=True, plan=plan, hooked=RAN)
    return f"{RAN}: {told}" if told else RAN


def disable(server: Server, options: Options) -> str:
    """Switches it off, whatever the hook says then; what the hook did.

    Raises: StageError where the hook fails; RunnerError.
    """
    privileges.require(server, PRIVILEGES)
    found, path = read(server.database), hook.named(options)
    if found.get("enabled") is not True and found.get("hook") != PENDING:
        return str(found.get("hook"))
    plan = str(found.get("plan", ""))
    put(server.database, is_on=False, plan=plan, hooked=NONE if path is None else PENDING)
    if path is None:
        return NONE
    told = hook.run(path, "disable")
    put(server.database, is_on=False, plan=plan, hooked=RAN)
    return f"{RAN}: {told}" if told else RAN


def put(database: Database, *, is_on: bool, plan: str, hooked: str) -> None:
    """Writes the switch.

    Raises: PyMongoError.
    """
    switches.put(database, NAME, {"enabled": is_on, "plan": plan, "hook": hooked}, by="by")

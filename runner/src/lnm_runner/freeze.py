"""The freeze of a window: the cluster refuses every write but those of who holds `bypassWriteBlockingMode` (decisions §10).

Three steps, each may be done again: (1) the marker, document `ingest` of `lnm_settings`, says who freezes and why, before
a write is refused; (2) `setUserWriteBlockMode` (MongoDB 6.0, through a router, too) blocks the whole cluster, also after
a restart; (3) a write of an ordinary user, which came through before (1), must be refused (`probe`). The way back: unblock,
marker, and a write that must succeed. What a kill between two steps leaves is told by `leftover`; the same command goes on.

The marker, `{_id, enabled, reason, plan, stage, owner: {host, pid, user}, at}`, mirrors CONCELIER_INGEST_ENABLED of the product,
which reads nothing but its own variable: what stops its writes is the block.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pymongo.errors import OperationFailure

from lnm_runner import lease, privileges, probe, switches
from lnm_runner.driver_errors import OLDEST, UNAUTHORIZED
from lnm_runner.errors import MOST_SHOWN, StageError, TopologyError
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options
from lnm_runner.roles import SWITCHES

MARKER = "ingest"
STAGE, BACK = "freeze", "unfreeze"
PRIVILEGES = "runbook freeze"
"""What the two stages are called in the table of roles."""
OPEN = 1  # serverStatus, repl.userWriteBlockMode; 2 is blocked, and newer servers tell by higher ones why
ILLEGAL, NO_SUCH_COMMAND, NOT_SUPPORTED = 20, 59, 115  # mongo/src/mongo/base/error_codes.yml
T = TypeVar("T")
BY_HAND = "db.adminCommand({setUserWriteBlockMode: 1, global: false})"


@dataclass(frozen=True)
class Seen:
    """What can be seen of a freeze."""

    is_blocked: bool | None
    """None where the server does not tell: a router, an older server, or a user who may not ask."""
    marker: Mapping[str, Any] | None
    """None where there is none, and for a user who may not read it."""

    @property
    def is_marked(self) -> bool:
        """True where the marker says that a freeze was begun and not taken back."""
        return self.marker is not None and self.marker.get("enabled") is False and self.marker.get("stage") == STAGE

    @property
    def who(self) -> str:
        """Whose freeze it is, in words."""
        row = self.marker or {}
        owner = row.get("owner") if isinstance(row.get("owner"), Mapping) else {}
        host, pid, user = (shown((owner or {}).get(name, "?")) for name in ("host", "pid", "user"))
        since = f"{row['at']:%Y-%m-%d %H:%M:%S} UTC" if isinstance(row.get("at"), dt.datetime) else "?"
        why, plan = (shown(row.get(name, "?")) for name in ("reason", "plan"))
        return f"process {pid} on {host}, as {user}, since {since}, plan {plan}: «{why}»"


def shown(value: object) -> str:
    """What anybody may have written there, less what would move a terminal's cursor."""
    return "".join(letter for letter in str(value)[:MOST_SHOWN] if letter.isprintable())


def look(server: Server) -> Seen:
    """Looks at block and marker.

    Raises: PyMongoError.
    """
    mode = allowed(lambda: server.database.client.admin.command("serverStatus").get("repl", {}).get("userWriteBlockMode"))
    marker = allowed(lambda: switches.read(server.database, MARKER))
    return Seen(None if not mode else mode != OPEN, marker)


def allowed(ask: Callable[[], T]) -> T | None:
    """What is answered; None where the user may not ask."""
    try:
        return ask()
    except OperationFailure as err:
        if err.code == UNAUTHORIZED:
            return None
        raise


def leftover(server: Server) -> str | None:
    """What is frozen here, or was left between two steps, and by whom; None where nothing is, or nothing can be seen.

    Raises: PyMongoError.
    """
    seen = look(server)
    if seen.is_blocked:
        if seen.is_marked:
            return f"the writes of this cluster are frozen, by {seen.who}"
        return f"the writes of this cluster are frozen, and no marker of the runbook says by whom ({SWITCHES}, _id {MARKER})"
    if not seen.is_marked:
        return None
    blocks = (
        "the server does not refuse writes" if seen.is_blocked is False else "whether the server refuses writes is not seen here"
    )
    return f"a freeze was begun or taken back, and not ended, by {seen.who}; {blocks}"


def require(server: Server, options: Options, plan: str) -> Seen:
    """Sees that the cluster can be frozen, and is not frozen by somebody else; returns what is there.

    Raises: StageError, TopologyError, PrivilegeError; RunnerError where the user of the probe cannot connect.
    """
    server.require(Topology.REPLICA_SET, Topology.ROUTER)
    numbers = tuple(int(part) for part in server.version.partition("-")[0].split(".") if part.isdigit())
    if numbers < OLDEST:
        raise too_old(server)
    privileges.require(server, PRIVILEGES)
    seen = look(server)
    require_ours(seen, plan)
    probe.require(server, options)
    return seen


def require_ours(seen: Seen, plan: str) -> None:
    """Refuses a block that is not known to be this runbook's.

    Raises: StageError.
    """
    if seen.is_blocked and not seen.is_marked:
        raise foreign()
    if seen.is_blocked and (seen.marker or {}).get("plan") != plan:
        raise StageError(
            f"the writes of this cluster are frozen by another runbook, {seen.who}; this plan is {plan}",
            hint=f"end that one with its own kit and journal; where it is given up: {BY_HAND}, then the same command again",
        )


def foreign() -> StageError:
    """A block of which nobody knows whose it is."""
    return StageError(
        "writes are blocked on this cluster already, and not by this runbook: nobody knows who would lift that, or rely on it",
        hint=f"ask who runs the server (mongosync blocks, too); where nobody needs it: {BY_HAND}, then the same command again",
    )


def freeze(server: Server, options: Options, *, plan: str, reason: str) -> None:
    """Freezes the cluster, or goes on with that.

    Raises: StageError, also where the block leaks, which then stays; RunnerError.
    """
    seen = require(server, options, plan)
    if not seen.is_blocked:
        if probe.passes(server, options):  # what it is that will be refused
            switches.put(server.database, MARKER, {"enabled": False, "reason": reason, "plan": plan, "stage": STAGE})  # (1)
        elif seen.is_marked:  # a router does not tell that it is blocked
            require_ours(replace(seen, is_blocked=True), plan)
        else:
            raise foreign()
    try:
        block(server, is_on=True)  # (2)
    except TopologyError:
        switches.put(server.database, MARKER, opened(plan))
        raise
    if probe.passes(server, options) or look(server).is_blocked is False:  # (3)
        raise StageError(
            "the freeze leaks: an ordinary user's write came through although the server was told to refuse it",
            hint="the block is left on, and the write was taken away again; look who else switches it "
            "(mongosync, another runbook), and at each shard behind a router; then the same command again, "
            f"or {options.command('runbook', BACK, '--execute')}",
        )


def unfreeze(server: Server, options: Options, *, plan: str) -> None:
    """Lets the cluster take writes again, or goes on with that; also where the freeze was skipped.

    Raises: StageError, also where writes are still refused; LockedError while a runner is at work; RunnerError.
    """
    seen = require(server, options, plan)
    require_idle(server)
    if seen.is_marked if seen.is_blocked is None else seen.is_blocked:
        require_ours(replace(seen, is_blocked=True), plan)
        block(server, is_on=False)
    switches.put(server.database, MARKER, opened(plan))
    if not probe.passes(server, options):
        raise StageError(
            "an ordinary user's write is still refused although the block was lifted",
            hint="look who else blocks (mongosync, another runbook), and at each shard behind a router; then the same again",
        )


def require_idle(server: Server) -> None:
    """Refuses while a runner is at work, on whichever machine: it relies on the freeze, and a plan has the same hash everywhere.

    Raises: LockedError.
    """
    row = lease.holder(server.database)
    if row is not None and row["isHeld"]:
        raise lease.locked(row)


def opened(plan: str) -> dict[str, Any]:
    """The marker of a cluster that takes writes."""
    return {"enabled": True, "reason": "", "plan": plan, "stage": BACK}


def block(server: Server, *, is_on: bool) -> None:
    """Blocks the writes of users, or lets them through; twice is as once.

    Raises: TopologyError for a server that cannot; StageError where it is blocked for another reason; PyMongoError.
    """
    try:
        server.database.client.admin.command({"setUserWriteBlockMode": 1, "global": is_on})
    except OperationFailure as err:
        if err.code not in {ILLEGAL, NO_SUCH_COMMAND, NOT_SUPPORTED}:
            raise
        # from MongoDB 8.0.13 on, only who names the same reason may change a block; else it is the feature version
        raise (foreign() if look(server).is_blocked else too_old(server)) from err


def too_old(server: Server) -> TopologyError:
    """The server has no way to freeze."""
    return TopologyError(
        f"MongoDB {server.version} here cannot refuse the writes of users (setUserWriteBlockMode)",
        hint="upgrade to MongoDB 6.0 or later, its feature compatibility version, too; or stop the product and skip the stage "
        f'with a reason: lnm runbook {STAGE} --skip --reason "WHY" --execute',
    )

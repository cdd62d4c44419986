"""Where a runbook is worked: which environment the database is, and whether it was left frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pymongo.errors import OperationFailure

from lnm_runner import freeze
from lnm_runner.chain import now
from lnm_runner.errors import StageError
from lnm_runner.evidence import screening
from lnm_runner.mongo import Database, Server
from lnm_runner.options import Options
from lnm_runner.roles import SWITCHES
from lnm_runner.runbook import journal
from lnm_runner.runbook.call import command
from lnm_runner.runbook.journal import NOT_BEGUN, Standing

ENVIRONMENT: Final = "environment"
"""The document of lnm_settings that says that production has begun here."""
UNNAMED: Final = "not named"
NOT_ALLOWED: Final = (13, 371)  # Unauthorized, UserWritesBlocked: mongo/src/mongo/base/error_codes.yml


def operator(options: Options) -> str:
    """Who is in charge; of production somebody has to be."""
    name = written("operator", options.runbook.operator or options.environment.get("LNM_OPERATOR") or "")
    if not name and options.runbook.environment == "production":
        raise StageError("production wants to know who is in charge", hint="--operator NAME, or set LNM_OPERATOR")
    return name or UNNAMED


def written(member: str, text: str) -> str:
    """What somebody has written, as one line; what no evidence may hold is refused before it stands in a journal.

    Raises: InputError.
    """
    line = " ".join(text.split())
    screening.require({member: line})
    return line


def leftover(server: Server, standing: Mapping[str, Standing]) -> Iterator[str]:
    """A freeze that no stage of this journal holds, or that none of it will lift: who has left it, and why."""
    will_lift = standing.get("unfreeze", NOT_BEGUN).state != journal.SKIPPED
    if standing.get("freeze", NOT_BEGUN).state == journal.DONE and will_lift:
        return
    found = freeze.leftover(server)
    if found:
        yield found


def lifted_by_hand(server: Server, standing: Mapping[str, Standing]) -> bool:
    """Whether the cluster takes writes, as far as that is seen, although this journal holds it frozen."""
    return standing.get("freeze", NOT_BEGUN).state == journal.DONE and freeze.look(server).is_blocked is False


def require_open(server: Server, stage: str, again: str) -> None:
    """Refuses to leave the unfreeze out while the cluster is frozen, as far as that is seen: nobody would lift it then.

    Raises: StageError.
    """
    if stage != "unfreeze":
        return
    seen = freeze.look(server)
    if seen.is_blocked or (seen.is_blocked is None and seen.is_marked):
        raise StageError("unfreeze cannot be skipped: the cluster is frozen, and would stay so", hint=f"do it: {again}")


def production(database: Database) -> bool:
    """Whether production has begun here.

    Raises: PyMongoError.
    """
    found = database[SWITCHES].find_one({"_id": ENVIRONMENT})
    return found is not None and found.get("environment") == "production"


def require_environment(server: Server, options: Options) -> None:
    """Refuses to rehearse where production has begun.

    Raises: StageError, PyMongoError.
    """
    if options.runbook.environment != "production" and production(server.database):
        raise StageError(
            f"{server.database.name}: production has begun here, and nothing is rehearsed on it",
            hint=f"name the database of your staging; or go on with production: {command(options, 'status')} --env production",
        )


def mark_production(server: Server, options: Options, plan: str) -> Iterator[str]:
    """Writes into the database that production has begun here; who may not write leaves it to the next stage, and says so."""
    if options.runbook.environment != "production" or production(server.database):
        return
    said = {"environment": "production", "plan": plan, "at": now()}
    try:
        server.database[SWITCHES].update_one({"_id": ENVIRONMENT}, {"$setOnInsert": said}, upsert=True)
    except OperationFailure as err:
        if err.code not in NOT_ALLOWED:
            raise
        yield f"this user may not write into {SWITCHES} that production has begun here: the next stage does"

"""What production asks of a rehearsal: signed evidence of it, for the same kit; and what its rates say of the time to come."""

from __future__ import annotations

import datetime as dt
from typing import Final

from pymongo.errors import OperationFailure

from lnm_runner import chain, mongo
from lnm_runner.backfill.inventory import RAW
from lnm_runner.driver_errors import UNAUTHORIZED
from lnm_runner.errors import EvidenceError, RunnerError
from lnm_runner.evidence import forecast as forecasts
from lnm_runner.evidence import judging
from lnm_runner.evidence.judging import Rehearsal
from lnm_runner.mongo import Database
from lnm_runner.runbook.call import Call
from lnm_runner.runbook.journal import Entry
from lnm_runner.runbook.stage import Stage

WAYS_OUT: Final = frozenset({"unfreeze"})
"""Beside the ways back: what ends a window must not wait for evidence that has meanwhile become too old."""


def require(call: Call, stage: Stage | None = None) -> Rehearsal | None:
    """The rehearsal that lets production begin; None for staging, and for a way out of what has begun.

    Raises: EvidenceError, NotFoundError, InputError.
    """
    if not call.is_production or (stage is not None and (stage.window == 0 or stage.name in WAYS_OUT)):
        return None
    return judged(call, latest(call))


def latest(call: Call) -> dt.datetime:
    """The later of this host's time and the server's: evidence that one of them finds too old is too old (attack T5)."""
    return max(dt.datetime.now(dt.UTC), mongo.now(call.server.database))


def at_the_time(call: Call, begun: Entry) -> Rehearsal | None:
    """The rehearsal by which production began, judged as of then, so that what was done can be sealed at any time.

    None for staging, where none was named, and where it began without any.

    Raises: EvidenceError where it is another one, or was not good for it; NotFoundError, InputError.
    """
    if not call.is_production or call.options.runbook.evidence is None or not begun.evidence["rehearsal"]:
        return None
    found = judged(call, dt.datetime.strptime(begun.at, chain.AT).replace(tzinfo=dt.UTC))
    known = f"sha256:{begun.evidence['rehearsal']}"
    if found.sha256 != known:
        hint = "name the file that production began with"
        raise EvidenceError(f"production began here by the evidence {known}, and this is {found.sha256}", hint=hint)
    return found


def judged(call: Call, now: dt.datetime) -> Rehearsal:
    """The rehearsal in the file that was named."""
    asked, trust = call.options.runbook, call.options.trust
    return judging.require(
        asked.evidence,
        kit=call.kit,
        policy=trust.policy,
        keys=trust.keys,
        now=now,
        max_age_days=asked.evidence_max_age_days,
    )


def forecast(call: Call, stage: Stage | None = None) -> list[str]:
    """What the rehearsal's rates say of production; nothing for staging."""
    rehearsal = require(call, stage)
    if rehearsal is None:
        return []
    there = counts(call.server.database)
    if there is None:
        return [*rehearsal.lines(), "this user may not ask how much there is (dbStats, role lnmRead): no forecast"]
    return [*rehearsal.lines(), *forecasts.lines(rehearsal, there)]


def counts(database: Database) -> dict[str, int] | None:
    """How much there is to do: raw documents, and bytes of all documents; None where this user may not ask."""
    try:
        size = int(database.command("dbStats")["dataSize"])
        return {"documents": database[RAW].estimated_document_count(), "bytes": size}
    except OperationFailure as err:
        if err.code == UNAUTHORIZED:
            return None
        raise


def accepted(call: Call) -> str:
    """The SHA-256 of the evidence that lets production begin now, for the first line of its journal.

    Empty for staging, and where none does: an unfreeze needs none, and what nobody has judged is not written down as if.
    """
    if not call.is_production:
        return ""
    try:
        return judged(call, latest(call)).sha256.removeprefix("sha256:")
    except RunnerError:
        return ""

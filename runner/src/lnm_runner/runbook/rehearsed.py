"""What production asks of a rehearsal: signed evidence of it, for the same kit; and what its rates say of the time to come."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

from pymongo.errors import OperationFailure

from lnm_runner import chain
from lnm_runner.backfill.inventory import RAW
from lnm_runner.driver_errors import UNAUTHORIZED
from lnm_runner.errors import EvidenceError, InputError, NotFoundError
from lnm_runner.evidence import forecast as forecasts
from lnm_runner.evidence import judging
from lnm_runner.evidence.judging import Rehearsal
from lnm_runner.mongo import Database
from lnm_runner.options import Options
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
    return judged(call, dt.datetime.now(dt.UTC))


def at_the_time(call: Call, begun: Entry) -> Rehearsal | None:
    """The rehearsal by which production began, judged as of then, so that what was done can be sealed at any time.

    None for staging, and where none was named.

    Raises: EvidenceError where it is another one, or was not good for it; NotFoundError, InputError.
    """
    if not call.is_production or call.options.runbook.evidence is None:
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


def sha256(options: Options) -> str:
    """Of the evidence that production begins with; empty for staging.

    Raises: NotFoundError, InputError.
    """
    path = options.runbook.evidence
    if options.runbook.environment != "production" or path is None:
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file", hint="--evidence rehearsal-evidence.dsse.json") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="--evidence rehearsal-evidence.dsse.json") from err

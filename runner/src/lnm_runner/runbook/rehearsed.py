"""What production asks of a rehearsal: signed evidence of it, for the same kit; and what its rates say of the time to come.

`lnm_runner.evidence` judges; it is imported when it is asked, as staging needs none of it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
from typing import Any, Final

from lnm_runner.errors import EvidenceError, InputError, NotFoundError
from lnm_runner.options import Options
from lnm_runner.runbook.call import Call
from lnm_runner.runbook.stage import Stage

WAYS_OUT: Final = frozenset({"unfreeze"})
"""Beside the ways back: what ends a window must not wait for evidence that has meanwhile become too old."""


def require(call: Call, stage: Stage | None = None) -> Any:
    """The rehearsal that lets production begin; None for staging, and for a way out of what has begun.

    Raises: EvidenceError, NotFoundError, InputError.
    """
    if not call.is_production or (stage is not None and (stage.window == 0 or stage.name in WAYS_OUT)):
        return None
    asked = call.options.runbook
    if asked.evidence is None:
        raise EvidenceError(
            "production needs the evidence of a rehearsal of this kit",
            hint="rehearse it: nox -s staging, or lnm runbook against your staging; then --evidence rehearsal-evidence.dsse.json",
        )
    trust = call.options.trust
    return importlib.import_module("lnm_runner.evidence.judging").require(
        asked.evidence,
        kit=call.kit,
        policy=trust.policy,
        keys=trust.keys,
        now=dt.datetime.now(dt.UTC),
        max_age_days=asked.evidence_max_age_days,
    )


def forecast(call: Call, stage: Stage | None = None) -> list[str]:
    """What the rehearsal's rates say of production; nothing for staging."""
    rehearsal = require(call, stage)
    if rehearsal is None:
        return []
    lines: list[str] = importlib.import_module("lnm_runner.evidence.forecast").lines(rehearsal, counts(call))
    return lines


def counts(call: Call) -> dict[str, int]:
    """What production has to do with: documents and bytes of the database."""
    database = call.server.database
    sizes = database.command("dbStats")
    return {
        "documents": database["advisory_raw"].estimated_document_count(),
        "bytes": int(sizes["dataSize"]),
        "storedBytes": int(sizes["storageSize"]),
    }


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

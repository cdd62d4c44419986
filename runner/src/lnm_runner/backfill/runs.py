"""The runs of 21-102, a row each in `lnm_runs`: what each is about, how it is done, and what became of it (decisions §12).

A row: `_id` (the runId), `sequence` from 1, migration and its digest, inventory `{documents, legacy, root}`, `epoch`, `owner`,
`leaseSeconds` and `settings` of who is at work, `state` (running, done, rolling-back, rolled-back), `report` (its hash) once it
is done, `touched` (how many documents were left) and `forceReason` once it is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson import Int64
from pymongo.client_session import ClientSession

from lnm_runner.lease import Lease
from lnm_runner.mongo import Database

RUNS = "lnm_runs"
FENCE = "21-102"
OF_THE_END = ("report", "touched", "forceReason")
"""What is known of a run once it is done or taken back; one that begins again has none of it."""
RUNNING, DONE, ROLLING_BACK, ROLLED_BACK = "running", "done", "rolling-back", "rolled-back"


def all_of(database: Database) -> list[dict[str, Any]]:
    """Every run, in the order in which they began."""
    return list(database[RUNS].find().sort("sequence", 1))


def standing(database: Database) -> list[dict[str, Any]]:
    """Those that have written something that is not taken back."""
    return [row for row in all_of(database) if row["state"] != ROLLED_BACK]


def begin(lease: Lease, run: str, about: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Writes that this runner is at work on a run; returns its row.

    Raises: LeaseLostError, PyMongoError.
    """
    rows = all_of(lease.database)
    known = next((row for row in rows if row["_id"] == run), None)
    later = max((row["sequence"] for row in rows), default=0) + 1
    sequence = known["sequence"] if known and known["state"] != ROLLED_BACK else later
    row = {
        **about,
        "sequence": sequence,
        "epoch": Int64(lease.epoch),
        "owner": dict(lease.owner),
        "leaseSeconds": lease.lasts_s,
        "settings": dict(settings),
        "state": RUNNING,
    }
    changed(lease, run, row, is_new=known is None, without=OF_THE_END)
    return {"_id": run, **row}


def changed(lease: Lease, run: str, fields: Mapping[str, Any], *, is_new: bool = False, without: Sequence[str] = ()) -> None:
    """Changes fields of a run's row, and takes some away.

    Raises: LeaseLostError, PyMongoError.
    """
    change = {"$set": dict(fields), **({"$unset": dict.fromkeys(without, "")} if without else {})}

    def write(session: ClientSession) -> None:
        lease.database[RUNS].update_one({"_id": run}, change, upsert=is_new, session=session)

    lease.transaction(FENCE, write)

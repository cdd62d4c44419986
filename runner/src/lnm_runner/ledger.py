"""What was applied, by whom, from which kit: the collections `lnm_migrations` and `schema_migrations` (decisions §12).

`lnm_migrations` is ours: one row a migration, the fields of its latest run at the top, earlier runs below `earlier`. Times and
durations are the server's. Legal changes of `state`:

    (none) | applied | failed | rolled-back -> applying     an apply begins
    applying -> applied                                      it came to its end, and a second look found nothing more to do
    applying -> failed                                       it met an error, or was cancelled; applying again goes on
    applying -> applying                                     only by --resume: the runner that began is gone

`schema_migrations` is upstream's (facts 2.2): a row only once a migration is applied. Rows whose id is not ours are left alone.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lnm_runner.errors import DigestMismatchError, LedgerError, LockedError, RunnerError
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Database

LEDGER = "lnm_migrations"
UPSTREAM = "schema_migrations"
OWN = "_lnm_21_"
STATES = ("applying", "applied", "failed", "rolled-back")
RUN_FIELDS = (
    "state", "run", "migrationDigest", "kit", "runner", "owner", "settings", "actions",
    "startedAt", "finishedAt", "durationMs", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One apply of one migration; the answer of `begin`, wanted by whoever ends it."""

    migration: str
    id: str
    """Invented for this run, so that a runner that was taken over cannot end its successor's."""


@dataclass(frozen=True)
class Entry:
    """What the ledger knows of one migration."""

    row: Mapping[str, Any] | None
    is_published: bool
    """True when upstream's collection has its row."""

    @property
    def state(self) -> str:
        """The state, in words."""
        return "not applied" if self.row is None else str(self.row["state"])

    @property
    def is_complete(self) -> bool:
        """True when nothing is left to be written here."""
        return self.state == "applied" and self.is_published


def entry(database: Database, migration: str) -> Entry:
    """Reads both collections. Read-only.

    Raises: LedgerError for a row that was not written by `begin` and `finish`.
    """
    row = database[LEDGER].find_one({"_id": migration})
    if row is not None and not is_well_formed(row):
        raise LedgerError(
            f"{LEDGER}: the row {migration} is none that a runner wrote",
            hint=f"look at it: db.{LEDGER}.findOne({{_id: '{migration}'}}); restore it from the backup",
        )
    return Entry(row, database[UPSTREAM].find_one({"_id": migration}, {"_id": 1}) is not None)


def is_well_formed(row: Mapping[str, Any]) -> bool:
    """True for a row that has what every run writes."""
    texts = all(isinstance(row.get(name), str) for name in ("run", "migrationDigest"))
    return texts and row.get("state") in STATES and isinstance(row.get("startedAt"), dt.datetime)


def check(known: Entry, migration: Migration) -> None:
    """Refuses a migration that is not the one that was applied. Comments count: bytes are compared.

    Raises: DigestMismatchError.
    """
    if known.row is not None and known.state == "applied" and known.row["migrationDigest"] != migration.digest:
        raise DigestMismatchError(migration.id, known.row["migrationDigest"], migration.digest)


def locked(row: Mapping[str, Any]) -> LockedError:
    """The refusal where another runner is, or was, at work."""
    if row["state"] != "applying":
        message = f"{row['_id']} was changed by another runner meanwhile: it is {row['state']}"
        return LockedError(message, hint="run the same command again", facts={"migration": row["_id"], "state": row["state"]})
    owner, since = row.get("owner", {}), row["startedAt"].isoformat(timespec="seconds")
    who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
    return LockedError(
        f"{row['_id']} is being applied by {who} since {since}",
        hint="wait for it; where that process is surely gone, go on with: the same command and --resume",
        facts={"migration": row["_id"], "owner": dict(owner), "since": since},
    )


def begin(database: Database, migration: str, known: Entry, details: Mapping[str, Any]) -> Run:
    """Writes `applying` and the details, before anything else is written.

    It writes only over the row that was seen when the plan was made (`known`): of runners that start together, one begins.

    Raises: LockedError.
    """
    run = Run(migration, uuid.uuid4().hex)
    fields = {"state": "applying", "run": run.id, "owner": {"host": platform.node(), "pid": os.getpid()}, **details}
    earlier = {field: f"${field}" for field in RUN_FIELDS}
    has_run = {"$ne": [{"$type": "$state"}, "missing"]}
    update: list[Mapping[str, Any]] = [
        {"$set": {"earlier": {"$concatArrays": [{"$ifNull": ["$earlier", []]}, {"$cond": [has_run, [earlier], []]}]}}},
        {"$unset": ["finishedAt", "durationMs", "error"]},
        {"$set": {**{field: {"$literal": value} for field, value in fields.items()}, "startedAt": "$$NOW"}},
    ]
    seen = {"_id": migration, "run": known.row["run"] if known.row is not None else {"$exists": False}}
    try:
        database[LEDGER].update_one(seen, update, upsert=True)
    except DuplicateKeyError as err:
        row = database[LEDGER].find_one({"_id": migration})
        raise (locked(row) if row else RunnerError(f"{LEDGER}: the row {migration} came and went")) from err
    return run


def finish(database: Database, run: Run, state: str, error: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ends a run as `applied` or `failed`; returns the row.

    Raises: LockedError where another runner has taken it over.
    """
    duration = {"$toLong": {"$subtract": ["$$NOW", "$startedAt"]}}
    outcome = {"state": {"$literal": state}, **({"error": {"$literal": dict(error)}} if error else {})}
    update: Sequence[Mapping[str, Any]] = [{"$set": {**outcome, "finishedAt": "$$NOW", "durationMs": duration}}]
    mine = {"_id": run.migration, "run": run.id, "state": "applying"}
    row = database[LEDGER].find_one_and_update(mine, update, return_document=ReturnDocument.AFTER)
    if row is None:
        raise LockedError(f"{run.migration} was taken over by another runner", hint="look: lnm status")
    return row


def publish(database: Database, migration: Migration) -> None:
    """Writes upstream's row, unless it is there."""
    row = {"description": migration.summary, "appliedAt": "$$NOW"}
    fresh = {name: {"$ifNull": [f"${name}", value if value == "$$NOW" else {"$literal": value}]} for name, value in row.items()}
    database[UPSTREAM].update_one({"_id": migration.id}, [{"$set": fresh}], upsert=True)


def rows(database: Database) -> list[dict[str, Any]]:
    """Every row of the ledger, in the order of the ids."""
    return list(database[LEDGER].find().sort("_id", 1))


def published(database: Database) -> tuple[list[str], list[str]]:
    """The ids in upstream's collection: ours, and the others'."""
    ids = sorted(str(row["_id"]) for row in database[UPSTREAM].find({}, {"_id": 1}))
    return [name for name in ids if OWN in name], [name for name in ids if OWN not in name]

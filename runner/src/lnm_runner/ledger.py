"""What was applied, by whom, from which kit: the collections `lnm_migrations` and `schema_migrations` (decisions §12).

`lnm_migrations` is ours: one row a migration, the fields of its latest run at the top, earlier runs below `earlier`, and
`made`: all that was ever made for it and not taken back, written down before it is made. Times and durations are the server's.
Every write goes through the fence «ledger» of a lease. Legal changes of `state`, where `direction` is up or back:

    (none) | applied | failed | rolled-back -> applying     an apply begins, or a rollback does
    applying -> applied                                      up: it came to its end, and a second look found nothing more to do
    applying -> rolled-back                                  back: the same
    applying -> failed                                       it met an error, or was cancelled; the same command again goes on
    applying -> applying                                     only by --resume: the runner that began is gone

`schema_migrations` is upstream's (facts 2.2): a row only once a migration is applied, gone again once it is rolled back. Rows
whose id is not ours are left alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from lnm_runner.errors import LedgerError, gathered
from lnm_runner.history import LEDGER, OWN, UPSTREAM, Story
from lnm_runner.lease import COLLECTION, Lease
from lnm_runner.mongo import Database
from lnm_runner.options import LONGEST_TTL_DAYS, Options, Settings
from lnm_runner.things import Thing, from_rows, probe

FENCE = "ledger"
UP, BACK = "up", "back"
STATES = ("applying", "applied", "failed", "rolled-back")
RUN_FIELDS = (
    "state", "direction", "run", "epoch", "migrationDigest", "kit", "runner", "owner", "settings", "actions",
    "startedAt", "finishedAt", "durationMs", "score", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One apply of one migration; the answer of `begin`, wanted by whoever ends it."""

    lease: Lease
    migration: str
    title: str
    """What upstream's collection says of the migration."""


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
    def direction(self) -> str:
        """Where its latest run went."""
        return "" if self.row is None else str(self.row.get("direction", UP))

    @property
    def made(self) -> list[Thing]:
        """All that was made for it, as far as it was written down.

        Raises: LedgerError.
        """
        return from_rows(self.row.get("made", [])) if self.row is not None else []

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
    kept = {"owner": dict, "kit": dict, "error": dict, "settings": dict, "score": dict, "made": list, "finishedAt": dt.datetime}
    fields = all(isinstance(row[name], kind) for name, kind in kept.items() if name in row)
    return texts and fields and row.get("state") in STATES and isinstance(row.get("startedAt"), dt.datetime)


def begin(run: Run, direction: str, details: Mapping[str, Any], things: Sequence[Thing]) -> None:
    """Writes `applying`, the details and the things that will be made, before anything else is written.

    Raises: LeaseLostError, and nothing was written; LedgerError, PyMongoError.
    """
    database, lease = run.lease.database, run.lease
    lease.fence(FENCE)
    known = entry(database, run.migration)
    made = [thing.row() for thing in joined(standing(database, known.made, things), things)]
    fields = {
        "state": "applying",
        "direction": direction,
        "run": lease.run,
        "epoch": lease.epoch,
        "owner": lease.owner,
        **details,
        "made": made,
    }
    earlier = {name: f"${name}" for name in RUN_FIELDS}
    has_run = {"$ne": [{"$type": "$state"}, "missing"]}
    update: list[Mapping[str, Any]] = [
        {"$set": {"earlier": {"$concatArrays": [{"$ifNull": ["$earlier", []]}, {"$cond": [has_run, [earlier], []]}]}}},
        {"$unset": ["finishedAt", "durationMs", "score", "error"]},
        {"$set": {**{name: {"$literal": value} for name, value in fields.items()}, "startedAt": "$$NOW"}},
    ]

    def write(session: ClientSession) -> None:
        database[LEDGER].update_one({"_id": run.migration}, update, upsert=True, session=session)

    lease.transaction(FENCE, write)


def standing(database: Database, before: Sequence[Thing], things: Sequence[Thing]) -> list[Thing]:
    """What was made before, less what an earlier run only meant to make; what will be made now stays for what was there first."""
    now = {thing.id for thing in things}
    return [item.thing for item in probe(database, before) if item.stands or item.thing.id in now or not things]


def joined(before: Sequence[Thing], things: Sequence[Thing]) -> list[Thing]:
    """What was made and what will be, each once: as it is wanted now, and with what was there before the first of them."""
    known = {thing.id: thing for thing in before}
    for thing in things:
        first = known.get(thing.id, thing)
        known[thing.id] = Thing(thing.kind, thing.collection, thing.name, thing.made, first.before)
    return list(known.values())


def finish(run: Run, state: str, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Ends a run as applied, failed or rolled-back, and upstream's row with it; returns the row.

    Raises: LeaseLostError, and nothing was written; PyMongoError.
    """
    database = run.lease.database
    duration = {"$toLong": {"$subtract": ["$$NOW", "$startedAt"]}}
    literal = {name: {"$literal": value} for name, value in {"state": state, **outcome}.items()}
    update: Sequence[Mapping[str, Any]] = [{"$set": {**literal, "finishedAt": "$$NOW", "durationMs": duration}}]
    mine = {"_id": run.migration, "run": run.lease.run, "state": "applying"}

    def write(session: ClientSession) -> dict[str, Any]:
        row = database[LEDGER].find_one_and_update(mine, update, return_document=ReturnDocument.AFTER, session=session)
        if row is None:
            raise LedgerError(f"{LEDGER}: the row {run.migration} is no longer as this run left it", hint="look: lnm doctor")
        if state == "applied":
            publish(run, session)
        if state == "rolled-back":
            database[UPSTREAM].delete_one({"_id": run.migration}, session=session)
        return dict(row)

    return run.lease.transaction(FENCE, write)


def publish(run: Run, session: ClientSession) -> None:
    """Writes upstream's row, unless it is there."""
    row = {"description": {"$literal": run.title}, "appliedAt": "$$NOW"}
    fresh = {name: {"$ifNull": [f"${name}", value]} for name, value in row.items()}
    run.lease.database[UPSTREAM].update_one({"_id": run.migration}, [{"$set": fresh}], upsert=True, session=session)


def republish(run: Run) -> None:
    """Writes upstream's row alone, where it is missing for an applied migration.

    Raises: LeaseLostError, and nothing was written; PyMongoError.
    """
    run.lease.fence(FENCE)
    run.lease.transaction(FENCE, lambda session: publish(run, session))


def require_fit(database: Database) -> None:
    """Refuses collections of ours that cannot hold what is written into them, or that lose it again. Read-only.

    Raises: LedgerError that carries everything that was found.
    """
    found = list(unfit(database))
    if found:
        raise gathered(found)


def unfit(database: Database) -> Iterator[LedgerError]:
    """What is wrong with them."""
    own = (LEDGER, UPSTREAM, COLLECTION)
    for entry in database.list_collections(filter={"name": {"$in": list(own)}}):
        name, options = entry["name"], entry.get("options", {})
        if entry["type"] != "collection" or options.get("capped"):
            kind = "a capped collection" if options.get("capped") else f"a {entry['type']}"
            yield LedgerError(f"{name}: found {kind}, wanted a collection", hint="move what it holds to another name")
            continue
        if options.get("validator") and options.get("validationAction", "error") == "error":
            hint = f'db.runCommand({{collMod: "{name}", validator: {{}}}})'
            yield LedgerError(f"{name}: it has a validator, which may refuse what the runner writes", hint=hint)
        for index in database[name].list_indexes():
            if "expireAfterSeconds" in index:
                hint = f"db.{name}.dropIndex({index['name']!r})"
                yield LedgerError(f"{name}: its rows expire, by the index {index['name']}", hint=hint)


def settings(database: Database, options: Options) -> Settings:
    """The settings of the migrations: where a variable is not set, those of the run that the ledger tells of, else the defaults.

    Raises: InputError.
    """
    kept = [row["settings"].get("eventsTtlDays") for row in rows(database) if isinstance(row.get("settings"), dict)]
    days = [value for value in kept if isinstance(value, int) and 0 <= value <= LONGEST_TTL_DAYS]
    return Settings(days[0]) if days and not options.names_events_ttl else options.settings


def story(database: Database) -> Story:
    """Both collections, as history compares them with a kit. Read-only.

    Raises: LedgerError where they are none that can be written.
    """
    require_fit(database)
    return Story({str(row["_id"]): row for row in rows(database)}, published(database)[0])


def rows(database: Database) -> list[dict[str, Any]]:
    """Every row of the ledger, in the order of the ids."""
    return list(database[LEDGER].find().sort("_id", 1))


def published(database: Database) -> tuple[list[str], list[str]]:
    """The ids in upstream's collection: ours, and the others'."""
    ids = sorted(str(row["_id"]) for row in database[UPSTREAM].find({}, {"_id": 1}))
    return [name for name in ids if OWN in name], [name for name in ids if OWN not in name]

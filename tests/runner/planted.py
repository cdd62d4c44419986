"""What is planted into a backfilled database to see `lnm validate` find it: a row for each kind of fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson import DatetimeMS, ObjectId
from pymongo.database import Database

from tests.runner.backfills import FETCHED, TENANT

Store = Database[dict[str, Any]]
OBS, LS, OBS_EVENTS, LS_EVENTS, TOMBSTONES = (
    "advisory_observations", "advisory_linksets", "advisory_observation_events", "advisory_linkset_events",
    "advisory_linkset_tombstones",
)  # fmt: skip


def alone(database: Store) -> dict[str, Any]:
    """An observation that neither supersedes nor is superseded."""
    replaced = database[OBS].distinct("supersedesId")
    return database[OBS].find_one({"supersedesId": None, "_id": {"$nin": replaced}}, sort=[("_id", 1)]) or {}


def later(database: Store) -> dict[str, Any]:
    """An observation that supersedes one, and is not superseded."""
    replaced = database[OBS].distinct("supersedesId")
    return database[OBS].find_one({"supersedesId": {"$ne": None}, "_id": {"$nin": replaced}}, sort=[("_id", 1)]) or {}


def change(
    collection: str, fields: dict[str, Any], wanted: dict[str, Any] | None = None, *, named: str = "_id"
) -> Callable[[Store], str]:
    """Changes fields of the first document that fits; says the field that names it, or nothing."""

    def plant(database: Store) -> str:
        found = database[collection].find_one(wanted or {}, sort=[("_id", 1)]) or {}
        database[collection].update_one({"_id": found["_id"]}, {"$set": fields}, bypass_document_validation=True)
        return str(found.get(named, ""))

    return plant


def lose(collection: str, wanted: dict[str, Any] | None = None, *, named: str = "_id") -> Callable[[Store], str]:
    """Deletes the first document that fits; says the field that names it."""

    def plant(database: Store) -> str:
        found = database[collection].find_one_and_delete(wanted or {}, sort=[("_id", 1)]) or {}
        return str(found[named])

    return plant


def lose_an_observation(database: Store) -> str:
    identity = alone(database)["_id"]
    database[OBS].delete_one({"_id": identity})
    return str(identity)


def copy(collection: str, **fields: Any) -> Callable[[Store], str]:
    """Adds a document that is like another one."""

    def plant(database: Store) -> str:
        like = database[collection].find_one(sort=[("_id", 1)]) or {}
        database[collection].insert_one({**like, "_id": ObjectId("f" * 24), **fields})
        return "f" * 24

    return plant


def supersede(which: Callable[[Store], dict[str, Any]], by: Callable[[Store, dict[str, Any]], Any]) -> Callable[[Store], str]:
    """Changes the supersedesId of an observation."""

    def plant(database: Store) -> str:
        one = which(database)
        database[OBS].update_one({"_id": one["_id"]}, {"$set": {"supersedesId": by(database, one)}})
        return str(one["_id"])

    return plant


def in_a_circle(database: Store) -> str:
    one = later(database)
    database[OBS].update_one({"_id": one["supersedesId"]}, {"$set": {"supersedesId": one["_id"]}})
    return str(one["_id"])


def hold_a_superseded_one(database: Store) -> str:
    one = later(database)
    held = {"tenantId": one["tenantId"], "observations": one["_id"]}
    database[LS].update_one(held, {"$push": {"observations": one["supersedesId"]}})
    return str(one["supersedesId"])


def hold_it_no_more(database: Store) -> str:
    one = alone(database)
    database[LS].update_many({"observations": one["_id"]}, {"$pull": {"observations": one["_id"]}})
    return str(one["_id"])


def hold_another_tenants(database: Store) -> str:
    one = alone(database)
    found = database[LS].find_one({"tenantId": {"$ne": one["tenantId"]}}, sort=[("_id", 1)]) or {}
    database[LS].update_one({"_id": found["_id"]}, {"$push": {"observations": one["_id"]}})
    return str(one["_id"])


def forget_a_checkpoint(stage: str) -> Callable[[Store], str]:
    def plant(database: Store) -> str:
        database["lnm_checkpoints"].find_one_and_delete({"stage": stage}, sort=[("_id", 1)])
        return ""

    return plant


def tear_a_payload(database: Store) -> str:
    chunk = database["documents.chunks"].find_one(sort=[("_id", 1)]) or {}
    database["documents.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": chunk["data"][:-1] + b"?"}})
    return str(chunk["files_id"])


def lose_an_input(database: Store) -> str:
    one = alone(database)
    found = {"tenant": one["tenantId"], "upstream.content_hash": one["contentHash"]}
    database["advisory_raw"].delete_one(found)
    return str(one["_id"])


@dataclass(frozen=True)
class Fault:
    """A row: what is planted, where, and which equations say so; `said` stands in what the first of them says."""

    name: str
    plant: Callable[[Store], str]
    touches: tuple[str, ...]
    caught_by: tuple[str, ...]
    said: str


UNKNOWN = ObjectId("0" * 24)
SUPERSEDING = {"supersedesId": {"$ne": None}}
SCORED = {"severities.0.score": {"$exists": True}}
FAULTS = (
    Fault("a deleted observation", lose_an_observation, (OBS,), ("observations", "inventory", "events"), "observation is not there"),
    Fault("a changed byte", change(OBS, {"summary": "Better"}), (OBS,), ("hashes",), "not as they were written"),
    Fault("a changed date", change(OBS, {"provenance.fetchedAt": FETCHED}), (OBS,), ("hashes",), "observationHash is"),
    Fault("a field more", change(LS_EVENTS, {"x": 1}), (LS_EVENTS,), ("hashes",), "not as they were written"),
    Fault("an id that is not its own", copy(TOMBSTONES, legacyAdvisoryKey="K"), (TOMBSTONES,), ("tombstones", "hashes"), "no merged"),
    Fault("an orphan linkset", copy(LS, advisoryId="K", observations=[UNKNOWN]), (LS,), ("observations", "events", "hashes"), str(UNKNOWN)),
    Fault("a linkset of others", copy(LS, advisoryId="K"), (LS,), ("observations", "events", "hashes"), "of their own advisory"),
    Fault("another tenant's", hold_another_tenants, (LS,), ("observations", "hashes"), "another tenant"),
    Fault("a lost linkset", lose(LS, {"observations": {"$size": 2}}), (LS,), ("observations", "events", "tombstones"), "linksets were written"),
    Fault("a superseded one that is linked", hold_a_superseded_one, (LS,), ("linksets", "hashes"), "superseded observations"),
    Fault("one that is linked no more", hold_it_no_more, (LS,), ("linksets", "observations", "hashes"), "are in no linkset"),
    Fault("a missing event", lose(OBS_EVENTS, named="observationId"), (OBS_EVENTS,), ("events",), "observations have no event"),
    Fault("a missing event of a linkset", lose(LS_EVENTS, named="linksetId"), (LS_EVENTS,), ("events",), "linksets have no event"),
    Fault("an extra event", copy(OBS_EVENTS, observationHash="sha256:0"), (OBS_EVENTS,), ("events", "hashes"), "f" * 24),
    Fault("an extra event of a linkset", copy(LS_EVENTS, advisoryId="K"), (LS_EVENTS,), ("events", "hashes"), "f" * 24),
    Fault("an eventId", change(LS_EVENTS, {"eventId": "0"}, named="linksetId"), (LS_EVENTS,), ("events", "hashes"), "linksets have no event"),
    Fault("it supersedes nothing", supersede(alone, lambda *_: UNKNOWN), (OBS,), ("revisions", "hashes"), str(UNKNOWN)),
    Fault("a circle", in_a_circle, (OBS,), ("revisions", "linksets", "hashes"), "in a circle"),
    Fault(
        "it supersedes another advisory's", supersede(later, lambda store, _: alone(store)["_id"]), (OBS,),
        ("revisions", "linksets", "hashes"), "another advisory's",
    ),
    Fault("a wrong revision", change(OBS, {"observationId": f"{TENANT}:1"}), (OBS,), ("revisions", "hashes"), f"{TENANT}:1 not urn:"),
    Fault("an int for a long", change(OBS_EVENTS, {"replayCursor": 5}), (OBS_EVENTS,), ("types", "hashes"), "replayCursor (int)"),
    Fault("an int for a double", change(OBS, {"severities.0.score": 7}, SCORED), (OBS,), ("types", "hashes"), "severities (array)"),
    Fault("a date as text", change(OBS_EVENTS, {"ingestedAt": "2025-01-01"}), (OBS_EVENTS,), ("types", "hashes"), "ingestedAt (string)"),
    Fault("a date of no year", change(LS, {"createdAt": DatetimeMS(10**15)}), (LS,), ("types", "hashes"), "a date out of range"),
    Fault("an id as text", change(TOMBSTONES, {"linksetIds": ["0" * 24]}), (TOMBSTONES,), ("types", "tombstones", "hashes"), "linksetIds"),
    Fault("a forbidden field", change(OBS, {"severity": 9.8}), (OBS,), ("derived fields", "hashes"), "severity"),
    Fault("a forbidden field of raw", change("advisory_raw", {"effective_range": 1}), ("advisory_raw",), ("derived fields",), "effective_range"),
    Fault("a reason", change(TOMBSTONES, {"reason": "raw-missing"}, {"linksetIds.0": {"$exists": True}}), (TOMBSTONES,), ("tombstones", "hashes"), "says raw-missing, not"),
    Fault("a lost tombstone", lose(TOMBSTONES, named="legacyId"), (TOMBSTONES,), ("tombstones",), "have no tombstone"),
    Fault("it leads nowhere", change(TOMBSTONES, {"linksetIds": [UNKNOWN]}), (TOMBSTONES,), ("tombstones", "hashes"), "not there"),
    Fault("a merged document", change("advisory", {"x": 1}, named=""), ("advisory",), ("inventory",), "the inventory's root"),
    Fault("a lost input", lose_an_input, ("advisory_raw",), ("inventory",), "not there any more"),
    Fault("a lost checkpoint", forget_a_checkpoint("observations"), ("lnm_checkpoints",), ("hashes", "inventory", "report"), "no checkpoint tells"),
    Fault("a lost checkpoint of linksets", forget_a_checkpoint("linksets"), ("lnm_checkpoints",), ("hashes", "report"), "no checkpoint tells"),
    Fault("the report's hash", change("lnm_runs", {"report": "sha256:0"}), ("lnm_runs",), ("report",), "made anew"),
    Fault("a run that goes on", change("lnm_runs", {"state": "running"}), ("lnm_runs",), ("runs",), "is running"),
    Fault("the ledger", change("lnm_migrations", {"state": "failed"}, {"_id": {"$regex": "102"}}), ("lnm_migrations",), ("runs",), "is failed"),
    Fault("a torn payload", tear_a_payload, ("documents.chunks",), ("hashes",), "payloads in GridFS"),
)  # fmt: skip

"""`lnm validate`: a healthy backfill passes; each planted fault is found by the equation that should, and by few others."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bson import CodecOptions, DatetimeMS, ObjectId, json_util
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from tests.runner.backfills import FETCHED, TENANT, Ready, legacy, raw
from tests.runner.fixtures import fresh_site, operators, watched
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod
from tests.runner.test_backfill import demo, ready
from tests.runner.wheel import module

__all__ = ["demo", "ready"]
pytestmark = pytest.mark.mongod

Store = Database[dict[str, Any]]
OBS, LS, OBS_EVENTS, LS_EVENTS, TOMBSTONES = (
    "advisory_observations", "advisory_linksets", "advisory_observation_events", "advisory_linkset_events",
    "advisory_linkset_tombstones",
)  # fmt: skip
NAMES = [
    "runs", "inventory", "linksets", "observations", "events", "revisions", "hashes", "derived fields", "types", "schema", "tombstones",
    "report", "balance",
]  # fmt: skip
RAW = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True)
class Done:
    """A backfill that is done, and the modules of the wheel that look at it."""

    ready: Ready
    look: Any
    validate: Any
    runs: Any
    proof: Any

    @property
    def database(self) -> Store:
        """As root."""
        return self.ready.database

    def report_hash(self) -> str:
        """Of the report, made anew."""
        found: str = self.proof.report_hash(self.database, self.runs.standing(self.database)[0])
        return found


@pytest.fixture(scope="module")
def done(server: Mongod, kit: Kit, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """The invented corpus, backfilled once; every test puts back what it has changed, which is looked at in the end."""
    parts = (
        "kit",
        "migrations",
        "mongo",
        "options",
        "validation.findings",
        "commands.validate",
        "backfill.runs",
        "validation.proof",
    )
    opened, migrations, mongo, options, findings, validate, runs, proof = (
        module(program, f"lnm_runner.{part}") for part in parts
    )
    with fresh_site(server, kit) as site:
        module(program, "lnm_runner.demo").seed(site.database)
        lnm = operators(program, kit, site)
        lnm.apply()
        site.add_user("validator", "lnmValidate")
        made = Ready(site, lnm, tmp_path_factory.mktemp("state"))
        made.backfill()
        asked = options.Options(database=site.database.name, kit=kit.folder, environment=made.variables("validator"))
        verified = opened.open_kit(kit.folder, (kit.key,))
        deliveries = [migrations.chosen(verified, delivery)[0] for delivery in ("21-101", "21-102")]
        with mongo.connect(asked) as connected:
            yield Done(made, findings.Look(connected, *deliveries, asked, ()), validate, runs, proof)
        assert verdicts(made, "--full") == HEALTHY


def validated(ready: Ready, *arguments: str, wanted: int = 0) -> dict[str, Any]:
    """What `lnm validate --json` prints, as a user who has lnmValidate alone."""
    if "validator" not in ready.site.passwords:
        ready.site.add_user("validator", "lnmValidate")
    given: tuple[str | Path, ...] = ("--kit", ready.lnm.kit.folder, *arguments)
    return ready.lnm("validate", "--json", *given, wanted=wanted, **ready.variables("validator")).json


def verdicts(ready: Ready, *arguments: str) -> dict[str, str]:
    """Of each equation, where none fails."""
    return {one["equation"]: one["verdict"] for one in validated(ready, *arguments)["equations"]}


HEALTHY = dict.fromkeys(NAMES, "holds") | {"balance": "told"}


def failed(done: Done) -> dict[str, str]:
    """`{equation: its defects}` of those that fail, without a process for each fault."""
    rows = tuple(done.runs.standing(done.database))
    found, _ = done.validate.examined(dataclasses.replace(done.look, runs=rows))
    assert [one.name for one in found] in (NAMES, NAMES[:1])
    return {one.name: " ".join(defect.line() for defect in one.finding.defects) for one in found if one.verdict == "fails"}


@contextlib.contextmanager
def kept(database: Store, *collections: str) -> Iterator[None]:
    """Puts collections back as they were, byte for byte."""
    before = {name: list(database.get_collection(name, RAW).find()) for name in collections}
    try:
        yield
    finally:
        for name, documents in before.items():
            target = database.get_collection(name, RAW)
            target.delete_many({})
            if documents:
                target.insert_many(documents, bypass_document_validation=True)


def test_a_healthy_database_passes_and_nothing_is_written(done: Done) -> None:
    ready = done.ready
    with watched(ready.site.server) as writes:
        answer = validated(ready)
        full = validated(ready, "--full")
        said = ready.lnm("validate", "--kit", ready.lnm.kit.folder, **ready.variables("validator")).stdout.splitlines()

    assert writes.oplog == []
    for found in (answer, full):
        assert {one["equation"]: one["verdict"] for one in found["equations"]} == HEALTHY
    assert (answer["full"], full["full"]) == (False, True)
    assert answer["others"] == {"observations": 0, "linksets": 0, "events": 0, "tombstones": 0}
    assert len(said) == len(NAMES) + 4
    assert said[1].startswith("holds   inventory: 619 keys have become observations, 0 documents failed")
    assert said[-2].startswith("13 equations, none fails: 3,341 documents, ")
    assert said[-1] == "Nothing was written."
    assert list(ready.state.glob("validate-*")) == [], "the work file is gone"


# ---- one fault of each kind


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


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_found_by_the_equation_that_should_and_by_few_others(done: Done, fault: Fault) -> None:
    with kept(done.database, *fault.touches):
        name = fault.plant(done.database)
        found = failed(done)

    assert set(found) == set(fault.caught_by)
    assert fault.said in found[fault.caught_by[0]]
    assert name in found[fault.caught_by[0]]


def test_what_fails_is_printed_with_all_that_was_found(done: Done) -> None:
    ready = done.ready
    with kept(done.database, OBS, "advisory_raw"):
        name = change(OBS, {"severity": 1})(done.database)
        lose("advisory_raw")(done.database)
        answer = validated(ready, wanted=2)
        said = ready.lnm("validate", "--kit", ready.lnm.kit.folder, wanted=2, **ready.variables("validator"))

    found = {one["equation"]: one for one in (answer["error"], *answer["others"])}
    assert list(found) == ["inventory", "hashes", "derived fields"]
    assert [one["equation"] for one in answer["error"]["equations"]] == NAMES
    assert found["derived fields"]["defects"] == [
        {"found": f"1 documents of {OBS} have derived fields", "wanted": "none at the top", "examples": [f"{name} severity"]}
    ]
    assert "lnm rollback 21-102 --execute" in found["hashes"]["hint"]
    assert said.stdout == ""
    assert said.stderr.count("error: ") == 3
    assert said.stderr.count("\nholds   ") == 9


SCHEMA_FAULTS: tuple[tuple[str, Callable[[Store], Any], Callable[[Store], Any]], ...] = (
    (
        "lnm_obs_purl",
        lambda store: store[OBS].drop_index("lnm_obs_purl"),
        lambda store: store[OBS].create_index([("tenantId", 1), ("affected.purl", 1)], name="lnm_obs_purl"),
    ),
    (
        "lnm_obs_events_ttl",
        lambda store: store.command("collMod", OBS_EVENTS, index={"name": "lnm_obs_events_ttl", "expireAfterSeconds": 86_400}),
        lambda store: store.command("collMod", OBS_EVENTS, index={"name": "lnm_obs_events_ttl", "expireAfterSeconds": 7_776_000}),
    ),
    (
        LS,
        lambda store: store.command("collMod", LS, validator={"tenantId": {"$exists": True}}),
        lambda store: store.command("collMod", LS, validator=VALIDATOR),
    ),
)
VALIDATOR: dict[str, Any] = {}


@pytest.mark.parametrize(("name", "plant", "mend"), SCHEMA_FAULTS, ids=["index", "expiry", "validator"])
def test_a_schema_that_was_changed_is_found(
    done: Done, name: str, plant: Callable[[Store], Any], mend: Callable[[Store], Any]
) -> None:
    (options,) = done.database.list_collections(filter={"name": LS})
    VALIDATOR.update(options["options"]["validator"])

    plant(done.database)
    try:
        found = failed(done)
    finally:
        mend(done.database)

    assert list(found) == ["schema"]
    assert name in found["schema"]


def test_five_are_named_and_all_are_counted(done: Done) -> None:
    with kept(done.database, OBS_EVENTS):
        done.database[OBS_EVENTS].delete_many({})
        found = failed(done)

    assert list(found) == ["events"]
    assert found["events"].startswith("619 observations have no event: ")
    assert found["events"].count("; ") == 4


# ---- what is no fault


def test_what_came_late_is_told_apart_from_what_was_lost(done: Done) -> None:
    """By the inventory's root over all the others: no date in a document would do."""
    with kept(done.database, "advisory_raw", "advisory"):
        done.database["advisory_raw"].insert_many([raw("GHSA-late"), raw("AAA-late", source__vendor="aaa")])
        done.database["advisory"].insert_one(legacy("CVE-late"))
        found, _ = done.validate.examined(dataclasses.replace(done.look, runs=tuple(done.runs.standing(done.database))))

    assert {one.name: one.verdict for one in found} == HEALTHY
    said = {one.name: one.finding.said for one in found}
    assert said["inventory"].endswith("619 documents of the inventory; 2 came behind it")
    assert said["tombstones"].endswith("1 came behind the inventory")


def test_an_early_document_that_nothing_tells_of_is_not_late(done: Done) -> None:
    """Its checkpoint and its observation are gone together, and the report's hash was made to fit."""
    with kept(done.database, OBS, OBS_EVENTS, "lnm_checkpoints", "lnm_runs"):
        report = done.report_hash()
        row = done.database["lnm_checkpoints"].find_one({"stage": "observations"}, sort=[("_id", -1)]) or {}
        done.database["lnm_checkpoints"].delete_one({"_id": row["_id"]})
        assert report != done.report_hash()
        done.database["lnm_runs"].update_one({}, {"$set": {"report": done.report_hash()}})
        found = failed(done)

    assert set(found) == {"inventory", "hashes"}
    assert "nothing tells of advisory_raw:" in found["inventory"]


def test_what_users_have_added_is_counted_and_not_judged(done: Done) -> None:
    mine = {"tenantId": TENANT, "advisoryId": "X", "source": "x"}
    strange = {**mine, "affected": [], "provenance": {}, "ingestedAt": FETCHED}
    with kept(done.database, OBS, LS, OBS_EVENTS):
        done.database[OBS].insert_one({**strange, "severity": "x", "supersedesId": UNKNOWN})
        done.database[LS].insert_one({**mine, "observations": [UNKNOWN], "provenance": {}, "createdAt": FETCHED})
        done.database[OBS_EVENTS].insert_one({**mine, "replayCursor": 1})
        answer = validated(done.ready)

    assert {one["equation"]: one["verdict"] for one in answer["equations"]} == HEALTHY
    assert answer["others"] == {"observations": 1, "linksets": 1, "events": 1, "tombstones": 0}


def test_a_published_event_is_as_it_was_written(done: Done) -> None:
    with kept(done.database, OBS_EVENTS, LS_EVENTS):
        for name in (OBS_EVENTS, LS_EVENTS):
            done.database[name].update_many({}, {"$currentDate": {"publishedAt": True}})
        assert failed(done) == {}
        done.database[OBS_EVENTS].update_one({}, {"$set": {"ingestedAt": FETCHED}})
        assert set(failed(done)) == {"hashes"}


# ---- runs of other kinds


def test_without_a_run_there_is_nothing_to_validate(ready: Ready) -> None:
    answer = validated(ready, wanted=4)

    assert answer["error"]["message"].endswith("no run of 21-102 stands here")


def test_inputs_that_failed_and_twins_are_accounted_for(ready: Ready) -> None:
    first, bad = raw("GHSA-1", "CVE-1"), raw("GHSA-2", content__format="XML")
    twin = {**first, "_id": "twin", "source": {**first["source"], "vendor": "OSV"}}
    spoiled = {**bad, "_id": "spoiled", "source": {**bad["source"], "vendor": "OSV"}}
    derived, homeless = raw("GHSA-3", severity=9), raw("GHSA-4", tenant=None)
    circle = raw("GHSA-5", supersedes="nothing")
    ready.database["advisory_raw"].insert_many([first, bad, twin, spoiled, derived, homeless, circle])
    ready.database["advisory"].insert_many([legacy("CVE-1"), legacy("CVE-2"), {"_id": 1}, legacy("CVE-1", _id=2)])
    ready.backfill(wanted=3)

    answer = validated(ready, "--full")

    shipped(ready.lnm.kit, "backfill-report").validate(ready.report())
    said = {one["equation"]: one["found"] for one in answer["equations"]}
    assert {one["equation"]: one["verdict"] for one in answer["equations"]} == HEALTHY
    assert said["inventory"].startswith(
        "1 keys have become observations, 5 documents failed, 1 had the key of another: 7 documents"
    )
    assert said["tombstones"].startswith("2 merged documents have their tombstone, 2 could have none, ")


def test_a_later_run_and_one_that_was_taken_back(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=60)
    ready.backfill()
    known = ready.database["advisory_raw"].find_one({"supersedes": None, "content.raw": {"$ne": None}}, sort=[("_id", 1)]) or {}
    changed = {**known, "_id": "revised", "supersedes": known["_id"]}
    changed["upstream"] = {**known["upstream"], "content_hash": f"sha256:{'a' * 64}"}
    ready.database["advisory_raw"].insert_many([changed, raw("GHSA-new")])
    ready.database["advisory"].insert_one(legacy("GHSA-new"))
    ready.backfill()

    shipped(ready.lnm.kit, "advisory-linkset-event").validate(
        relaxed(ready.database[LS_EVENTS].find_one({"delta.type": "updated"}) or {})
    )
    answer = validated(ready, "--full")
    assert len(answer["runs"]) == 2
    assert {one["equation"]: one["verdict"] for one in answer["equations"]} == HEALTHY

    ready.rollback()
    assert validated(ready, wanted=4)["error"]["type"] == "NotFoundError"
    ready.backfill()
    assert verdicts(ready, "--full") == HEALTHY


def test_what_a_rollback_had_to_leave_is_somebody_elses(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("GHSA-1"), raw("GHSA-2")])
    ready.backfill()
    ready.database[OBS].update_one({"advisoryId": "GHSA-1"}, {"$set": {"contentHash": "mine"}})
    ready.database[OBS_EVENTS].update_one({"advisoryId": "GHSA-2"}, {"$set": {"x": 1}})
    ready.rollback(wanted=3)
    ready.backfill(wanted=3)

    answer = validated(ready, "--full")

    said = {one["equation"]: one["found"] for one in answer["equations"]}
    assert {one["equation"]: one["verdict"] for one in answer["equations"]} == HEALTHY
    assert said["inventory"].startswith("0 keys have become observations, 2 documents failed, ")
    assert (answer["others"]["observations"], answer["others"]["events"]) == (1, 1)


# ---- shards


def shard(name: str, owned: int, orphans: int = 0) -> dict[str, Any]:
    """As $shardedDataDistribution tells of one (MongoDB manual)."""
    return {
        "shardName": name,
        "numOrphanedDocs": orphans,
        "numOwnedDocuments": owned,
        "ownedSizeBytes": 1,
        "orphanedSizeBytes": 1,
    }


@pytest.mark.parametrize(
    ("shards", "verdict", "spread"),
    [
        ([shard("a", 5_500), shard("b", 4_500)], "holds", 0.2),
        ([shard("a", 5_501), shard("b", 4_499)], "fails", 0.2004),
        ([shard("a", 5_000, 9_000), shard("b", 5_000)], "holds", 0.0),
        ([shard("a", 4_999), shard("b", 5_000)], "told", 0.0002),
        ([shard("a", 10_000)], "fails", 2.0),
        ([], "told", 0.0),
    ],
    ids=["even", "uneven", "orphans", "few", "all on one", "none"],
)
def test_shards_are_weighed_by_what_they_own(program: Path, shards: list[dict[str, Any]], verdict: str, spread: float) -> None:
    cluster, equations = (module(program, f"lnm_runner.validation.{name}") for name in ("cluster", "equations"))

    finding = cluster.weighed(cluster.balances([{"ns": "c.advisory_linksets", "shards": shards}], ("a", "b")))

    assert equations.Checked("balance", "", finding).verdict == verdict
    assert finding.facts == {"spread": {"c.advisory_linksets": spread}}


def test_one_shard_alone_is_not_judged(program: Path) -> None:
    cluster = module(program, "lnm_runner.validation.cluster")

    assert not cluster.weighed(cluster.balances([{"ns": "c.x", "shards": [shard("a", 20_000)]}], ("a",))).is_judged


def test_a_document_of_the_wrong_kind_is_told_and_breaks_nothing(program: Path) -> None:
    recomputed = module(program, "lnm_runner.validation.recomputed")

    for collection in recomputed.RULES:
        for document in (
            {},
            {"_id": 1},
            dict.fromkeys(("_id", "tenantId", "provenance", "observations", "replayCursor", "delta"), 1),
        ):
            assert recomputed.wrong(collection, document)[0].startswith("nothing follows from it (")


# ---- the schemas that ship


FORMS = {
    OBS: "advisory-observation",
    LS: "advisory-linkset",
    OBS_EVENTS: "advisory-observation-event",
    LS_EVENTS: "advisory-linkset-event",
    TOMBSTONES: "advisory-linkset-tombstone",
}


def shipped(kit: Kit, name: str) -> jsonschema.Draft202012Validator:
    """A schema of the kit."""
    text = json.loads((kit.folder / f"migrations/21-102/schemas/{name}.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(text)
    assert text["$id"].endswith(f"/{name}/1")
    return jsonschema.Draft202012Validator(text)


def relaxed(document: dict[str, Any]) -> Any:
    """A document in the form that the schemas are about."""
    return json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))


@pytest.mark.parametrize("collection", FORMS)
def test_what_is_written_follows_its_schema_which_allows_nothing_else(
    done: Done, kit: Kit, program: Path, collection: str
) -> None:
    wanted = shipped(kit, FORMS[collection])

    documents = [relaxed(one) for one in done.database[collection].find()]
    for document in documents:
        wanted.validate(document)

    assert not wanted.is_valid({**documents[0], "x": 1})
    for name in wanted.schema["required"]:
        assert not wanted.is_valid({key: value for key, value in documents[0].items() if key != name}), name
    typed = module(program, "lnm_runner.validation.forms").FORMS[collection]
    assert set(typed["properties"]) == set(wanted.schema["properties"])
    assert set(typed["required"]) == set(wanted.schema["required"])


def test_the_report_follows_its_schema(done: Done, kit: Kit) -> None:
    wanted, said = shipped(kit, "backfill-report"), done.ready.report()

    wanted.validate(said)
    assert not wanted.is_valid({**said, "durationMs": 1})
    for name in wanted.schema["required"]:
        assert not wanted.is_valid({key: value for key, value in said.items() if key != name}), name

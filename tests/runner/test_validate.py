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
from bson import CodecOptions, json_util
from bson.raw_bson import RawBSONDocument

from tests.runner.backfills import FETCHED, TENANT, Ready, legacy, raw
from tests.runner.fixtures import fresh_site, operators, watched
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod
from tests.runner.planted import FAULTS, LS, LS_EVENTS, OBS, OBS_EVENTS, TOMBSTONES, UNKNOWN, Fault, Store, change, lose
from tests.runner.test_backfill import demo, ready
from tests.runner.wheel import module

__all__ = ["demo", "ready"]
pytestmark = pytest.mark.mongod

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
        verified = opened.open_kit(kit.folder, opened.Trust(None, (kit.key,)))
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

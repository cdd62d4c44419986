"""What second eyes must see after each step of a rehearsal: each function returns it in words, or raises a RehearsalError.

They look with the driver alone, at the database and at the files of the journal's folder.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from scripts.staging import eyes
from scripts.staging.eyes import OF_THE_RUNNER, Picture
from scripts.staging.scene import EVENTS, RehearsalError, Scene, require

WRITE_BLOCKED = 371  # UserWritesBlocked, mongo/src/mongo/base/error_codes.yml
SWITCHES_OF_NOW = ("lnm_lease", "lnm_settings")
"""What a restore leaves as it is."""
OUTBOXES = ("advisory_observation_events", "advisory_linkset_events")
MADE = {
    "observations": ("advisory_observations",),
    "linksets": ("advisory_linksets",),
    "events": OUTBOXES,
    "tombstones": ("advisory_linkset_tombstones",),
}
"""`{what 21-102 counts: where it lies}`"""
LNM = frozenset(name for names in MADE.values() for name in names) | {"lnm_object_map"}
"""The collections of 21-101."""
LARGEST_RECEIPT, LARGEST_REPORT = 2000, 1_000_000
"""Bytes."""
EVIDENCE = "rehearsal-evidence.dsse.json"
PROBE = "lnm_staging_probe"
PROOF = "_lnm_proof"


def product(scene: Scene) -> Picture:
    """All but what the runner keeps for itself."""
    return eyes.picture(scene.database)


def given(scene: Scene) -> Picture:
    """What was there before any migration: neither the runner's nor that of 21-101."""
    return eyes.picture(scene.database, without=OF_THE_RUNNER | LNM)


def untouched(scene: Scene) -> str:
    """What the product has stored is as it was when it was frozen."""
    scene.require_same("given", given(scene), "what the product has stored must be as it was")
    return f"{sum(seen.documents for seen in scene.pictures['given'].values()):,} documents of the product, all as they were"


def looked_at(scene: Scene) -> str:
    """Preflight has made nothing of its own."""
    made = sorted(OF_THE_RUNNER & set(scene.database.list_collection_names()))
    return f"of the runner's collections there are: {', '.join(made) or 'none'}"


def outcome_of_a_write(scene: Scene) -> int:
    """The error code that an ordinary user's write meets; 0 where it goes through, and is taken back."""
    if scene.product is None:
        raise RehearsalError("there is no ordinary user to try a write with")
    try:
        made = scene.product[PROBE].insert_one({"by": "staging"}).inserted_id
    except OperationFailure as err:
        return int(err.code or 0)
    scene.product[PROBE].delete_one({"_id": made})
    scene.product.drop_collection(PROBE)
    return 0


def frozen(scene: Scene) -> str:
    """An ordinary write is refused by the server; from now on everything is compared with what is there now."""
    marker = scene.database["lnm_settings"].find_one({"_id": "ingest"}) or {}
    require(holds=marker.get("enabled") is False, words="the marker for the application must say that ingestion is off")
    if scene.product is not None:
        code = outcome_of_a_write(scene)
        require(holds=code == WRITE_BLOCKED, words=f"a write of the product must be refused with {WRITE_BLOCKED}, it was {code}")
    whole = eyes.picture(scene.database, without=SWITCHES_OF_NOW)
    scene.pictures.setdefault("whole", whole)
    return f"{untouched(scene)}; {'no ordinary user to try' if scene.product is None else 'a write of the product is refused'}"


def backed_up(scene: Scene) -> str:
    """The backup counts what the server counts, but for what a restore leaves as it is."""
    said = scene.said("backup")
    whole = eyes.picture(scene.database, without=SWITCHES_OF_NOW)
    documents = sum(seen.documents for seen in whole.values())
    require(
        holds=(said["collections"], said["documents"]) == (len(whole), documents),
        words=f"the backup says {said['collections']} collections and {said['documents']} documents, "
        f"the database has {len(whole)} and {documents}",
    )
    return f"{len(whole)} collections, {documents:,} documents, {said['storedBytes']:,} bytes stored; {untouched(scene)}"


def proven(scene: Scene) -> str:
    """The scratch database is gone, and what was restored into it is what the backup holds."""
    proof, backup = scene.said("prove-backup"), scene.said("backup")
    require(holds=proof["equal"] is True, words="prove-backup must say equal")
    for name in ("collections", "documents", "bytes"):
        require(holds=proof[name] == backup[name], words=f"prove-backup counts other {name} than the backup")
    left = [name for name in scene.database.client.list_database_names() if name.endswith(PROOF)]
    require(holds=not left, words=f"the scratch database must be gone, and is there: {', '.join(left)}")
    return f"restored and compared: {proof['documents']:,} documents; the scratch database is gone; {untouched(scene)}"


def applied(scene: Scene) -> str:
    """The collections of 21-101 are there and empty, each time with the same options and indexes."""
    now = product(scene)
    require(holds=set(now) >= LNM, words=f"not there after 21-101: {', '.join(sorted(LNM - set(now)))}")
    filled = sorted(name for name in LNM if now[name].documents)
    require(holds=not filled, words=f"21-101 must write no document, found some in {', '.join(filled)}")
    scene.require_same("applied", now, "the database must be as after the first time that 21-101 was applied")
    return f"{len(LNM)} empty collections beside those of the product; {untouched(scene)}"


def filled(scene: Scene) -> str:
    """What the journal counts is there, and each run makes the same bytes."""
    said = scene.said("backfill-21-102")
    for what, names in MADE.items():
        there = sum(eyes.counts(scene.database, names).values())
        require(holds=there == said[what], words=f"the backfill says {said[what]} {what}, the database has {there}")
    scene.require_same("filled", product(scene), "a backfill must make the same bytes each time")
    return f"{', '.join(f'{said[what]:,} {what}' for what in MADE)}; {untouched(scene)}"


def as_filled(scene: Scene) -> str:
    """Nothing has changed since the backfill."""
    same = scene.require_same("filled", product(scene), "nothing may have changed since the backfill")
    return f"{same} since the backfill"


def taken_back(scene: Scene) -> str:
    """The database is as it was before the backfill."""
    scene.require_same("applied", product(scene), "after the rollback the database must be as before the backfill")
    said = scene.said("rollback-21-102")
    require(holds=said["equalsBefore"] is True, words="rollback-21-102 must say that all is as before")
    return f"as before the backfill, in every collection; {said['removed']:,} documents removed"


def restored(scene: Scene) -> str:
    """The database is as it was when the backup was made, the runner's own collections included."""
    whole = eyes.picture(scene.database, without=SWITCHES_OF_NOW)
    scene.require_same("whole", whole, "after the restore the database must be as at the backup")
    said, backup = scene.said("restore"), scene.said("backup")
    for name in ("collections", "documents"):
        require(holds=said[name] == backup[name], words=f"restore counts {said[name]} {name}, the backup {backup[name]}")
    return f"as at the backup, in all {len(whole)} collections; {said['documents']:,} documents restored"


def switched_on(scene: Scene) -> str:
    """The switch of the publishers is on, and nothing is published yet."""
    switch = scene.database["lnm_settings"].find_one({"_id": "outbox"}) or {}
    require(holds=switch.get("enabled") is True, words="the switch of the outbox must be on")
    return f"the switch is on, {pending(scene):,} events wait; {as_filled(scene)}"


def thawed(scene: Scene) -> str:
    """An ordinary write goes through again."""
    marker = scene.database["lnm_settings"].find_one({"_id": "ingest"}) or {}
    require(holds=marker.get("enabled") is True, words="the marker for the application must say that ingestion is on")
    if scene.product is not None:
        code = outcome_of_a_write(scene)
        require(holds=code == 0, words=f"a write of the product must go through again, it was refused with {code}")
        return f"a write of the product goes through again; {as_filled(scene)}"
    scene.others_write = True
    return "from now on the product may write"


def pending(scene: Scene) -> int:
    """Rows of both outboxes that nobody has published."""
    return sum(scene.database[name].count_documents({"publishedAt": None}) for name in OUTBOXES)


def published(scene: Scene) -> str:
    """Every event is stamped, and was written exactly once."""
    events = [json.loads(line)["eventId"] for line in scene.left(EVENTS).splitlines()]
    stored = [str(row["eventId"]) for name in OUTBOXES for row in scene.database[name].find({}, {"eventId": True})]
    require(holds=len(set(events)) == len(events), words="an event was published twice")
    is_whole = set(events) <= set(stored) if scene.others_write else sorted(events) == sorted(stored)
    require(holds=is_whole, words=f"{len(stored)} events are stored, {len(events)} were published")
    require(holds=scene.others_write or pending(scene) == 0, words=f"{pending(scene)} events are not stamped")
    scene.require_same("published", product(scene), "nothing else has happened")
    return f"{len(events):,} events, each once; {unchanged_apart_from_stamps(scene)}"


def unchanged_apart_from_stamps(scene: Scene) -> str:
    """Beside the outboxes nothing has changed since the backfill."""
    if scene.others_write:
        return "the product may write, so nothing is compared"
    now = {name: seen for name, seen in product(scene).items() if name not in OUTBOXES}
    before = {name: seen for name, seen in scene.pictures["filled"].items() if name not in OUTBOXES}
    found = eyes.differences(before, now)
    require(holds=not found, words=f"only the outboxes may have changed since the backfill: {'; '.join(found)}")
    return "beside the outboxes nothing has changed since the backfill"


def calm(scene: Scene) -> str:
    """The watch has ended well."""
    said = scene.said("watch")
    require(holds=said["errors"] == 0 and said["backlog"] == 0, words="the watch must end with no error and no backlog")
    same = scene.require_same("published", product(scene), "a watch changes nothing")
    return f"calm for {said['calmMs'] / 1000:.0f} s, no errors, no backlog; {same}"


def refused(scene: Scene) -> str:
    """The rollback of what was published was refused and has changed nothing."""
    said = scene.said("rollback-21-102", "refused")
    require(holds=said["why"] == "published", words=f"the rollback must be refused for what was published, not {said['why']}")
    same = scene.require_same("published", product(scene), "a rollback that is refused must change nothing")
    return f"refused, as events are published; {same}"


def absent(scene: Scene) -> str:
    """A stage whose delivery is not in the kit has done nothing."""
    return scene.require_same("published", product(scene), "a stage that is absent must change nothing")


def evident(scene: Scene) -> str:
    """The evidence is there, and says of every stage what the journal does."""
    statement = statement_of(scene)
    stated = {row["name"]: row["state"] for row in statement["predicate"]["stages"]}
    open_stages = sorted(name for name, state in stated.items() if state not in {"done", "skipped", "absent"})
    require(holds=not open_stages, words=f"the evidence has stages that are not done: {', '.join(open_stages)}")
    proofs = statement["predicate"]["proofs"]
    require(holds=proofs["rollback-refused"] is True, words="the evidence must show that a late rollback is refused")
    done = sum(state == "done" for state in stated.values())
    return f"{done} stages done, {sum(state == 'absent' for state in stated.values())} absent from the kit"


def carried(scene: Scene) -> str:
    """The receipt is small and says what the evidence does; the report is one file that needs no other."""
    receipt, report = scene.left("receipt.txt"), scene.left("report.html")
    predicate = statement_of(scene)["predicate"]
    for said in (predicate["kit"]["rootHash"], predicate["head"], predicate["plan"]):
        require(holds=f" {said}\n".encode() in receipt, words=f"the receipt must say {said}")
    require(holds=len(receipt) <= LARGEST_RECEIPT, words=f"the receipt has {len(receipt)} bytes, more than {LARGEST_RECEIPT}")
    require(holds=len(report) < LARGEST_REPORT, words=f"the report has {len(report)} bytes, as much as {LARGEST_REPORT} or more")
    return f"a receipt of {len(receipt):,} bytes that says what the evidence does, a report of {len(report):,}"


def statement_of(scene: Scene) -> Mapping[str, Any]:
    """The statement inside the evidence."""
    envelope = json.loads(scene.left(EVIDENCE))
    statement: Mapping[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return statement

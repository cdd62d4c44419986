"""Fills the skeleton: one function for each thing that is read, in an order in which each knows what it needs of the others.

A value that is no text where one is wanted stands as extended JSON, so that it is like nothing else; what its type should be is
the business of `forms`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import bson
from bson import ObjectId

from lnm_runner.backfill import aoc, events, identity, inventory, leaves, linksets, merkle, observations, report, tombstones
from lnm_runner.backfill.batches import ERRORS
from lnm_runner.backfill.inventory import LEGACY, OF_THE_INPUT, RAW, as_list, as_text
from lnm_runner.backfill.leaves import CHECKPOINTS
from lnm_runner.backfill.workfile import packed
from lnm_runner.validation.skeleton import CHUNK, Skeleton

NAMES = {"$map": {"input": {"$objectToArray": "$$ROOT"}, "in": "$$this.k"}}
"""The fields at the top of a document."""
KEY = {"tenantId": 1, "source": 1, "advisoryId": 1, "backfill": 1}
DONE, FAILED, LATE = "done", "failed", "late"


def told_leaves(skeleton: Skeleton) -> None:
    """What the runs wrote, and what they counted."""
    for run, number in skeleton.runs.items():
        for row in skeleton.database[CHECKPOINTS].find({"runId": run}).sort("_id", 1):
            for collection in leaves.collections_of(row):
                found = leaves.leaves_of(row, collection)
                skeleton.add("leaf", ((collection, packed(leaf.id), leaf.after, number) for leaf in found))
            for _, word, many in row["tallies"]:
                skeleton.tallies[number, row["stage"], word] += many


def told_failures(skeleton: Skeleton) -> None:
    """What the runs could make nothing of."""
    for run, number in skeleton.runs.items():
        rows = skeleton.database[ERRORS].find({"runId": run, "stage": {"$in": list(report.OUTPUTS)}}, {"stage": 1, "key": 1})
        skeleton.add("failed", ((number, row["stage"], *about(row["key"])) for row in rows))


def about(key: Sequence[str]) -> tuple[str, str]:
    """What an error is about: the collection, and the text of an id; a linkset that was never made is told by its key."""
    collection, first, *rest = key
    is_key = collection == linksets.COLLECTION and len(rest) == len(("source", "advisory"))
    return collection, str(identity.linkset_id(first, *rest)) if is_key else first


def forbidden(names: Sequence[str]) -> str | None:
    """Derived fields among the names at the top of a document (facts 1.6)."""
    found = [name for name in names if name in aoc.DERIVED or name.startswith(aoc.EFFECTIVE)]
    return ", ".join(sorted(found)) or None


def inputs(skeleton: Skeleton) -> None:
    """Raw and merged documents, and the inventory's root over those that it has seen."""
    tree = merkle.Tree()
    skeleton.add("raw", raw_rows(skeleton, tree))
    skeleton.add("legacy", legacy_rows(skeleton, tree))
    skeleton.root = f"sha256:{tree.root().hex()}"


def raw_rows(skeleton: Skeleton, tree: merkle.Tree) -> Iterator[tuple[Any, ...]]:
    """The documents of `advisory_raw`, in inventory order."""
    found = inventory.in_order(skeleton.database, {**inventory.FIELDS, "names": NAMES})
    for n, document in enumerate(skeleton.told(RAW, found)):
        row = inventory.row_of(n, document)
        made = None
        if row["problem"] is None:
            made = identity.observation_id(row["tenant"], row["source"], row["advisory"], row["sha256"])
        state = state_of(skeleton, (RAW, str(document["_id"])), observations.COLLECTION, made)
        if state == FAILED and made is not None:  # what has the same key shares its fate
            skeleton.add("failed", [(skeleton.newest, "twin", observations.COLLECTION, str(made))])
        if state != LATE:
            tree.add(identity.canonical(inventory.leaf_of(document, row.get("sha256"))))
        yield n, row["raw_id"], made and packed(made), state, forbidden(document["names"])


def legacy_rows(skeleton: Skeleton, tree: merkle.Tree) -> Iterator[tuple[Any, ...]]:
    """The merged documents."""
    found = skeleton.database[LEGACY].with_options(codec_options=leaves.RAW).find(batch_size=CHUNK).sort("_id", 1)
    for n, raw in enumerate(skeleton.told(LEGACY, found)):
        document = bson.decode(raw.raw, OF_THE_INPUT)
        tenant, key = document.get("tenantId"), document.get("advisoryKey")
        named = [one for one in (tenant, key) if isinstance(one, str) and one.strip()]
        made = identity.object_id(tombstones.COLLECTION, *named) if len(named) == len(("tenant", "key")) else None
        state = state_of(skeleton, (LEGACY, str(document["_id"])), tombstones.COLLECTION, made)
        if state != LATE:
            shown = [as_text(tenant), as_text(key)]
            tree.add(identity.canonical([["advisory", *shown], hashlib.sha256(raw.raw).hexdigest()]))
        yield n, packed(document["_id"]), made and packed(made), state


def state_of(skeleton: Skeleton, named: tuple[str, str], collection: str, made: ObjectId | None) -> str:
    """What became of an input in the newest run; `made` is what it must have become."""
    failed = "SELECT 1 FROM failed WHERE collection = ? AND about = ? AND run = ?"
    if skeleton.has(failed, *named, skeleton.newest):
        return FAILED
    if made is None:
        return LATE
    if skeleton.has(failed, collection, str(made), skeleton.newest):
        return FAILED
    written = "SELECT 1 FROM leaf WHERE collection = ? AND id = ? AND run = ?"
    return DONE if skeleton.has(written, collection, packed(made), skeleton.newest) else LATE


def owned(skeleton: Skeleton, collection: str, document: Mapping[str, Any]) -> tuple[bytes, int | None, bool]:
    """`(id, run, mine)` of a document."""
    identity_, run = packed(document["_id"]), run_of(skeleton, document, collection, document["_id"])
    return identity_, run, skeleton.is_mine(collection, identity_, run)


def run_of(skeleton: Skeleton, document: Mapping[str, Any], collection: str, about_id: Any) -> int | None:
    """The run of a document that is, or announces, what has an id; none where it stood in the run's way, left of a rollback."""
    run = skeleton.run_of(document)
    in_the_way = "SELECT 1 FROM failed WHERE collection = ? AND about = ?"
    return None if run is not None and skeleton.has(in_the_way, collection, str(about_id)) else run


def observed(skeleton: Skeleton) -> None:
    """The observations."""
    fields = {**KEY, "observationId": 1, "supersedesId": 1, "observationHash": 1, "names": NAMES}
    skeleton.add("observation", (observation_row(skeleton, one) for one in skeleton.documents(observations.COLLECTION, fields)))


def observation_row(skeleton: Skeleton, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row of one."""
    tenant, source, advisory = (as_text(document.get(name)) for name in ("tenantId", "source", "advisoryId"))
    hashed, replaced = as_text(document.get("observationHash")), document.get("supersedesId")
    return (
        *owned(skeleton, observations.COLLECTION, document),
        *(tenant, source, advisory, as_text(document.get("observationId"))),
        None if replaced is None else packed(replaced),
        packed(identity.object_id(events.OF_OBSERVATIONS, str(document["_id"]), hashed)),
        identity.event_id(observations.COLLECTION, document["_id"], hashed),
        packed(identity.linkset_id(tenant, source, advisory)),
        forbidden(document["names"]),
    )


def linked(skeleton: Skeleton) -> None:
    """The linksets, and what each holds."""
    fields = {**KEY, "observations": 1, "linksetHash": 1, "names": NAMES}

    def rows() -> Iterator[tuple[Any, ...]]:
        for document in skeleton.documents(linksets.COLLECTION, fields):
            row = linkset_row(skeleton, document)
            skeleton.add("linked", ((row[0], packed(one)) for one in as_list(document.get("observations"))))
            yield row

    skeleton.add("linkset", rows())


def linkset_row(skeleton: Skeleton, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row of one."""
    hashed = as_text(document.get("linksetHash"))
    return (
        *owned(skeleton, linksets.COLLECTION, document),
        *(as_text(document.get(name)) for name in ("tenantId", "source", "advisoryId")),
        packed(identity.object_id(events.OF_LINKSETS, str(document["_id"]), hashed)),
        identity.event_id(linksets.COLLECTION, document["_id"], hashed),
        forbidden(document["names"]),
    )


def announced(skeleton: Skeleton) -> None:
    """The rows of both outboxes."""
    for collection, announces, name in (
        (events.OF_OBSERVATIONS, observations.COLLECTION, "observationId"),
        (events.OF_LINKSETS, linksets.COLLECTION, "linksetId"),
    ):
        found = skeleton.documents(collection, {name: 1, "eventId": 1, "backfill": 1})
        rows = (
            (
                *(collection, packed(one["_id"]), run_of(skeleton, one, announces, one.get(name))),
                *(packed(as_id(one.get(name))), as_text(one.get("eventId"))),
            )
            for one in found
        )
        skeleton.add("event", rows)


def as_id(value: Any) -> Any:
    """An ObjectId that is told as text; another value as it is."""
    return ObjectId(value) if isinstance(value, str) and ObjectId.is_valid(value) else value


def buried(skeleton: Skeleton) -> None:
    """The tombstones, and what each leads to."""
    fields = {"tenantId": 1, "legacyAdvisoryKey": 1, "legacyId": 1, "reason": 1, "linksetIds": 1, "backfill": 1}

    def rows() -> Iterator[tuple[Any, ...]]:
        for document in skeleton.documents(tombstones.COLLECTION, fields):
            row = owned(skeleton, tombstones.COLLECTION, document)
            skeleton.add("buried", ((row[0], packed(one)) for one in as_list(document.get("linksetIds"))))
            said = (as_text(document.get(name)) for name in ("tenantId", "legacyAdvisoryKey"))
            yield *row, *said, packed(document.get("legacyId")), as_text(document.get("reason"))

    skeleton.add("tombstone", rows())


READERS: tuple[Callable[[Skeleton], None], ...] = (told_leaves, told_failures, inputs, observed, linked, announced, buried)

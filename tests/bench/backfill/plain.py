"""A program: `plain.py URI DATABASE` does what 21-102 does as people write it: document by document, a find, an upsert each.

The documents are made by the runner's own pure functions and are those that `lnm backfill` makes, byte for byte but for
`backfill`; what is left out is all that makes it safe: no inventory, no batch, no hash, no read-back, no checkpoint, no fence, no
pace. What joins advisories is kept in memory. Migrations of other tools call `transform`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from bson import ObjectId
from bson.codec_options import CodecOptions
from lnm_runner.advisories import formats
from lnm_runner.advisories.record import PayloadError
from lnm_runner.backfill import aoc, events, inventory, linksets, making, observations, tombstones, workfile
from lnm_runner.backfill.observations import Place
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

RUN = "plain"
Name = tuple[str, str]
"""Of a tenant."""
Key = tuple[str, str]
"""Source and advisory."""
Documents = Database[dict[str, Any]]


def put(database: Documents, collection: str, document: Mapping[str, Any]) -> None:
    """Writes a document, whether it is there or not."""
    database[collection].replace_one({"_id": document["_id"]}, document, upsert=True)


def payload(database: Documents, content: Mapping[str, Any], sha256: str) -> Any:
    """The payload of a raw document."""
    if "raw" in content:
        return content["raw"]
    chunks = database["documents.chunks"].find({"files_id": content["gridFsId"]}).sort("n", 1)
    data = b"".join(chunk["data"] for chunk in chunks)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PayloadError("the payload is another one")
    return data


def observe(database: Documents, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The observation of a raw document and its event; the newest of the same advisory that is there is the one before it."""
    if any(aoc.violations(document)):
        return None
    raw = making.raw_of(document)
    same = {"tenantId": raw.tenant, "source": raw.source, "advisoryId": raw.advisory}
    before = database[observations.COLLECTION].find_one(same, sort=[("provenance.fetchedAt", -1)])
    number = int(before["observationId"].rpartition(":")[2]) + 1 if before else 1
    try:
        record = formats.read(raw.format, payload(database, document["content"], raw.artifact_sha256))
        made = observations.document(raw, record, Place(number, before["_id"] if before else None), RUN)
    except PayloadError:
        return None
    put(database, observations.COLLECTION, made)
    put(database, events.OF_OBSERVATIONS, events.of_observation(made, making.collector_of(document)))
    return made


class Names:
    """Which advisories are called alike, per tenant."""

    def __init__(self) -> None:
        """Knows none."""
        self.above: dict[Name, Name] = {}
        self.heads: dict[tuple[Name, Key], ObjectId] = {}
        """`{(a name, (source, advisoryId)): _id of the newest observation}`"""

    def root(self, name: Name) -> Name:
        """The name that stands for all that it was joined with."""
        above = self.above
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name

    def add(self, document: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Takes an observation in."""
        called = [(made["tenantId"], name) for name in sorted(inventory.names_of(document))]
        for name in called:
            self.above.setdefault(name, name)
            self.above[self.root(name)] = self.root(called[0])
        self.heads[called[0], (made["source"], made["advisoryId"])] = made["_id"]

    def components(self) -> dict[Name, dict[Key, ObjectId]]:
        """`{root: {(source, advisoryId): _id of the newest observation}}`"""
        found: dict[Name, dict[Key, ObjectId]] = {}
        for (name, key), head in self.heads.items():
            found.setdefault(self.root(name), {})[key] = head
        return found


def link(database: Documents, ids: Iterable[ObjectId]) -> None:
    """The linksets of a component and their events."""
    inside = [database[observations.COLLECTION].find_one({"_id": one}) or {} for one in ids]
    for made in linksets.documents(inside, RUN):
        put(database, linksets.COLLECTION, made)
        put(database, events.OF_LINKSETS, events.of_linkset(made))


def transform(database: Documents) -> None:
    """All of it; raw documents in the order in which they were fetched, so that a revision comes behind the one before."""
    database = database.with_options(CodecOptions(tz_aware=True), write_concern=WriteConcern("majority", j=True))
    names = Names()
    for document in database["advisory_raw"].find(allow_disk_use=True).sort("upstream.fetched_at", 1):
        made = observe(database, document)
        if made is not None:
            names.add(document, made)
    components = names.components()
    for heads in components.values():
        link(database, heads.values())
    bury(database, names, components)


def bury(database: Documents, names: Names, components: Mapping[Name, Mapping[Key, ObjectId]]) -> None:
    """The tombstones of the merged documents."""
    buried: set[Name] = set()
    for document in database["advisory"].find().sort("_id", 1):
        tenant = document["tenantId"]
        called = [(tenant, name.strip().upper()) for name in (document["advisoryKey"], *document["aliases"])]
        inside = {names.root(name) for name in called if name in names.above}
        wanted = [{"source": source, "advisoryId": advisory} for root in inside for source, advisory in components[root]]
        found = database[linksets.COLLECTION].find({"tenantId": tenant, "$or": wanted}).sort("_id", 1) if wanted else ()
        there = list(found)
        why = tombstones.MISSING if not there else tombstones.DUPLICATE if inside & buried else tombstones.SUPERSEDED
        buried |= inside
        row = {
            "tenant": tenant,
            "key": document["advisoryKey"],
            "recorded_ms": max(inventory.milliseconds(one["recordedAt"]) for one in document["provenance"]),
            "legacy_id": workfile.packed(document["_id"]),
        }
        put(database, tombstones.COLLECTION, tombstones.document(row, why, there, RUN))


if __name__ == "__main__":
    with MongoClient[dict[str, Any]](sys.argv[1], tz_aware=True) as client:
        transform(client[sys.argv[2]])

"""What is to be done where a document that is to be written is there already (facts 1.4, «Write disposition»). Read-only.

`keep`: it says the same, so nothing is written (SkipIdentical); `replace`: an earlier run has made it and nobody has touched it
since; `conflict`: anything else (RejectMutation), which is a failure of that input. What goes with a document, its event,
shares its fate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions

from lnm_runner.backfill import events, linksets, observations, tombstones
from lnm_runner.backfill.items import CONFLICT, Failure, Item, Made, encoded
from lnm_runner.backfill.leaves import RAW, Leaf, sha256
from lnm_runner.mongo import Database

UNIQUE: Mapping[str, tuple[str, ...]] = {
    observations.COLLECTION: ("tenantId", "advisoryId", "source", "provenance.sourceArtifactSha"),
    linksets.COLLECTION: ("tenantId", "advisoryId", "source"),
    tombstones.COLLECTION: ("tenantId", "legacyAdvisoryKey"),
    events.OF_OBSERVATIONS: ("tenantId", "advisoryId", "observationHash"),
    events.OF_LINKSETS: ("tenantId", "advisoryId", "linksetId", "replayCursor"),
}
"""The unique indexes of 21-101."""
CODEC: CodecOptions[Mapping[str, Any]] = CodecOptions(tz_aware=True)
Earlier = Callable[[ObjectId], bytes | None]
"""The SHA-256 of what an earlier run has made under an id."""


@dataclass(frozen=True)
class Replaced:
    """A document that takes the place of an earlier run's."""

    made: Made
    before: bytes


@dataclass
class Decided:
    """What is done with each item of a batch."""

    written: list[Made] = field(default_factory=list)
    replaced: list[Replaced] = field(default_factory=list)
    failures: list[tuple[Item, Failure]] = field(default_factory=list)
    order: list[tuple[str, Leaf]] = field(default_factory=list)
    """`(collection, leaf)`, in the order of the items."""
    tallies: Counter[tuple[str, str]] = field(default_factory=Counter)
    """`{(tenant, word): how many}`"""

    def inserts(self) -> dict[str, list[Made]]:
        """What is new, by collection."""
        found: dict[str, list[Made]] = {}
        for made in self.written:
            found.setdefault(made.collection, []).append(made)
        return found

    def replacements(self) -> dict[str, list[Replaced]]:
        """What takes the place of another, by collection."""
        found: dict[str, list[Replaced]] = {}
        for one in self.replaced:
            found.setdefault(one.made.collection, []).append(one)
        return found

    def leaves(self) -> dict[str, list[Leaf]]:
        """By collection."""
        found: dict[str, list[Leaf]] = {}
        for collection, leaf in self.order:
            found.setdefault(collection, []).append(leaf)
        return found

    def fail(self, item: Item, failure: Failure) -> None:
        """Nothing is made of an item."""
        self.failures.append((item, failure))
        self.tallies[item.tenant, "quarantined"] += 1

    def count(self, item: Item, word: str = "") -> None:
        """Counts what is said of an item."""
        self.tallies.update((item.tenant, each) for each in (*item.tallies, *([word] if word else [])))

    def write(self, item: Item, *, there: frozenset[ObjectId] = frozenset()) -> None:
        """All of an item is new, apart from what this run has written before."""
        self.written += [made for made in item.made if made.id not in there]
        self.order += [(made.collection, Leaf(made.id, None, sha256(made.data))) for made in item.made]
        self.tallies.update((item.tenant, made.collection) for made in item.made)
        self.count(item)


def untouched(items: Iterable[Item]) -> Decided:
    """All of it is written, where nothing is expected in the way."""
    decided = Decided()
    for item in items:
        if item.failure is not None:
            decided.fail(item, item.failure)
        else:
            decided.write(item)
    return decided


def decided(database: Database, items: Sequence[Item], earlier: Earlier) -> Decided:
    """The same where something may be."""
    found = Decided()
    there = stored(database, [made for item in items for made in item.made])
    for item in items:
        if item.failure is not None:
            found.fail(item, item.failure)
        elif not item.made:
            found.count(item)
        else:
            decide(found, item, there, earlier)
    return found


def decide(found: Decided, item: Item, there: Mapping[tuple[str, ObjectId], bytes], earlier: Earlier) -> None:
    """Decides about one item."""
    lead, *followers = item.made
    present = [made for made in item.made if (made.collection, made.id) in there]
    others = {made.id: there[made.collection, made.id] for made in present}
    if all(others[made.id] == made.data for made in present):  # this run's own, or nothing
        found.write(item, there=frozenset(others))
        return
    before = others.get(lead.id)
    if before is None:
        found.fail(item, conflict(lead, f"an event of it is already in {followers[0].collection}, and it is not"))
    elif keeps(lead, before):
        kept = [made for made in item.made if made.id in others]
        hashes = {made.id: sha256(others[made.id]) for made in kept}
        found.order += [(made.collection, Leaf(made.id, hashes[made.id], hashes[made.id])) for made in kept]
        found.count(item, "kept")
    elif lead.collection != observations.COLLECTION and earlier(lead.id) == sha256(before):
        made = (lead, *(follower(lead, one, before) for one in followers))
        found.replaced.append(Replaced(lead, before))
        found.written += made[1:]
        found.order.append((lead.collection, Leaf(lead.id, sha256(before), sha256(lead.data))))
        found.order += [(one.collection, Leaf(one.id, None, sha256(one.data))) for one in made[1:]]
        found.tallies.update((item.tenant, one.collection) for one in made)
        found.count(item, "replaced")
    else:
        found.fail(item, conflict(lead, "a document that is not of this backfill, or was changed since, stands in its place"))


def keeps(made: Made, before: bytes) -> bool:
    """True where what stands there says the same: for an observation by its contentHash, as the product's own guard goes by."""
    one, other = bson.decode(made.data, CODEC), bson.decode(before, CODEC)
    if made.collection == observations.COLLECTION and one["_id"] == other["_id"]:
        return bool(one["contentHash"] == other.get("contentHash"))
    return all(bson.encode({**side, "backfill": None}) == bson.encode({**one, "backfill": None}) for side in (other,))


def follower(lead: Made, event: Made, before: bytes) -> Made:
    """The event of a linkset that replaces another."""
    linkset, old = bson.decode(lead.data, CODEC), bson.decode(before, CODEC)
    return encoded(event.collection, events.of_linkset(linkset, old))


def conflict(made: Made, said: str) -> Failure:
    """The failure of an item."""
    document = bson.decode(made.data, CODEC)
    names = ("tenantId", "source", "advisoryId", "legacyAdvisoryKey")
    return Failure((made.collection, str(made.id), *(document[name] for name in names if name in document)), CONFLICT, said)


def stored(database: Database, wanted: Sequence[Made]) -> dict[tuple[str, ObjectId], bytes]:
    """`{(collection, id that it is in the way of): BSON}`: under the same id, or under the same natural key."""
    found: dict[tuple[str, ObjectId], bytes] = {}
    for collection in dict.fromkeys(made.collection for made in wanted):
        mine = [made for made in wanted if made.collection == collection]
        source = database[collection].with_options(codec_options=RAW)
        for document in source.find({"_id": {"$in": [made.id for made in mine]}}):
            found[collection, document["_id"]] = bytes(document.raw)
        keys = {key_of(collection, bson.decode(made.data, CODEC)): made.id for made in mine if (collection, made.id) not in found}
        ways = [dict(zip(UNIQUE[collection], key, strict=True)) for key in keys]
        for document in source.find({"$or": ways}) if ways else ():
            owner = keys.get(key_of(collection, bson.decode(document.raw, CODEC)))
            if owner is not None:
                found[collection, owner] = bytes(document.raw)
    return found


def key_of(collection: str, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """The natural key of a document."""
    found = []
    for path in UNIQUE[collection]:
        value: Any = document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        found.append(value)
    return tuple(found)

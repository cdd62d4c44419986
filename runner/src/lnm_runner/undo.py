"""Takes back what a migration made, by the ledger's list of it (`made`). Planning is read-only; the rest are actions.

Decided for each kind of thing: (1) an index is dropped if it still is what was made, else it is left and told; (2) a validator
is taken off under the same condition; (3) an expiry goes back to what it was, and where documents would die of that, the TTL
fuse holds; (4) a collection that was made is dropped with all that belongs to it, if it is empty; where one holds documents,
nothing at all is done; (5) a shard key cannot be taken back but with its collection. No document is ever removed: a collection
is renamed before it is dropped, so that it can be looked at once nobody can write into it any more; where a document has come
in between, it is renamed back. What stays behind: a validator that was taken off leaves the words `strict` and `error` in the
options, which are the defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import OperationFailure

from lnm_runner import durations
from lnm_runner.actions import Action, ChangeTtl, Risk, send
from lnm_runner.durations import Duration
from lnm_runner.errors import NotEmptyError, PlanError, RetryableError, gathered
from lnm_runner.forecast import ttl_deletes
from lnm_runner.mongo import Database
from lnm_runner.planning import Plan
from lnm_runner.present import NAMESPACE_NOT_FOUND, Found, read_sharded
from lnm_runner.schema import TWIN, Index
from lnm_runner.things import Thing, look

NAMESPACE_EXISTS = 48  # mongo/src/mongo/base/error_codes.yml
INDEX_NOT_FOUND = 27  # mongo/src/mongo/base/error_codes.yml
ID_INDEX = "_id_"


@dataclass(frozen=True)
class DropIndexes:
    """Drops indexes of a collection that stays."""

    collection: str
    indexes: tuple[str, ...]
    documents: int = 0
    ttl_deletes: int = 0
    things: tuple[Thing, ...] = ()

    @property
    def risk(self) -> Risk:
        """Queries may lose what they use."""
        return Risk("low", "queries that use them become slow; building them again reads every document")

    @property
    def duration(self) -> Duration:
        """One command."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        yield from (f"drop the index {name} of {self.collection}" for name in self.indexes)

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {"action": "drop-indexes", "collection": self.collection, "indexes": list(self.indexes)}

    def apply(self, database: Database) -> None:
        """Drops them."""
        for name in self.indexes:  # one by one: of a list, the server drops none where one is gone already
            try:
                send(database, {"dropIndexes": self.collection, "index": name})
            except OperationFailure as err:
                if err.code not in {INDEX_NOT_FOUND, NAMESPACE_NOT_FOUND}:
                    raise


@dataclass(frozen=True)
class TakeValidatorOff:
    """Takes the validator of a collection off."""

    collection: str
    level: str = "strict"
    """What stood beside no validator before."""
    action: str = "error"
    documents: int = 0
    ttl_deletes: int = 0
    things: tuple[Thing, ...] = ()

    @property
    def risk(self) -> Risk:
        """Nothing is refused any more."""
        return Risk("low", "documents are no longer checked")

    @property
    def duration(self) -> Duration:
        """One command."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        yield f"take the validator of {self.collection} off"

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {"action": "take-validator-off", "collection": self.collection}

    def apply(self, database: Database) -> None:
        """Takes it off; the server keeps level and action, so they are set to what they were."""
        before = {"validator": {}, "validationLevel": self.level, "validationAction": self.action}
        send(database, {"collMod": self.collection, **before})


@dataclass(frozen=True)
class DropEmptyCollection:
    """Drops a collection that holds no document, without ever dropping one that does."""

    collection: str
    documents: int = 0
    ttl_deletes: int = 0
    things: tuple[Thing, ...] = field(default=())

    @property
    def twin(self) -> str:
        """Its name for as long as it is looked at."""
        return TWIN + self.collection

    @property
    def risk(self) -> Risk:
        """Who writes into it meanwhile makes a new one."""
        return Risk("low", "it is empty; a writer that comes meanwhile makes a new collection without indexes, and loses nothing")

    @property
    def duration(self) -> Duration:
        """Two commands and a look."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        yield f"drop the collection {self.collection}, which is empty, with its indexes and its validator"

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {"action": "drop-empty-collection", "collection": self.collection}

    def apply(self, database: Database) -> None:
        """Renames it, looks, and drops it or names it back.

        Raises: NotEmptyError, and every document is where it was, or in both collections where somebody has made a new one.
        """
        if database.list_collection_names(filter={"name": self.twin}):  # of a rollback that was stopped
            self.settle(database)
        if self.rename(database, self.collection, self.twin):
            self.settle(database)

    def settle(self, database: Database) -> None:
        """Drops the renamed collection, or names it back.

        Raises: NotEmptyError.
        """
        if database[self.twin].find_one({}, {"_id": 1}) is None:
            send(database, {"drop": self.twin})
            return
        count = database[self.twin].count_documents({})
        is_back = self.rename(database, self.twin, self.collection)
        raise NotEmptyError({self.collection if is_back else self.twin: count})

    def rename(self, database: Database, source: str, target: str) -> bool:
        """Renames within the database; False where the source is gone, or the name is taken."""
        names = {"renameCollection": f"{database.name}.{source}", "to": f"{database.name}.{target}"}
        try:
            send(database.client.admin, names)
        except OperationFailure as err:
            if err.code not in {NAMESPACE_NOT_FOUND, NAMESPACE_EXISTS}:
                raise
            return False
        return True


def plan(database: Database, made: Sequence[Thing]) -> Plan:
    """What takes back the things that were made, last things first.

    Raises: PlanError carrying every defect that was found.
    """
    names = list(dict.fromkeys(thing.collection for thing in reversed(made)))
    present = read_sharded(database, {*names, *(TWIN + name for name in names)})
    defects: list[PlanError] = []
    notes: list[str] = []
    actions: list[Action] = []
    for name in names:
        things = {thing.id: thing for thing in made if thing.collection == name}
        if f"collection:{name}" in things:
            if full := documents_in(database, [standing for standing in (name, TWIN + name) if standing in present]):
                defects.append(NotEmptyError(full))
            actions += back_to_nothing(name, present, things.values(), notes)
        elif name in present:
            actions += back_to_before(database, present[name], things, defects, notes)
    if defects:
        raise gathered(defects)
    return Plan(tuple(actions), tuple(notes))


def back_to_nothing(name: str, present: Mapping[str, Found], things: Iterable[Thing], notes: list[str]) -> Iterable[Action]:
    """A collection that the migration made, and that is empty."""
    if name in present:
        ours = {ID_INDEX, *(thing.name for thing in things)}
        foreign = [index["name"] for index in present[name].indexes if index["name"] not in ours]
        notes += [f"{name} has an index of somebody else, {index}, which goes with it" for index in foreign]
    if name in present or TWIN + name in present:
        yield DropEmptyCollection(name)


def documents_in(database: Database, names: Iterable[str]) -> dict[str, int]:
    """Those of these collections that hold documents, and how many."""
    full = [name for name in names if database[name].find_one({}, {"_id": 1}) is not None]
    return {name: database[name].count_documents({}) for name in full}


def back_to_before(
    database: Database, found: Found, things: Mapping[str, Thing], defects: list[PlanError], notes: list[str]
) -> Iterable[Action]:
    """A collection that was there before: only what was made in it is taken back."""
    require_built(found, things.values())
    dropped: list[str] = []
    for thing in reversed(list(things.values())):
        stands, what = look(found, thing)
        if thing.kind == "shard-key" and stands:
            message = f"{thing.collection}: it was sharded by the migration and held documents before; that cannot be taken back"
            defects.append(
                PlanError(message, hint="restore the backup; nothing was changed", facts={"collection": thing.collection})
            )
        elif thing.kind == "ttl":
            if f"index:{thing.collection}.{thing.name}" not in things and stands:
                yield expiry_back(database, found, thing)
            elif not stands:
                notes.append(f"{thing.id} is left as it is: {what}")
        elif not stands and thing.kind in {"index", "validator"}:
            gone = what.startswith(("no ", "the collection"))
            notes.extend([] if gone else [f"{thing.id} is left as it is: {what}"])
        elif thing.kind == "index":
            dropped.append(thing.name)
        elif thing.kind == "validator":
            before = thing.before or {}
            yield TakeValidatorOff(
                thing.collection, before.get("validationLevel", "strict"), before.get("validationAction", "error")
            )
    if dropped:
        collection = next(iter(things.values())).collection
        yield DropIndexes(collection, tuple(dropped), database[collection].estimated_document_count())


def require_built(found: Found, things: Iterable[Thing]) -> None:
    """Refuses while the server is building what is to be taken back: it would stand a moment later.

    Raises: RetryableError.
    """
    building = sorted(f"{thing.collection}.{thing.name}" for thing in things if thing.name and thing.name in found.building)
    if building:
        raise RetryableError(
            f"the server is still building indexes that a runner which is gone has begun: {', '.join(building)}",
            hint="wait until they stand, then run the same command again; nothing was changed",
        )


def expiry_back(database: Database, found: Found, thing: Thing) -> Action:
    """The expiry of an index as it was before."""
    now_s, before_s = (thing.made or {}).get("expireAfterSeconds"), (thing.before or {}).get("expireAfterSeconds")
    index = next(index for index in found.indexes if index["name"] == thing.name)
    shorter = before_s is not None and (now_s is None or before_s < now_s)
    as_before = Index(thing.name, tuple(index["key"].items()), ttl=True, expire_after_s=before_s)
    if shorter:
        return ChangeTtl(thing.collection, thing.name, now_s, before_s, ttl_deletes(database, thing.collection, as_before))
    return ChangeTtl(thing.collection, thing.name, now_s, before_s)

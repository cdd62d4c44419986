"""Compares what a database holds with what a migration declares; the differences are actions. Read-only.

Rules: (1) what is there as declared is left alone; (2) what is missing is made; (3) a TTL that differs is changed in place; (4)
anything else that is in the way is an error, with what was found and what was wanted, and is never dropped or replaced; (5) all
errors are gathered before one is raised; (6) duplicates and TTL deletes are counted before anything is built; (7) an index that
the server is still building is missing: to make it is to wait for it; (8) behind a
router, a collection that has a shard key is sharded, when its indexes stand (`sharding`); elsewhere nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lnm_runner import sharding
from lnm_runner.actions import Action, ChangeTtl, CreateCollection, CreateIndexes, SetValidator, ShardCollection
from lnm_runner.errors import (
    ArrayValueError,
    DuplicateKeysError,
    IndexConflictError,
    PlanError,
    PreconditionError,
    ShardKeyConflictError,
    ValidatorConflictError,
    gathered,
)
from lnm_runner.forecast import arrays, duplicate_keys, pace, ttl_deletes
from lnm_runner.mongo import Database
from lnm_runner.present import Found, content, expiry, read, shown, without_validator
from lnm_runner.schema import TWIN, Collection, Index, Precondition
from lnm_runner.sharding import Cluster
from lnm_runner.things import Thing

MOST_INDEXES = 64
"""Of a collection (MongoDB manual, «MongoDB Limits»)."""


@dataclass(frozen=True)
class Plan:
    """What there is to do."""

    actions: tuple[Action, ...]
    notes: tuple[str, ...] = ()
    """What was found and needs no action, a sentence each."""

    @property
    def ttl_deletes(self) -> int:
        """How many documents the server would delete because of it."""
        return sum(action.ttl_deletes for action in self.actions)

    @property
    def things(self) -> tuple[Thing, ...]:
        """What it makes or changes."""
        return tuple(thing for action in self.actions for thing in action.things)

    @property
    def duration_ms(self) -> int:
        """How long it will take."""
        return sum(action.duration.ms for action in self.actions)

    def describe(self) -> list[str]:
        """The plan in words."""
        return [line for action in self.actions for line in action.describe()]


def plan(database: Database, collections: Sequence[Collection], preconditions: Sequence[Precondition] = ()) -> Plan:
    """Compares declarations with a database.

    Raises: PlanError carrying every defect that was found.
    """
    names = {collection.name for collection in collections}
    present = read(database, names | {TWIN + name for name in names} | {item.collection for item in preconditions})
    defects = [left(name) for name in sorted(names) if TWIN + name in present]
    actions: list[Action] = []
    cluster = sharding.look(database)
    notes: list[str] = [] if cluster is None else list(cluster.notes())
    for precondition in preconditions:
        notes += check(present.get(precondition.collection), precondition, defects)
    for declared in collections:
        found = present.get(declared.name)
        collection = declared if cluster is None or found is None else as_sharded(cluster, found, declared)
        if collection != declared:
            notes.append(f"{declared.name} is sharded already, by an index of another name, which stays")
        if found is not None and (cluster is None or collection.shard_key is None):
            defects += unfit(found, collection)
        actions += compare(database, found, collection, defects)
        if cluster is not None:
            actions += compare_sharding(cluster, found, collection, defects)
    if cluster is not None:
        changed = [action.collection for action in actions if isinstance(action, SetValidator)]
        defects += sharding.unseen(database, [name for name in changed if name in cluster.sharded])
    if defects:
        raise gathered(defects)
    return Plan(tuple(actions), tuple(notes))


def left(collection: str) -> PlanError:
    """The refusal where a rollback was stopped in the middle of a collection: what it holds would be out of sight."""
    return PlanError(
        f"{TWIN}{collection} is left of a rollback that was stopped",
        hint="lnm doctor says what it holds, and what to do with it",
        facts={"collection": TWIN + collection},
    )


def check(found: Found | None, wanted: Precondition, defects: list[PlanError]) -> Iterable[str]:
    """Looks for an index by its content; a collection that is not there yet needs none."""
    name = wanted.collection
    if found is None:
        yield f"{name} is not there yet, so its index was not checked"
        return
    for index in found.indexes:
        same = list(index["key"].items()) == list(wanted.keys) and bool(index.get("unique")) == wanted.unique
        if same and not index.get("partialFilterExpression") and not index.get("sparse"):
            yield f"{name} has the {'unique ' if wanted.unique else ''}index that is needed ({index['name']})"
            return
    keys = ", ".join(field for field, _ in wanted.keys)
    defects.append(
        PreconditionError(
            f"{name}: no {'unique ' if wanted.unique else ''}index on ({keys}){wanted.because and ', ' + wanted.because}",
            hint=wanted.remedy,
            facts={"collection": name, "wanted": {"key": dict(wanted.keys), "unique": wanted.unique}},
        )
    )


def compare(database: Database, found: Found | None, wanted: Collection, defects: list[PlanError]) -> Iterable[Action]:
    """The actions for one collection, in the order in which they must be done."""
    if found is None:
        yield CreateCollection(wanted.name, wanted.validator)
        yield CreateIndexes(wanted.name, wanted.all_indexes, 0)
        return
    if found.options["type"] != "collection":
        message = f"{wanted.name}: found a {found.options['type']}, wanted a collection"
        defects.append(PlanError(message, hint="move it to another name, then apply again", facts={"collection": wanted.name}))
        return
    yield from compare_validator(found, wanted, defects)
    missing: list[Index] = []
    for index in wanted.all_indexes:
        standing = in_the_way(found.indexes, index)
        if standing is None or is_being_built(found, standing, index):
            missing.append(index)
        elif content(standing) != content(index.specification()) or standing["name"] != index.name:
            defects.append(IndexConflictError(wanted.name, index.name, shown(standing), index.specification()))
        else:
            yield from compare_ttl(database, wanted.name, standing, index, defects)
    if missing:
        yield from build(database, found, wanted, missing, defects)


def unfit(found: Found, wanted: Collection) -> Iterable[PlanError]:
    """What a collection is that no index can mend; behind a router `sharding` says the same of more."""
    facts = {"collection": wanted.name}
    if found.options.get("collation"):
        said = f"its default collation is {found.options['collation'].get('locale')!r}, and the indexes would take it"
        yield PlanError(
            f"{wanted.name}: {said}", hint="copy its documents into a collection without one, then apply again", facts=facts
        )
    if found.options.get("capped"):
        said = "it is capped: the server throws old documents away when it is full, and lets none expire"
        yield PlanError(f"{wanted.name}: {said}", hint="copy its documents into one that is not, then apply again", facts=facts)


def compare_validator(found: Found, wanted: Collection, defects: list[PlanError]) -> Iterable[Action]:
    """Sets a validator where there is none; never replaces one."""
    if wanted.validator is None:
        return
    options = wanted.validator.options()
    if without_validator(found):
        yield SetValidator(wanted.name, wanted.validator, found.validator)
    elif found.validator != options:
        defects.append(ValidatorConflictError(wanted.name, found.validator, options))


def compare_ttl(
    database: Database,
    collection: str,
    standing: Mapping[str, Any],
    wanted: Index,
    defects: list[PlanError],
) -> Iterable[Action]:
    """Compares expiries; an index whose expiry is no setting must have none."""
    seconds = expiry(standing)
    if seconds == wanted.expire_after_s:
        return
    if not wanted.ttl:
        defects.append(IndexConflictError(collection, wanted.name, shown(standing), wanted.specification()))
        return
    shortened = wanted.expire_after_s is not None and (seconds is None or wanted.expire_after_s < seconds)
    if shortened:
        yield ChangeTtl(collection, wanted.name, seconds, wanted.expire_after_s, ttl_deletes(database, collection, wanted))
    else:
        yield ChangeTtl(collection, wanted.name, seconds, wanted.expire_after_s)


def as_sharded(cluster: Cluster, found: Found, wanted: Collection) -> Collection:
    """The declaration, its shard-key index under the name that it has where the collection is sharded by it already.

    Who shards an empty collection gets that index from the server, under a name of the server's, and cannot drop it any more.
    """
    if wanted.shard_key is None or cluster.sharded.get(wanted.name) != wanted.shard_key.keys:
        return wanted
    place = content(wanted.shard_key.specification())
    names = [index["name"] for index in found.indexes if content(index) == place]
    return replace(wanted, shard_key=replace(wanted.shard_key, name=names[0])) if names else wanted


def compare_sharding(cluster: Cluster, found: Found | None, wanted: Collection, defects: list[PlanError]) -> Iterable[Action]:
    """Shards what has a shard key and is not sharded yet; refuses what is sharded in another way."""
    present = cluster.sharded.get(wanted.name)
    key = None if wanted.shard_key is None else wanted.shard_key.keys
    if present is not None and present != key:
        defects.append(ShardKeyConflictError(wanted.name, dict(present), None if key is None else dict(key)))
    if present is not None or key is None:
        return
    defects.extend(sharding.obstacles(cluster, wanted.name, key, found.options if found else {}, found.indexes if found else ()))
    yield ShardCollection(wanted.name, key)


def build(
    database: Database, found: Found, wanted: Collection, missing: list[Index], defects: list[PlanError]
) -> Iterable[Action]:
    """The missing indexes as one action, after a look at the documents that they will hold."""
    collection = wanted.name
    total = len(found.indexes) + len([index for index in missing if index.name not in found.building])
    if total > MOST_INDEXES:
        said = f"{collection} would have {total} indexes; the limit is {MOST_INDEXES}"
        defects.append(PlanError(said, hint="drop what nothing uses ($indexStats)", facts={"collection": collection}))
    single = [name for index in missing for name, order in index.keys if index.unique or order == "hashed"]
    held = arrays(database, collection, dict.fromkeys(single))
    defects += [ArrayValueError(collection, each.field, each.documents, each.ids) for each in held]
    for index in missing:
        duplicates = duplicate_keys(database, collection, index) if index.unique else None
        if duplicates and duplicates.keys:
            defects.append(DuplicateKeysError(collection, index.name, duplicates.keys, duplicates.examples))
    forecasts = [ttl_deletes(database, collection, index) for index in missing if index.ttl]
    documents = database[collection].estimated_document_count()
    pace_us = pace(database, collection, missing[0]) if documents else 0.0
    yield CreateIndexes(collection, tuple(missing), documents, tuple(forecasts), pace_us)


def is_being_built(found: Found, standing: Mapping[str, Any], wanted: Index) -> bool:
    """True for exactly the wanted index where it is not complete: createIndexes waits for it."""
    same = standing["name"] == wanted.name and content(standing) == content(wanted.specification())
    return same and standing["name"] in found.building and expiry(standing) == wanted.expire_after_s


def in_the_way(indexes: Iterable[Mapping[str, Any]], wanted: Index) -> Mapping[str, Any] | None:
    """The index that has the wanted one's name, or that the server would take for the same one (error 85)."""
    place = content(wanted.specification())
    same_name = [index for index in indexes if index["name"] == wanted.name]
    return next(iter(same_name + [index for index in indexes if content(index) == place]), None)

"""Sharding, through a router: what the cluster's catalogue says of a database, and the one command that shards a collection.

Read: the database `config` (MongoDB manual, «Config Database») with read concern majority, and `balancerStatus`. Sent:
`shardCollection`, and nothing else. `enableSharding` is not sent: MongoDB 6.0 made it needless, and before that its absence is a
refusal (code 20) with a hint, because it is a change of the whole database that its owner should make. No write concern is sent
with it, because a router takes majority by itself. Nothing is sharded again, brought together again, split or moved: chunks and
their balance are the balancer's business.

Rules: (1) sharded by the wanted key: nothing to do, however its index is called; (2) sharded by another key, or where no sharding
is wanted: an error; (3) a unique index that does not begin with the fields of the key, a default collation, a capped collection,
or a zone over other fields: an error before anything is changed, because the server would refuse once the indexes are built;
(4) a validator that would have to be set where it could not be seen afterwards: an error (`unseen`).

Never run against a real mongos: none can be had from the registries. What was run instead: README.md of 21-101.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from lnm_runner.errors import NotShardableError, PlanError, PrivilegeError, UnseenOptionsError
from lnm_runner.schema import Keys

if TYPE_CHECKING:
    from lnm_runner.mongo import Database

ROUTER = "isdbgrid"
"""What a router answers as `hello.msg`."""

# mongo/src/mongo/base/error_codes.yml
UNAUTHORIZED = 13
ILLEGAL_OPERATION = 20
ALREADY_INITIALIZED = 23
CANNOT_CREATE_INDEX = 67
INVALID_OPTIONS = 72

LONGEST_SERVER_MESSAGE = 400  # characters


@dataclass(frozen=True)
class Cluster:
    """What the catalogue of a sharded cluster says of one database."""

    shards: tuple[str, ...]
    sharded: Mapping[str, Keys]
    """`{collection: shard key}`"""
    zones: Mapping[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    """`{collection: the fields of its zones' bounds}`; a collection can have zones before it is sharded."""
    balancer: str = "unknown"
    """full, off, or unknown where the user may not ask."""

    def describe(self) -> str:
        """What a result says about sharding."""
        count, shards = len(self.sharded), len(self.shards)
        return (
            f"{count} collection{'s' * (count != 1)} of this database sharded, {shards} shard{'s' * (shards != 1)} in the cluster"
        )

    def notes(self) -> Iterator[str]:
        """What an operator should know and need not act on."""
        if self.balancer == "off":
            yield "the balancer is off: a collection that is sharded now stays on one shard until it runs (sh.startBalancer())"


def look(database: Database) -> Cluster | None:
    """Asks a router about its cluster; None where the server is no router. Read-only.

    Raises: PrivilegeError, PyMongoError.
    """
    if database.client.admin.command("hello").get("msg") != ROUTER:
        return None
    sharded = collections(database)
    found = catalogue(database, "shards", {}, ("_id",))
    zones: dict[str, set[tuple[str, ...]]] = {}
    for zone in catalogue(database, "tags", {"ns": inside(database)}, ("ns", "min")):
        zones.setdefault(collection_of(zone["ns"]), set()).add(tuple(zone["min"]))
    return Cluster(
        tuple(sorted(str(shard["_id"]) for shard in found)),
        sharded,
        {name: frozenset(fields) for name, fields in zones.items()},
        balancer(database),
    )


def collections(database: Database) -> dict[str, Keys]:
    """The sharded collections of a database, and their keys. Read-only.

    Raises: PrivilegeError, PyMongoError.
    """
    # until 4.4 a dropped collection keeps its row; from 8.0 on, unsharded collections may have one too
    listed = {"_id": inside(database), "dropped": {"$ne": True}, "unsplittable": {"$ne": True}}
    rows = catalogue(database, "collections", listed, ("key",))
    return {collection_of(row["_id"]): tuple(row["key"].items()) for row in rows}


def inside(database: Database) -> dict[str, str]:
    """The condition on a namespace to be one of this database."""
    return {"$regex": f"^{re.escape(database.name)}\\."}


def collection_of(namespace: str) -> str:
    """The collection of `database.collection`."""
    return namespace.split(".", 1)[1]


def catalogue(database: Database, name: str, condition: Mapping[str, Any], fields: Iterable[str]) -> list[dict[str, Any]]:
    """Reads a collection of the database config.

    Raises: PrivilegeError, PyMongoError.
    """
    config = database.client.get_database("config", read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("majority"))
    try:
        return list(config[name].find(condition, dict.fromkeys(fields, 1)))
    except OperationFailure as err:
        if err.code != UNAUTHORIZED:
            raise
        raise PrivilegeError(
            "the MongoDB user may not read how this cluster is sharded",
            hint="on a sharded cluster it also needs the role read on the database config",
            facts={"code": err.code, "collection": f"config.{name}"},
        ) from err


def balancer(database: Database) -> str:
    """The mode of the balancer, or `unknown` where the user may not ask: no plan depends on it."""
    try:
        return str(database.client.admin.command("balancerStatus")["mode"])
    except OperationFailure as err:
        if err.code != UNAUTHORIZED:
            raise
        return "unknown"


def obstacles(
    cluster: Cluster,
    collection: str,
    key: Keys,
    options: Mapping[str, Any],
    indexes: Iterable[Mapping[str, Any]],
) -> Iterator[PlanError]:
    """What would make the server refuse to shard a collection that is there already."""
    fields, wanted = tuple(name for name, _ in key), dict(key)
    for index in indexes:
        names = tuple(index["key"])
        if names != ("_id",) and (index.get("unique") or index.get("prepareUnique")) and names[: len(fields)] != fields:
            yield NotShardableError(
                collection,
                wanted,
                f"its unique index {index['name']} on ({', '.join(names)}) does not begin with ({', '.join(fields)})",
                hint=f"if nothing needs it: db.{collection}.dropIndex({index['name']!r}), then apply again",
                facts={"index": index["name"], "indexKey": dict(index["key"])},
            )
    if options.get("collation"):
        reason = f"its default collation is {options['collation'].get('locale')!r}, and the indexes would take it"
        hint = "copy its documents into a collection without a collation, then apply again"
        yield NotShardableError(collection, wanted, reason, hint=hint, facts={"collation": dict(options["collation"])})
    if options.get("capped"):
        hint = "copy its documents into a collection that is not capped, then apply again"
        yield NotShardableError(collection, wanted, "it is capped", hint=hint, facts={"capped": True})
    for bounds in sorted(cluster.zones.get(collection, ())):
        if bounds[: len(fields)] != fields[: len(bounds)]:
            reason = f"it has a zone over ({', '.join(bounds)})"
            hint = "look at its zones (sh.status()) and remove that range with sh.removeRangeFromZone, then apply again"
            yield NotShardableError(collection, wanted, reason, hint=hint, facts={"zone": list(bounds)})


def unseen(database: Database, names: Iterable[str]) -> list[PlanError]:
    """Those sharded collections, of the named ones, of which the primary shard of the database owns no chunk.

    A router lists a collection's options as that shard has them, and collMod reaches only the shards that own chunks (6.0.5):
    what is changed there is not seen here, and every plan would want to change it again.
    """
    found: list[PlanError] = []
    for name in names:
        (row,) = catalogue(database, "collections", {"_id": f"{database.name}.{name}"}, ("uuid",))
        (home,) = catalogue(database, "databases", {"_id": database.name}, ("primary",))
        of_it = [{"uuid": row.get("uuid")}, {"ns": row["_id"]}]  # by uuid since 5.0, by namespace before
        if not catalogue(database, "chunks", {"$or": of_it, "shard": home["primary"]}, ("_id",)):
            found.append(UnseenOptionsError(name, home["primary"]))
    return found


def refused(err: OperationFailure, collection: str, key: Keys, database: str) -> Exception:
    """What the router refused to shard, by its code; what is not about sharding is given back as it is."""
    fields = ", ".join(name for name, _ in key)
    hints = {
        ILLEGAL_OPERATION: f"MongoDB before 6.0 wants sh.enableSharding({database!r}) first",
        CANNOT_CREATE_INDEX: f"each unique index must begin with ({fields}): look at db.{collection}.getIndexes()",
        INVALID_OPTIONS: f"look at its indexes and options (db.{collection}.getIndexes()) and at its zones (sh.status())",
    }
    facts = {"code": err.code, "codeName": (err.details or {}).get("codeName", "")}
    if err.code == UNAUTHORIZED:
        hint = "sharding needs the action enableSharding on the database; the role clusterManager has it"
        return PrivilegeError(f"the MongoDB user may not shard {collection}", hint=hint, facts=facts)
    if err.code not in hints:
        return err
    said = str((err.details or {}).get("errmsg", ""))[:LONGEST_SERVER_MESSAGE]
    return NotShardableError(collection, dict(key), said, hint=hints[err.code], facts=facts)

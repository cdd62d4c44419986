"""Things to do to a database: each says what it will do, at what risk and for how long, and does it. `planning` makes them.

Applying one twice changes nothing more. Every command is sent with write concern majority, so that what was done survives a
change of the primary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pymongo.errors import CollectionInvalid, OperationFailure

from lnm_runner import durations, sharding
from lnm_runner.durations import Duration
from lnm_runner.errors import DuplicateKeysError, RetryableError, ShardKeyConflictError
from lnm_runner.forecast import TtlDeletes, duplicate_keys
from lnm_runner.mongo import Database
from lnm_runner.options import LONGEST_TTL_S
from lnm_runner.schema import Index, Keys, Validator, after
from lnm_runner.things import Thing

MAJORITY = {"w": "majority"}
QUORUM = "majority"
"""How many members must have built an index before it stands. The server's own default is all that vote: with one of them down, a
build would wait for it for ever, without a word (seen on 6.0.5)."""
DUPLICATE_KEY = 11000  # mongo/src/mongo/base/error_codes.yml


@dataclass(frozen=True)
class Risk:
    """What could go wrong for those who use the database meanwhile."""

    level: str
    """none, low, medium or high."""
    why: str

    def __str__(self) -> str:
        """The risk in words."""
        return f"{self.level}: {self.why}"

    def as_json(self) -> dict[str, str]:
        """The risk, for a program."""
        return {"level": self.level, "why": self.why}


class Action(Protocol):
    """One thing to do."""

    @property
    def ttl_deletes(self) -> int:
        """How many documents the server would delete because of it."""

    @property
    def documents(self) -> int:
        """About how many documents the server reads for it."""

    @property
    def things(self) -> tuple[Thing, ...]:
        """What it makes or changes, for the ledger."""

    @property
    def risk(self) -> Risk:
        """What could go wrong."""

    @property
    def duration(self) -> Duration:
        """How long it will take."""

    def describe(self) -> Iterator[str]:
        """What it does, a sentence a line."""

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""

    def apply(self, database: Database) -> None:
        """Does it.

        Raises: PyMongoError, RunnerError.
        """


@dataclass(frozen=True)
class CreateCollection:
    """Makes a collection, with its validator."""

    collection: str
    validator: Validator | None = None
    ttl_deletes: int = 0
    documents: int = 0

    @property
    def things(self) -> tuple[Thing, ...]:
        """The collection; its validator goes with it."""
        return (Thing("collection", self.collection),)

    @property
    def risk(self) -> Risk:
        """Nobody uses it yet."""
        return Risk("none", "the collection is new")

    @property
    def duration(self) -> Duration:
        """One command."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        yield f"create the collection {self.collection}" + (" with a validator" if self.validator else "")

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {
            "action": "create-collection",
            "collection": self.collection,
            "options": self.validator.options() if self.validator else {},
        }

    def apply(self, database: Database) -> None:
        """Makes it; one that has come meanwhile is left to the next look."""
        try:
            database.create_collection(self.collection, **(self.validator.options() if self.validator else {}))
        except CollectionInvalid:
            return


@dataclass(frozen=True)
class SetValidator:
    """Gives a collection that has no validator ours."""

    collection: str
    validator: Validator
    before: Mapping[str, Any] = field(default_factory=dict)
    """The level and the action that stand there without a validator."""
    ttl_deletes: int = 0
    documents: int = 0

    @property
    def things(self) -> tuple[Thing, ...]:
        """The validator."""
        return (Thing("validator", self.collection, made=self.validator.options(), before=self.before),)

    @property
    def risk(self) -> Risk:
        """It judges what is written from then on."""
        return Risk("low", "documents that are there stay as they are; what is written from then on must follow it")

    @property
    def duration(self) -> Duration:
        """One command."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        yield f"set the validator of {self.collection} (level {self.validator.level})"

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {"action": "set-validator", "collection": self.collection, "options": self.validator.options()}

    def apply(self, database: Database) -> None:
        """Sets it."""
        send(database, {"collMod": self.collection, **self.validator.options()})


@dataclass(frozen=True)
class CreateIndexes:
    """Makes the missing indexes of one collection, in one scan of it: all of them or none."""

    collection: str
    indexes: tuple[Index, ...]
    documents: int
    """About how many documents the server will read."""
    forecasts: tuple[TtlDeletes, ...] = ()
    """One for each TTL index among them."""
    pace_us: float = 0.0
    """How long a document of a sample took, in microseconds (`forecast.pace`)."""

    @property
    def ttl_deletes(self) -> int:
        """How many documents are past the expiry of a TTL index among them."""
        return sum(forecast.total for forecast in self.forecasts)

    @property
    def things(self) -> tuple[Thing, ...]:
        """The indexes."""
        return tuple(Thing("index", self.collection, index.name, index.specification()) for index in self.indexes)

    @property
    def risk(self) -> Risk:
        """A build reads everything once, and a unique index refuses what was allowed."""
        if self.ttl_deletes:
            return Risk("high", f"the server deletes {self.ttl_deletes} documents")
        if not self.documents:
            return Risk("none", "the collection is empty")
        unique = "; from then on duplicates are refused" * any(index.unique for index in self.indexes)
        return Risk("medium", f"every document is read once while reads and writes go on{unique}")

    @property
    def duration(self) -> Duration:
        """By the documents and the pace."""
        return durations.of_index_builds(self.documents, len(self.indexes), self.pace_us)

    def describe(self) -> Iterator[str]:
        """What it does."""
        for index in self.indexes:
            yield f"create on {self.collection} the index {index.describe()}"
        for forecast in self.forecasts:
            yield from forecast.describe(self.collection)

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {
            "action": "create-indexes",
            "collection": self.collection,
            "indexes": [index.specification() for index in self.indexes],
            "ttlDeletes": [forecast.as_json() for forecast in self.forecasts if forecast.total],
        }

    def apply(self, database: Database) -> None:
        """Makes them and waits until they are built, also where the server is building them already.

        Raises: DuplicateKeysError where duplicates have come since the plan.
        """
        wanted = [index.specification() for index in self.indexes]
        try:
            send(database, {"createIndexes": self.collection, "indexes": wanted, "commitQuorum": QUORUM})
        except OperationFailure as err:
            if err.code != DUPLICATE_KEY:
                raise
            for index in (index for index in self.indexes if index.unique):
                found = duplicate_keys(database, self.collection, index)
                if found.keys:
                    raise DuplicateKeysError(self.collection, index.name, found.keys, found.examples) from err
            raise


@dataclass(frozen=True)
class ChangeTtl:
    """Changes the expiry of a TTL index in place; the index is neither dropped nor built again."""

    collection: str
    index: str
    found_s: int | None
    wanted_s: int | None
    """Seconds, or None for never: the server cannot take an expiry off, so the longest that it knows is set."""
    forecast: TtlDeletes = field(default_factory=TtlDeletes)
    documents: int = 0

    @property
    def ttl_deletes(self) -> int:
        """How many documents are past the new expiry."""
        return self.forecast.total

    @property
    def things(self) -> tuple[Thing, ...]:
        """The expiry."""
        made, before = {"expireAfterSeconds": self.wanted_s}, {"expireAfterSeconds": self.found_s}
        return (Thing("ttl", self.collection, self.index, made, before),)

    @property
    def risk(self) -> Risk:
        """Documents may die."""
        if self.ttl_deletes:
            return Risk("high", f"the server deletes {self.ttl_deletes} documents")
        return Risk("none", "no document dies because of it now")

    @property
    def duration(self) -> Duration:
        """One command."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        words = f"documents died {after(self.found_s)}, they will die {after(self.wanted_s)}"
        yield f"change the expiry of {self.index} on {self.collection}: {words}"
        yield from self.forecast.describe(self.collection)

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {
            "action": "change-ttl",
            "collection": self.collection,
            "index": self.index,
            "foundSeconds": self.found_s,
            "wantedSeconds": self.wanted_s,
            "ttlDeletes": [self.forecast.as_json()] if self.forecast.total else [],
        }

    def apply(self, database: Database) -> None:
        """Changes it by collMod."""
        seconds = LONGEST_TTL_S if self.wanted_s is None else self.wanted_s
        change = {"name": self.index, "expireAfterSeconds": seconds}
        send(database, {"collMod": self.collection, "index": change})


@dataclass(frozen=True)
class ShardCollection:
    """Shards a collection that has the index of its shard key."""

    collection: str
    key: Keys
    documents: int = 0
    ttl_deletes: int = 0

    @property
    def things(self) -> tuple[Thing, ...]:
        """The shard key."""
        return (Thing("shard-key", self.collection, made={"key": dict(self.key)}),)

    @property
    def risk(self) -> Risk:
        """It is for ever."""
        return Risk("high", "it cannot be taken back but with the collection; the balancer moves documents from then on")

    @property
    def duration(self) -> Duration:
        """One command of the catalogue."""
        return durations.of_a_command()

    def describe(self) -> Iterator[str]:
        """What it does."""
        fields = ", ".join(name if order == 1 else f"{name}: {order}" for name, order in self.key)
        yield f"shard {self.collection} by ({fields}); this cannot be taken back"

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {"action": "shard-collection", "collection": self.collection, "key": dict(self.key), "unique": False}

    def apply(self, database: Database) -> None:
        """Shards it; where somebody else has done so meanwhile, by the same key, that will do.

        Raises: ShardKeyConflictError, NotShardableError, PrivilegeError.
        """
        namespace = f"{database.name}.{self.collection}"
        try:
            database.client.admin.command({"shardCollection": namespace, "key": dict(self.key), "unique": False})
        except OperationFailure as err:
            if err.code != sharding.ALREADY_INITIALIZED:
                raise sharding.refused(err, self.collection, self.key, database.name) from err
            found = sharding.collections(database).get(self.collection)
            if found is None:
                raise
            if found != self.key:
                raise ShardKeyConflictError(self.collection, dict(found), dict(self.key)) from err


def send(database: Database, command: Mapping[str, Any]) -> None:
    """Sends a command that changes something and waits for a majority; the driver does not look at that part of the answer.

    Raises: RetryableError where it was done, but not acknowledged by a majority; PyMongoError.
    """
    answer = database.command({**command, "writeConcern": MAJORITY})
    if "writeConcernError" in answer:
        said = str(answer["writeConcernError"].get("errmsg", ""))
        raise RetryableError(f"no majority has acknowledged {next(iter(command))}: {said}", hint="run the same command again")


def described(action: Action) -> dict[str, Any]:
    """All that a plan says of an action, for a program."""
    return {
        **action.as_json(),
        "description": list(action.describe()),
        "documents": action.documents,
        "risk": action.risk.as_json(),
        "forecast": action.duration.as_json(),
    }

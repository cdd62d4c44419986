"""Things to do to a database: each says what it will do, and does it. `planning` makes them.

Applying one twice changes nothing more. Every command is sent with write concern majority, so that what was done survives a
change of the primary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pymongo.errors import CollectionInvalid, OperationFailure

from lnm_runner.errors import DuplicateKeysError
from lnm_runner.forecast import TtlDeletes, duplicate_keys
from lnm_runner.mongo import Database
from lnm_runner.options import LONGEST_TTL_S
from lnm_runner.schema import Index, Validator, after

MAJORITY = {"w": "majority"}
DUPLICATE_KEY = 11000  # mongo/src/mongo/base/error_codes.yml


class Action(Protocol):
    """One thing to do."""

    @property
    def ttl_deletes(self) -> int:
        """How many documents the server would delete because of it."""

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
    ttl_deletes: int = 0

    def describe(self) -> Iterator[str]:
        """What it does."""
        yield f"set the validator of {self.collection} (level {self.validator.level})"

    def as_json(self) -> dict[str, Any]:
        """What it does, for a program."""
        return {"action": "set-validator", "collection": self.collection, "options": self.validator.options()}

    def apply(self, database: Database) -> None:
        """Sets it."""
        database.command({"collMod": self.collection, **self.validator.options(), "writeConcern": MAJORITY})


@dataclass(frozen=True)
class CreateIndexes:
    """Makes the missing indexes of one collection, in one scan of it: all of them or none."""

    collection: str
    indexes: tuple[Index, ...]
    documents: int
    """About how many documents the server will read."""
    forecasts: tuple[TtlDeletes, ...] = ()
    """One for each TTL index among them."""

    @property
    def ttl_deletes(self) -> int:
        """How many documents are past the expiry of a TTL index among them."""
        return sum(forecast.total for forecast in self.forecasts)

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
            "documents": self.documents,
            "indexes": [index.specification() for index in self.indexes],
            "ttlDeletes": [forecast.as_json() for forecast in self.forecasts if forecast.total],
        }

    def apply(self, database: Database) -> None:
        """Makes them and waits until they are built.

        Raises: DuplicateKeysError where duplicates have come since the plan.
        """
        wanted = [index.specification() for index in self.indexes]
        try:
            database.command({"createIndexes": self.collection, "indexes": wanted, "writeConcern": MAJORITY})
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

    @property
    def ttl_deletes(self) -> int:
        """How many documents are past the new expiry."""
        return self.forecast.total

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
        database.command({"collMod": self.collection, "index": change, "writeConcern": MAJORITY})

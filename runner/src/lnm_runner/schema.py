"""What a database must hold: the words that a migration declares its table with.

Terms and fields are those of the server's commands create, createIndexes and collMod (MongoDB manual, «Database commands»).
Nothing here looks at a server (`planning` does) or changes one (`actions` do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

SECONDS_PER_DAY = 86_400
TWIN = "lnm_undo_"
"""Before the name of a collection that is being rolled back, while it is looked at (undo.py)."""

Keys: TypeAlias = tuple[tuple[str, int | str], ...]
"""Fields and their order: 1, -1 or "hashed"."""


def after(seconds: int | None) -> str:
    """An expiry in words."""
    if seconds is None:
        return "never"
    return f"after {seconds // SECONDS_PER_DAY} days" if seconds % SECONDS_PER_DAY == 0 else f"after {seconds} s"


@dataclass(frozen=True)
class Index:
    """An index. Its name is always given: the server's own names say nothing about who made it."""

    name: str
    keys: Keys
    unique: bool = False
    partial: Mapping[str, Any] | None = None
    """The documents that it holds, as a filter."""
    ttl: bool = False
    """True when its expiry is a setting, and so is changed in place where it differs."""
    expire_after_s: int | None = None
    """For a ttl index: how long after the date in its field a document dies, in seconds; None: never."""

    def specification(self) -> dict[str, Any]:
        """The index as createIndexes takes it."""
        wanted: dict[str, Any] = {"key": dict(self.keys), "name": self.name}
        if self.unique:
            wanted["unique"] = True
        if self.partial is not None:
            wanted["partialFilterExpression"] = dict(self.partial)
        if self.expire_after_s is not None:
            wanted["expireAfterSeconds"] = self.expire_after_s
        return wanted

    def describe(self) -> str:
        """The index in words."""
        keys = ", ".join(field if order == 1 else f"{field}: {order}" for field, order in self.keys)
        words = [f"{self.name} ({keys})"]
        words += ["unique"] if self.unique else []
        words += ["partial"] if self.partial is not None else []
        words += [f"documents die {after(self.expire_after_s)}"] if self.ttl else []
        return ", ".join(words)


@dataclass(frozen=True)
class Validator:
    """The rule for new and changed documents (MongoDB manual, «Schema validation»)."""

    schema: Mapping[str, Any]
    """The $jsonSchema."""
    level: str = "moderate"
    """moderate: what was there before and does not follow the rule may still be changed."""
    action: str = "error"

    def options(self) -> dict[str, Any]:
        """The validator as create and collMod take it."""
        return {
            "validator": {"$jsonSchema": dict(self.schema)},
            "validationLevel": self.level,
            "validationAction": self.action,
        }


@dataclass(frozen=True)
class Collection:
    """A collection and all that belongs to it."""

    name: str
    indexes: tuple[Index, ...]
    shard_key: Index | None = None
    """The index that the shard key needs; it is made on a replica set too. None: never sharded."""
    validator: Validator | None = None

    @property
    def all_indexes(self) -> tuple[Index, ...]:
        """Every index beside the one of _id."""
        return self.indexes if self.shard_key is None else (self.shard_key, *self.indexes)


@dataclass(frozen=True)
class Precondition:
    """An index of somebody else's that must stand; it is looked for by its content, and never made."""

    collection: str
    keys: Keys
    unique: bool
    remedy: str
    """What to do where it is missing."""
    because: str = field(default="")
    """What needs it."""

"""Questions about the documents of a collection, asked before anything is built: read-only, and answered by the server.

Duplicates are counted by the fields' values, a missing one being null, as a unique index does; for a field that holds an array
the count is by the whole array, so there the server's own check has the last word.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lnm_runner import mongo
from lnm_runner.mongo import Database
from lnm_runner.schema import Index

EXAMPLES = 5  # enough to see what they have in common
SAMPLE = 20_000  # documents; about a tenth of a second
BEFORE = "before 0001-01-01"
DAYS_SHOWN = 7  # in words; JSON has them all


@dataclass(frozen=True)
class Duplicates:
    """Keys that occur more than once."""

    keys: int
    examples: tuple[Mapping[str, Any], ...]
    """`{key: {field: value}, documents, ids}`, the most frequent first."""


@dataclass(frozen=True)
class TtlDeletes:
    """Documents that are past an expiry."""

    by_day: Mapping[str, int] = field(default_factory=dict)
    """`{YYYY-MM-DD of their date, or BEFORE: how many}`, UTC, oldest first."""

    @property
    def total(self) -> int:
        """How many they are."""
        return sum(self.by_day.values())

    def describe(self, collection: str) -> Iterator[str]:
        """The forecast in words; nothing where nothing dies."""
        if not self.total:
            return
        days = [f"{count} of {day}" for day, count in self.by_day.items()]
        more = f" and {len(days) - DAYS_SHOWN} more days" if len(days) > DAYS_SHOWN else ""
        yield f"  with that, the server deletes {self.total} documents of {collection}: {', '.join(days[:DAYS_SHOWN])}{more}"

    def as_json(self) -> dict[str, Any]:
        """The forecast, for a program."""
        return {"total": self.total, "byDay": dict(self.by_day)}


def duplicate_keys(database: Database, collection: str, index: Index) -> Duplicates:
    """The keys of a unique index that occur more than once, with examples."""
    fields = [name for name, _ in index.keys]
    key = {f"k{number}": {"$ifNull": [f"${name}", None]} for number, name in enumerate(fields)}
    pipeline: list[Mapping[str, Any]] = [
        {"$match": dict(index.partial or {})},
        {"$group": {"_id": key, "documents": {"$sum": 1}}},
        {"$match": {"documents": {"$gt": 1}}},
        {"$facet": {
            "total": [{"$count": "keys"}],
            "examples": [{"$sort": {"documents": -1, "_id": 1}}, {"$limit": EXAMPLES}],
        }},
    ]  # fmt: skip
    found = next(iter(database[collection].aggregate(pipeline, allowDiskUse=True)))
    if not found["total"]:
        return Duplicates(0, ())
    examples = []
    for group in found["examples"]:
        values = {name: group["_id"][f"k{number}"] for number, name in enumerate(fields)}
        where = {"$and": [dict(index.partial or {}), values]}
        ids = [str(document["_id"]) for document in database[collection].find(where, {"_id": 1}).limit(EXAMPLES)]
        examples.append({"key": values, "documents": group["documents"], "ids": ids})
    return Duplicates(found["total"][0]["keys"], tuple(examples))


@dataclass(frozen=True)
class Arrays:
    """Documents that hold an array where an index wants one value."""

    field: str
    documents: int
    ids: tuple[str, ...]
    """Of some of them."""


def arrays(database: Database, collection: str, fields: Iterable[str]) -> list[Arrays]:
    """The arrays in fields, or on the way to them: a unique index counts each element, and a hashed one takes none."""
    wanted = dict.fromkeys(
        ".".join(parts[:end]) for name in fields for parts in [name.split(".")] for end in range(1, len(parts) + 1)
    )
    held = {name: {name: {"$type": "array"}} for name in wanted}
    if not held or database[collection].find_one({"$or": list(held.values())}, {"_id": 1}) is None:
        return []
    found = []
    for name, where in held.items():
        if count := database[collection].count_documents(where):
            ids = (str(document["_id"]) for document in database[collection].find(where, {"_id": 1}).limit(EXAMPLES))
            found.append(Arrays(name, count, tuple(ids)))
    return found


def pace(database: Database, collection: str, index: Index) -> float:
    """How long the server takes to read a document and to group it by the keys of an index, in microseconds, by a sample."""
    key = {f"k{number}": f"${name}" for number, (name, _) in enumerate(index.keys)}
    pipeline: list[Mapping[str, Any]] = [
        {"$limit": SAMPLE},
        {"$group": {"_id": key, "documents": {"$sum": 1}}},
        {"$group": {"_id": None, "documents": {"$sum": "$documents"}}},
    ]
    began = time.perf_counter()
    found = next(iter(database[collection].aggregate(pipeline, allowDiskUse=True)), {"documents": 1})
    return (time.perf_counter() - began) * 1e6 / int(found["documents"])


def ttl_deletes(database: Database, collection: str, index: Index) -> TtlDeletes:
    """The documents that a TTL index would let die at once, by the server's clock.

    As the server does it: by the earliest date in the field, which may hold an array; what is no date never dies.
    """
    if index.expire_after_s is None:
        return TtlDeletes()
    name = index.keys[0][0]
    first = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    limit = mongo.now(database) - dt.timedelta(seconds=index.expire_after_s)
    values = {"$cond": [{"$isArray": f"${name}"}, f"${name}", [f"${name}"]]}
    earliest = {"$min": {"$filter": {"input": values, "cond": {"$eq": [{"$type": "$$this"}, "date"]}}}}
    day = {"$dateToString": {"date": earliest, "format": "%Y-%m-%d"}}  # the server writes no year below 0 (error 18537)
    pipeline: list[Mapping[str, Any]] = [
        {"$match": {**dict(index.partial or {}), name: {"$lt": limit}}},
        {"$group": {"_id": {"$cond": [{"$lt": [earliest, first]}, None, day]}, "documents": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    return TtlDeletes(
        {day["_id"] or BEFORE: day["documents"] for day in database[collection].aggregate(pipeline, allowDiskUse=True)}
    )

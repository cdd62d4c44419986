"""Everything in a database, kept in memory, so that many tests can start from what was made once.

Kept are collections with their options and indexes, and documents byte by byte; not the users and roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

RAW: bson.CodecOptions[RawBSONDocument] = bson.CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True)
class Kept:
    """A collection."""

    name: str
    options: Mapping[str, Any]
    indexes: Sequence[Mapping[str, Any]]
    documents: Sequence[RawBSONDocument] = field(repr=False)


def taken(database: Database[dict[str, Any]]) -> tuple[Kept, ...]:
    """The picture of a database."""
    return tuple(
        Kept(
            name,
            database[name].options(),
            [dict(index) for index in database[name].list_indexes() if index["name"] != "_id_"],
            list(database[name].with_options(codec_options=RAW).find()),
        )
        for name in sorted(database.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}}))
    )


def laid_out(picture: Sequence[Kept], database: Database[dict[str, Any]]) -> None:
    """Makes an empty database what the picture shows."""
    for kept in picture:
        made = database.create_collection(kept.name, **kept.options)
        if kept.indexes:
            database.command("createIndexes", kept.name, indexes=list(kept.indexes))
        if kept.documents:
            made.with_options(codec_options=RAW).insert_many(kept.documents)

"""Loads a collection of a dump into a new collection of a database: documents, indexes, and a comparison in between.

Validators are passed by: the documents were there before. Order: the collection with its options; documents; the comparison; then
the indexes, but those that let documents expire: they come last of all (`expire`), so that none dies before it was compared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import bson
from bson.raw_bson import RawBSONDocument

from lnm_runner import fingerprint
from lnm_runner.backup import reading
from lnm_runner.backup.layout import Hashing, Place
from lnm_runner.errors import BackupError
from lnm_runner.fingerprint import ID_INDEX, SWITCHES, Fingerprint, Seen
from lnm_runner.mongo import Database

BATCH: Final = 1000
BATCH_BYTES: Final = 8 << 20
"""A batch has so many documents, or so many bytes and one document more."""
EXPIRES: Final = "expireAfterSeconds"
RAW: Final = bson.CodecOptions(document_class=RawBSONDocument)


def load(database: Database, name: str, place: Place, row: Mapping[str, Any], *, kept: Sequence[Any] = ()) -> Seen:
    """Makes the collection `name` of a row of a manifest, without what lets it expire, and compares; `kept` are put beside.

    Raises: BackupError where what is stored differs from what was backed up; PyMongoError.
    """
    metadata = reading.metadata(place, row["metadata"]["file"])
    create(database, name, metadata)
    apart = SWITCHES.get(row["name"], ())
    insert(database, name, place, row["stored"]["file"], apart)
    stored = look(database, name, apart)
    wanted = row["apart"] or row
    if (stored.count, stored.sha256) != (wanted["count"], wanted["sha256"]):
        raise BackupError(
            f"{row['name']}: {stored.count:,} documents, {stored.sha256[:19]}… are stored; "
            f"the backup has {wanted['count']:,}, {wanted['sha256'][:19]}…",
            hint="run the same command again; where it says the same, look at the server's log",
            facts={"collection": row["name"], "found": stored.count, "wanted": wanted["count"]},
        )
    if kept:
        database[name].insert_many(kept, bypass_document_validation=True)
    index(database, name, [one for one in metadata["indexes"] if EXPIRES not in one])
    return stored


def create(database: Database, name: str, metadata: Mapping[str, Any]) -> None:
    """Makes an empty collection, or a view, with all of its options."""
    options = {option: value for option, value in metadata["options"].items() if option != EXPIRES}
    own = [one for one in metadata["indexes"] if one["name"] == ID_INDEX and not one.get("clustered")]
    if own and metadata["type"] == "collection":
        options["idIndex"] = own[0]
    database.command({"create": name, **options})


def insert(database: Database, name: str, place: Place, file: str, apart: Collection[Any]) -> None:
    """Writes the documents of a file, but those whose `_id` stands apart."""
    target = database[name].with_options(codec_options=RAW)
    with reading.opened(place, file) as raw:
        for batch in together(reading.documents(Hashing(raw), file, place.compress)):
            documents = [RawBSONDocument(one, RAW) for one in batch]
            wanted = [one for one in documents if one["_id"] not in apart] if apart else documents
            if wanted:
                target.insert_many(wanted, ordered=True, bypass_document_validation=True)


def together(documents: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Documents in batches."""
    batch: list[bytes] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def look(database: Database, name: str, apart: Sequence[Any]) -> Seen:
    """What is stored."""
    (entry,) = fingerprint.exact(database).list_collections(filter={"name": name})
    return fingerprint.look(database, name, entry, apart)


def index(database: Database, name: str, specifications: Sequence[Mapping[str, Any]]) -> None:
    """Builds indexes as they were listed; that of `_id` comes with the collection."""
    wanted = [dict(one) for one in specifications if one["name"] != ID_INDEX and not one.get("clustered")]
    if wanted:
        database.command({"createIndexes": name, "indexes": wanted})


def expire(database: Database, name: str, metadata: Mapping[str, Any]) -> None:
    """Lets documents expire as they did; to be called once everything was compared. What is so already stays."""
    index(database, name, [one for one in metadata["indexes"] if EXPIRES in one])
    if EXPIRES in metadata["options"]:  # of a clustered collection
        database.command({"collMod": name, EXPIRES: metadata["options"][EXPIRES]})


def lasting(one: Seen) -> Seen:
    """A collection without what lets its documents expire."""
    options = {name: value for name, value in json.loads(one.options).items() if name != EXPIRES}
    kept = tuple(text for text in one.indexes if EXPIRES not in json.loads(text))
    return replace(one, options=json.dumps(options, separators=(",", ":")), indexes=kept)


def without_expiry(brought: Fingerprint) -> Fingerprint:
    """A fingerprint without it."""
    return Fingerprint({name: lasting(one) for name, one in brought.collections.items()})

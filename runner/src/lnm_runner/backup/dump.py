"""Makes the dump of a database: for each collection a file of documents, and one of options and indexes. It is only read.

The documents of a collection are read in the order of `_id` as the server stores them, so that the SHA-256 of the file is the
collection's fingerprint. Memory is flat: one answer of the server (16 MB, and one document more) is held at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lnm_runner import fingerprint
from lnm_runner.backup import layout
from lnm_runner.backup.layout import Place, Stored
from lnm_runner.errors import BackupError
from lnm_runner.fingerprint import SWITCHES, Seen
from lnm_runner.mongo import Database


@dataclass(frozen=True)
class Collection:
    """A collection in a dump."""

    name: str
    seen: Seen
    stored: Stored | None
    """None of a view."""
    content: str
    """`sha256:<hex>` of what that file holds."""
    metadata: Stored
    apart: Seen | None
    """What there is apart from the switches of now, where it has any."""
    index_names: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """A row of the manifest."""
        return {
            "apart": None if self.apart is None else numbers(self.apart),
            "indexes": list(self.index_names),
            "metadata": self.metadata.as_json(),
            "name": self.name,
            "stored": None if self.stored is None else {**self.stored.as_json(), "content": self.content},
            "type": self.seen.type,
            **numbers(self.seen),
        }


def numbers(seen: Seen) -> dict[str, Any]:
    """What is written down of the documents of a collection."""
    return {"bytes": seen.bytes, "count": seen.count, "sha256": seen.sha256}


def make(database: Database, part: Place, say: Callable[[str], None]) -> list[Collection]:
    """Writes every collection of a database into a new folder.

    Raises: BackupError where somebody writes meanwhile; InputError, RetryableError; PyMongoError.
    """
    found = []
    for name, entry in fingerprint.listed(database).items():
        found.append(collection(database, name, entry, part))
        say(f"backup: {name}: {found[-1].seen.count:,} documents")
    return found


def collection(database: Database, name: str, entry: Mapping[str, Any], part: Place) -> Collection:
    """Writes one collection."""
    indexes = fingerprint.indexes(database, name, entry)
    about = part.metadata_file(database.name, name)
    metadata = part.write(about, layout.metadata(entry, indexes))
    digest, count, size, stored = hashlib.sha256(), 0, 0, None
    if entry["type"] != "view":
        with part.writing(part.documents_file(database.name, name)) as (file, became):
            for batch in fingerprint.batches(database, name, entry):
                file.write(batch)
                digest.update(batch)
                count, size = count + fingerprint.documents_in(batch), size + len(batch)
        stored = became[0]
    seen = fingerprint.made(entry, indexes, count, size, digest.hexdigest())
    require_count(database, name, seen)
    apart = fingerprint.look(database, name, entry, SWITCHES[name]) if name in SWITCHES else None
    names = tuple(str(index["name"]) for index in indexes)
    return Collection(name, seen, stored, seen.sha256 if stored else "", metadata, apart, names)


def require_count(database: Database, name: str, seen: Seen) -> None:
    """Compares the count with the server's own.

    Raises: BackupError.
    """
    if seen.type == "view" or name in fingerprint.LEASE:
        return
    count = database[name].count_documents({})
    if count != seen.count:
        raise changed([f"{name}: {seen.count:,} documents were read, the server counts {count:,}"])


def changed(found: list[str]) -> BackupError:
    """The error where a backup and its database differ while it is made."""
    return BackupError(
        f"somebody has written into the database while it was backed up: {'; '.join(found[:3])}",
        hint="freeze first (lnm runbook freeze --execute), see who may bypass that, then run the same command again",
        facts={"differences": found[:20]},
    )

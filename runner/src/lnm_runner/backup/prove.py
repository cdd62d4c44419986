"""Proves a backup: it is restored into a scratch database, `<database>_lnm_proof`, compared, and dropped.

That database begins with a marker, collection `lnm_proof`, so that what a killed proof has left is known as such, and dropped by
the next; it is the last to be dropped. A database of that name without a marker is somebody else's, and nothing is done to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from pymongo.errors import PyMongoError

from lnm_runner import fingerprint
from lnm_runner.backup import loading, reading
from lnm_runner.backup.layout import Place
from lnm_runner.backup.manifest import Manifest
from lnm_runner.errors import BackupError, InputError, RetryableError, StageError
from lnm_runner.fingerprint import Fingerprint
from lnm_runner.mongo import Database
from lnm_runner.roles import PROOF
from lnm_runner.target import LONGEST_NAME

MARKER: Final = "lnm_proof"
ROOM: Final = 1.2
"""So many times what the database takes must be free on the server's disk: a copy of it is made there."""


def scratch(database: Database) -> Database:
    """The scratch database.

    Raises: InputError where its name would be too long.
    """
    name = database.name + PROOF
    if len(name.encode()) > LONGEST_NAME:
        raise InputError(
            f"the scratch database would be called {name}, {len(name.encode())} bytes, and the server takes {LONGEST_NAME}",
            hint=f"a backup is proved for a database whose name has at most {LONGEST_NAME - len(PROOF)} bytes",
        )
    return database.client.get_database(
        name, codec_options=database.codec_options, write_concern=database.write_concern, read_preference=database.read_preference
    )


def require_free(scratch: Database, database: Database) -> bool:
    """Whether a killed proof of this database has left something.

    Raises: StageError where the name belongs to somebody else.
    """
    names = scratch.list_collection_names()
    if not names:
        return False
    row = scratch[MARKER].find_one({"_id": MARKER}) if MARKER in names else None
    if row is None or row.get("of") != database.name:
        raise StageError(
            f"there is a database {scratch.name} that no proof of {database.name} has made",
            hint=f"look at it; where nobody needs it: db.getSiblingDB('{scratch.name}').dropDatabase()",
            facts={"database": scratch.name, "collections": sorted(names)[:20]},
        )
    return True


def require_room(database: Database) -> None:
    """Refuses where the server's disk has no room for a second copy.

    Raises: RetryableError.
    """
    stats = database.command("dbStats")
    wanted = int((stats["storageSize"] + stats["indexSize"]) * ROOM)
    free = int(stats.get("fsTotalSize", 0) - stats.get("fsUsedSize", 0))
    if "fsTotalSize" in stats and free < wanted:
        raise RetryableError(
            f"the server's disk has {free:,} bytes free, and a copy of {database.name} takes up to {wanted:,}",
            hint="make room on the disk of the primary, then run the same command again",
            facts={"free": free, "wanted": wanted},
        )


def drop(scratch: Database) -> None:
    """Drops the scratch database, its marker last."""
    for name in scratch.list_collection_names():
        if name != MARKER and not name.startswith(fingerprint.SERVERS_OWN):
            scratch.drop_collection(name)
    scratch.client.drop_database(scratch.name)


def prove(database: Database, made: Manifest, brought: Fingerprint, files: Place, say: Callable[[str], None]) -> Fingerprint:
    """Restores a backup whose files were checked into the scratch database, and compares; `brought` is what it must come to.

    Raises: StageError; BackupError, and the scratch database is dropped all the same; PyMongoError.
    """
    place = scratch(database)
    if require_free(place, database):
        say(f"dropping what a proof that was stopped has left in {place.name}")
        drop(place)
    require_room(database)
    place[MARKER].insert_one({"_id": MARKER, "of": database.name, "backup": made.sha256})
    try:
        found = restored(place, made, brought, files, say)
    except BaseException:
        with contextlib.suppress(PyMongoError):  # the next proof drops what is left
            drop(place)
        raise
    drop(place)
    return found


def restored(place: Database, made: Manifest, brought: Fingerprint, files: Place, say: Callable[[str], None]) -> Fingerprint:
    """The fingerprint of the scratch database, once everything is in it.

    Raises: BackupError; PyMongoError.
    """
    rows = [row for row in made.rows if row["name"] in brought.collections]
    for row in sorted(rows, key=lambda row: (row["type"] == "view", row["name"])):
        put(place, row, files)
        say(f"prove-backup: {row['name']}: restored and compared, {(row['apart'] or row)['count']:,} documents")
    for row in rows:
        loading.expire(place, row["name"], reading.metadata(files, row["metadata"]["file"]))
    return indexed(place, brought)


def put(place: Database, row: Mapping[str, Any], files: Place) -> None:
    """Restores one collection, and compares its documents; or a view.

    Raises: BackupError.
    """
    if row["type"] == "view":
        loading.create(place, row["name"], reading.metadata(files, row["metadata"]["file"]))
    else:
        loading.load(place, row["name"], files, row)


def require_equal(wanted: Fingerprint, found: Fingerprint) -> None:
    """Refuses what was restored where it is not what was backed up.

    Raises: BackupError.
    """
    differences = fingerprint.differences(wanted, found)
    if differences:
        raise BackupError(
            f"what was restored is not what was backed up: {'; '.join(differences[:3])}",
            hint="make a backup anew, and run the same command again; where it says the same, look at the server's log",
            facts={"differences": differences[:20]},
        )


def indexed(place: Database, brought: Fingerprint) -> Fingerprint:
    """The whole fingerprint: documents as they were compared, kinds, options and indexes as they are now.

    Raises: BackupError.
    """
    entries = fingerprint.listed(place)
    found = {}
    for name, one in brought.collections.items():
        if (entry := entries.get(name)) is not None:
            digest = one.sha256.removeprefix("sha256:")
            found[name] = fingerprint.made(entry, fingerprint.indexes(place, name, entry), one.count, one.bytes, digest)
    require_equal(brought, Fingerprint(found))
    return Fingerprint(found)

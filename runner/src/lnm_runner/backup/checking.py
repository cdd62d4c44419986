"""Whether a backup is what its manifest says, is of this database, and is of now. Read-only.

Rules: (1) the manifest is the one that the journal knows; (2) its kit, cluster and database are these; (3) each file of it is
there, and no other; (4) each has its size and its hash, and holds what was counted and hashed in it; (5) counts, hashes, options
and indexes come to the fingerprint that it states; (6) that is the database's, as long as nothing was changed since. Every
defect of (3) and (4) is told, not the first alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lnm_runner import fingerprint
from lnm_runner.backup import layout, reading
from lnm_runner.backup.layout import Place
from lnm_runner.backup.manifest import AGAIN, Manifest, broken, cluster_of
from lnm_runner.errors import BackupError, RunnerError, gathered
from lnm_runner.fingerprint import Fingerprint, Seen
from lnm_runner.mongo import Database


def require_ours(made: Manifest, database: Database, root_hash: str) -> None:
    """Refuses the backup of another database, or one of another kit's runbook (2).

    Raises: BackupError.
    """
    found = [("database", made.database, database.name), ("cluster", made.value["cluster"], cluster_of(database))]
    for what, said, wanted in (*found, ("kit", made.value["kit"], root_hash)):
        if said != wanted:
            raise broken(f"it is a backup of another {what}: {said[:60]}, wanted {wanted[:60]}")


def require_listed(made: Manifest, place: Place) -> None:
    """Refuses where a file is missing, or one too many, or has another size (3); no file is read.

    Raises: BackupError that carries every defect.
    """
    wanted = {file["file"]: file["bytes"] for file in made.files}
    refuse_places(made, wanted)
    there = set(layout.files(place.folder))
    found = [f"{name}: is missing" for name in sorted(wanted.keys() - there)]
    found += [f"{name}: is there, and not listed" for name in sorted(there - wanted.keys())]
    for name in sorted(there & wanted.keys()):
        size = (place.folder / name).stat().st_size
        found += [f"{name}: has {size:,} bytes, the manifest says {wanted[name]:,}"] if size != wanted[name] else []
    refuse(found)


def refuse_places(made: Manifest, names: Mapping[str, int]) -> None:
    """Refuses a file that is not where those of a backup are.

    Raises: BackupError.
    """
    where = f"{layout.DUMP}/{made.database}"
    for name in names:
        parts = name.split("/")
        if "/".join(parts[:-1]) not in {where, layout.DUMP} or parts[-1] in {"", ".", ".."}:
            raise broken(f"{name[:100]!r} is no place of a file of a backup of {made.database}")


def require_whole(made: Manifest, place: Place, say: Callable[[str], None]) -> Fingerprint:
    """Reads every file, and refuses what is not as it was written (3, 4, 5); the fingerprint of what a restore brings back.

    Raises: BackupError that carries every defect.
    """
    require_listed(made, place)
    found, entries = [], {}
    for row in made.rows:
        defects, metadata = of_row(row, place)
        found += defects
        entries[row["name"]] = metadata
        say(f"backup: {row['name']}: {'read and compared' if not defects else 'is not as it was written'}")
    found += [defect for file in made.value["others"] for defect in of_file(file, reading.stored(place, file["file"]))]
    refuse(found)
    brought = expected(made, entries)
    if brought.sha256 != made.fingerprint or len(brought.collections) != made.value["fingerprint"]["collections"]:
        raise broken(f"its collections come to {brought.sha256[:19]}…, it says {made.fingerprint[:19]}…: it was edited")
    return brought


def of_row(row: Mapping[str, Any], place: Place) -> tuple[list[str], Mapping[str, Any]]:
    """What is wrong with the files of a collection, and what its metadata says."""
    found: list[str] = []
    metadata: Mapping[str, Any] = {}
    try:
        found += of_file(row["metadata"], reading.stored(place, row["metadata"]["file"]))
        metadata = reading.metadata(place, row["metadata"]["file"])
        if row["stored"]:
            held, stored = reading.content(place, row["stored"]["file"])
            found += of_file(row["stored"], stored)
            found += of_content(row, held)
    except RunnerError as err:
        found.append(err.message)
    if metadata and (metadata["type"], [index["name"] for index in metadata["indexes"]]) != (row["type"], row["indexes"]):
        found.append(f"{row['metadata']['file']}: kind and indexes are not those of the manifest")
    return found, metadata


def of_file(wanted: Mapping[str, Any], found: layout.Stored) -> Iterator[str]:
    """How a file differs from what was written."""
    if found.as_json() != {name: wanted[name] for name in ("bytes", "file", "sha256")}:
        yield (
            f"{found.file}: {found.bytes:,} bytes, {found.sha256[:19]}…; "
            f"the manifest says {wanted['bytes']:,} bytes, {wanted['sha256'][:19]}…"
        )


def of_content(row: Mapping[str, Any], held: reading.Content) -> Iterator[str]:
    """How what a file holds differs from what was counted."""
    if (held.count, held.bytes, held.sha256) != (row["count"], row["bytes"], row["stored"]["content"]):
        said = f"the manifest says {row['count']:,} in {row['bytes']:,}, {row['stored']['content'][:19]}…"
        yield f"{row['stored']['file']}: holds {held.count:,} documents in {held.bytes:,} bytes, {held.sha256[:19]}…; {said}"


def refuse(found: list[str]) -> None:
    """Refuses where there are defects.

    Raises: BackupError that carries them all.
    """
    if found:
        raise gathered([BackupError(one, hint=f"fetch the file from another copy of the backup; or {AGAIN}") for one in found])


def expected(made: Manifest, entries: Mapping[str, Mapping[str, Any]]) -> Fingerprint:
    """The fingerprint of all that a restore brings back, by manifest and metadata (`{collection: metadata}`)."""
    found = {}
    for row in made.rows:
        numbers, entry = row["apart"] or row, entries[row["name"]]
        if row["name"] in fingerprint.LEASE or (row["apart"] and not numbers["count"]):
            continue
        found[row["name"]] = seen(numbers, entry)
    return Fingerprint(found)


def seen(numbers: Mapping[str, Any], entry: Mapping[str, Any]) -> Seen:
    """A collection as manifest and metadata tell it."""
    digest = numbers["sha256"].removeprefix("sha256:")
    return fingerprint.made(entry, entry["indexes"], numbers["count"], numbers["bytes"], digest)


def require_current(made: Manifest, database: Database) -> Fingerprint:
    """Refuses a backup of what is not there any more (6); the fingerprint of the database.

    Raises: BackupError.
    """
    now = fingerprint.restorable(database)
    if now.sha256 != made.fingerprint:
        counts = {row["name"]: (row["apart"] or row)["count"] for row in made.rows}
        other = [
            f"{name}: {one.count:,} documents, {counts.get(name, 0):,} in the backup"
            for name, one in now.collections.items()
            if counts.get(name) != one.count
        ]
        raise BackupError(
            f"the backup of {made.value['at']} is stale: the database has changed since"
            f"{': ' if other else ', though the counts are the same'}{'; '.join(other[:3])}",
            hint=f"freeze first, then {AGAIN}",
            facts={"backup": made.fingerprint, "database": now.sha256},
        )
    return now

"""Where the files of a backup are, and how they are written: `dump/<database>/`, as mongodump lays them out, and the manifest.

`NAME.bson[.gz|.zst]` holds the documents of a collection, `NAME.metadata.json[.gz|.zst]` its options and indexes in canonical
Extended JSON v2, NAME being the collection's, escaped (mongo-tools, common/util: EscapeCollectionName, which is Go's
url.QueryEscape). What is written is on the disk before it is named (fsync(2)).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bson import json_util
from bson.json_util import CANONICAL_JSON_OPTIONS

from lnm_runner.backup import compression
from lnm_runner.errors import BackupError, InputError, NotFoundError, RetryableError, RunnerError

MANIFEST: Final = "backup-manifest.json"
DUMP: Final = "dump"
PART: Final = ".part"
LONGEST: Final = 255 - len(".metadata.json.gz")  # bytes of a file's name, Linux: NAME_MAX
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Stored:
    """A file as it was written."""

    file: str
    """Below the backup's folder."""
    bytes: int
    sha256: str
    """`sha256:<hex>`"""

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"bytes": self.bytes, "file": self.file, "sha256": self.sha256}


class Hashing:
    """A file that is written or read, and the SHA-256 and the length of what went through."""

    def __init__(self, file: IO[bytes]) -> None:
        """Passes on to `file`."""
        self.file, self.digest, self.count = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Writes, and hashes."""
        self.seen(data)
        return self.file.write(data)

    def read(self, size: int = -1) -> bytes:
        """Reads, and hashes."""
        data = self.file.read(size)
        self.seen(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """As a buffered reader asks."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """As a buffered reader asks."""
        return True

    @property
    def closed(self) -> bool:
        """As a buffered reader asks."""
        return self.file.closed

    def flush(self) -> None:
        """As the file does."""
        self.file.flush()

    def close(self) -> None:
        """Leaves it to who has opened the file."""

    def seen(self, data: bytes) -> None:
        """Hashes."""
        self.digest.update(data)
        self.count += len(data)

    @property
    def sha256(self) -> str:
        """`sha256:<hex>` of what went through."""
        return f"sha256:{self.digest.hexdigest()}"


def stem(collection: str) -> str:
    """How the files of a collection are called, less what they end in.

    Raises: InputError for a name that makes none.
    """
    name = urllib.parse.quote_plus(collection, safe="")
    if len(name) > LONGEST:
        raise InputError(
            f"{collection[:60]}…: the name of this collection is too long for a file of a backup "
            f"({len(name)} bytes where it is escaped, {LONGEST} at most)",
            hint="rename it, or move it to a database of its own",
        )
    return name


@dataclass(frozen=True)
class Place:
    """The files of a backup."""

    folder: Path
    compress: str = "none"
    """How they are compressed; the manifest never is."""

    def documents_file(self, database: str, collection: str) -> str:
        """The file of a collection's documents, below the folder."""
        return f"{DUMP}/{database}/{stem(collection)}.bson{compression.SUFFIXES[self.compress]}"

    def metadata_file(self, database: str, collection: str) -> str:
        """The file of its options and indexes."""
        return f"{DUMP}/{database}/{stem(collection)}.metadata.json{compression.SUFFIXES[self.compress]}"

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[tuple[IO[bytes], list[Stored]]]:
        """A new file to write into; what it became is appended to the list, once it is on the disk."""
        became: list[Stored] = []
        with told(name), (self.folder / name).open("xb") as file:
            hashing = Hashing(file)
            packed = compression.writer(hashing, self.compress)  # type: ignore[arg-type]
            yield packed, became
            packed.close()
            file.flush()
            os.fsync(file.fileno())
        became.append(Stored(name, hashing.count, hashing.sha256))

    def write(self, name: str, data: bytes) -> Stored:
        """Writes a new file."""
        with self.writing(name) as (file, became):
            file.write(data)
        return became[0]


def metadata(entry: Mapping[str, Any], indexes: list[dict[str, Any]]) -> bytes:
    """Options and indexes of a collection as mongodump writes them; `entry` is what listCollections says."""
    said: dict[str, Any] = {"options": entry["options"]} if entry["options"] else {}
    said["indexes"] = indexes
    if uuid := entry.get("info", {}).get("uuid"):
        said["uuid"] = bytes(uuid).hex()
    said |= {"collectionName": entry["name"], "type": entry["type"]}
    return json_util.dumps(said, json_options=CANONICAL_JSON_OPTIONS, separators=(",", ":")).encode()


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Tells in words what the system refused inside the block.

    Raises: RetryableError where there is no room; NotFoundError, InputError.
    """
    try:
        yield
    except OSError as err:
        raise refused(what, err) from err


def refused(what: str, err: OSError) -> RunnerError:
    """The error for what the system said of a file."""
    why = f"{what}: {err.strerror or type(err).__name__}"
    if err.errno in NO_ROOM:
        return RetryableError(why, hint="make room, or name another disk by --backup FOLDER, then run the same command again")
    if isinstance(err, FileNotFoundError):
        return NotFoundError(why, hint="lnm runbook backup --execute makes one; --backup FOLDER names one that is elsewhere")
    return InputError(why, hint="the folder of the backup must be yours to read and to write")


def new_part(folder: Path, database: str) -> Path:
    """An empty folder beside the one that is to come; what a run that was stopped has left in it is removed.

    Raises: InputError for something else in its place; RetryableError.
    """
    part = folder.with_name(folder.name + PART)
    with told(part.name):
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if part.is_symlink():
            raise InputError(f"{part.name}: is a link", hint="look who has put it there, and remove it")
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(mode=0o700)
        (part / DUMP / database).mkdir(parents=True, mode=0o700)
    return part


def settle(part: Path, folder: Path) -> None:
    """Gives a finished backup its name, once all of it is on the disk: also what another program has written."""
    with told(folder.name):
        for path in (*part.rglob("*"), part):
            sync(path)
        part.rename(folder)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Puts a file, or the names of a folder, onto the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def files(folder: Path) -> Iterator[str]:
    """Every file of a backup but the manifest, by its name below the folder, sorted.

    Raises: BackupError for a link or a special file.
    """
    for path in sorted(folder.rglob("*")):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if stat.S_ISREG(mode):
            if name != MANIFEST:
                yield name
        elif not stat.S_ISDIR(mode):
            raise BackupError(f"{name}: is no file", hint="a backup has no links; look who has put it there")

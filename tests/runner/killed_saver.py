"""Kills a stage that saves a database right before each of its writes, and looks what the same stage makes of it.

`python -m tests.runner.killed_saver STAGE URI DATABASE KIT KEY FOLDER` prints a JSON list, a row for each point: `at`, the command that
would have been sent next; `mixed`, the collections that are neither as they were nor as they are to be; `left`, the databases of a
proof that were left over; `equal`, whether the stage then came to its end with what it must come to. A process that is killed
loses nothing that the kernel has, so nobody waits for the disk here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lnm_runner import fingerprint
from lnm_runner.fingerprint import Fingerprint
from pymongo import MongoClient, monitoring

from tests.runner import backups
from tests.runner.backups import Saver
from tests.runner.kits import Kit

WRITES = {"create", "insert", "createIndexes", "renameCollection", "drop", "dropDatabase", "collMod", "delete"}
MOST = 200
POINTS = {"restore": range(1, MOST), "prove_backup": (2, 3, 5, 12, 16)}
"""A proof is killed at one of each kind of write."""


class Killer(monitoring.CommandListener):
    """Kills this process before its write of this number."""

    def __init__(self, number: int, note: Path) -> None:
        """Writes down before which."""
        self.left, self.note = number, note

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Before a command is sent."""
        if event.command_name not in WRITES:
            return
        self.left -= 1
        if self.left == 0:
            self.note.write_text(f"{event.command_name} {event.command[event.command_name]}")
            os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing."""


def killed_at(number: int, stage: str, saver: Saver, note: Path) -> bool:
    """Does a stage in a child that is killed before its write of this number; false where it comes to its end before."""
    child = os.fork()
    if child == 0:
        monitoring.register(Killer(number, note))
        saver.stage(stage, forced="nothing is frozen here")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), "the stage itself has failed"
    return status != 0


def fill(database: Any) -> None:
    """Little, as there is much to do with it."""
    database["things"].create_index("b")
    database["things"].create_index("at", expireAfterSeconds=3600)
    database["things"].insert_many([{"_id": number, "b": number, "at": backups.FAR} for number in range(20)])
    database["same"].insert_one({"_id": 1})
    database.create_collection("seen", viewOn="things", pipeline=[])
    database["lnm_settings"].insert_many([{"_id": "pace"}, {"_id": "ingest"}])


def spoil(database: Any) -> None:
    """Something of each kind."""
    database["things"].update_one({"_id": 1}, {"$set": {"b": 7}})
    database["lnm_settings"].delete_one({"_id": "pace"})
    database["come"].insert_one({"_id": 1})
    database.drop_collection("seen")


def mixed(before: Fingerprint, spoiled: Fingerprint, now: Fingerprint) -> list[str]:
    """The collections that are neither the one nor the other; what lets documents expire may be missing."""
    found = []
    for name, seen in now.collections.items():
        as_one = [(one.count, one.sha256) for one in (before.collections.get(name), spoiled.collections.get(name)) if one]
        if not name.startswith("lnm_restoring_") and (seen.count, seen.sha256) not in as_one:
            found.append(name)
    missing = [name for name in before.collections if name in spoiled.collections and name not in now.collections]
    return [*found, *missing]


def explored(stage: str, uri: str, name: str, kit: Kit, folder: Path) -> list[dict[str, Any]]:
    """A row for each point."""
    rows: list[dict[str, Any]] = []
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as first:
        fill(first[name])
        saver = Saver(first[name], kit, folder / "book", uri)
        saver.stage("backup")
        before = saver.seen()
    for number in POINTS[stage]:
        with MongoClient[dict[str, Any]](uri, tz_aware=True) as root:
            saver.database = root[name]
            if stage == "restore":
                spoil(root[name])
            spoiled = saver.seen()
        note = folder / "note"
        if not killed_at(number, stage, saver, note):
            return rows
        with MongoClient[dict[str, Any]](uri, tz_aware=True) as root:
            saver.database = root[name]
            row = {"at": note.read_text().replace(name, "DB"), "mixed": mixed(before, spoiled, saver.seen())}
            row["left"] = [one for one in root.list_database_names() if one.endswith("_lnm_proof")]
            saver.free_lease()
            done = saver.stage(stage, forced="nothing is frozen here").evidence
            gone = [one for one in root.list_database_names() if one.endswith("_lnm_proof")]
            equal = fingerprint.differences(before, saver.seen()) == [] and done["fingerprint"] == before.sha256
            rows.append({**row, "equal": equal and gone == []})
    return rows


if __name__ == "__main__":
    what, where, database, kit_folder, key, place = sys.argv[1:]
    Path(place).mkdir(parents=True)
    json.dump(explored(what, where, database, Kit(Path(kit_folder), Path(key)), Path(place)), sys.stdout)

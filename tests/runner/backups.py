"""What the tests of backups share: a database with every kind of collection in it, and the stages as the runbook calls them."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnm_runner import fingerprint, mongo
from lnm_runner.demo import seed
from lnm_runner.fingerprint import Fingerprint
from lnm_runner.kit import Trust, VerifiedKit, open_kit
from lnm_runner.options import Options, Runbook
from lnm_runner.runbook import saving
from lnm_runner.runbook.stage import Context, Done, Evidence
from pymongo.database import Database

from tests.runner.kits import Kit

FAR = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ODD_NAME = "odd name/%24;ä"
LARGEST = (16 << 20) - 40
GERMAN = {"locale": "de", "strength": 2}


@functools.cache
def opened(kit: Kit) -> VerifiedKit:
    """A kit, verified once for all tests."""
    return open_kit(kit.folder, Trust(None, (kit.key,)), None)


def fill(database: Database[dict[str, Any]]) -> None:
    """Small collections of every kind."""
    by_time: dict[str, Any] = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}, "expireAfterSeconds": 3600}
    database.create_collection("clustered", **by_time)
    database["clustered"].insert_many([{"_id": FAR + dt.timedelta(days=number)} for number in (3, 1, 2)])
    database.create_collection("german", collation=GERMAN)
    database["german"].insert_many([{"_id": text} for text in ("b", "A", "ä")])
    database.create_collection("ring", capped=True, size=4096, max=10)
    database["ring"].insert_many([{"_id": number} for number in (3, 1, 2)])
    database[ODD_NAME].insert_many([{"_id": {"y": 1, "x": 2}, "at": PAST, "code": 1.0}, {"_id": None}])
    things = database["things"]
    things.create_index([("a", "text"), ("b", -1)], name="words", default_language="german")
    things.create_index([("place", "2dsphere")])
    things.create_index([("$**", 1)], wildcardProjection={"wild": 1})
    things.create_index([("b", 1), ("a", -1)], unique=True, collation=GERMAN, partialFilterExpression={"b": {"$gt": 1}})
    things.create_index("hashed_one", hidden=True, sparse=True)
    things.create_index([("a", "hashed")])
    things.insert_many([{"_id": f"{number:03}", "a": "Wörter", "b": number} for number in range(200)])
    database.create_collection("checked", validator={"$jsonSchema": {"required": ["a"]}}, validationLevel="moderate")
    database["checked"].insert_one({"_id": 1}, bypass_document_validation=True)
    database["empty"].create_index("x")
    database.create_collection("seen", viewOn="things", pipeline=[{"$sort": {"b": 1, "a": -1}}])
    database["lnm_settings"].insert_many([{"_id": "ingest", "enabled": False}, {"_id": "pace", "ms": 3}])


@dataclass
class Saver:
    """A database, and the stages that save it."""

    database: Database[dict[str, Any]]
    """As root."""
    kit: Kit
    folder: Path
    uri: str
    environment: Mapping[str, str] = field(default_factory=lambda: {"LNM_BACKUP_TOOL": "lnm"})
    done: dict[str, Evidence] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Where the backup is."""
        return self.folder / "backup"

    @property
    def manifest(self) -> dict[str, Any]:
        """What its manifest says."""
        found: dict[str, Any] = json.loads((self.place / "backup-manifest.json").read_bytes())
        return found

    @contextlib.contextmanager
    def context(self, *, compress: str = "none", forced: str = "", **environment: str) -> Iterator[Context]:
        """As the engine calls a stage."""
        options = Options(
            database=self.database.name,
            environment={"CONCELIER_MONGO_URI": self.uri, "LNM_LEASE_SECONDS": "30", **self.environment, **environment},
            runbook=Runbook(compress=compress),
            force_reason=forced,
        )
        with mongo.connect(options) as server:
            yield Context(options, opened(self.kit), server, self.folder, self.done)

    def stage(self, name: str, **how: str) -> Done:
        """Does a stage, and remembers it."""
        with self.context(**how) as context:
            done: Done = getattr(saving, f"run_{name}")(context)
        self.done[name.replace("_", "-")] = done.evidence
        self.said += done.lines
        return done

    def check(self, name: str, **how: str) -> Sequence[str]:
        """What a stage would do."""
        with self.context(**how) as context:
            found: Sequence[str] = getattr(saving, f"check_{name}")(context)
        return found

    def seen(self) -> Fingerprint:
        """What is stored."""
        return fingerprint.restorable(self.database)

    def free_lease(self) -> None:
        """Lets the lease of a killed runner run out at once."""
        self.database["lnm_lease"].update_one({"_id": "runner"}, {"$set": {"expiresAt": PAST}})


def demo(database: Database[dict[str, Any]], documents: int) -> None:
    """What `lnm seed-demo` writes."""
    seed(database, documents=documents)


@contextlib.contextmanager
def frozen(database: Database[dict[str, Any]]) -> Iterator[None]:
    """No user may write who has no right to bypass that."""
    admin = database.client.admin
    admin.command({"setUserWriteBlockMode": 1, "global": True})
    try:
        yield
    finally:
        admin.command({"setUserWriteBlockMode": 1, "global": False})


Change = Callable[[Database[dict[str, Any]]], object]


def spoil(database: Database[dict[str, Any]]) -> None:
    """Changes something of every kind."""
    database["things"].delete_many({"b": {"$gt": 100}})
    database["things"].drop_index("words")
    database["german"].update_one({"_id": "b"}, {"$set": {"x": 1}})
    database["come"].insert_one({"_id": 1})
    database.drop_collection("clustered")
    database.drop_collection("ring")
    database.drop_collection("seen")
    database["seen"].insert_one({"_id": "a collection in the place of a view"})
    database.command("collMod", "checked", validator={})
    database["lnm_settings"].delete_one({"_id": "pace"})
    database["lnm_settings"].update_one({"_id": "ingest"}, {"$set": {"enabled": True}})
    database["lnm_settings"].insert_one({"_id": "environment", "is": "production"})

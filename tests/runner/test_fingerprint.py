"""The fingerprint of a database: what changes it, and what does not."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bson
import pytest
from bson import Int64
from bson.raw_bson import RawBSONDocument
from lnm_runner import fingerprint
from lnm_runner.errors import InputError
from pymongo.database import Database

from tests.runner.mongod import Mongod

pytestmark = pytest.mark.mongod

Change = Callable[[Database[dict[str, Any]]], object]
SAME_VALUE_OTHER_TYPE = {"$set": {"number": Int64(1)}}
OTHER_ORDER = {"_id": 1, "a": {"y": 2, "x": 1}, "number": 1}
CHANGES: Mapping[str, tuple[Change, str]] = {
    "a document more": (lambda db: db["things"].insert_one({"_id": 9}), "things: 4 documents, were 3"),
    "a document less": (lambda db: db["things"].delete_one({"_id": 9}), "things: 3 documents, were 4"),
    "a number of another type": (lambda db: db["things"].update_one({"_id": 1}, SAME_VALUE_OTHER_TYPE), "other content"),
    "fields in another order": (lambda db: db["things"].replace_one({"_id": 1}, OTHER_ORDER), "other content"),
    "another expiry": (
        lambda db: db.command("collMod", "things", index={"name": "ttl", "expireAfterSeconds": 7}),
        "things: the index ttl is",
    ),
    "a hidden index": (lambda db: db.command("collMod", "things", index={"name": "by_number", "hidden": True}), "by_number is"),
    "an index less": (lambda db: db["things"].drop_index("by_number"), "things: the index by_number is not there"),
    "an index more": (lambda db: db["things"].create_index("other"), "things: the index other_1 has come"),
    "a validator": (lambda db: db.command("collMod", "things", validator={"a": {"$exists": True}}), "things: options are"),
    "an empty collection": (lambda db: db.create_collection("more"), "more: has come: 0 documents"),
    "another view": (lambda db: db.command("collMod", "seen", viewOn="ring", pipeline=[]), "seen: options are"),
    "a ring written in another order": (lambda db: ring(db, 3, 2), "ring: as many documents (2)"),
    "a collection less": (lambda db: db.drop_collection("ring"), "ring: is not there"),
}
"""One after the other."""
NO_CHANGES: Mapping[str, Change] = {
    "a validator put on and taken off": lambda db: [
        db.command("collMod", "things", validator=one) for one in ({"a": {"$exists": True}}, {})
    ],
    "the runner's own collections": lambda db: [db[name].insert_one({}) for name in ("lnm_lease", "lnm_runs", "lnm_settings")],
    "another UUID": lambda db: ring(db, 2, 3),
    "the profiler": lambda db: db.create_collection("system.profile", capped=True, size=4096),
}


def ring(database: Database[dict[str, Any]], *ids: int) -> bool:
    """Makes a capped collection anew."""
    database.drop_collection("ring")
    database.create_collection("ring", capped=True, size=8192)
    return database["ring"].insert_many([{"_id": one} for one in ids]).acknowledged


@pytest.fixture
def filled(server: Mongod) -> Iterator[Database[dict[str, Any]]]:
    database = server.client[f"lnm_{secrets.token_hex(6)}"]
    database["things"].insert_many([{"_id": 3}, {"_id": 1, "a": {"x": 1, "y": 2}, "number": 1}, {"_id": "2"}])
    database["things"].create_index("number", name="by_number")
    database["things"].create_index("at", name="ttl", expireAfterSeconds=dt.timedelta(days=1).total_seconds())
    database.create_collection("seen", viewOn="things", pipeline=[{"$match": {"number": 1}}])
    ring(database, 2, 3)
    yield database
    server.client.drop_database(database.name)


def test_every_change_is_seen_and_told_and_nothing_else_is(filled: Database[dict[str, Any]]) -> None:
    before = fingerprint.database(filled)
    for name, no_change in NO_CHANGES.items():
        no_change(filled)
        after = fingerprint.database(filled)
        assert (after.sha256, fingerprint.differences(before, after)) == (before.sha256, []), name

    for name, (change, told) in CHANGES.items():
        change(filled)
        after = fingerprint.database(filled)
        said = fingerprint.differences(before, after)
        assert after.sha256 != before.sha256, name
        assert (len(said), [told in line for line in said]) == (1, [True]), (name, said)
        before = after


def test_a_collection_is_the_hash_of_its_documents_in_the_order_of_their_ids(filled: Database[dict[str, Any]]) -> None:
    raw = filled["things"].with_options(codec_options=bson.CodecOptions(document_class=RawBSONDocument))
    data = b"".join(document.raw for document in raw.find().sort("_id", 1))

    seen = fingerprint.database(filled).collections["things"]
    assert (seen.sha256, seen.count, seen.bytes) == (f"sha256:{hashlib.sha256(data).hexdigest()}", 3, len(data))


def test_it_comes_back_from_a_file_as_it_was(filled: Database[dict[str, Any]]) -> None:
    before = fingerprint.database(filled)
    read = fingerprint.from_json(json.loads(json.dumps(before.as_json(), sort_keys=True)))

    assert (read, read.sha256) == (before, before.as_json()["sha256"])


def test_what_a_restore_leaves_as_it_is_does_not_count_for_a_backup(filled: Database[dict[str, Any]]) -> None:
    before = fingerprint.restorable(filled)
    filled["lnm_settings"].insert_many([{"_id": "ingest"}, {"_id": "environment"}])
    filled["lnm_lease"].insert_one({"_id": "runner"})
    assert fingerprint.restorable(filled).sha256 == before.sha256

    filled["lnm_settings"].insert_one({"_id": "pace"})
    assert fingerprint.differences(before, fingerprint.restorable(filled)) == ["lnm_settings: has come: 1 documents"]


def test_a_time_series_collection_is_refused_by_name(filled: Database[dict[str, Any]]) -> None:
    filled.create_collection("temperatures", timeseries={"timeField": "at"})
    with pytest.raises(InputError, match="temperatures"):
        fingerprint.database(filled)

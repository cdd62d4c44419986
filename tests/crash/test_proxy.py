"""The instruments themselves: the proxy tells what changes something, and the fingerprint tells states apart."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, NetworkTimeout

from tests.crash.fingerprint import fingerprint
from tests.crash.proxy import Command, Controller, Fault, Moment, Proxy, Then
from tests.crash.runs import Bench, Patient, empty, half_made

pytestmark = pytest.mark.mongod


def client(patient: Patient, proxy: Proxy, **options: Any) -> MongoClient[dict[str, Any]]:
    """A client of the driver through a proxy, as a user who may write anything."""
    patient.site.add_user("operator-of-the-proxy", "readWrite")
    uri = patient.plain_uri(proxy, "operator-of-the-proxy")
    return MongoClient(uri, directConnection=True, serverSelectionTimeoutMS=2000, **options)


def at(label: str, fault: Fault, times: int = 1) -> Controller:
    """Lets a fault befall the first commands of a label."""
    left = [fault] * times

    def controller(command: Command) -> Fault | None:
        return left.pop() if left and command.label == label else None

    return controller


def test_what_changes_something_is_counted_and_what_reads_is_not(bench: Bench) -> None:
    with bench.database(empty) as patient, patient.proxy() as proxy, client(patient, proxy) as mongo:
        database = mongo[patient.site.database.name]
        database["a"].insert_many([{"_id": 1, "x": 1}, {"_id": 2, "x": 2}])
        database["a"].create_index("x")
        database["a"].find_one_and_update({"_id": 1}, {"$set": {"x": 3}})
        list(database["a"].aggregate([{"$match": {}}]))
        list(database["a"].aggregate([{"$out": "b"}]))
        database.list_collection_names()
        database["b"].drop()

        assert proxy.effects == ["insert a", "createIndexes a", "findAndModify a", "aggregate a", "drop b"]
        inserted = next(command for command in proxy.commands if command.name == "insert")
        assert inserted.body["documents"] == [{"_id": 1, "x": 1}, {"_id": 2, "x": 2}]
        assert [command.effect for command in proxy.commands if command.effect] == [1, 2, 3, 4, 5]


def test_what_a_transaction_holds_is_told_apart_from_its_commit(bench: Bench) -> None:
    with bench.database(empty) as patient, patient.proxy() as proxy, client(patient, proxy) as mongo:
        with mongo.start_session() as session, session.start_transaction():
            mongo[patient.site.database.name]["a"].insert_one({}, session=session)

        assert proxy.effects == ["insert a (in a transaction)", "commitTransaction"]


@pytest.mark.parametrize(("moment", "there"), [(Moment.BEFORE, 0), (Moment.AFTER, 1)], ids=["before", "after"])
def test_a_cut_takes_the_connection_and_the_server_has_the_command_or_not(bench: Bench, moment: Moment, there: int) -> None:
    controller = at("insert a", Fault(moment))
    with bench.database(empty) as patient, patient.proxy(controller) as proxy:
        with client(patient, proxy, retryWrites=False) as mongo, pytest.raises(AutoReconnect):
            mongo[patient.site.database.name]["a"].insert_one({"_id": 1})

        assert patient.site.database["a"].count_documents({}) == there


@pytest.mark.parametrize(("moment", "there"), [(Moment.BEFORE, 0), (Moment.AFTER, 1)], ids=["before", "after"])
def test_a_stall_takes_no_connection_and_lets_nothing_pass_on_any(bench: Bench, moment: Moment, there: int) -> None:
    controller = at("insert a", Fault(moment, then=Then.STALL))
    with bench.database(empty) as patient, patient.proxy(controller) as proxy, client(patient, proxy) as mongo:
        database = mongo[patient.site.database.name]
        for write in (database["a"].insert_one, database["b"].insert_one):
            with pymongo.timeout(1), pytest.raises(NetworkTimeout):
                write({"_id": 1})

        assert patient.site.database["a"].count_documents({}) == there
        assert patient.site.database["b"].count_documents({}) == 0
        with pymongo.timeout(1):
            mongo.close()


def test_the_driver_writes_once_whatever_was_cut_once(bench: Bench) -> None:
    controller = at("insert a", Fault(Moment.AFTER))
    with bench.database(empty) as patient, patient.proxy(controller) as proxy, client(patient, proxy) as mongo:
        mongo[patient.site.database.name]["a"].insert_one({"x": 1})

        assert proxy.effects == ["insert a", "insert a"]
        assert patient.site.database["a"].count_documents({}) == 1


def test_a_command_may_be_held(bench: Bench) -> None:
    arrived, released = threading.Event(), threading.Event()

    def wait() -> None:
        arrived.set()
        released.wait(30)

    controller = at("insert a", Fault(Moment.BEFORE, wait, then=Then.PASS))
    with bench.database(empty) as patient, patient.proxy(controller) as proxy, client(patient, proxy) as mongo:
        thread = threading.Thread(target=mongo[patient.site.database.name]["a"].insert_one, args=({},))
        thread.start()
        assert arrived.wait(30)
        assert patient.site.database["a"].count_documents({}) == 0
        released.set()
        thread.join(30)
        assert patient.site.database["a"].count_documents({}) == 1


CHANGES: dict[str, Callable[[Any], object]] = {
    "a_document": lambda database: database["advisory_raw"].update_one({"_id": "raw:1"}, {"$set": {"tenant": 1}}),
    "the_type_of_a_number": lambda database: database["advisory_raw"].update_one(
        {"_id": "raw:1"}, {"$set": {"upstream.upstream_id": 1.0}}
    ),
    "one_document_less": lambda database: database["advisory_raw"].delete_one({"_id": "raw:1"}),
    "a_validator": lambda database: database.command({"collMod": "advisory_raw", "validator": {"a": 1}}),
    "an_empty_collection": lambda database: database.create_collection("other"),
    "an_index_hidden": lambda database: database.command(
        {"collMod": "advisory_raw", "index": {"name": "advisory_raw_idempotency", "hidden": True}}
    ),
    "an_expiry": lambda database: database.command(
        {"collMod": "advisory_observation_events", "index": {"name": "lnm_obs_events_ttl", "expireAfterSeconds": 7}}
    ),
    "a_state": lambda database: database["lnm_migrations"].insert_one({"state": "failed"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fingerprint_is_the_same_for_the_same_and_another_one_for(bench: Bench, change: str) -> None:
    with bench.database(half_made) as one, bench.database(half_made) as two:
        assert fingerprint(one.site.database) == fingerprint(two.site.database)
        CHANGES[change](two.site.database)
        assert fingerprint(one.site.database) != fingerprint(two.site.database)

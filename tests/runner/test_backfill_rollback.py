"""`lnm rollback 21-102`: exactly what the backfill wrote goes, what somebody has touched stays, and the rest is as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.fingerprint import fingerprint
from tests.runner.backfills import OUTPUTS, STATE, Ready, legacy, raw
from tests.runner.fixtures import watched
from tests.runner.test_backfill import demo, ready

__all__ = ["demo", "ready"]
pytestmark = pytest.mark.mongod


def seen(ready: Ready) -> dict[str, Any]:
    """Every collection, less the runner's own."""
    return {name: value for name, value in fingerprint(ready.database).collections.items() if name not in STATE}


def test_afterwards_everything_is_as_before(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database)
    before = seen(ready)
    ready.backfill("--batch-size=100")

    found = ready.rollback().json

    assert seen(ready) == before
    assert (found["state"], found["touched"], found["gone"]) == ("rolled-back", [], 0)
    assert {name: ready.database[name].count_documents({}) for name in ("lnm_checkpoints", "lnm_backfill_errors")} == {
        "lnm_checkpoints": 0,
        "lnm_backfill_errors": 0,
    }
    assert ready.database["schema_migrations"].count_documents({"_id": {"$regex": "21_102"}}) == 0


def test_twice_is_once_and_nothing_at_all_is_nothing(ready: Ready) -> None:
    assert (ready.rollback().json["state"], ready.rollback().json["writes"]) == ("not applied", False)
    ready.database["advisory_raw"].insert_one(raw("A"))
    ready.backfill()
    ready.rollback()

    with watched(ready.site.server) as writes:
        assert ready.rollback().json["writes"] is False

    assert writes.oplog == []


def test_without_execute_it_only_says(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_one(raw("A"))
    run = ready.backfill().json["run"]

    with watched(ready.site.server) as writes:
        answer = ready.lnm("rollback", "21-102", "--kit", ready.lnm.kit.folder, **ready.variables("unfiller"))

    assert run in answer.stdout
    assert "advisory_observations: 1 documents" in answer.stdout
    assert writes.oplog == []


@pytest.mark.parametrize("collection", OUTPUTS)
def test_what_somebody_has_touched_is_left_and_listed(ready: Ready, collection: str) -> None:
    ready.database["advisory_raw"].insert_many([raw("A"), raw("B")])
    ready.database["advisory"].insert_many([legacy("A"), legacy("B")])
    ready.backfill()
    theirs = ready.database[collection].find_one_and_update({}, {"$set": {"note": "mine"}}, return_document=True) or {}
    ready.database[collection].insert_one({key: value for key, value in theirs.items() if key != "backfill"} | {
        "_id": type(theirs["_id"])(), "tenantId": "other", "legacyAdvisoryKey": "x",
    })  # fmt: skip

    found = ready.rollback(wanted=3).json

    assert [line.partition(":")[0] for line in found["touched"]] == [f"{collection} {theirs['_id']}"]
    assert ready.database[collection].count_documents({"backfill": {"$exists": True}}) == 1
    assert ready.database[collection].find_one({"_id": theirs["_id"]}) == theirs
    assert ready.database[collection].count_documents({"tenantId": "other"}) == 1
    assert sum(ready.database[name].count_documents({}) for name in OUTPUTS) == 2


def test_a_change_that_only_a_type_shows_is_a_change(ready: Ready) -> None:
    """Int64 or Int32, the order of fields: the same in JSON, another thing in BSON."""
    ready.database["advisory_raw"].insert_one(raw("A"))
    ready.backfill()
    ready.database["advisory_observation_events"].update_one({}, [{"$set": {"replayCursor": {"$toDouble": "$replayCursor"}}}])

    assert len(ready.rollback(wanted=3).json["touched"]) == 1


def test_what_somebody_has_removed_is_gone(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("A"), raw("B")])
    ready.backfill()
    ready.database["advisory_linksets"].delete_one({})

    assert ready.rollback().json["gone"] == 1


def test_after_publication_it_is_refused_and_by_force_leaves_what_was_published(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("A"), raw("B")])
    ready.backfill()
    ready.database["advisory_linkset_events"].update_one({"advisoryId": "A"}, {"$currentDate": {"publishedAt": True}})

    with watched(ready.site.server) as writes:
        error = ready.rollback(wanted=2).json["error"]
    assert (error["type"], error["published"], writes.oplog) == ("PublishedError", 1, [])
    assert ready.rollback("--force", wanted=2).json["error"]["type"] == "InputError"

    found = ready.rollback("--force", "--force-reason=the world was told in vain", wanted=3).json

    assert len(found["touched"]) == 1
    assert ready.database["advisory_linkset_events"].count_documents({}) == 1
    assert (ready.database["lnm_runs"].find_one() or {})["forceReason"] == "the world was told in vain"


def test_a_run_that_stopped_half_way_can_be_taken_back(ready: Ready, demo: Any) -> None:
    demo.seed(ready.database, documents=80)
    ready.database["advisory_raw"].insert_one(raw("ZZZ", severity=1, source__vendor="aaa"))
    before = seen(ready)
    ready.backfill("--batch-size=10", "--stop-on-error", wanted=3)

    ready.rollback()

    assert seen(ready) == before


def test_documents_of_a_run_that_nobody_knows_are_not_overlooked(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_one(raw("A"))
    ready.backfill()
    ready.database["lnm_runs"].delete_many({})

    error = ready.rollback(wanted=2).json["error"]

    assert "unknown to lnm_runs" in error["message"]
    assert ready.database["advisory_observations"].count_documents({}) == 1


def test_21_101_is_not_taken_back_under_it(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_one(raw("A"))
    ready.backfill()

    assert ready.lnm.rollback("--json", wanted=2).json["error"]["type"] == "StillNeededError"
    ready.rollback()
    ready.lnm.rollback()

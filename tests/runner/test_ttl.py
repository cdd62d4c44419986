"""The expiry of published events: set, changed in place, and never without somebody's consent to what dies."""

from __future__ import annotations

import datetime as dt
import shlex
import time
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS

from tests.runner.fixtures import Site, watched
from tests.runner.hold import held, let_the_lease_run_out, wait_until_it_waits
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod

OUTBOXES = {"advisory_observation_events": "lnm_obs_events_ttl", "advisory_linkset_events": "lnm_ls_events_ttl"}
DAY_S = 86_400


def expiries(site: Site) -> set[int | None]:
    """`expireAfterSeconds` of both TTL indexes."""
    return {site.database[name].index_information()[index].get("expireAfterSeconds") for name, index in OUTBOXES.items()}


def builds(site: Site) -> list[Any]:
    """The index builds that the oplog knows of, each with its own id."""
    entries = site.server.client.local["oplog.rs"].find(
        {"ns": f"{site.database.name}.$cmd", "o.commitIndexBuild": {"$exists": True}}
    )
    return [entry["o"]["indexBuildUUID"] for entry in entries]


def publish(site: Site, *ages_days: float) -> None:
    """Rows of the outbox, published so many days ago, and one that never was."""
    now = dt.datetime.now(dt.UTC)
    rows: list[dict[str, Any]] = [
        {"observationHash": n, "publishedAt": now - dt.timedelta(days=age)} for n, age in enumerate(ages_days)
    ]
    site.database["advisory_observation_events"].insert_many([*rows, {"observationHash": "never", "publishedAt": None}])


@pytest.mark.parametrize(
    ("days", "seconds"),
    [(None, 90 * DAY_S), ("90", 90 * DAY_S), ("1", DAY_S), ("24855", 24855 * DAY_S), ("0", None)],
    ids=["default", "90", "1", "longest", "none"],
)
def test_the_expiry_is_as_it_is_set(lnm: Lnm, site: Site, days: str | None, seconds: int | None) -> None:
    lnm.apply(LNM_EVENTS_TTL_DAYS=days)

    assert expiries(site) == {seconds}


def test_a_change_goes_in_place_and_builds_no_index(lnm: Lnm, site: Site) -> None:
    lnm.apply()
    site.database["advisory_observation_events"].insert_one({"publishedAt": None})
    before = builds(site)

    for days, seconds in (("30", 30 * DAY_S), ("120", 120 * DAY_S), ("0", 2**31 - 1), ("7", 7 * DAY_S)):
        answer = lnm.apply("--json", LNM_EVENTS_TTL_DAYS=days).json
        assert [action["action"] for action in answer["actions"]] == ["change-ttl", "change-ttl"]
        assert expiries(site) == {seconds}
        assert "nothing to do" in lnm.apply(LNM_EVENTS_TTL_DAYS=days).stdout

    assert builds(site) == before


def test_no_expiry_at_first_and_one_later(lnm: Lnm, site: Site) -> None:
    publish(site, 1)
    lnm.apply(LNM_EVENTS_TTL_DAYS="0")
    assert "nothing to do" in lnm.apply(LNM_EVENTS_TTL_DAYS="0").stdout

    lnm.apply(LNM_EVENTS_TTL_DAYS="90")

    assert expiries(site) == {90 * DAY_S}


@pytest.mark.parametrize("value", ["-1", "24856", "ninety", "1.5", "", " 90", "9" * 40])
def test_a_ttl_that_is_none_is_refused(lnm: Lnm, value: str) -> None:
    if value == "":
        lnm.plan(LNM_EVENTS_TTL_DAYS=value)  # an empty variable is an unset one
    else:
        assert "whole days between 0 (keep for ever) and 24855" in lnm.plan(LNM_EVENTS_TTL_DAYS=value, wanted=2).stderr


def test_documents_that_would_die_are_counted_by_day_before_the_index_is_made(lnm: Lnm, site: Site) -> None:
    publish(site, 89, 91, 91, 100)
    now = dt.datetime.now(dt.UTC)

    (plan,) = lnm.plan("--json").json["plans"]

    found = [deletes for action in plan["actions"] for deletes in action.get("ttlDeletes", ())]
    days = [f"{now - dt.timedelta(days=age):%Y-%m-%d}" for age in (100, 91)]
    assert found == [{"total": 3, "byDay": {days[0]: 1, days[1]: 2}}]
    assert plan["ttlDeletes"] == 3
    assert "applying needs --accept-ttl-deletes 3" in lnm.plan().stdout


def test_nothing_dies_without_consent_and_only_as_many_as_were_agreed_to(lnm: Lnm, site: Site) -> None:
    publish(site, 1, 91, 100)
    events = site.database["advisory_observation_events"]

    for accepted in ((), ("--accept-ttl-deletes", "1")):
        error = lnm.apply("--json", *accepted, wanted=2).json["error"]
        assert error["type"] == "TtlFuseError"
        assert error["deletes"] == 2
    assert set(site.database.list_collection_names()) == {"advisory_observation_events"}

    lnm.apply("--accept-ttl-deletes", "2")
    deadline = time.monotonic() + 20
    while events.count_documents({}) > 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert {row["observationHash"] for row in events.find()} == {0, "never"}


def test_the_first_value_keeps_everything_and_is_stepped_down(lnm: Lnm, site: Site) -> None:
    publish(site, 10, 91)

    lnm.apply(LNM_EVENTS_TTL_DAYS="365")

    error = lnm.apply("--json", wanted=2, LNM_EVENTS_TTL_DAYS="90").json["error"]
    assert error["deletes"] == 1
    assert expiries(site) == {365 * DAY_S}
    lnm.apply(LNM_EVENTS_TTL_DAYS="730")
    assert site.database["advisory_observation_events"].count_documents({}) == 3


def test_what_is_no_date_never_dies_and_is_not_counted(lnm: Lnm, site: Site) -> None:
    """The server looks at the earliest date of an array and at nothing else."""
    now = dt.datetime.now(dt.UTC)
    old, new = now - dt.timedelta(days=200), now - dt.timedelta(days=1)
    values = ["2020-01-01", 0, None, float("nan"), [new, "2020"], [new, old], [], new]
    site.database["advisory_linkset_events"].insert_many([{"replayCursor": n, "publishedAt": v} for n, v in enumerate(values)])

    (plan,) = lnm.plan("--json").json["plans"]

    assert plan["ttlDeletes"] == 1
    lnm.apply("--accept-ttl-deletes", "1")
    deadline = time.monotonic() + 20
    events = site.database["advisory_linkset_events"]
    while events.count_documents({}) > len(values) - 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(row["replayCursor"] for row in events.find()) == [0, 1, 2, 3, 4, 6, 7]


def test_dates_of_years_that_no_calendar_writes_are_counted_too(lnm: Lnm, site: Site) -> None:
    events = site.database["advisory_observation_events"]
    events.insert_one({"observationHash": 1})
    for days in (-1_000_000, -719_500, -719_100):  # before and after the year 0 began, and in the first year
        events.insert_one({"observationHash": days, "publishedAt": DatetimeMS(days * DAY_S * 1000)})

    (plan,) = lnm.plan("--json").json["plans"]

    (by_day,) = [forecast["byDay"] for action in plan["actions"] for forecast in action.get("ttlDeletes", [])]
    assert (plan["ttlDeletes"], by_day) == (3, {"before 0001-01-01": 2, "0001-03-04": 1})


def test_the_command_that_goes_on_after_a_crash_agrees_to_as_many_deletes_as_the_first_one(lnm: Lnm, site: Site) -> None:
    publish(site, 91, 100)
    with held(site):
        runner = lnm.start("apply", "21-101", "--execute", "--accept-ttl-deletes", "2", "--kit", lnm.kit.folder)
        wait_until_it_waits(site)
        runner.kill()
        runner.communicate(timeout=60)
    let_the_lease_run_out(site)

    (finding,) = lnm("doctor", "--json", "--kit", lnm.kit.folder, wanted=2).json["findings"]

    forward, back = map(shlex.split, finding["commands"])
    assert ("--accept-ttl-deletes" in forward, "--accept-ttl-deletes" in back) == (True, False)
    lnm(*forward[1:])
    assert expiries(site) == {90 * DAY_S}


@pytest.mark.parametrize("days", ["0", "365", "30"])
def test_what_was_set_once_stays_until_it_is_set_anew(lnm: Lnm, site: Site, days: str) -> None:
    lnm.apply(LNM_EVENTS_TTL_DAYS=days)
    before = expiries(site)

    with watched(site.server) as writes:
        again = lnm.apply()

    assert "nothing to do" in again.stdout
    assert writes.oplog == []
    assert expiries(site) == before
    kept = f"{days} days" if days != "0" else "for ever"
    assert f"published events are kept {kept}" in lnm("status").stdout
    lnm.apply(LNM_EVENTS_TTL_DAYS="90")
    assert expiries(site) == {90 * DAY_S}

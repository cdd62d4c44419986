"""The watch: how it ends, at each boundary of its rules; and a short one on a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from lnm_runner import mongo
from lnm_runner.errors import PrivilegeError, StageError, StoppedError
from lnm_runner.kit import Trust, open_kit
from lnm_runner.options import Runbook
from lnm_runner.outbox import watching
from lnm_runner.outbox.watch import BADLY, GO_ON, TIMEOUT, WELL, Limits, Sample, judge
from lnm_runner.runbook import flow
from lnm_runner.runbook.stage import Context, Evidence

from tests.runner.kits import Kit
from tests.runner.outboxes import PLAN, Boxes
from tests.runner.test_outbox import boxes, own_site

__all__ = ["boxes", "own_site"]

FINE = Sample(0, 0.0, 0, 0, None)
LIMITS = Limits()


def trace(seconds: int, at: Callable[[int], Sample] = lambda _: FINE) -> list[Sample]:
    """A sample each second, from 0 to that second."""
    return [replace(at(second), at_s=float(second)) for second in range(seconds + 1)]


def verdict(samples: Sequence[Sample], limits: Limits = LIMITS) -> str:
    """How a watch of these samples ends, or goes on."""
    return judge(samples, limits, samples[0]).action


def first(samples: Sequence[Sample], limits: Limits = LIMITS) -> tuple[int, str]:
    """At which sample it ends, and how."""
    for count in range(1, len(samples) + 1):
        if (found := verdict(samples[:count], limits)) != GO_ON:
            return count - 1, found
    return len(samples), GO_ON


def test_it_ends_well_when_nothing_was_wrong_for_the_whole_time_and_not_a_second_earlier() -> None:
    assert first(trace(700)) == (600, WELL)
    assert first(trace(700, lambda _: replace(FINE, lag_s=60.0, backlog=9, oldest_s=300.0))) == (600, WELL)
    assert first(trace(3), Limits(calm_s=0)) == (0, WELL)


@pytest.mark.parametrize(
    "wrong",
    [{"lag_s": None}, {"lag_s": 60.1}, {"backlog": 1, "oldest_s": 300.1}],
    ids=["lag unknown", "lag over the limit", "a row that waits too long"],
)
def test_one_sample_that_is_not_calm_begins_the_time_anew(wrong: dict[str, Any]) -> None:
    assert first(trace(1200, lambda s: replace(FINE, **wrong) if s == 500 else FINE)) == (1101, WELL)


def test_an_oldest_row_is_not_asked_about_where_none_waits() -> None:
    assert first(trace(600, lambda _: replace(FINE, oldest_s=999.0)))[1] == WELL


def test_a_new_error_ends_it_at_once_and_an_old_one_does_not() -> None:
    assert first(trace(700, lambda _: replace(FINE, errors=3))) == (600, WELL)
    assert first(trace(700, lambda s: replace(FINE, errors=3 + (s >= 7)))) == (7, BADLY)


def test_a_lag_over_the_limit_ends_it_when_the_alert_would_fire() -> None:
    assert first(trace(99, lambda s: replace(FINE, lag_s=60.1 if s >= 10 else 0.0))) == (70, BADLY)
    assert first(trace(99, lambda _: replace(FINE, lag_s=60.0))) == (100, GO_ON)
    assert first(trace(99, lambda s: replace(FINE, lag_s=0.0 if s == 50 else 61.0)))[1] == GO_ON


def test_an_unknown_lag_is_no_break_between_two_that_are_too_high_and_does_not_count_alone() -> None:
    assert first(trace(99, lambda s: replace(FINE, lag_s=61.0 if s % 7 == 0 else None))) == (63, BADLY)
    assert first(trace(2000, lambda _: replace(FINE, lag_s=None))) == (2001, GO_ON)
    assert first(trace(99, lambda s: replace(FINE, lag_s=61.0 if s >= 30 else None))) == (90, BADLY)


def test_a_backlog_that_only_grows_ends_it_after_a_quarter_of_an_hour_and_keeps_it_from_being_calm() -> None:
    slowly = trace(1000, lambda s: replace(FINE, backlog=s // 60, oldest_s=1.0))
    assert first(slowly) == (900, BADLY)
    assert judge(slowly[:700], LIMITS, slowly[0]).why == "the backlog grows"


@pytest.mark.parametrize(
    "backlog",
    [
        lambda s: 500 - s // 3,
        lambda s: s % 60,
        lambda s: 40 if s < 1 else 41,
        lambda s: 100 - (s % 20) + s // 100,
        lambda s: 0 if s < 890 else 400,
    ],
    ids=["falls", "comes back to nothing", "one step", "rises less than it varies", "a burst at the end"],
)
def test_a_backlog_that_comes_back_does_not_end_it_badly(backlog: Callable[[int], int]) -> None:
    assert verdict(trace(900, lambda s: replace(FINE, backlog=backlog(s), oldest_s=1.0))) != BADLY


def test_its_own_time_ends_it_with_what_was_lacking() -> None:
    limits = Limits(timeout_s=30)
    assert first(trace(99), limits) == (30, TIMEOUT)
    assert judge(trace(30, lambda _: replace(FINE, lag_s=None)), limits, FINE).why == "the lag of the members is not known"
    assert first(trace(99), Limits(calm_s=30, timeout_s=30)) == (30, WELL)


def test_what_is_bad_comes_before_what_is_late() -> None:
    assert first(trace(30, lambda s: replace(FINE, errors=s)), Limits(timeout_s=1)) == (1, BADLY)


# ---- on a server


def context(boxes: Boxes, kit: Kit, server: mongo.Server, user: str, *, done: Iterable[str] = (), **runbook: float) -> Context:
    """What the engine gives a stage."""
    options = replace(boxes.options(user), runbook=Runbook(**runbook))  # type: ignore[arg-type]
    known: dict[str, Evidence] = {name: {} for name in done}
    return Context(options, open_kit(kit.folder, Trust(None, (kit.key,)), None), server, boxes.folder, known, plan=PLAN)


@pytest.mark.mongod
def test_a_calm_second_on_a_real_server_is_evidence(boxes: Boxes, kit: Kit) -> None:
    boxes.fill(2)
    boxes.enable()
    boxes.publish()
    kept: list[Any] = []
    with mongo.connect(boxes.options("watcher")) as server:
        made = replace(context(boxes, kit, server, "watcher", calm_s=1), sample=kept.append)
        assert len(flow.check_watch(made)) == 2
        done = flow.run_watch(made)

    evidence = dict(done.evidence)
    assert evidence == {"calmMs": 1000, "backlog": 0, "published": 4, "errors": 0, "maxLagMs": 0, "maxOldestMs": None}
    assert kept[0] == {"lagMs": 0, "documents": None, "total": None, "errors": 0, "backlog": 0, "oldestMs": None}
    assert len(kept) >= 2


@pytest.mark.mongod
def test_an_outbox_that_was_switched_off_again_is_never_calm(boxes: Boxes, kit: Kit) -> None:
    """A watch that stopped says: switch it off. The next one must not end well for it, with enable-outbox still done."""
    boxes.fill(2)
    boxes.enable()
    boxes.run("switcher", "disable")
    with mongo.connect(boxes.options("watcher")) as server:
        made = context(boxes, kit, server, "watcher", calm_s=1, done=("enable-outbox",))
        with pytest.raises(StageError, match="the outbox is not switched on") as caught:
            flow.run_watch(made)
        assert "lnm outbox enable --execute" in caught.value.hint
        boxes.enable()
        timer = threading.Timer(0.5, boxes.run, ("switcher", "disable"))
        timer.start()
        with pytest.raises(StageError, match="the outbox is not switched on"):
            flow.run_watch(made)
        timer.join()
        flow.run_watch(replace(made, done={}))  # the stage was skipped


@pytest.mark.mongod
def test_an_error_that_comes_stops_it_and_the_way_back_is_told(boxes: Boxes) -> None:
    def fail() -> None:
        boxes.site.database["lnm_backfill_errors"].insert_one({"code": "E"})

    timer = threading.Timer(0.5, fail)
    with mongo.connect(boxes.options("watcher")) as server:
        timer.start()
        with pytest.raises(StoppedError, match="1 errors more") as caught:
            watching.watch(server, boxes.options("watcher"), Limits(), lambda _: None)
    timer.join()
    assert caught.value.exit_code == 3
    for command in ("lnm outbox disable --execute", "lnm runbook rollback-21-102 --execute", "lnm runbook restore --execute"):
        assert command in caught.value.hint


@pytest.mark.mongod
def test_who_may_not_see_the_lag_is_refused_and_an_unknown_one_is_never_calm(boxes: Boxes, kit: Kit) -> None:
    boxes.site.add_user("blind", "readWrite")
    with mongo.connect(boxes.options("blind")) as server:
        with pytest.raises(PrivilegeError, match="replSetGetStatus"):
            flow.run_watch(context(boxes, kit, server, "blind"))
        with pytest.raises(StoppedError, match="not known"):
            watching.watch(server, boxes.options("blind"), Limits(calm_s=0, timeout_s=0.1), lambda _: None)


@pytest.mark.mongod
def test_the_outbox_is_switched_on_only_after_it_was_validated(boxes: Boxes, kit: Kit) -> None:
    boxes.fill(1)
    with mongo.connect(boxes.options("switcher")) as server:
        early = context(boxes, kit, server, "switcher")
        for step in (flow.check_enable_outbox, flow.run_enable_outbox):
            with pytest.raises(StageError, match="was not validated"):
                step(early)
        ready = context(boxes, kit, server, "switcher", done=("validate",))
        assert flow.check_enable_outbox(ready)[0].startswith("2 events wait")
        assert flow.run_enable_outbox(ready).evidence == {"switch": True, "hook": "none"}
        assert flow.run_enable_outbox(ready).evidence == {"switch": True, "hook": "none"}
    stored = boxes.site.database["lnm_settings"].find_one({"_id": "outbox"})
    assert stored is not None
    assert stored["plan"] == PLAN

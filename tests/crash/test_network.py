"""The network is cut at every effect of an apply: the run ends in order or in words, and going on ends as if nothing had been.

A cut after the server has the command, with its answer lost, leaves the runner not knowing whether it was done. The driver tries
a command a second time and no third, hence the cuts that come twice. Where nobody is told of the cut (a packet filter that drops
all), no socket fails: a runner must then stop by its lease, and not by the driver's timeouts.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.crash import runs
from tests.crash.points import WORKERS, Point, each, points
from tests.crash.proxy import Command, Controller, Fault, Moment, Then
from tests.crash.runs import ID, Bench, Uninterrupted, half_made

LOST = {"RetryableError": 10, "StoppedError": 3}
"""What a run may say that the network has ended: `{type: exit code}`."""
LOST_LEASE = {**LOST, "LeaseLostError": 9}
SHORT_LEASE_S = 3
LONGEST_S = 5 * SHORT_LEASE_S
"""In such a time a runner whose link has stalled has ended: its lease, and a bound for parting on a machine that is busy."""

pytestmark = pytest.mark.mongod

Cut: TypeAlias = Callable[[int], Controller]
"""The effect at which it begins -> a controller."""


def cut(moment: Moment, times: int) -> Cut:
    """Cuts at so many effects, one after the other: where the driver tries again, the second is the first once more."""

    def beginning_at(number: int) -> Controller:
        return lambda command: Fault(moment) if number <= command.effect < number + times else None

    return beginning_at


def gone(number: int, first: Moment = Moment.BEFORE) -> Controller:
    """Nothing passes any more from a moment of an effect on, and no new connection is of use."""
    is_gone = False

    def controller(command: Command) -> Fault | None:
        nonlocal is_gone
        was_gone, is_gone = is_gone, is_gone or command.effect == number
        if not is_gone:
            return None
        return Fault(Moment.BEFORE if was_gone else first)

    return controller


def gone_once_it_is_done(number: int) -> Controller:
    """The same, but the server has the effect, and its answer is lost."""
    return gone(number, Moment.AFTER)


def stalled(moment: Moment) -> Cut:
    """No byte passes any more from an effect on, and every connection stays open."""

    def beginning_at(number: int) -> Controller:
        return lambda command: Fault(moment, then=Then.STALL) if command.effect == number else None

    return beginning_at


CUTS: dict[str, Cut] = {
    "once before the server has it": cut(Moment.BEFORE, 1),
    "once with the answer lost": cut(Moment.AFTER, 1),
    "twice before the server has it": cut(Moment.BEFORE, 2),
    "twice with the answer lost": cut(Moment.AFTER, 2),
    "for good": gone,
    "for good, and nobody is told, before the server has it": stalled(Moment.BEFORE),
    "for good, and nobody is told, with the answer lost": stalled(Moment.AFTER),
}


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Uninterrupted:
    """What there is to be cut."""
    return runs.uninterrupted(bench, half_made)


def expected(way: str) -> dict[str, int]:
    """What a run may say. Cut for good within a transaction it tries until its lease has run out, and then says that."""
    return LOST_LEASE if way.startswith("for good") else LOST


def cut_at(bench: Bench, undisturbed: Uninterrupted, point: Point[str]) -> None:
    """Cuts a run at one point, looks how it ends, goes on, and looks again."""
    way, number = point.way, point.number
    with bench.database(half_made) as patient:
        with patient.proxy(CUTS[way](number)) as proxy:
            answer = patient.answer(
                patient.start(proxy, "--json", LNM_LEASE_SECONDS=str(SHORT_LEASE_S) if way.startswith("for good") else None)
            )
            stalled_s = time.monotonic() - proxy.stalled_at if proxy.stalled_at is not None else 0
        assert stalled_s < LONGEST_S, f"it could not renew, and ended {stalled_s:.1f} s later"
        assert proxy.effects[:number] == undisturbed.effects[:number], "the point was not reached"
        if answer.exit_code != 0:
            assert expected(way).get(answer.json["error"]["type"]) == answer.exit_code, answer.stdout
            assert answer.json["error"]["hint"]
            patient.go_on()
        patient.assert_converged(undisturbed.end)


@pytest.mark.parametrize("share", range(WORKERS))
def test_a_network_that_is_cut_at_any_effect_loses_nothing_and_doubles_nothing(
    bench: Bench, undisturbed: Uninterrupted, share: int, subtests: pytest.Subtests
) -> None:
    each(points(undisturbed, tuple(CUTS), every=3), share, subtests, functools.partial(cut_at, bench, undisturbed))


def test_a_write_whose_answer_is_lost_once_is_not_seen_by_the_operator(bench: Bench, undisturbed: Uninterrupted) -> None:
    """The lease is taken: the driver asks again with the same transaction number, and is told what it was told before."""
    with bench.database(half_made) as patient:
        with patient.proxy(cut(Moment.AFTER, 1)(1)) as proxy:
            answer = patient.answer(patient.start(proxy))
        assert answer.exit_code == 0
        assert proxy.effects == [undisturbed.effects[0], *undisturbed.effects]
        patient.assert_converged(undisturbed.end)


@pytest.mark.parametrize("way", [gone_once_it_is_done, stalled(Moment.AFTER)], ids=["cut", "stalled"])
def test_where_the_answer_to_the_last_commit_is_lost_no_more_is_said_than_is_known(
    bench: Bench, undisturbed: Uninterrupted, way: Cut
) -> None:
    """The ledger says that it is applied, and the runner cannot know."""
    last = len(undisturbed.effects) - undisturbed.effects[::-1].index("commitTransaction")
    with bench.database(half_made) as patient:
        with patient.proxy(way(last)) as proxy:
            answer = patient.answer(patient.start(proxy, "--json", LNM_LEASE_SECONDS=str(SHORT_LEASE_S)))
        assert answer.exit_code == LOST_LEASE["LeaseLostError"], answer.stdout
        assert "what it sent last may be done, or not: lnm status tells" in answer.json["error"]["hint"]
        assert f"{ID}: applied" in patient.run("status").stdout

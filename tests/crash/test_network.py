"""The network is cut at every effect of an apply: the run ends in order or in words, and going on ends as if nothing had been.

A cut after the server has the command, with its answer lost, leaves the runner not knowing whether it was done. The driver tries
a command a second time and no third, hence the cuts that come twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.crash import runs
from tests.crash.points import WORKERS, Point, each, points
from tests.crash.proxy import Command, Controller, Fault, Moment
from tests.crash.runs import Bench, Uninterrupted, half_made

LOST = {"RetryableError": 10, "StoppedError": 3}
"""What a run may say that the network has ended: `{type: exit code}`."""
SHORT_LEASE_S = 3

pytestmark = pytest.mark.mongod

Cut: TypeAlias = Callable[[int], Controller]
"""The effect at which it begins -> a controller."""


def cut(moment: Moment, times: int) -> Cut:
    """Cuts at so many effects, one after the other: where the driver tries again, the second is the first once more."""

    def beginning_at(number: int) -> Controller:
        return lambda command: Fault(moment) if number <= command.effect < number + times else None

    return beginning_at


def gone(number: int) -> Controller:
    """Nothing passes any more from an effect on, and no new connection is of use."""
    is_gone = False

    def controller(command: Command) -> Fault | None:
        nonlocal is_gone
        is_gone = is_gone or command.effect == number
        return Fault(Moment.BEFORE) if is_gone else None

    return controller


CUTS: dict[str, Cut] = {
    "once before the server has it": cut(Moment.BEFORE, 1),
    "once with the answer lost": cut(Moment.AFTER, 1),
    "twice before the server has it": cut(Moment.BEFORE, 2),
    "twice with the answer lost": cut(Moment.AFTER, 2),
    "for good": gone,
}


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Uninterrupted:
    """What there is to be cut."""
    return runs.uninterrupted(bench, half_made)


def expected(way: str) -> dict[str, int]:
    """What a run may say. Cut for good within a transaction it tries until its lease has run out, and then says that."""
    return {**LOST, "LeaseLostError": 9} if way == "for good" else LOST


def cut_at(bench: Bench, undisturbed: Uninterrupted, point: Point[str]) -> None:
    """Cuts a run at one point, looks how it ends, goes on, and looks again."""
    way, number = point.way, point.number
    with bench.database(half_made) as patient:
        with patient.proxy(CUTS[way](number)) as proxy:
            answer = patient.answer(
                patient.start(proxy, "--json", LNM_LEASE_SECONDS=str(SHORT_LEASE_S) if way == "for good" else None)
            )
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
    each(points(undisturbed, tuple(CUTS)), share, subtests, functools.partial(cut_at, bench, undisturbed))


def test_a_write_whose_answer_is_lost_once_is_not_seen_by_the_operator(bench: Bench, undisturbed: Uninterrupted) -> None:
    """The lease is taken: the driver asks again with the same transaction number, and is told what it was told before."""
    with bench.database(half_made) as patient:
        with patient.proxy(cut(Moment.AFTER, 1)(1)) as proxy:
            answer = patient.answer(patient.start(proxy))
        assert answer.exit_code == 0
        assert proxy.effects == [undisturbed.effects[0], *undisturbed.effects]
        patient.assert_converged(undisturbed.end)

"""The network is cut at every effect of an apply: the run ends in order or in words, and going on ends as if nothing had been.

A cut after the server has the command, with its answer lost, leaves the runner not knowing whether it was done. The driver tries
a command a second time and no third, hence the cuts that come twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.crash import runs
from tests.crash.proxy import Command, Controller, Fault, Moment
from tests.crash.runs import IS_EXHAUSTIVE, Bench, Uninterrupted, half_made

WORKERS = 2  # each tries its share of the points
LOST = {"RetryableError": 10, "StoppedError": 3}
"""What a run may say that the network has ended: `{type: exit code}`."""
SHORT_LEASE_S = "3"

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


def points(effects: list[str]) -> list[tuple[int, str]]:
    """Where to cut, and how: each effect in each way, or each in one."""
    numbers, ways = range(1, len(effects) + 1), list(CUTS)
    if IS_EXHAUSTIVE:
        return list(itertools.product(numbers, ways))
    return [(number, ways[number % len(ways)]) for number in numbers]


def expected(way: str) -> dict[str, int]:
    """What a run may say. Cut for good within a transaction it tries until its lease has run out, and then says that."""
    return {**LOST, "LeaseLostError": 9} if way == "for good" else LOST


def cut_at(bench: Bench, undisturbed: Uninterrupted, number: int, way: str) -> None:
    """Cuts a run at one point, looks how it ends, goes on, and looks again."""
    with bench.database(half_made) as patient:
        with patient.proxy(CUTS[way](number)) as proxy:
            answer = patient.answer(
                patient.start(proxy, "--json", LNM_LEASE_SECONDS=SHORT_LEASE_S if way == "for good" else None)
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
    tried = points(undisturbed.effects)[share::WORKERS]
    done = 0
    for number, way in tried:
        with subtests.test(f"{number}: {undisturbed.effects[number - 1]}, cut {way}"):
            cut_at(bench, undisturbed, number, way)
            done += 1
    print(f"cut and gone on: {done} of {len(tried)} points, of {len(undisturbed.effects)} effects")
    assert done == len(tried)


def test_a_write_whose_answer_is_lost_once_is_not_seen_by_the_operator(bench: Bench, undisturbed: Uninterrupted) -> None:
    """The lease is taken: the driver asks again with the same transaction number, and is told what it was told before."""
    with bench.database(half_made) as patient:
        with patient.proxy(cut(Moment.AFTER, 1)(1)) as proxy:
            answer = patient.answer(patient.start(proxy))
        assert answer.exit_code == 0
        assert proxy.effects == [undisturbed.effects[0], *undisturbed.effects]
        patient.assert_converged(undisturbed.end)

"""The crash explorer: SIGKILL at every effect of a run; where the operator goes then, it ends as if nothing had been.

An apply and a rollback are killed, and each is gone on with or turned round. The effects are counted in an undisturbed run.
`make test` kills an apply that is gone on with at each of them at one moment (they take turns), and the others at a few;
`nox -s crash` all of them at every effect and every moment. A point that is not reached fails.
"""

from __future__ import annotations

import functools
import signal
import subprocess
from dataclasses import dataclass

import pytest

from tests.crash import runs
from tests.crash.fingerprint import Fingerprint
from tests.crash.points import WORKERS, Point, each, points
from tests.crash.proxy import Command, Fault, Moment
from tests.crash.runs import APPLY, ROLLBACK, Bench, Direction, Uninterrupted, half_made

pytestmark = pytest.mark.mongod


@dataclass(frozen=True)
class Journey:
    """A run that is killed, and where the operator goes then."""

    killed: Direction
    then: Direction
    first: int
    every: int
    """Without LNM_KILLS=all it is killed at this effect, and at each that is so many later."""


JOURNEYS = {
    "an apply, gone on": Journey(APPLY, APPLY, 1, 2),
    "an apply, taken back": Journey(APPLY, ROLLBACK, 5, 8),
    "a rollback, gone on": Journey(ROLLBACK, ROLLBACK, 3, 8),
    "a rollback, applied again": Journey(ROLLBACK, APPLY, 1, 8),
}


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> dict[Direction, Uninterrupted]:
    """What there is to be killed."""
    return {direction: runs.uninterrupted(bench, half_made, direction) for direction in (APPLY, ROLLBACK)}


@pytest.fixture(scope="module")
def ends(bench: Bench, undisturbed: dict[Direction, Uninterrupted]) -> dict[Direction, Fingerprint]:
    """Where the two directions end: what a rollback ends as is what was there before anything was applied."""
    with bench.database(half_made) as patient:
        return {APPLY: undisturbed[APPLY].end, ROLLBACK: patient.fingerprint()}


def kill_at(
    bench: Bench,
    undisturbed: dict[Direction, Uninterrupted],
    ends: dict[Direction, Fingerprint],
    journey: Journey,
    point: Point[Moment],
) -> None:
    """Kills a run at one point, goes where the journey goes, and looks."""
    started: list[subprocess.Popen[str]] = []

    def kill() -> None:
        started[0].kill()
        started[0].wait()

    def controller(command: Command) -> Fault | None:
        return Fault(point.way, kill) if command.effect == point.number else None

    with bench.database(half_made, journey.killed) as patient:
        with patient.proxy(controller) as proxy:
            started.append(patient.start(proxy, direction=journey.killed))
            answer = patient.answer(started[0])
        assert answer.exit_code == -signal.SIGKILL, "the point was not reached"
        assert proxy.effects == undisturbed[journey.killed].effects[: point.number]
        (patient.go_on if journey.killed is journey.then else patient.turn)(journey.then)
        patient.assert_converged(ends[journey.then], journey.then)


def test_the_effects_of_a_run_are_known(undisturbed: dict[Direction, Uninterrupted], ends: dict[Direction, Fingerprint]) -> None:
    """A run that writes in another order, or more, is a change to look at; here it is seen that the count is not blind."""
    kinds = {way: {label.partition(" ")[0] for label in run.effects} for way, run in undisturbed.items()}
    assert {"create", "createIndexes", "collMod", "update", "findAndModify"} <= kinds[APPLY]
    assert {"renameCollection", "drop", "dropIndexes", "collMod", "delete", "findAndModify"} <= kinds[ROLLBACK]
    end = undisturbed[APPLY].end
    assert undisturbed[APPLY].changed == {*end.collections, *end.state} - {"advisory_raw"}
    assert undisturbed[ROLLBACK].end.collections == ends[ROLLBACK].collections != end.collections


@pytest.mark.parametrize("share", range(WORKERS))
@pytest.mark.parametrize("name", JOURNEYS)
def test_after_a_kill_at_any_effect_every_way_ends_as_if_nothing_had_been(
    bench: Bench,
    undisturbed: dict[Direction, Uninterrupted],
    ends: dict[Direction, Fingerprint],
    name: str,
    share: int,
    subtests: pytest.Subtests,
) -> None:
    journey = JOURNEYS[name]
    killed = points(undisturbed[journey.killed], tuple(Moment), first=journey.first, every=journey.every)
    each(killed, share, subtests, functools.partial(kill_at, bench, undisturbed, ends, journey))

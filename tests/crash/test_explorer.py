"""The crash explorer: SIGKILL at every effect of an apply; going on ends where a run ends that nobody disturbed.

The effects are counted in an undisturbed run. `make test` kills at each of them at one moment (they take turns); `nox -s crash`
at each of them at every moment. A point that is not reached fails.
"""

from __future__ import annotations

import itertools
import signal
import subprocess

import pytest

from tests.crash import runs
from tests.crash.proxy import Command, Fault, Moment
from tests.crash.runs import IS_EXHAUSTIVE, Bench, Uninterrupted, half_made

WORKERS = 2  # each tries its share of the points
MOMENTS = tuple(Moment)

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Uninterrupted:
    """What there is to be killed."""
    return runs.uninterrupted(bench, half_made)


def points(effects: list[str]) -> list[tuple[int, Moment]]:
    """Where to kill: `(effect, moment)`."""
    numbers = range(1, len(effects) + 1)
    if IS_EXHAUSTIVE:
        return list(itertools.product(numbers, MOMENTS))
    return [(number, MOMENTS[number % len(MOMENTS)]) for number in numbers]


def kill_at(bench: Bench, undisturbed: Uninterrupted, number: int, moment: Moment) -> None:
    """Kills a run at one point, goes on, and looks."""
    started: list[subprocess.Popen[str]] = []

    def kill() -> None:
        started[0].kill()
        started[0].wait()

    def controller(command: Command) -> Fault | None:
        return Fault(moment, kill) if command.effect == number else None

    with bench.database(half_made) as patient:
        with patient.proxy(controller) as proxy:
            started.append(patient.start(proxy))
            answer = patient.answer(started[0])
        assert answer.exit_code == -signal.SIGKILL, "the point was not reached"
        assert proxy.effects == undisturbed.effects[:number]
        patient.go_on()
        patient.assert_converged(undisturbed.end)


def test_the_effects_of_an_apply_are_known(undisturbed: Uninterrupted) -> None:
    """A run that writes in another order, or more, is a change to look at; here it is seen that the count is not blind."""
    kinds = {label.partition(" ")[0] for label in undisturbed.effects}
    assert {"create", "createIndexes", "collMod", "update", "findAndModify"} <= kinds
    assert undisturbed.changed == {*undisturbed.end.collections, *undisturbed.end.state} - {"advisory_raw"}


@pytest.mark.parametrize("share", range(WORKERS))
def test_going_on_after_a_kill_at_any_effect_ends_as_if_nothing_had_been(
    bench: Bench, undisturbed: Uninterrupted, share: int, subtests: pytest.Subtests
) -> None:
    tried = points(undisturbed.effects)[share::WORKERS]
    killed = 0
    for number, moment in tried:
        with subtests.test(f"{number}: {undisturbed.effects[number - 1]}, killed {moment.value}"):
            kill_at(bench, undisturbed, number, moment)
            killed += 1
    print(f"killed and gone on: {killed} of {len(tried)} points, of {len(undisturbed.effects)} effects")
    assert killed == len(tried)

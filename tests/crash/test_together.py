"""Two runners that start together on an empty database: one works, the other is locked out or comes after; it is done once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest

from tests.crash import runs
from tests.crash.proxy import Command, Controller, Fault, Moment, Then
from tests.crash.runs import ID, IS_EXHAUSTIVE, Bench, Uninterrupted, empty
from tests.migrations.table_21_101 import INDEXES

ROUNDS = 25 if IS_EXHAUSTIVE else 4
"""In each of two ways."""
PATIENCE_S = 20

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Uninterrupted:
    """What one runner alone does."""
    return runs.uninterrupted(bench, empty)


def at_the_door() -> Controller:
    """Holds two runners before their first effect until both are there, so that the race is as narrow as it can be."""
    both = threading.Barrier(2)

    def wait() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(PATIENCE_S)

    return lambda command: Fault(Moment.BEFORE, wait, then=Then.PASS) if command.effect == 1 else None


def as_it_comes() -> Controller:
    """Holds nobody."""

    def controller(_: Command) -> None:
        return None

    return controller


@pytest.mark.parametrize("way", [at_the_door, as_it_comes])
def test_of_two_runners_that_start_together_one_applies_once(
    bench: Bench, undisturbed: Uninterrupted, way: Callable[[], Controller], subtests: pytest.Subtests
) -> None:
    for number in range(ROUNDS):
        with subtests.test(f"round {number + 1}"), bench.database(empty) as patient:
            controller = way()
            with patient.proxy(controller) as one, patient.proxy(controller) as two:
                runners = [patient.start(one), patient.start(two)]
                answers = [patient.answer(runner) for runner in runners]
            codes = sorted(answer.exit_code for answer in answers)
            assert codes in ([0, 0], [0, 9]), [answer.stderr for answer in answers]
            (row,) = patient.site.database["lnm_migrations"].find({})
            assert (row["_id"], row["state"], row["earlier"]) == (ID, "applied", [])
            for name, indexes in INDEXES.items():
                assert set(patient.site.database[name].index_information()) == {"_id_", *indexes}
            patient.assert_converged(undisturbed.end)

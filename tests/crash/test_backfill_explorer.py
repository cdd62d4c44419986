"""The crash explorer of 21-102: SIGKILL at every effect of a backfill and of its rollback; the end is as if nothing had been.

A backfill is gone on with, also where its work file or all of LNM_STATE_DIR is lost, or taken back and done again; a rollback is
gone on with, or a backfill is tried over it. `make test` kills at a few effects, `nox -s crash` at every one, and where the same
command follows at every moment. A point that is not reached fails.
"""

from __future__ import annotations

import functools
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.crash.filling import BACKFILL, ENDS, UNFILL, WORK_FILE, Case, Starts, Story
from tests.crash.points import SHARES, Point, each, points
from tests.crash.proxy import Command, Fault, Moment
from tests.crash.runs import Bench, Direction

pytestmark = pytest.mark.mongod


TOUCHED = 2  # one document of each run
Then = Callable[[Case, Story, Point[Moment]], None]
"""What the operator does after the kill, and what must hold."""


def the_backfill_again(case: Case, story: Story, _: Point[Moment]) -> None:
    """The same command."""
    answer = case.again(BACKFILL)
    assert answer.exit_code == ENDS[BACKFILL], answer.stdout
    assert answer.json["reportSha256"] == story.end.report
    case.assert_ends_as(story.end)


def the_backfill_elsewhere(case: Case, story: Story, point: Point[Moment]) -> None:
    """The same command, after a part of the state folder is lost, or all of it."""
    if point.number % 2:
        shutil.rmtree(case.state, ignore_errors=True)
    else:
        for path in case.state.glob(WORK_FILE):
            path.unlink()
    the_backfill_again(case, story, point)


def back_and_again(case: Case, story: Story, _: Point[Moment]) -> None:
    """The rollback, whatever the backfill came to; then the backfill again, which finds the work file of the first."""
    answer = case.again(UNFILL)
    assert answer.exit_code == ENDS[UNFILL], answer.stdout
    case.assert_is_as_before(story.start)
    assert case.do(BACKFILL).exit_code == ENDS[BACKFILL]
    case.assert_ends_as(story.end)


def the_rollback_again(case: Case, story: Story, _: Point[Moment]) -> None:
    """The same command; also what an attempt before it has left is told."""
    undisturbed = story.runs[UNFILL]
    answer = case.again(UNFILL)
    assert "error" not in answer.json, answer.stdout
    assert (answer.exit_code, answer.json["touched"]) == (undisturbed.answer["exitCode"], undisturbed.answer["touched"])
    case.assert_ends_as(undisturbed.ended)


def a_backfill_over_it(case: Case, story: Story, _: Point[Moment]) -> None:
    """It is refused where the rollback has begun and not ended, and names the command that ends it; behind that it goes on."""
    case.let_time_pass()
    is_open = (case.ledger["direction"], case.ledger["state"]) == ("back", "applying")
    before = case.fingerprint()
    answer = case.again(BACKFILL)
    if is_open:
        assert answer.exit_code == ENDS[BACKFILL]
        assert answer.json["error"]["type"] == "StoppedError"
        assert case.fingerprint() == before
        advised = shlex.split(answer.json["error"]["hint"].removeprefix("end it first: "))[1:]
        assert advised[:3] == ["rollback", "21-102", "--execute"]
        assert case.typed(UNFILL.user, *advised).exit_code == ENDS[UNFILL]
        case.assert_is_as_before(story.start)
        answer = case.do(BACKFILL)
    assert (answer.exit_code, answer.json["reportSha256"]) == (ENDS[BACKFILL], story.end.report)
    case.assert_ends_as(story.end)


@dataclass(frozen=True)
class Journey:
    """A run that is killed, and what comes then."""

    killed: Direction
    then: Then
    first: int
    every: int
    """Without LNM_KILLS=all it is killed at this effect, and at each that is so many later."""
    is_later: bool
    """The backfill is the second one, over what an earlier one has made of a part; what is taken back was changed by somebody."""
    in_turns: bool = True
    """With LNM_KILLS=all each effect is tried at one moment, and not at every one."""


JOURNEYS = {
    "a backfill, gone on": Journey(BACKFILL, the_backfill_again, 20, 20, is_later=False, in_turns=False),
    "a later backfill, gone on": Journey(BACKFILL, the_backfill_again, 33, 200, is_later=True),
    "a backfill, gone on without its files": Journey(BACKFILL, the_backfill_elsewhere, 21, 100, is_later=False),
    "a later backfill, gone on without its files": Journey(BACKFILL, the_backfill_elsewhere, 50, 200, is_later=True),
    "a backfill, taken back and done again": Journey(BACKFILL, back_and_again, 39, 100, is_later=False),
    "a rollback, gone on": Journey(UNFILL, the_rollback_again, 26, 30, is_later=False, in_turns=False),
    "a later rollback, gone on": Journey(UNFILL, the_rollback_again, 90, 200, is_later=True),
    "a rollback, and a backfill over it": Journey(UNFILL, a_backfill_over_it, 36, 100, is_later=False),
}


@pytest.fixture(scope="module")
def starts(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Starts:
    """Where the runs start from."""
    return Starts(bench, tmp_path_factory.mktemp("states"), bench.server)


def kill_at(starts: Starts, story: Story, journey: Journey, point: Point[Moment]) -> None:
    """Kills a run at one point, goes on, and looks."""
    started: list[subprocess.Popen[str]] = []

    def kill() -> None:
        started[0].kill()
        started[0].wait()

    def controller(command: Command) -> Fault | None:
        return Fault(point.way, kill) if command.effect == point.number else None

    with starts.case(story.before[journey.killed]) as case:
        with case.proxy(controller) as proxy:
            started.append(case.begin(proxy, journey.killed))
            answer = case.answer(started[0])
        assert answer.exit_code == -signal.SIGKILL, "the point was not reached"
        assert proxy.effects == story.runs[journey.killed].effects[: point.number]
        journey.then(case, story, point)


def test_what_is_killed_does_all_that_a_backfill_and_its_rollback_ever_do(starts: Starts) -> None:
    """And a picture shows all that there was."""
    first, later = starts.first, starts.later
    with starts.case(first.before[UNFILL]) as case:
        assert case.fingerprint() == first.end.fingerprint
    print({name: [len(run.effects) for run in story.runs.values()] for name, story in {"first": first, "later": later}.items()})
    assert first.runs[BACKFILL].changed >= {"advisory_observations", "lnm_checkpoints", "lnm_backfill_errors", "lnm_runs"}
    assert first.runs[UNFILL].end.collections == first.start.collections != first.end.fingerprint.collections
    assert later.end.fingerprint.documents("lnm_backfill_before")
    assert len(later.runs[UNFILL].answer["touched"]) == TOUCHED


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", JOURNEYS)
def test_after_a_kill_at_any_effect_every_way_ends_as_if_nothing_had_been(
    starts: Starts, name: str, share: int, subtests: pytest.Subtests
) -> None:
    journey = JOURNEYS[name]
    story = starts.later if journey.is_later else starts.first
    killed = story.runs[journey.killed]
    ways = points(killed, tuple(Moment), first=journey.first, every=journey.every, in_turns=journey.in_turns)
    each(ways, share, subtests, functools.partial(kill_at, starts, story, journey), shares=len(SHARES))

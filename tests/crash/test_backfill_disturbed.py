"""A backfill that is disturbed otherwise than by a kill: workers, a holder that was paused, the network, signals, pipes, disks.

Whatever it says then, the same command goes on, and the end is as if nothing had been: the same documents and the same report.
`make test` tries a few points of each, `nox -s crash` many.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash import cluster, small_disk
from tests.crash.cluster import Cluster
from tests.crash.filling import BACKFILL, ENDS, LARGE, UNFILL, Case, Starts, Undisturbed
from tests.crash.points import SHARES, Point, each
from tests.crash.proxy import Command, Controller, Fault, Moment, Then
from tests.crash.runs import IS_EXHAUSTIVE, Bench, Direction
from tests.crash.small_disk import SmallDisk
from tests.runner.installed import Answer

CANCELLED, LOCKED, RETRYABLE = 130, 9, 10
SHORT_LEASE_S = 3
PATIENCE_S = 30
COMMIT = "commitTransaction"

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def starts(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Starts:
    """Where the runs start from."""
    return Starts(bench, tmp_path_factory.mktemp("states"), bench.server)


@pytest.fixture(scope="module")
def undisturbed(starts: Starts) -> Undisturbed:
    """A backfill that nobody disturbs."""
    return starts.backfilled


def some(effects: list[int], first: int, every: int) -> list[int]:
    """All of them with LNM_KILLS=all, else a few."""
    return effects if IS_EXHAUSTIVE else effects[first::every]


# ---- processes


def processes(case: Case) -> list[int]:
    """Every process that works on the database of a case: the runner, its workers, and what Python keeps beside them."""
    wanted = f"CONCELIER_DB={case.site.database.name}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return sorted(found)


def workers(case: Case) -> list[int]:
    """Those of them that are workers."""
    found = []
    for process in processes(case):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return found


def assert_nobody_is_left(case: Case) -> None:
    """No process is left behind."""
    wait_until(lambda: not processes(case), "a process was left behind")


def wait_until(is_so: Callable[[], object], otherwise: str) -> None:
    """Waits for something."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def send(number: int, to: list[int]) -> None:
    """A signal to processes, as far as they are there."""
    for process in to:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def run_with(case: Case, direction: Direction, controller: Controller, *arguments: str, **variables: str) -> Answer:
    """A run to its end, while a controller disturbs it."""
    with case.proxy(controller) as proxy:
        return case.answer(case.begin(proxy, direction, *arguments, **variables))


def at(number: int, moment: Moment, call: Callable[[], object]) -> Controller:
    """Calls something at an effect, which then goes its way."""
    return lambda command: Fault(moment, call, then=Then.PASS) if command.effect == number else None


def goes_on(case: Case, undisturbed: Undisturbed, direction: Direction = BACKFILL, *, is_exact: bool = True) -> None:
    """The same command goes on, and ends as it should."""
    answer = case.again(direction)
    assert "error" not in answer.json, answer.stdout
    assert answer.json["reportSha256"] == undisturbed.report
    case.assert_ends_as(undisturbed.ended, is_exact=is_exact)


# ---- workers


@pytest.fixture(scope="module")
def at_large(starts: Starts) -> Undisturbed:
    """A backfill by two workers that nobody disturbs."""
    return starts.run(starts.large, LARGE)


def victims(undisturbed: Undisturbed) -> list[Point[str]]:
    """The parent or a worker, at effects while there are workers."""
    first = undisturbed.effects.index("insert advisory_observations (in a transaction)") + 1
    numbers = list(range(first, len(undisturbed.effects), 2)) if IS_EXHAUSTIVE else [first + 20]
    return [
        Point(number, undisturbed.effects[number - 1], ("a worker", "the parent")[place % 2])
        for place, number in enumerate(numbers)
    ]


def kill_one(starts: Starts, undisturbed: Undisturbed, point: Point[str]) -> None:
    """Kills the parent or a worker, and goes on with two workers again."""
    with starts.case(starts.large) as case:
        runner: list[subprocess.Popen[str]] = []

        def kill() -> None:
            send(signal.SIGKILL, [runner[0].pid] if point.way == "the parent" else workers(case)[:1])

        with case.proxy(at(point.number, Moment.BEFORE, kill)) as proxy:
            runner.append(case.begin(proxy, LARGE))
            stdout, _ = runner[0].communicate(timeout=PATIENCE_S * 2)
        assert len(proxy.effects) >= point.number, "the point was not reached"
        if point.way == "the parent":
            assert runner[0].returncode == -signal.SIGKILL
        elif runner[0].returncode != ENDS[LARGE] or '"error"' in stdout:  # one that has nothing left to do is not missed
            assert (runner[0].returncode, "a worker of the backfill was killed" in stdout) == (RETRYABLE, True), stdout
        assert_nobody_is_left(case)
        goes_on(case, undisturbed, LARGE)


@pytest.mark.parametrize("share", SHARES)
def test_a_worker_or_its_parent_that_is_killed_is_gone_on_from(
    starts: Starts, at_large: Undisturbed, share: int, subtests: pytest.Subtests
) -> None:
    each(victims(at_large), share, subtests, functools.partial(kill_one, starts, at_large), shares=len(SHARES))


def test_a_parent_that_is_killed_takes_its_workers_with_it(starts: Starts, undisturbed: Undisturbed) -> None:
    with starts.case(starts.seeded) as case:
        runner: list[subprocess.Popen[str]] = []
        number = undisturbed.effects.index("insert lnm_checkpoints (in a transaction)") + 1

        def kill() -> None:
            runner[0].kill()

        with case.proxy(at(number, Moment.AFTER, kill)) as proxy:
            runner.append(case.begin(proxy, BACKFILL, "--workers=2"))
            assert case.answer(runner[0]).exit_code == -signal.SIGKILL, "the point was not reached"
        assert_nobody_is_left(case)
        goes_on(case, undisturbed)


# ---- a holder that was paused


def at_a_read_of_the_inventory(command: Command) -> bool:
    """True where it reads the input for the first time."""
    return command.name == "find" and command.collection == "advisory_raw"


def pause_at(
    starts: Starts, undisturbed: Undisturbed, point: Point[Direction], is_there: Callable[[Command], bool] | None = None
) -> None:
    """Pauses a run, lets its lease run out, does another one, and lets the first go on: it has no say any more."""
    with starts.case(starts.seeded) as case:
        start = case.fingerprint()
        runner: list[subprocess.Popen[str]] = []
        is_paused, may_go_on = threading.Event(), threading.Event()

        def pause() -> None:
            runner[0].send_signal(signal.SIGSTOP)
            is_paused.set()
            may_go_on.wait(PATIENCE_S * 4)

        def controller(command: Command) -> Fault | None:
            is_here = command.effect == point.number if is_there is None else is_there(command) and not is_paused.is_set()
            return Fault(Moment.BEFORE, pause, then=Then.PASS) if is_here else None

        with case.proxy(controller) as proxy:
            runner.append(case.begin(proxy, BACKFILL))
            try:
                assert is_paused.wait(PATIENCE_S), "the point was not reached"
                other = case.again(point.way)
                assert other.exit_code == ENDS[point.way], other.stdout
                ended = case.fingerprint()
            finally:
                runner[0].send_signal(signal.SIGCONT)
                may_go_on.set()
            answer = case.answer(runner[0])
        if point.number < len(undisturbed.effects):  # the last one lets the lease go, and everything is done
            assert answer.exit_code == LOCKED, answer.stdout
        if point.way is BACKFILL:
            case.assert_ends_as(undisturbed.ended)
            assert [path.name for path in case.state.glob("backfill/*/inventory*")] == ["inventory.sqlite"]
        else:
            case.assert_is_as_before(start)
        found = case.fingerprint()
        assert found.collections == ended.collections
        assert {**found.state, "lnm_lease": {}} == {**ended.state, "lnm_lease": {}}


@pytest.mark.parametrize("share", SHARES)
def test_a_holder_that_was_paused_writes_nothing_once_another_has_taken_over(
    starts: Starts, undisturbed: Undisturbed, share: int, subtests: pytest.Subtests
) -> None:
    numbers = some(list(range(2, len(undisturbed.effects) + 1)), 15, 100)
    begun = undisturbed.effects.index(COMMIT) + 1  # the ledger says so from here on; before, a rollback has nothing to do
    paused = [
        Point(number, undisturbed.effects[number - 1], (UNFILL, BACKFILL)[place % 2] if number > begun else BACKFILL)
        for place, number in enumerate(numbers)
    ]
    each(paused, share, subtests, functools.partial(pause_at, starts, undisturbed), shares=len(SHARES))


def test_one_that_was_paused_in_its_inventory_leaves_the_files_of_the_other_alone(
    starts: Starts, undisturbed: Undisturbed
) -> None:
    pause_at(starts, undisturbed, Point(0, "find advisory_raw", BACKFILL), at_a_read_of_the_inventory)


def test_a_backfill_that_waits_for_a_rollback_does_not_go_over_what_that_one_has_left(starts: Starts) -> None:
    with starts.case(starts.backfilled.picture) as case:
        may_go_on = threading.Event()

        def hold(command: Command) -> Fault | None:
            if command.effect == 2:  # the lease is taken, and the ledger says nothing yet
                return Fault(Moment.BEFORE, lambda: may_go_on.wait(PATIENCE_S), then=Then.PASS)
            return Fault(Moment.BEFORE, rollback[0].kill) if command.effect == 20 else None

        with case.proxy(hold) as one, case.proxy() as two:
            rollback = [case.begin(one, UNFILL)]
            wait_until(lambda: one.effects[1:], "the rollback does not begin")
            backfill = case.begin(two, BACKFILL, f"--wait={PATIENCE_S * 2}")
            wait_until(lambda: two.effects, "the backfill does not wait")
            may_go_on.set()
            assert case.answer(rollback[0]).exit_code == -signal.SIGKILL
            before = case.fingerprint()
            case.let_time_pass()
            answer = case.answer(backfill)
        assert answer.json["error"]["message"].endswith("a rollback of it was not ended"), answer.stdout
        assert "lnm rollback 21-102 --execute" in answer.json["error"]["hint"]
        assert case.fingerprint() == before


# ---- the network


Cut = Callable[[int], Controller]


class Commits:
    """Counts commits, and disturbs from one of them on."""

    def __init__(self, first: int, times: int, then: Then) -> None:
        self.first, self.last, self.then = first, first + times - 1, then
        self.seen = 0
        self.lock = threading.Lock()

    def __call__(self, command: Command) -> Fault | None:
        """Loses the answer to a commit that the server has; once it is for good, every other command is lost as well."""
        with self.lock:
            self.seen += command.name == COMMIT
            is_for_good = self.last > self.first + 1 and self.seen > self.first
            if is_for_good:
                return Fault(Moment.BEFORE)
            if command.name == COMMIT and self.first <= self.seen <= self.last:
                return Fault(Moment.AFTER, then=self.then)
            return None


LOST: dict[str, Cut] = {
    "once": lambda number: Commits(number, 1, Then.CUT),
    "twice": lambda number: Commits(number, 2, Then.CUT),
    "for good": lambda number: Commits(number, 1_000, Then.CUT),
    "for good, and nobody is told": lambda number: Commits(number, 1, Then.STALL),
}


def lose_at(starts: Starts, undisturbed: Undisturbed, point: Point[str]) -> None:
    """Loses the answer to a commit."""
    with starts.case(starts.seeded) as case:
        lease_s = {"LNM_LEASE_SECONDS": str(SHORT_LEASE_S)} if point.way.startswith("for good") else {}
        began = time.monotonic()
        answer = run_with(case, BACKFILL, LOST[point.way](point.number), **lease_s)
        assert time.monotonic() - began < PATIENCE_S
        if point.way.startswith("for good"):
            assert answer.exit_code in {LOCKED, RETRYABLE}, answer.stdout
        else:
            assert answer.exit_code == ENDS[BACKFILL], answer.stdout
            assert answer.json["reportSha256"] == undisturbed.report
        goes_on(case, undisturbed)


@pytest.mark.parametrize("share", SHARES)
def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_done_twice(
    starts: Starts, undisturbed: Undisturbed, share: int, subtests: pytest.Subtests
) -> None:
    commits = list(range(1, undisturbed.effects.count(COMMIT) + 1))
    ways = (
        [(number, way) for number in commits for way in LOST]
        if IS_EXHAUSTIVE
        else [(3, "twice"), (5, "for good, and nobody is told")]
    )
    each(
        [Point(number, COMMIT, way) for number, way in ways],
        share,
        subtests,
        functools.partial(lose_at, starts, undisturbed),
        shares=len(SHARES),
    )


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A replica set of three."""
    with cluster.running(tmp_path_factory.mktemp("three"), 3) as made:
        yield made


def test_two_step_downs_lose_nothing_and_double_nothing(
    bench_of_its_own: Bench, replica_set: Cluster, starts: Starts, undisturbed: Undisturbed
) -> None:
    there = dataclasses.replace(starts, bench=bench_of_its_own, server=replica_set)
    for _ in range(5 if IS_EXHAUSTIVE else 1):
        with there.case(starts.seeded) as case:
            step_down_twice(case, replica_set)
            answer = case.again(BACKFILL)
            assert answer.json.get("reportSha256") == undisturbed.report, answer.stdout
            case.assert_ends_as(undisturbed.ended, is_exact=False)


def step_down_twice(case: Case, replica_set: Cluster) -> None:
    """Makes the primary step down when some batches are written, and the next one some batches later."""
    words = ("backfill", "--execute", "--json", "--batch-size=10", "--kit", case.lnm.kit.folder)
    runner = case.lnm.start(*words, **{**case.variables, "CONCELIER_MONGO_URI": case.site.uri("backfiller")})
    rows = case.site.database["lnm_checkpoints"]
    for batches in (3, 20):
        wait_until(lambda: rows.count_documents({}) >= batches or runner.poll() is not None, "it stands still")  # noqa: B023
        replica_set.step_down()
    answer = case.answer(runner)
    print(f"it ended with {answer.exit_code}, after {rows.count_documents({})} batches")
    if "error" in answer.json:
        assert answer.json["error"]["type"] in {"RetryableError", "StoppedError"}, answer.stdout


# ---- signals and pipes


def signal_at(starts: Starts, undisturbed: Undisturbed, point: Point[tuple[signal.Signals, int]]) -> None:
    """Sends a signal as a terminal does, to all processes of a run; the same command goes on at once."""
    number, many = point.way
    with starts.case(starts.seeded) as case:
        tell = functools.partial(send_to_all, case, number)
        answer = run_with(case, BACKFILL, at(point.number, Moment.BEFORE, tell), f"--workers={many}")
        if point.number < len(undisturbed.effects):  # the last one lets the lease go, and everything is done
            assert answer.exit_code == CANCELLED, answer.stdout + answer.stderr
            assert answer.stderr == ""
        assert_nobody_is_left(case)
        answer = case.do(BACKFILL)
        assert (answer.exit_code, answer.json.get("reportSha256")) == (ENDS[BACKFILL], undisturbed.report), answer.stdout
        case.assert_ends_as(undisturbed.ended)


def send_to_all(case: Case, number: signal.Signals) -> None:
    """The parent is the oldest of them."""
    send(number, processes(case))


@pytest.mark.parametrize("share", SHARES)
def test_a_signal_ends_a_run_and_its_workers_and_the_same_command_goes_on(
    starts: Starts, undisturbed: Undisturbed, share: int, subtests: pytest.Subtests
) -> None:
    numbers = some(list(range(2, len(undisturbed.effects) + 1)), 18, 24)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    sent = [
        Point(number, undisturbed.effects[number - 1], (signals[place % 3], 1 + (place + 1) % 2))
        for place, number in enumerate(numbers)
    ]
    each(sent, share, subtests, functools.partial(signal_at, starts, undisturbed), shares=len(SHARES))


def test_a_signal_while_the_workers_begin_ends_them_without_a_word(starts: Starts, undisturbed: Undisturbed) -> None:
    with starts.case(starts.seeded) as case, case.proxy() as proxy:
        for number in (signal.SIGINT, signal.SIGHUP) if IS_EXHAUSTIVE else (signal.SIGINT,):
            runner = case.begin(proxy, BACKFILL, "--workers=2")
            wait_until(functools.partial(workers, case), "there are no workers")
            send_to_all(case, number)
            answer = case.answer(runner)
            assert (answer.exit_code, answer.stderr) == (CANCELLED, "")
            assert_nobody_is_left(case)
        assert case.do(BACKFILL).exit_code == ENDS[BACKFILL]
        case.assert_ends_as(undisturbed.ended)


def shell(case: Case, line: str) -> Case:
    """The same, but the program is called by a line of sh, in which `lnm "$@"` stands for it."""
    case.state.mkdir(parents=True, exist_ok=True)
    script = case.state / "lnm.sh"
    script.write_text(f"#!/bin/sh\nexec {line.replace('lnm', shlex.quote(str(case.lnm.program)), 1)}\n")
    script.chmod(0o755)
    return dataclasses.replace(case, lnm=dataclasses.replace(case.lnm, program=script))


def test_a_run_that_is_begun_by_nohup_outlives_its_terminal(starts: Starts, undisturbed: Undisturbed) -> None:
    with starts.case(starts.seeded) as plain:
        case = shell(plain, 'nohup lnm "$@"')
        answer = run_with(case, BACKFILL, at(20, Moment.BEFORE, functools.partial(send_to_all, case, signal.SIGHUP)))
        assert answer.exit_code == ENDS[BACKFILL], answer.stdout
        case.assert_ends_as(undisturbed.ended)


def test_pipes_that_are_closed_stop_nothing(starts: Starts, undisturbed: Undisturbed) -> None:
    """Nobody reads what it says, and it has no standard input; not even all three of them."""
    for many in (1, 2):
        with starts.case(starts.seeded) as plain, plain.proxy() as proxy:
            case = shell(plain, 'lnm "$@" <&-')
            runner = case.start(proxy, f"--workers={many}", direction=BACKFILL, **case.variables)
            for pipe in (runner.stdout, runner.stderr):
                assert pipe is not None
                pipe.close()
            assert runner.wait(PATIENCE_S * 2) == ENDS[BACKFILL]
            assert_nobody_is_left(case)
            case.assert_ends_as(undisturbed.ended)
    with starts.case(starts.seeded) as plain:
        case = shell(plain, 'lnm "$@" <&- >&- 2>&-')
        runner = case.lnm.start(
            "backfill", "--execute", "--workers=2", "--batch-size=150", "--kit", case.lnm.kit.folder,
            **{**case.variables, "CONCELIER_MONGO_URI": case.site.uri("backfiller")},
        )  # fmt: skip
        assert runner.communicate(timeout=PATIENCE_S * 2) == ("", "")
        assert runner.returncode == ENDS[BACKFILL]
        case.assert_ends_as(undisturbed.ended)


# ---- disks


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A small file system for LNM_STATE_DIR."""
    with small_disk.mounted(tmp_path_factory.mktemp("small") / "disk", 4 << 20) as made:
        yield made


def on(disk: SmallDisk, case: Case) -> Case:
    """The same, with its LNM_STATE_DIR there."""
    found = shell(case, shlex.join(disk.within) + ' lnm "$@"')
    return dataclasses.replace(found, state=disk.seen_from_here)


def test_a_disk_that_is_full_is_told_before_anything_is_written_and_with_room_it_goes_on(
    starts: Starts, undisturbed: Undisturbed, disk: SmallDisk
) -> None:
    with starts.case(starts.seeded) as plain:
        case = on(disk, plain)
        start = case.fingerprint()
        for room in (0, 16 << 10, 128 << 10):
            disk.fill()
            os.truncate(disk.ballast, disk.ballast.stat().st_size - room)
            answer = case.do(BACKFILL)
            assert (answer.exit_code, answer.json["error"]["type"]) == (RETRYABLE, "RetryableError"), answer.stdout
            assert "No space left" in answer.json["error"]["message"] or "disk is full" in answer.json["error"]["message"]
            assert "make room below" in answer.json["error"]["hint"]
            found = case.fingerprint()
            assert found.collections == start.collections
            assert {**found.state, "lnm_lease": {}} == {**start.state, "lnm_lease": {}}
        disk.make_space()
        assert case.do(BACKFILL).exit_code == ENDS[BACKFILL]
        case.assert_ends_as(undisturbed.ended)


def test_a_disk_that_is_full_when_the_report_is_written_is_told_and_with_room_it_goes_on(
    starts: Starts, undisturbed: Undisturbed, disk: SmallDisk
) -> None:
    last = len(undisturbed.effects) - undisturbed.effects[::-1].index("insert lnm_checkpoints (in a transaction)")
    with starts.case(starts.seeded) as plain:
        case = on(disk, plain)
        answer = run_with(case, BACKFILL, at(last, Moment.BEFORE, disk.fill))
        disk.make_space()
        assert answer.exit_code == RETRYABLE, answer.stdout
        assert "the report cannot be written" in answer.json["error"]["message"]
        assert case.site.database["lnm_runs"].find_one({}, {"_id": 0, "state": 1}) == {"state": "running"}
        goes_on(case, undisturbed)

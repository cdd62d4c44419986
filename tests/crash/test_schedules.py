"""Two runners at once, and somebody else decides who of them writes next, who dies, and when time passes: schedules that are drawn.

After every step the ledger tells a legal story; whatever happened, going on ends as a run ends that nobody disturbed. All of it
rests on the lease and its fences (lnm_runner/lease.py).
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.crash import runs
from tests.crash.gate import Gate, settled
from tests.crash.runs import ID, IS_EXHAUSTIVE, Bench, Patient, Uninterrupted, empty
from tests.runner.hold import let_the_lease_run_out
from tests.runner.installed import Answer

EXAMPLES = 100 if IS_EXHAUSTIVE else 4
"""In each of two ways."""
START_S, STEP_S = 30.0, 1.0
"""How long a runner may take to its first effect, and to its next before another one's turn comes."""
BY_TYPE = {"InterruptedApplyError": 3, "StoppedError": 3, "LockedError": 9, "LeaseLostError": 9, "RetryableError": 10}
"""What a runner may say that did not come to its end."""

pytestmark = pytest.mark.mongod

Step: TypeAlias = tuple[str, int]
"""Who, and how many effects it may do; or what happens, and 1."""

TURNS = st.tuples(st.sampled_from(["A", "B"]), st.integers(1, 12))
EVENTS = st.sampled_from([("kill A", 1), ("kill B", 1), ("the lease runs out", 1), ("a minute passes", 1)])
SCHEDULES = st.lists(st.one_of(TURNS, TURNS, EVENTS), min_size=3, max_size=9)


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Uninterrupted:
    """What one runner alone does."""
    return runs.uninterrupted(bench, empty)


@dataclass(frozen=True)
class Runner:
    """A process, and the gate before the server."""

    process: subprocess.Popen[str]
    gate: Gate

    def go(self, effects: int) -> Iterator[str]:
        """Lets it do so many effects, one after the other; yields their labels when they were done."""
        for _ in range(effects):
            label = self.gate.release()
            if not label:
                return
            settled(self.gate, self.process, STEP_S)
            yield label

    def kill(self) -> None:
        """SIGKILL; what it was about to send is never sent."""
        self.process.kill()
        self.process.wait()
        self.gate.shut_down()


@contextlib.contextmanager
def two(patient: Patient, *arguments: str) -> Iterator[dict[str, Runner]]:
    """Two runners, each before its first effect; none is left when the block ends."""
    with contextlib.ExitStack() as stack:
        made = {}
        for name in ("A", "B"):
            gate = Gate()
            stack.callback(gate.shut_down)
            proxy = stack.enter_context(patient.proxy(gate))
            stack.callback(gate.shut_down)  # before the proxy waits for its threads
            process = patient.start(proxy, "--json", *arguments)
            stack.callback(ended, process)
            made[name] = Runner(process, gate)
        for runner in made.values():
            assert settled(runner.gate, runner.process, START_S), "a runner neither writes nor ends"
        yield made


def ended(process: subprocess.Popen[str]) -> None:
    """Makes sure that a process is gone."""
    if process.poll() is None:
        process.kill()
    process.communicate()


class Story:
    """What the ledger said so far, and the rules by which it may go on."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.row: Mapping[str, Any] | None = None

    def look(self, after: str, *, is_step: bool = True) -> None:
        """The ledger is legal, and goes on legally from the last look: in one step, or in several."""
        database = self.patient.site.database
        # one transaction writes both, and one snapshot reads both
        with database.client.start_session(snapshot=True) as session:
            row = database["lnm_migrations"].find_one({"_id": ID}, session=session)
            is_published = database["schema_migrations"].find_one({"_id": ID}, session=session) is not None
        note(f"{after}: {row and (row['state'], row['epoch'], row['owner']['pid'])}")
        before, self.row = self.row, row
        assert is_published == (row is not None and row["state"] == "applied"), after
        if row is None:
            assert before is None, after
            return
        assert row["state"] in {"applying", "applied", "failed"}, after
        if before is not None and row != before:
            assert before["state"] != "applied", f"{after}: a row that was finished is another one"
            same_run = row["run"] == before["run"]
            assert row["epoch"] == before["epoch"] if same_run else row["epoch"] > before["epoch"], after
            assert same_run or row["state"] == "applying" or not is_step, after

    def has_been_written_by(self, pid: int) -> bool:
        """True when a run of that process is in the row."""
        runs_of_it = [self.row, *self.row["earlier"]] if self.row else []
        return any(run["owner"]["pid"] == pid for run in runs_of_it)


def carried_out(patient: Patient, runners: Mapping[str, Runner], schedule: list[Step], story: Story) -> None:
    """Lets a schedule happen, and looks after each step."""
    events: dict[str, Callable[[], None]] = {
        "kill A": runners["A"].kill,
        "kill B": runners["B"].kill,
        "the lease runs out": lambda: let_the_lease_run_out(patient.site),
        "a minute passes": patient.let_time_pass,
    }
    for name, count in schedule:
        if name in events:
            events[name]()
            story.look(name)
            continue
        for label in runners[name].go(count):
            story.look(f"{name}: {label}")


def judge(answer: Answer, pid: int, story: Story) -> None:
    """How a runner may end, and what must then be so."""
    if answer.exit_code == -9:
        return
    if answer.exit_code == 0:
        assert story.row is not None
        assert story.row["state"] == "applied"
        return
    error = answer.json["error"]
    note(f"{pid}: {error['type']}: {error['message']}")
    assert BY_TYPE.get(error["type"]) == answer.exit_code, answer.stdout
    if error["type"] == "LockedError":
        assert not story.has_been_written_by(pid)


@pytest.mark.parametrize("resume", [False, True], ids=["plain", "resume"])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink would take many runs; the steps are noted
    suppress_health_check=[HealthCheck.too_slow],
)
@given(schedule=SCHEDULES)
def test_whatever_two_runners_and_time_do_the_end_is_the_same(
    bench: Bench, undisturbed: Uninterrupted, resume: bool, schedule: list[Step]
) -> None:
    with bench.database(empty) as patient:
        story = Story(patient)
        with two(patient, *["--resume"] * resume) as runners:
            carried_out(patient, runners, schedule, story)
            patient.end_transactions()  # of a runner that was killed: the other one would wait a minute for it
            for runner in runners.values():
                runner.gate.open()
            answers = [patient.answer(runner.process) for runner in runners.values()]
        story.look("both have ended", is_step=False)
        for runner, answer in zip(runners.values(), answers, strict=True):
            judge(answer, runner.process.pid, story)
        patient.go_on()
        story.look("gone on", is_step=False)
        patient.assert_converged(undisturbed.end)

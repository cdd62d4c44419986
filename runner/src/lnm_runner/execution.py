"""Carries a plan out, up or back: under the lease, between two rows of the ledger, one action after the other.

Order: (1) the lease; (2) the plan is made anew under it; (3) TTL fuse; (4) ledger `applying`, with all that will be made; (5)
before each action the lease is asked for, then it is done; (6) a second look, which must find nothing left; (7) ledger and
upstream's row, in one transaction. Whatever goes wrong between (4) and (7) is told as it happened first; the ledger says
`failed` if it can be written.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import PyMongoError

from lnm_runner import driver_errors, index_builds, lease, ledger, things
from lnm_runner.actions import Action, CreateIndexes
from lnm_runner.durations import Score, in_words, together
from lnm_runner.errors import (
    InterruptedApplyError,
    LeaseLostError,
    RetryableError,
    RunnerError,
    StoppedError,
    TtlFuseError,
)
from lnm_runner.lease import Lease
from lnm_runner.ledger import BACK, UP, Entry, Run
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Database
from lnm_runner.options import Options
from lnm_runner.planning import Plan


@dataclass(frozen=True)
class Job:
    """What is to be done, and how to find out what is left of it."""

    database: Database
    migration: Migration
    direction: str
    look: Callable[[], Plan]
    """Reads the ledger and the database anew, refuses what must be refused, and plans."""
    details: Mapping[str, Any]
    """What the ledger keeps of the run."""
    options: Options

    @property
    def command(self) -> str:
        """The command that does it, as the lease shows it."""
        return f"{'apply' if self.direction == UP else 'rollback'} {self.migration.delivery}"


@dataclass(frozen=True)
class Outcome:
    """What was done."""

    row: Mapping[str, Any]
    """The row of the ledger."""
    plan: Plan
    scores: tuple[Score, ...]

    @property
    def score(self) -> Score:
        """All of it."""
        return together(self.scores)


def carry_out(job: Job) -> Outcome:
    """Does the job.

    Raises: RunnerError; the ledger then says `failed` and why, if it can be written.
    """
    options = job.options
    with lease.held(
        job.database, job.command, lasts_s=options.lease_s, wait_s=options.wait_s, say=options.progress.line
    ) as held:  # (1)
        plan = job.look()  # (2)
        run = Run(held, job.migration.id, job.migration.summary)
        known = ledger.entry(job.database, job.migration.id)
        if job.direction == UP and known.state == "applied" and not plan.actions:
            ledger.republish(run)
            return Outcome(known.row or {}, plan, ())
        require_ready(job, known, plan)  # (3)
        details = {**job.details, "actions": plan.describe()}
        ledger.begin(run, job.direction, details, plan.things if job.direction == UP else ())  # (4)
        try:
            scores = act(job, plan, held)  # (5) (6)
            row = ledger.finish(run, *ending(job.direction, scores))  # (7)
        except BaseException as err:
            told = ended(run, err)
            if told is err:
                raise
            raise told from err
    return Outcome(row, plan, scores)


def require_free(job: Job, known: Entry, plan: Plan) -> None:
    """Refuses early, before anything is written; a runner that waits finds out under the lease.

    Raises: LockedError, InterruptedApplyError, TtlFuseError.
    """
    if job.options.wait_s:
        return
    holder = lease.holder(job.database)
    if holder is not None and holder["isHeld"]:
        raise lease.locked(holder)
    require_ready(job, known, plan)


def require_ready(job: Job, known: Entry, plan: Plan) -> None:
    """Refuses to begin over what a runner that is gone has left, or where documents would die that nobody has agreed to lose.

    Raises: InterruptedApplyError, TtlFuseError.
    """
    if known.state == "applying" and not job.options.resume:
        raise interrupted(job.database, known, job.options)
    if plan.ttl_deletes > job.options.accept_ttl_deletes:
        raise TtlFuseError(plan.ttl_deletes, job.options.accept_ttl_deletes)


def interrupted(database: Database, known: Entry, options: Options) -> InterruptedApplyError:
    """The refusal where a runner that is gone has left a migration half-way; it says what is there."""
    evidence = things.probe(database, known.made)
    went = "apply" if known.direction == UP else "rollback"
    row = known.row or {}
    command = same_again(row, options, went, "--resume")
    found = f"it was going {known.direction}, and what it set out to make is {things.told(evidence)}"
    facts = {"verdict": things.verdict(evidence), "evidence": [item.as_json() for item in evidence], "owner": row.get("owner")}
    return InterruptedApplyError(str(row.get("_id")), found, command, facts)


def same_again(row: Mapping[str, Any], options: Options, went: str, *flags: str) -> str:
    """The command that goes on with a run that did not end, under that run's settings where they are others than now."""
    settings = row.get("settings", {})
    days, accepted = settings.get("eventsTtlDays"), settings.get("acceptTtlDeletes", 0)
    before = f"LNM_EVENTS_TTL_DAYS={days} " if isinstance(days, int) and days != options.settings.events_ttl_days else ""
    agreed = ("--accept-ttl-deletes", str(accepted)) if isinstance(accepted, int) and accepted > 0 else ()
    return before + options.going(went, str(row.get("delivery")), *flags, *agreed)


def ending(direction: str, scores: tuple[Score, ...]) -> tuple[str, dict[str, Any]]:
    """The last state, and what is written with it."""
    score = together(scores).as_json()
    return ("rolled-back", {"score": score, "made": []}) if direction == BACK else ("applied", {"score": score})


def act(job: Job, plan: Plan, held: Lease) -> tuple[Score, ...]:
    """Does the actions, one after the other, and looks again.

    Raises: RunnerError, PyMongoError.
    """
    scores = []
    for number, action in enumerate(plan.actions, 1):
        for line in action.describe():
            job.options.progress.line(f"[{number}/{len(plan.actions)}] {line}")
        held.check()
        began = time.monotonic()
        with watching(job, action):
            action.apply(job.database)
        score = Score(action.duration.ms, round((time.monotonic() - began) * 1000))
        if action.documents:
            job.options.progress.line(f"  {score}")
        scores.append(score)
    left = job.look()
    if left.actions:
        raise StoppedError(
            f"after the last action there is still something to do: {'; '.join(left.describe())}",
            hint="somebody else is changing the schema; when that is over, do it again",
        )
    held.check()
    return tuple(scores)


def watching(job: Job, action: Action) -> contextlib.AbstractContextManager[None]:
    """Shows how far the server is, for an action that reads documents."""
    if isinstance(action, CreateIndexes) and action.documents:
        return index_builds.watched(job.database, action.collection, job.options.progress)
    return contextlib.nullcontext()


def ended(run: Run, err: BaseException) -> BaseException:
    """Writes `failed` and returns the error to raise: the first one, even where the ledger cannot be written."""
    in_doubt = run.lease.committing.is_set()  # the last write may be done, and the answer to it lost
    if isinstance(err, LeaseLostError):
        return err
    if isinstance(err, PyMongoError):
        found: RunnerError = driver_errors.translated(err)
    elif isinstance(err, RunnerError):
        found = err
    else:
        found = RunnerError("it was cancelled" if isinstance(err, KeyboardInterrupt) else type(err).__name__)
    try:
        ledger.finish(run, "failed", {"error": {"type": type(found).__name__, "message": found.message}})
        note = "the ledger says `failed`; what was done is done, and the same command again goes on"
    except (PyMongoError, RunnerError) as second:
        second_said = driver_errors.translated(second) if isinstance(second, PyMongoError) else second
        in_doubt |= run.lease.committing.is_set()
        says = (
            "may say `applying`, or be at its end: lnm status tells"
            if in_doubt
            else "still says `applying`: look with lnm doctor"
        )
        note = f"the ledger could not be written ({second_said.message}), and {says}"
    if not isinstance(err, PyMongoError | RunnerError):
        return err
    kind = RetryableError if isinstance(found, RetryableError) else StoppedError
    hint = f"{found.hint}; {note}" if found.hint else note
    told = kind(f"{run.migration} stopped: {found.message}", hint=hint, facts={**found.facts, "cause": type(found).__name__})
    told.others = found.others
    return told


def summary_of(outcome: Outcome) -> list[str]:
    """What was done, in words."""
    row = outcome.row
    lines = [f"{len(outcome.plan.actions)} actions in {in_words(int(row.get('durationMs', 0)))} of the server's time."]
    return [*lines, str(outcome.score)] if outcome.scores else lines

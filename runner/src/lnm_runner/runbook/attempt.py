"""One attempt of a stage, between its two lines in the journal: `started` before the effect, and how it ended behind it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pymongo.errors import PyMongoError

from lnm_runner import driver_errors
from lnm_runner.durations import SECOND_MS
from lnm_runner.errors import CancelledError, PublishedError, RunnerError
from lnm_runner.runbook import journal, rehearsed, site
from lnm_runner.runbook.book import Book
from lnm_runner.runbook.call import Call, command
from lnm_runner.runbook.stage import Context, Done, Stage


def begin(call: Call, book: Book, reason: str = "", before: str = "") -> None:
    """Writes the first line of a journal; `before` is the head of the one that it follows."""
    who = {"operator": site.operator(call.options), "rehearsal": rehearsed.accepted(call)}
    book.append("", journal.BEGUN, {**call.wanted, **who, "reason": reason, "before": before}, call.plan)


def tell_absent(call: Call, book: Book) -> None:
    """Writes a line for each stage whose delivery is absent, as far as there is none."""
    now = journal.standing(book.journal.entries)
    for name in call.wanted["absent"]:
        if name not in now:
            book.append(name, journal.ABSENT, {}, call.plan)


def carry_out(call: Call, book: Book, stage: Stage, context: Context) -> Done:
    """Does a stage.

    Raises: RunnerError, and whatever the stage raises; the journal says so before, if it can be written.
    """
    if not book.journal.entries:
        begin(call, book)
    tell_absent(call, book)
    book.append(stage.name, journal.STARTED, {}, call.plan)
    began = time.monotonic()
    try:
        told = list(site.mark_production(call.server, call.options, call.plan)) if stage.changes else []
        done = stage.run(context)
    except BaseException as err:
        state, evidence, raised = ending(call, stage, err)
        evidence["durationMs"] = since(began)
        try:
            book.append(stage.name, state, evidence, call.plan)
        except RunnerError as unwritten:
            raise with_other(raised, unwritten) from err
        if raised is err:
            raise
        raise raised from err
    evidence = {**done.evidence, "durationMs": since(began)}
    try:
        book.append(stage.name, journal.DONE, evidence, call.plan)
    except RunnerError as err:
        err.hint = f"the stage itself is done; {err.hint}"
        raise
    return Done([*told, *done.lines], evidence)


def since(began: float) -> int:
    """Milliseconds since then, by the clock that nobody sets."""
    return round((time.monotonic() - began) * SECOND_MS)


def ending(call: Call, stage: Stage, err: BaseException) -> tuple[str, dict[str, Any], BaseException]:
    """How an attempt ended that raised this: the state, its evidence, and what the operator is told."""
    if isinstance(err, KeyboardInterrupt | CancelledError):
        again = command(call.options, stage.name)
        return (
            journal.INTERRUPTED,
            {},
            CancelledError(f"{stage.name}: cancelled; what was done of it is done", hint=f"go on: {again}"),
        )
    told = driver_errors.translated(err) if isinstance(err, PyMongoError) else err
    facts: Mapping[str, Any] = {"exit": getattr(told, "exit_code", 1), "type": type(told).__name__}
    if isinstance(err, PublishedError):
        return journal.REFUSED, {**facts, "why": "published"}, err
    return journal.FAILED, dict(facts), told


def with_other(err: BaseException, unwritten: RunnerError) -> BaseException:
    """The error of a stage, which is told first, and beside it that the journal could not say so."""
    if isinstance(err, RunnerError):
        err.others = (*err.others, unwritten)
        return err
    first = RunnerError(f"unexpected: {type(err).__name__}", hint="report this, with the command that you ran")
    first.others = (unwritten,)
    return first

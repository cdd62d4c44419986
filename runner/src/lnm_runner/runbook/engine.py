"""Does one stage of the runbook, or says what it would do: the one way from a command to a stage's functions.

Order: (1) the kit is verified, the server looked at (call.py); (2) the journal is read, and refused where it is not as it was
left or is about another plan; (3) what a killed command has left is told; (4) production is not rehearsed on; (5) everything that
must come before is through; (6) production has the evidence of a rehearsal; (7) the stage's own check; (8) `started` is on the
disk; (9) the stage runs; (10) how it ended is on the disk (attempt.py).

Up to (7) nothing is written but the lock, and without --execute it ends there; a stage that only reads is then done all the
same, and not written down. A kill at any moment leaves at most a `started` without end: the same command goes on by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lnm_runner.commands import Result
from lnm_runner.durations import in_words
from lnm_runner.errors import StageError
from lnm_runner.kit.store import backwards
from lnm_runner.options import Options
from lnm_runner.runbook import attempt, book, journal, order, rehearsed, site, stages
from lnm_runner.runbook import call as calls
from lnm_runner.runbook.book import Book
from lnm_runner.runbook.call import Call, command
from lnm_runner.runbook.journal import Entry, Standing
from lnm_runner.runbook.stage import Context, Stage, unsampled

SLACK_S: Final = 5
UNWRITTEN: Final = "Nothing was written; add --execute to do it."


def run(options: Options) -> Result:
    """Does the stage that `options.subcommand` names, or says what it would do.

    Raises: RunnerError.
    """
    stage = stages.named(options.subcommand)
    with calls.opened(options) as call:
        if stage.name in call.wanted["absent"]:
            said = f"{stage.name}: absent: this kit ({call.kit.manifest.version}) does not hold delivery {stage.delivery}"
            return call.result(stage.name, journal.ABSENT, [said, "It is passed over; nothing was written."])
        return executed(call, stage) if options.execute else planned(call, stage)


def planned(call: Call, stage: Stage) -> Result:
    """Up to (7); a stage that only reads is done."""
    entries = call.look().journal.entries
    now = looked(call, stage, entries)
    if order.is_over(stage, now, call.options):
        return over(call, stage, now)
    lines = [f"{stage.name}: {stage.does}", *rehearsed.forecast(call, stage)]
    if call.options.runbook.skip:
        lines.append(f"it would be skipped: {require_reason(call, stage, entries)}")
        return call.result(stage.name, "planned", [*lines, UNWRITTEN])
    context = context_of(call, stage, entries, unsampled)
    lines += [f"  {line}" for line in stage.check(context)]
    lines.append(f"way back: {stage.back}")
    if stage.changes:
        return call.result(stage.name, "planned", [*lines, UNWRITTEN])
    done = stage.run(context)
    said = "Nothing was written; add --execute to have the journal say so."
    return call.result(stage.name, "looked", [*lines, *done.lines, said], done.evidence)


def executed(call: Call, stage: Stage) -> Result:
    """(2) to (10)."""
    with book.opened(call.options.state_folder, call.name, stage.name) as kept:
        call.told.extend(kept.mended)
        entries = kept.journal.entries
        now = looked(call, stage, entries)
        if order.is_over(stage, now, call.options):
            return over(call, stage, now)
        rehearsal = rehearsed.require(call, stage)
        call.told.extend(rehearsal.lines() if rehearsal else ())
        if call.options.runbook.skip:
            return skipped(call, kept, stage)
        context = context_of(call, stage, entries, lambda values: kept.sample(stage.name, values))
        found = stage.check(context)
        for line in (*call.told, f"{stage.name}: {stage.does}", *(f"  {line}" for line in found)):
            call.options.progress.line(line)
        if not call.options.json:
            call.told.clear()  # it has been said; a program is told at the end
        done = attempt.carry_out(call, kept, stage, context)
        last = order.next_line(kept.journal.entries, call.options)
    took = in_words(done.evidence["durationMs"])
    lines = [*done.lines, f"{stage.name}: done after {took}", f"way back: {stage.back}", last]
    return call.result(stage.name, journal.DONE, lines, done.evidence)


def looked(call: Call, stage: Stage, entries: Sequence[Entry]) -> Mapping[str, Standing]:
    """(2) to (5): where the stages stand.

    Raises: StageError, PrivilegeError, PyMongoError.
    """
    if entries:
        calls.require_plan(call, entries[0])
    now = journal.standing(entries)
    call.told.extend(order.unended(entries, call.options))
    call.told.extend(filter(None, [backwards(entries[-1].at if entries else "")]))
    call.told.extend(site.leftover(call.server, now))
    site.require_environment(call.server, call.options)
    if stage.name != "unfreeze" and site.lifted_by_hand(call.server, now):
        call.told.append("by this journal the cluster is frozen, and it takes writes: somebody has lifted the block")
        now = {**now, "freeze": replace(now["freeze"], state=journal.LIFTED)}
    if not order.is_over(stage, now, call.options):
        order.require(stage, now, entries, call.options)
    return now


def over(call: Call, stage: Stage, now: Mapping[str, Standing]) -> Result:
    """What is said of such a stage."""
    lines = [f"{stage.name}: it is done since {now[stage.name].at}: nothing was done, nothing was written."]
    if now[stage.name].state == journal.LIFTED:
        lines.append(f"that window is through; another one: {command(call.options, stage.name, '--reason', 'WHY')}")
    return call.result(stage.name, journal.DONE, [*lines, f"way back: {stage.back}"], now[stage.name].evidence)


def context_of(call: Call, stage: Stage, entries: Sequence[Entry], sample: Callable[[Mapping[str, Any]], None]) -> Context:
    """What a stage works with; a way back also knows what was done and taken back, as the backup of an earlier window."""
    now = journal.standing(entries)
    done = {name: found.evidence or {} for name, found in now.items() if found.state in {journal.DONE, journal.LIFTED}}
    if stage.window == 0:
        done = {entry.stage: entry.evidence for entry in entries if entry.state == journal.DONE}
    return Context(resuming(call.options, stage, now), call.kit, call.server, call.folder, done, sample, call.plan)


def resuming(options: Options, stage: Stage, now: Mapping[str, Standing]) -> Options:
    """The options of a stage; where its runner was killed or stopped it goes on, and waits until the lease of that one is out."""
    if now.get(stage.name, journal.NOT_BEGUN).state not in journal.UNENDED:
        return options
    return replace(options, resume=True, wait_s=max(options.wait_s, options.lease_s + SLACK_S))


def require_reason(call: Call, stage: Stage, entries: Sequence[Entry]) -> str:
    """Why a stage is skipped.

    Raises: StageError.
    """
    reason = site.written("reason", call.options.runbook.reason)
    hint = "--skip --reason: say in a sentence why, and who has agreed to it; each is good for once"
    if refused := journal.refused_reason(stage.name, reason, entries):
        raise StageError(refused, hint=hint)
    stands = journal.state_of(stage.name, entries)
    if not journal.may_follow(stage.name, stands, journal.SKIPPED):
        raise StageError(f"{stage.name} is {stands}, and cannot be skipped", hint=f"go on: {command(call.options, stage.name)}")
    site.require_open(call.server, stage.name, command(call.options, stage.name))
    return reason


def skipped(call: Call, kept: Book, stage: Stage) -> Result:
    """Leaves a stage out, and writes down why."""
    reason = require_reason(call, stage, kept.journal.entries)
    attempt.tell_absent(call, kept)
    kept.append(stage.name, journal.SKIPPED, {"durationMs": 0, "reason": reason}, call.plan)
    last = order.next_line(kept.journal.entries, call.options)
    return call.result(stage.name, journal.SKIPPED, [f"{stage.name}: skipped: {reason}; the evidence will say so", last])

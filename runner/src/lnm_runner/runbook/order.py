"""What must come before a stage, what a killed one has left, and which is the next. Pure, but for the words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lnm_runner.errors import StageError
from lnm_runner.options import Options
from lnm_runner.runbook import journal, stages
from lnm_runner.runbook.call import command
from lnm_runner.runbook.journal import NOT_BEGUN, Entry, Standing
from lnm_runner.runbook.stage import Stage

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "rollback-21-103": ("apply-21-103",),
    "rollback-21-102": ("backfill-21-102",),
    "restore": ("backup", "prove-backup"),
}
"""`{way back: what was begun before}`; for a restore it must have been done once."""
TELLS: Final = ("backfill-21-102", "validate", "enable-outbox")
"""As long as none of these was begun, users may write again although the window is not through."""


def is_over(stage: Stage, now: Mapping[str, Standing], options: Options) -> bool:
    """Whether a stage is done, and not one that may look again.

    So is a freeze that an unfreeze has lifted, as long as nothing between them has to be done again: a chain of commands that is
    entered anew must not freeze a cluster whose window is through. Who wants another window says why.
    """
    state = now.get(stage.name, NOT_BEGUN).state
    is_through = state == journal.LIFTED and before(stages.named("unfreeze"), now) == [stage.name]
    return stage.changes and (state == journal.DONE or (is_through and not options.runbook.reason.strip()))


def require(stage: Stage, now: Mapping[str, Standing], entries: Sequence[Entry], options: Options) -> None:
    """Refuses a stage that is not the next.

    Raises: StageError, which names what is missing, and its command.
    """
    if stage.window == 0:
        require_begun(stage, now, entries, options)
        return
    half = journal.half_way_back(entries)
    missing = before(stage, now)
    if half and stage.changes and stage.name not in {"unfreeze", "freeze"}:
        raise StageError(
            f"{stage.name} cannot begin: {half} was begun and not ended",
            hint=f"end it first: {command(options, half)}",
            facts={"stage": stage.name, "missing": [half]},
        )
    if not missing or (may_end_early(stage, now) and not options.runbook.skip):
        return
    first = missing[0]
    raise StageError(
        f"{stage.name} comes after what is not done: {', '.join(f'{name} ({said(name, now)})' for name in missing)}",
        hint=f"first: {command(options, first)}",
        facts={"stage": stage.name, "missing": missing},
    )


def before(stage: Stage, now: Mapping[str, Standing]) -> list[str]:
    """The stages before it, in its window and the one before, that are not through."""
    names = [one.name for one in stages.STAGES if one.window]
    earlier = names[: names.index(stage.name)]
    wants_freeze = stage.changes and "unfreeze" not in earlier
    return [
        name
        for name in earlier
        if not (found := now.get(name, NOT_BEGUN)).is_through or (found.state == journal.LIFTED and wants_freeze)
    ]


def may_end_early(stage: Stage, now: Mapping[str, Standing]) -> bool:
    """Whether users may write again before the window is through: nothing was made yet, or all of it was taken back.

    Also where this journal knows of no freeze: one may have been left on.
    """
    return stage.name == "unfreeze" and all(now.get(name, NOT_BEGUN).state == journal.OPEN for name in TELLS)


def require_begun(stage: Stage, now: Mapping[str, Standing], entries: Sequence[Entry], options: Options) -> None:
    """Refuses a way back that leads from nowhere.

    Raises: StageError.
    """
    was_done = {entry.stage for entry in entries if entry.state == journal.DONE}
    for name in NEEDS.get(stage.name, ()):
        is_there = name in was_done if stage.name == "restore" else now.get(name, NOT_BEGUN).state != journal.OPEN
        if not is_there:
            raise StageError(
                f"{stage.name} leads back from {name}, which is {said(name, now)} by this journal",
                hint=f"look: {command(options, 'status', execute=False)}",
                facts={"stage": stage.name, "missing": [name]},
            )


def unended(entries: Sequence[Entry], options: Options) -> Iterator[str]:
    """What a killed command has left: a stage that was begun, and of which no line says how it ended."""
    for name, found in journal.standing(entries).items():
        if found.state == journal.STARTED:
            yield (
                f"{name} was begun at {found.at} and never ended: its runner was killed, or the machine went down; "
                f"it goes on by name: {command(options, name)}"
            )


def following(entries: Sequence[Entry]) -> Stage | None:
    """The stage that comes next; None where all are through."""
    half = journal.half_way_back(entries)
    if half:
        return stages.named(half)
    now = journal.standing(entries)
    for stage in stages.STAGES:
        found = now.get(stage.name, NOT_BEGUN)
        if stage.window and (not found.is_through or (found.state == journal.LIFTED and not is_over(stage, now, Options()))):
            return stage
    return None


def next_line(entries: Sequence[Entry], options: Options) -> str:
    """The next command, in words."""
    stage = following(entries)
    if stage is None:
        return f"next: every stage is through: {command(options, 'evidence')}"
    return f"next: {command(options, stage.name)}"


def said(name: str, now: Mapping[str, Standing]) -> str:
    """Where a stage stands, in words."""
    state = now.get(name, NOT_BEGUN).state
    return {journal.OPEN: "not begun", journal.STARTED: "begun and never ended", journal.LIFTED: "over"}.get(state, state)

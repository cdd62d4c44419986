"""The rehearsal itself: the table of its steps in their order, and what carries them out, with second eyes after each.

Forward to `validate`, back by `rollback-21-102` and by `restore`, each to be equal to where it began; forward again through every
stage, the outbox included, after which a rollback must be refused; then evidence, report and receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.staging import progress, witness
from scripts.staging.program import Answer
from scripts.staging.scene import EVENTS, RehearsalError, Scene

Say = Callable[[str], None]
REFUSED = 2
ANYBODY = "status"
"""The user of what only looks."""
FIRST_LINES, LAST_LINES = 4, 8
"""Of what `lnm` says of a stage, so that a rehearsal can be read on a screen."""
PLACE = {"OUT": lambda scene: str(scene.out), "CALM": lambda scene: str(scene.calm_s)}
"""Words of the table that are only known when it runs."""


@dataclass(frozen=True)
class Step:
    """One call of `lnm`, and what is to be seen after it."""

    words: tuple[str, ...]
    sees: Callable[[Scene], str]
    wanted: int = 0
    """Its exit code."""
    user: str = ""
    """Who calls it; empty: the user of the stage."""
    ends_as: str = ""
    """The state that the journal tells of it then; empty where it tells nothing."""

    @property
    def name(self) -> str:
        """The stage, or what else it is."""
        return self.words[1] if self.words[0] == "runbook" else " ".join(self.words[:2])

    @property
    def who(self) -> str:
        """The user."""
        return self.user or self.name


def stage(name: str, sees: Callable[[Scene], str], *flags: str, ends_as: str = "done") -> Step:
    """A stage of the runbook, executed."""
    return Step(("runbook", name, "--execute", *flags), sees, REFUSED if ends_as == "refused" else 0, ends_as=ends_as)


def absent(name: str) -> Step:
    """A stage whose delivery is not in the kit: it says so."""
    return Step(("runbook", name, "--execute"), witness.absent, user=ANYBODY)


ORDER: tuple[Step, ...] = (
    stage("preflight", witness.looked_at),
    stage("freeze", witness.frozen),
    stage("backup", witness.backed_up),
    stage("prove-backup", witness.proven),
    # forward once, and back by the rollback
    stage("apply-21-101", witness.applied),
    stage("backfill-21-102", witness.filled, "--stop-on-error"),
    stage("validate", witness.as_filled, "--full"),
    stage("rollback-21-102", witness.taken_back),
    # forward again, and back by the restore
    stage("backfill-21-102", witness.filled, "--stop-on-error"),
    stage("validate", witness.as_filled, "--full"),
    stage("restore", witness.restored),
    # forward to the end
    stage("apply-21-101", witness.applied),
    stage("backfill-21-102", witness.filled, "--stop-on-error"),
    stage("validate", witness.as_filled, "--full"),
    stage("enable-outbox", witness.switched_on),
    stage("unfreeze", witness.thawed),
    Step(("outbox", "publish", "--execute", "--publisher", "ndjson", "--out", f"OUT/{EVENTS}"), witness.published),
    stage("watch", witness.calm, "--calm", "CALM", "--timeout", "120"),
    stage("rollback-21-102", witness.refused, ends_as="refused"),
    # the second window
    *map(absent, ("freeze-payloads", "apply-21-103", "verify-cas", "unfreeze-payloads")),
    # what is carried away
    Step(("runbook", "evidence", "--execute", "--out", "OUT"), witness.evident, user=ANYBODY),
    Step(("runbook", "receipt", "OUT/receipt.txt", "--key", "OUT/evidence-key.pub"), witness.carried, user=ANYBODY),
)


def carry_out(scene: Scene, say: Say, order: Sequence[Step] = ORDER) -> None:
    """Carries out every step that is not done yet, and says of each what `lnm` says, what is seen, and how long it took.

    Raises: RehearsalError at the first step that does not end as it must.
    """
    progress.recall(scene)
    known = progress.done(order, scene.journal()) if scene.has_begun else 0
    for number, step in enumerate(order, 1):
        if number <= known:
            say(f"{number:2}/{len(order)}  {step.name}  done before")
            continue
        began = time.monotonic()
        answer = scene.lnm(*placed(step, scene), **scene.user(step.who))
        took = time.monotonic() - began
        say(f"\n{number:2}/{len(order)}  {step.name}  {took:.1f} s")
        for line in told(answer):
            say(f"       {line}")
        judge(step, answer)
        say(f"  seen {step.sees(scene)}")
        progress.keep(scene)


def placed(step: Step, scene: Scene) -> Iterator[str]:
    """The words of a step, with what is only known now."""
    for word in step.words:
        head, slash, tail = word.partition("/")
        yield f"{PLACE[head](scene)}{slash}{tail}" if head in PLACE else word


def told(answer: Answer) -> Iterator[str]:
    """What `lnm` has said, cut where it is long."""
    said = (*answer.stderr.splitlines(), *answer.stdout.splitlines())
    lines = list(dict.fromkeys(line for line in said if line.strip()))
    left_out = len(lines) - FIRST_LINES - LAST_LINES
    yield from lines if left_out <= 1 else (*lines[:FIRST_LINES], f"({left_out} more lines)", *lines[-LAST_LINES:])


def judge(step: Step, answer: Answer) -> None:
    """Raises: RehearsalError where the exit code is another than the one that is wanted."""
    if answer.exit_code != step.wanted:
        words = f"lnm {' '.join(step.words[:2])}: exit {answer.exit_code}, wanted {step.wanted}"
        raise RehearsalError(f"{words}; what it said is above", hint="mend it, then run the same command again")


def here(path: Path) -> str:
    """A path as it is told: from where the command was typed."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.name

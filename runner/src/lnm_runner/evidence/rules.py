"""What a rehearsal must have shown before production may begin, each rule by the journal in the evidence. Pure.

The lines prove their order themselves (`journal.of_values`). Whoever signs could write any journal, so what is judged here is not
whether it happened but whether what is vouched for is enough: every stage of the kit, in order, none skipped that may not be,
each with what it must leave, both ways back proven, nothing failed, and times that can be. Each rule yields every defect and
names the stage.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.chain import HEX, has_form
from lnm_runner.errors import EvidenceError
from lnm_runner.evidence import derivation
from lnm_runner.evidence.derivation import APPLY, BACKFILL, BACKUP, ENABLE, REFUSAL, RESTORE, ROLLBACK, VALIDATE, WATCH
from lnm_runner.kit.toml_table import shown
from lnm_runner.runbook import journal
from lnm_runner.runbook.journal import ABSENT, DONE, SKIPPED, Entry
from lnm_runner.runbook.stage import Stage

SLACK: Final = dt.timedelta(minutes=5)
"""A clock may be set so far back while a rehearsal runs, and two hosts may differ by so much."""
REHEARSE: Final = (
    "rehearse this kit in staging, whole: lnm runbook status says what is next there; then lnm runbook evidence --execute"
)
HASH: Final = rf"sha256:{HEX}"
PREFLIGHT, FREEZE, PROOF, UNFREEZE = "preflight", "freeze", "prove-backup", "unfreeze"
LEFT: Final[Mapping[str, Mapping[str, Any]]] = {
    PREFLIGHT: {"checks": int, "warnings": int},
    FREEZE: {"mode": "user-write-block", "probe": "refused", "marker": True},
    BACKUP: {"collections": int, "documents": int, "bytes": int, "storedBytes": int, "manifest": HASH},
    PROOF: {"equal": True, "collections": int, "documents": int, "bytes": int, "fingerprint": HASH, "restoreMs": int},
    APPLY: {"fingerprint": HASH},
    BACKFILL: {
        "reportHash": HASH,
        "observations": int,
        "linksets": int,
        "events": int,
        "tombstones": int,
        "documents": int,
        "errors": 0,
        "touched": 0,
    },
    VALIDATE: {"equations": int, "failed": 0, "documents": int},
    ENABLE: {"switch": True},
    UNFREEZE: {"mode": "open"},
    WATCH: {"calmMs": int, "errors": 0},
    ROLLBACK: {"fingerprint": HASH, "equalsBefore": True, "touched": 0},
    RESTORE: {"fingerprint": HASH, "equalsBackup": True},
}
"""`{stage: {member: what it must be}}` of what a stage that is done has left: a value, the form of a text, or a whole number."""

NOTHING: Final[Mapping[tuple[str, str], str]] = {
    (BACKUP, "documents"): "no document was there to be saved: an empty database rehearses nothing",
    (BACKFILL, "documents"): "no document was there to be backfilled: an empty database rehearses nothing",
    (VALIDATE, "equations"): "no equation was looked at",
}
"""`{(stage, member that must not be 0): what it means where it is}`."""


TAKEN_BACK: Final[Mapping[str, str]] = {ROLLBACK: BACKFILL, RESTORE: APPLY}
"""`{way back: the stage that must have been done before it}`, or it has proven nothing."""


@dataclass(frozen=True)
class Given:
    """What is judged: the lines and what follows of them, beside what this site's kit wants."""

    entries: Sequence[Entry]
    derived: Mapping[str, Any]
    table: Sequence[Stage]
    absent: Sequence[str]
    """The stages whose delivery the kit does not hold."""

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """`{stage: how it ended}`."""
        return {row["name"]: row for row in self.derived["stages"]}


def defect(rule: str, stage: str, what: str, **facts: Any) -> EvidenceError:
    """A defect of a stage, or of the whole where `stage` is empty."""
    where = f"{stage}: " if stage else ""
    return EvidenceError(f"{where}{what}", hint=REHEARSE, facts={"rule": rule, "stage": stage or None, **facts})


def broken(given: Given) -> list[EvidenceError]:
    """Every defect, in the order of the rules."""
    return [
        found for rule in (kind_wrong, stages_wrong, order_wrong, left_wrong, proofs_wrong, times_wrong) for found in rule(given)
    ]


def kind_wrong(given: Given) -> Iterator[EvidenceError]:
    """It is a rehearsal, of the stages that this runner knows, without those that the kit does not hold."""
    begun = given.entries[0].evidence
    if begun["environment"] != "staging":
        yield defect("environment", "", f"this tells of a run in {shown(begun['environment'])}, wanted a rehearsal in staging")
    names = [stage.name for stage in given.table]
    for name in names:
        if name not in begun["stages"]:
            yield defect("stages", name, "the rehearsal's runbook has no such stage")
    if set(names) <= set(begun["stages"]) and list(begun["stages"]) != names:
        yield defect("stages", "", f"the rehearsal's runbook has other stages, or another order: {shown(list(begun['stages']))}")
    for name in sorted({*begun["absent"], *given.absent}):
        if (name in begun["absent"]) != (name in given.absent):
            here, there = ("not absent", "absent") if name in begun["absent"] else ("absent", "not absent")
            yield defect("absent", name, f"its delivery was {there} in the rehearsal, and is {here} in this kit")


def stages_wrong(given: Given) -> Iterator[EvidenceError]:
    """Each is done; or absent with its delivery; or skipped where that is allowed."""
    for stage in given.table:
        state = given.rows.get(stage.name, {}).get("state", journal.OPEN)
        allowed = {ABSENT} if stage.name in given.absent else {DONE, *([SKIPPED] if stage.may_be_skipped else [])}
        if state not in allowed:
            was = "was never done, or was taken back and not done again" if state == journal.OPEN else f"is {state}"
            yield defect("stage", stage.name, f"{was}, wanted {' or '.join(sorted(allowed))}", found=state)


def order_wrong(given: Given) -> Iterator[EvidenceError]:
    """Within a window, each stage was through before the next one."""
    lines = derivation.first_through(given.entries)
    for window in sorted({stage.window for stage in given.table if stage.window}):
        names = [stage.name for stage in given.table if stage.window == window and stage.name not in given.absent]
        through = [name for name in names if name in lines]
        for before, name in pairwise(through):
            if lines[name] < lines[before]:
                what = f"was through at line {lines[name]}, and {before}, which comes first, only at line {lines[before]}"
                yield defect("order", name, what)


def left_wrong(given: Given) -> Iterator[EvidenceError]:
    """What a stage has left says what it must."""
    for name, wanted in LEFT.items():
        row = given.rows.get(name, {})
        if row.get("state") != DONE:
            continue
        for member, form in wanted.items():
            found = row["evidence"].get(member)
            if not is_so(found, form):
                yield defect("left", name, f"{member} is {shown(found)}, wanted {in_words(form)}", member=member)
    for (name, member), what in NOTHING.items():
        if given.rows.get(name, {}).get("evidence", {}).get(member) == 0:
            yield defect("left", name, what, member=member)


def is_so(found: Any, form: Any) -> bool:
    """Whether a value is the one, or of the form, that it must be."""
    if form is int:
        return type(found) is int and found >= 0
    return has_form(found, form) if isinstance(form, str) else type(found) is type(form) and found == form


def in_words(form: Any) -> str:
    """What a value must be."""
    if form is int:
        return "a whole number"
    return "sha256: and 64 hex digits" if form == HASH else shown(form)


def proofs_wrong(given: Given) -> Iterator[EvidenceError]:
    """Both ways back end where they began; the proven backup is the one; and what was published cannot be rolled back."""
    left = derivation.left_by(given.derived["stages"])
    proofs = given.derived["proofs"]
    saved = derivation.hash_in(left, BACKUP)
    if BACKUP in left and not has_form(saved, HASH):
        yield defect("proof", BACKUP, "has no fingerprint of the database")
    if PROOF in left and left[PROOF].get("fingerprint") != saved:
        yield defect("proof", PROOF, "what was restored has another fingerprint than what was saved")
    for stage in (ROLLBACK, RESTORE):
        before, after = proofs[stage]["before"], proofs[stage]["after"]
        if stage not in given.absent and stage in left and before != after:
            what = f"the database was not as before: before {shown(before)}, after {shown(after)}"
            yield defect("proof", stage, what, before=before, after=after)
        if stage in left and not derivation.has_taken_back(stage, TAKEN_BACK[stage], given.entries):
            yield defect("proof", stage, f"was gone while {TAKEN_BACK[stage]} was not done: nothing was there to be taken back")
    if ENABLE in left and ROLLBACK not in given.absent and not proofs[REFUSAL]:
        yield defect("proof", ROLLBACK, f"was not tried after {ENABLE}, or was not refused then")


def times_wrong(given: Given) -> Iterator[EvidenceError]:
    """Each line was written after the one before, as far as clocks go, and no stage took less than no time."""
    for before, entry in pairwise(given.entries):
        if moment(entry.at) < moment(before.at) - SLACK:
            what = f"line {entry.count} of the journal was written {entry.at}, and the one before {before.at}"
            yield defect("times", entry.stage, what)
        if entry.evidence.get("durationMs", 0) < 0:
            yield defect("times", entry.stage, f"line {entry.count} of the journal: took less than no time")


def moment(text: str) -> dt.datetime:
    """A time of the journal, in UTC."""
    return dt.datetime.strptime(text, chain.AT).replace(tzinfo=dt.UTC)

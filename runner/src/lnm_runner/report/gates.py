"""The gates: what must be so before anybody goes on, each judged by the predicate alone. What is not known does not hold.

A gate holds, does not hold, or is a condition: something that a person has to accept knowingly, as a stage that was skipped for
a reason, or a kit that a development key has signed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lnm_runner.evidence import derivation, rules
from lnm_runner.report import reading
from lnm_runner.report.known import STAGES
from lnm_runner.report.reading import Json
from lnm_runner.report.words import duration, number, plain, several
from lnm_runner.runbook import journal

STAGING, PRODUCTION = "staging", "production"
HIGHEST_LAG_MS = 60_000  # LnmMongoOplogLagHigh, decisions §11
HIGHEST_BACKLOG = 500  # LnmOutboxBacklogHigh, the same


class Verdict(enum.Enum):
    """What came of a gate, or of all."""

    GO = "holds"
    CONDITION = "condition"
    NO_GO = "does not hold"


Found: TypeAlias = tuple[Verdict, str]
"""The verdict, and what was found, in words."""


@dataclass(frozen=True)
class Gate:
    """A gate, judged."""

    name: str
    says: str
    """What must be so."""
    verdict: Verdict
    found: str


def state(predicate: Json, stage: str) -> str:
    """What became of a stage at last; empty where it is not told of."""
    return next((reading.text(row, "state") for row in reading.rows(predicate, "stages") if row.get("name") == stage), "")


def is_absent(predicate: Json, stage: str) -> bool:
    """Whether the kit has nothing for a stage, by what became of it, or by the journal's first line; only one of a delivery."""
    named = reading.texts(next(reading.rows(predicate, "journal"), {}), "evidence", "absent")
    delivery = STAGES[stage].delivery
    return bool(delivery) and (state(predicate, stage) == "absent" or stage in named or delivery in named)


def left(predicate: Json, stage: str) -> Json:
    """What a stage has left, if it is done."""
    rows = (row for row in reading.rows(predicate, "stages") if row.get("name") == stage and row.get("state") == "done")
    return next((reading.object_at(row, "evidence") for row in rows), {})


def holds(*, is_so: bool, found: str) -> Found:
    """Held, or not."""
    return (Verdict.GO if is_so else Verdict.NO_GO), found


ENDED = ("done", "skipped", "lifted")


def stages_done(predicate: Json) -> Found:
    """Every stage of the first window, and of a second one that has begun."""
    wanted = [name for name, row in STAGES.items() if row.window and not is_absent(predicate, name)]
    open_ = [f"{name} ({state(predicate, name) or 'not begun'})" for name in wanted if state(predicate, name) not in ENDED]
    if open_:
        return Verdict.NO_GO, f"not done: {several(open_)}"
    skipped = sum(state(predicate, name) == "skipped" for name in wanted)
    return Verdict.GO, f"{number(len(wanted) - skipped)} are done" + (f", {number(skipped)} were skipped" if skipped else "")


def stages_skipped(predicate: Json) -> Found:
    """Those that were left out, with why."""
    skipped = [row for row in reading.rows(predicate, "stages") if row.get("state") == "skipped"]
    if not skipped:
        return Verdict.GO, "none was skipped"
    said = [f"{plain(row.get('name'))} ({plain(reading.text(row, 'evidence', 'reason'))})" for row in skipped]
    unjustified = [row for row in skipped if not reading.text(row, "evidence", "reason") or not may_be_skipped(row)]
    return (Verdict.NO_GO if unjustified else Verdict.CONDITION), f"skipped: {several(said)}"


def may_be_skipped(row: Json) -> bool:
    """Whether the runbook allows it."""
    found = STAGES.get(reading.text(row, "name"))
    return found is not None and found.may_be_skipped


def none_half_way(predicate: Json) -> Found:
    """No way back was begun and not ended: the stages before it would still be told as done."""
    half = [f"{name} ({now})" for name in journal.TAKES_BACK if (now := state(predicate, name)) in journal.UNENDED]
    return holds(is_so=not half, found=f"begun and not ended: {several(half)}" if half else "none was begun and not ended")


def by_the_rules(predicate: Json) -> Found:
    """What production judges the journal by (evidence/rules.py), so that no page says GO to what it will refuse."""
    try:
        read = journal.of_values(list(reading.rows(predicate, "journal")))
    except (ValueError, TypeError, RecursionError):
        return Verdict.NO_GO, "the journal cannot be read"
    if read.defect or not read.entries:
        return Verdict.NO_GO, f"the journal: {read.defect or 'it has no line'}"
    absent = read.entries[0].evidence["absent"]
    found = rules.broken(rules.Given(read.entries, derivation.derived(read.entries), list(STAGES.values()), absent))
    return holds(is_so=not found, found=several([err.message for err in found]) if found else "nothing speaks against it")


def backup_proved(predicate: Json) -> Found:
    """It was restored into a scratch database, which then was equal."""
    saved = reading.text(left(predicate, "backup"), "fingerprint", "database")
    proof = left(predicate, "prove-backup")
    if not saved or not proof:
        return Verdict.NO_GO, "no proof of a backup is there"
    is_so = proof.get("equal") is True and proof.get("fingerprint") == saved
    return holds(is_so=is_so, found="restored and equal" if is_so else "what was restored is not what was saved")


def proved(stage: str) -> Callable[[Json], Found]:
    """A way back was gone, and led to where it began."""

    def judge(predicate: Json) -> Found:
        before, after = (reading.text(predicate, "proofs", stage, name) for name in ("before", "after"))
        if not before or not after:
            return Verdict.NO_GO, "not rehearsed"
        return holds(is_so=before == after, found="equal by fingerprint" if before == after else "not equal to its start")

    return judge


def refused_afterwards(predicate: Json) -> Found:
    """After publishing, a rollback must not be possible."""
    is_so = reading.member(predicate, "proofs", "rollback-refused") is True
    return holds(is_so=is_so, found="refused" if is_so else "not seen to be refused")


def equations(predicate: Json) -> Found:
    """None fails, and there are some."""
    found = left(predicate, "validate")
    many, failed = reading.whole(found, "equations"), reading.whole(found, "failed")
    return holds(is_so=bool(many) and failed == 0, found=f"{number(failed)} of {number(many)} failed")


def errors(predicate: Json) -> Found:
    """Every input was backfilled, and nobody else wrote on what was made."""
    found = left(predicate, "backfill-21-102")
    failed, touched = reading.whole(found, "errors"), reading.whole(found, "touched")
    return holds(is_so=failed == touched == 0, found=f"errors: {number(failed)}; touched by others: {number(touched)}")


def lag(predicate: Json) -> Found:
    """Known, and never above the limit; of a set of one member that says little."""
    highest, many = reading.whole(predicate, "lag", "maxMs"), reading.whole(predicate, "lag", "samples")
    if highest is None or not many:
        return Verdict.NO_GO, "unknown, which is not low"
    found = f"highest {duration(highest)} in {number(many)} samples"
    if highest <= HIGHEST_LAG_MS and reading.whole(predicate, "server", "members") == 1:
        return Verdict.CONDITION, f"{found}, of a server alone, which has no member that could lag"
    return holds(is_so=highest <= HIGHEST_LAG_MS, found=found)


def backlog(predicate: Json) -> Found:
    """The publishers keep up."""
    if state(predicate, "watch") == "skipped":
        return Verdict.CONDITION, "nobody has watched: the stage was skipped"
    many = reading.whole(left(predicate, "watch"), "backlog")
    if many is None:
        return Verdict.NO_GO, "unknown"
    if 0 < many <= HIGHEST_BACKLOG:
        return Verdict.CONDITION, f"{number(many)} rows still waited at the end of the watch"
    return holds(is_so=many == 0, found=f"{number(many)} rows wait")


def watched(predicate: Json) -> Found:
    """No error while it was watched."""
    if state(predicate, "watch") == "skipped":
        return Verdict.CONDITION, "nobody has watched: the stage was skipped"
    many = reading.whole(left(predicate, "watch"), "errors")
    return holds(is_so=many == 0, found=f"errors: {number(many)}")


def trust(predicate: Json) -> Found:
    """By what the kit is signed."""
    found = reading.text(predicate, "kit", "trust")
    if found == "dev":
        return Verdict.CONDITION, "a development key signed the kit: for trying out, no production may take it"
    return holds(is_so=found in {"key", "keyless"}, found=f"trust: {plain(found)}")


def evidence_key(predicate: Json) -> Found:
    """By what the evidence is signed, or will be."""
    found = reading.text(predicate, "trust")
    if found == "dev":
        return Verdict.CONDITION, "a development key signs it: for trying out, no production may accept it"
    if found in {"", "unsigned"}:
        return Verdict.CONDITION, "none is signed yet"
    return holds(is_so=found in {"key", "keyless"}, found=f"trust: {plain(found)}")


GATES: tuple[tuple[str, str, Callable[[Json], Found]], ...] = (
    ("stages", "every stage of this kit is done", stages_done),
    ("skipped stages", "none was left out, or each for a reason that is accepted", stages_skipped),
    ("ways back", "none was begun and not ended", none_half_way),
    ("backup", "it was restored into a scratch database, and that was equal", backup_proved),
    ("rollback of 21-102", "it was rehearsed, and the database was as before the backfill", proved("rollback-21-102")),
    ("restore", "it was rehearsed, and the database was as in the backup", proved("restore")),
    ("rollback after publishing", "it was tried, and refused", refused_afterwards),
    ("rules of production", "what production judges a rehearsal by, of this journal", by_the_rules),
    ("equations", "none has failed", equations),
    ("backfill", "no document has failed, and nobody else changed what was made", errors),
    ("lag", f"it is known, and was never above {HIGHEST_LAG_MS // 1000} s", lag),
    ("outbox", "the backlog was drained", backlog),
    ("watch", "no error was seen", watched),
    ("kit", "it is signed by a key, or an identity, of one's own", trust),
    ("evidence", "it is signed by a key of one's own", evidence_key),
)
OF_A_REHEARSAL = frozenset({"rollback of 21-102", "restore", "rollback after publishing", "rules of production"})
"""In production nobody goes back to show that one can."""


def judged(predicate: Json) -> Iterator[Gate]:
    """Every gate of this environment."""
    is_production = reading.text(predicate, "environment") == PRODUCTION
    for name, says, judge in GATES:
        if not (is_production and name in OF_A_REHEARSAL):
            yield Gate(name, says, *judge(predicate))


def unknown_lag(unknown: int, samples: int) -> Gate:
    """Where some of the samples, which are not in the evidence, have no lag."""
    found = f"unknown in {number(unknown)} of {number(samples)} samples"
    says = "it was known in every sample"
    return Gate("lag, sample by sample", says, Verdict.NO_GO if unknown == samples else Verdict.CONDITION, found)


def verdict(found: Sequence[Gate]) -> Verdict:
    """The worst of all."""
    all_of_them = {gate.verdict for gate in found}
    return next((one for one in (Verdict.NO_GO, Verdict.CONDITION) if one in all_of_them), Verdict.GO)


WORDS: Mapping[Verdict, str] = {Verdict.GO: "GO", Verdict.CONDITION: "GO, WITH CONDITIONS", Verdict.NO_GO: "NO-GO"}

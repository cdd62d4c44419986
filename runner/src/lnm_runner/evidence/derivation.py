"""What follows from a runbook's journal: how each stage ended, what was proven, how far the members lagged, and how fast it went.

Whoever makes evidence and whoever judges it call `derived`, so nothing of it can be stated otherwise than the journal has it. Of
a journal that is not at its end it says what there is so far. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lnm_runner.runbook import journal, stages
from lnm_runner.runbook.journal import DONE, LIFTED, NOT_BEGUN, REFUSED, Entry

WAYS_BACK: Final = frozenset(stage.name for stage in stages.STAGES if not stage.window)
BACKUP, APPLY, BACKFILL, VALIDATE = "backup", "apply-21-101", "backfill-21-102", "validate"
ENABLE, WATCH = "enable-outbox", "watch"
ROLLBACK, RESTORE, REFUSAL = "rollback-21-102", "restore", "rollback-refused"
THROUGH: Final = frozenset({DONE, journal.SKIPPED, journal.ABSENT})
"""What the line says with which a stage is through."""
PUBLISHED: Final = "published"
"""Why a rollback is refused that is tried at the end of a rehearsal."""


def derived(entries: Sequence[Entry]) -> dict[str, Any]:
    """The members of the predicate that the lines of a journal, one at least, leave no choice about."""
    begun = entries[0].evidence
    rows = [row(name, entries) for name in begun["stages"]]
    return {
        "environment": begun["environment"],
        "operator": begun["operator"],
        "runner": begun["runner"],
        "begunAt": entries[0].at,
        "endedAt": entries[-1].at,
        "plan": entries[0].plan,
        "nonce": begun["nonce"],
        "head": f"sha256:{entries[-1].sha256}",
        "stages": rows,
        "proofs": proofs(entries),
        "lag": lag(left_by(rows)),
    }


def left_by(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """`{stage: its evidence}` of the stages that are done."""
    return {row["name"]: row["evidence"] for row in rows if row["state"] == DONE}


def row(name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """How a stage ended: by its last line that counts; of a way back, by the last time that it was gone to its end.

    But for one that was begun since and not ended: that is where the database stands now.
    """
    gone = max((entry.count for entry in entries if (entry.stage, entry.state) == (name, DONE)), default=0)
    counted = entries[:gone] if gone and name in WAYS_BACK and name != journal.half_way_back(entries) else entries
    standing = journal.standing(counted).get(name, NOT_BEGUN)
    return {
        "name": name,
        "state": DONE if standing.state == LIFTED else standing.state,
        "attempts": standing.attempts,
        "durationMs": standing.duration_ms,
        "evidence": dict(standing.evidence or {}),
    }


def proofs(entries: Sequence[Entry]) -> dict[str, Any]:
    """Both ways back, `{before, after}` as fingerprints, None where one was not gone; and whether publishing ends the first."""
    found: dict[str, Any] = {
        ROLLBACK: {"before": None, "after": None},
        RESTORE: {"before": None, "after": None},
        REFUSAL: False,
    }
    left: dict[str, Mapping[str, Any]] = {}
    for entry in entries[1:]:
        if (entry.stage, entry.state) == (ROLLBACK, REFUSED) and ENABLE in left:
            found[REFUSAL] = entry.evidence.get("why") == PUBLISHED
        if entry.state != DONE:
            continue
        if entry.stage == ROLLBACK:
            found[ROLLBACK] = {"before": hash_in(left, APPLY), "after": entry.evidence.get("fingerprint")}
        elif entry.stage == RESTORE:
            found[RESTORE] = {"before": hash_in(left, BACKUP), "after": entry.evidence.get("fingerprint")}
        elif entry.stage == ENABLE:
            found[REFUSAL] = False
        left[entry.stage] = entry.evidence
    return found


def has_taken_back(way: str, stage: str, entries: Sequence[Entry]) -> bool:
    """Whether a way back was gone while a stage that it takes back was done; else nothing was there to be taken back."""
    return any(
        (entry.stage, entry.state) == (way, DONE) and journal.state_of(stage, entries[:before]) == DONE
        for before, entry in enumerate(entries)
    )


def hash_in(left: Mapping[str, Mapping[str, Any]], stage: str) -> Any:
    """The fingerprint that a stage has left: its text, or that of the database where it is one of several."""
    found = left.get(stage, {}).get("fingerprint")
    return found.get("database") if isinstance(found, Mapping) else found


def lag(left: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How far a member was behind at most, None where nobody knows, and in how many samples."""
    known = [most for stage in (BACKFILL, WATCH) if type(most := left.get(stage, {}).get("maxLagMs")) is int]
    return {"maxMs": max(known, default=None), "samples": whole(left, BACKFILL, "lagSamples") or 0}


def rates(left: Mapping[str, Mapping[str, Any]]) -> dict[str, int | None]:
    """How fast it went, None where that is not known."""
    return {
        "documentsPerSecond": each_second(left, BACKFILL, "documents"),
        "backupBytesPerSecond": each_second(left, BACKUP, "bytes"),
    }


def each_second(left: Mapping[str, Mapping[str, Any]], stage: str, member: str) -> int | None:
    """So many in a second; at least one where there was any."""
    many, took = whole(left, stage, member), whole(left, stage, "durationMs")
    return None if many is None or took is None else max(many * 1000 // max(took, 1), min(many, 1))


def whole(left: Mapping[str, Mapping[str, Any]], stage: str, member: str) -> int | None:
    """A whole number that a stage has left."""
    found = left.get(stage, {}).get(member)
    return found if type(found) is int else None


def first_through(entries: Sequence[Entry]) -> dict[str, int]:
    """`{stage: the line at which it was done or passed over}`, of the stages that are so at the end: its place in the order.

    A stage that only looks may look again later, which moves nothing; one that was taken back loses its place.
    """
    found: dict[str, int] = {}
    for entry in entries[1:]:
        for name in reopened(entry):
            found.pop(name, None)
        if entry.state in THROUGH:
            found.setdefault(entry.stage, entry.count)
    return found


def through_at(entries: Sequence[Entry]) -> str:
    """When the last stage was through for the first time since it was open: looking again later makes no rehearsal younger."""
    lines = first_through([entry for entry in entries if entry.state != journal.ABSENT])
    return next((entry.at for entry in reversed(entries) if entry.count in lines.values()), entries[-1].at)


def reopened(entry: Entry) -> Iterator[str]:
    """The stages that must be done anew after a line: those that it takes back, and its own where it is more than a look."""
    yield from journal.OPENS.get((entry.stage, entry.state), ())
    if entry.state == journal.STARTED and entry.stage not in journal.REPEATABLE:
        yield entry.stage

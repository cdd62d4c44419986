"""What the tests of the runbook share: journals that are made in memory, by the runner's own functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lnm_runner import chain
from lnm_runner.runbook import journal, plan, stages
from lnm_runner.runbook.journal import Entry, Journal

ABSENT = tuple(stage.name for stage in stages.STAGES if stage.delivery == "21-103")
BEGUN: dict[str, Any] = {
    "schema": journal.SCHEMA,
    "nonce": "0" * 32,
    "environment": "staging",
    "database": f"sha256:{'1' * 64}",
    "kit": {"version": "2026.11.0", "rootHash": f"sha256:{'2' * 64}", "trust": "dev"},
    "stages": list(stages.NAMES),
    "absent": list(ABSENT),
    "runner": "2026.11.0",
    "operator": "not named",
    "reason": "",
    "before": "",
    "rehearsal": "",
}
PLAN = plan.digest(BEGUN)
AT = "2026-11-30T03:00:00Z"
EVIDENCE: Mapping[str, Mapping[str, Any]] = {
    journal.DONE: {"durationMs": 7},
    journal.FAILED: {"durationMs": 7, "exit": 10, "type": "RetryableError"},
    journal.INTERRUPTED: {"durationMs": 7},
    journal.REFUSED: {"durationMs": 7, "exit": 2, "type": "PublishedError", "why": "published"},
}


def bytes_of(*lines: tuple[str, str], begun: Mapping[str, Any] = BEGUN) -> bytes:
    """A journal: its first line, those of the absent stages, and a line for each `(stage, state)`, whether or not it may stand there."""
    read = journal.read(b"")
    data = journal.line(read, AT, {"stage": "", "state": journal.BEGUN, "evidence": dict(begun), "plan": plan.digest(begun)})
    data = appended(data, *((name, journal.ABSENT) for name in begun["absent"]))
    return appended(data, *lines)


def appended(data: bytes, *lines: tuple[str, str]) -> bytes:
    """A journal, and more lines."""
    for stage, state in lines:
        *_, last = data.splitlines(keepends=True)
        known = journal.KIND.made({**json.loads(last)}, hashlib.sha256(last).hexdigest())
        evidence = {"durationMs": 0, "reason": f"the reason at {len(data)} bytes"} if state == journal.SKIPPED else {}
        members = {"stage": stage, "state": state, "evidence": dict(EVIDENCE.get(state, evidence)), "plan": known.plan}
        data += chain.rendered({**members, "at": AT, "count": known.count + 1, "previous": known.sha256})
    return data


def read(*lines: tuple[str, str]) -> Journal:
    """The same, read."""
    return journal.read(bytes_of(*lines))


def done(*names: str) -> list[tuple[str, str]]:
    """Both lines of each stage."""
    return [(name, state) for name in names for state in (journal.STARTED, journal.DONE)]


def states(entries: Sequence[Entry]) -> dict[str, str]:
    """`{stage: how it stands}` of every stage of the table."""
    now = journal.standing(entries)
    return {name: now.get(name, journal.NOT_BEGUN).state for name in stages.NAMES}

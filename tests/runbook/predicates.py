"""What the evidence of a rehearsal says, for the report: the form that /attestations/lnm-rehearsal/1 has, with everything done that there is to do."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import random
from collections.abc import Iterator
from typing import Any

from lnm_runner import chain
from lnm_runner.runbook import plan, stages

BEGIN = dt.datetime(2026, 11, 30, 3, 0, tzinfo=dt.UTC)
SAVED, MADE, OTHER = (f"sha256:{digit * 64}" for digit in "abc")
EVIDENCE: dict[str, dict[str, Any]] = {
    "preflight": {"checks": 23, "warnings": 0},
    "freeze": {"mode": "user-write-block", "probe": "refused", "marker": True},
    "backup": {
        "tool": "lnm", "compress": "gzip", "collections": 6, "documents": 14_582, "bytes": 81_234_567, "storedBytes": 12_345_678,
        "manifest": OTHER, "fingerprint": {"database": SAVED, "collections": 6},
    },
    "prove-backup": {
        "equal": True, "collections": 6, "documents": 14_582, "bytes": 81_234_567, "fingerprint": SAVED, "restoreMs": 7_312,
    },
    "apply-21-101": {"migration": "m", "digest": OTHER, "actions": 24, "writes": True, "fingerprint": MADE, "ledgerMs": 900},
    "backfill-21-102": {
        "migration": "m", "run": OTHER, "reportHash": OTHER, "observations": 7_975, "linksets": 6_952, "events": 14_927,
        "tombstones": 6_607, "documents": 7_975, "legacy": 6_607, "errors": 0, "late": 0, "touched": 0, "maxLagMs": 1_200,
        "lagSamples": 60, "pauses": 0, "errorCodes": {}, "conflicts": {"metadata-gap": 5},
    },
    "validate": {"equations": 2, "failed": 0, "names": ["inventory", "hashes"], "documents": 7_975, "full": True},
    "enable-outbox": {"switch": True, "hook": "none"},
    "unfreeze": {"marker": True, "mode": "open"},
    "watch": {"calmMs": 60_000, "backlog": 0, "published": 14_927, "errors": 0, "maxLagMs": 900, "maxOldestMs": 2_000},
    "rollback-21-102": {"exit": 3, "type": "PublishedError", "why": "published"},
    "restore": {"collections": 6, "documents": 14_582, "bytes": 81_234_567, "fingerprint": SAVED, "equalsBackup": True},
}  # fmt: skip
ABSENT = ("freeze-payloads", "apply-21-103", "verify-cas", "unfreeze-payloads", "rollback-21-103")
WORK = (
    ("preflight", 2), ("freeze", 1), ("backup", 14), ("prove-backup", 18), ("apply-21-101", 3), ("backfill-21-102", 55),
    ("validate", 12), ("rollback-21-102", 30), ("backfill-21-102", 50), ("validate", 12), ("restore", 22), ("apply-21-101", 3),
    ("backfill-21-102", 52), ("validate", 12), ("enable-outbox", 1), ("unfreeze", 1), ("watch", 75),
)  # fmt: skip
"""The stages in the order of a rehearsal, and how many seconds each takes."""


def at(seconds: float) -> str:
    """A time as it is written in a journal."""
    return (BEGIN + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def attempts() -> Iterator[tuple[str, int, int]]:
    """`(stage, begin, end)` in seconds."""
    now = 1
    for stage, seconds in WORK:
        yield stage, now, now + seconds
        now += seconds + 2


def journal() -> list[dict[str, Any]]:
    """Its lines, chained."""
    kit = {"version": "2026.11.0", "rootHash": OTHER, "trust": "key"}
    begun = {
        "schema": "stellaops.lnm.runbook-journal/1", "nonce": "0" * 32, "environment": "staging", "database": OTHER, "kit": kit,
        "stages": list(stages.NAMES), "absent": list(ABSENT), "runner": "2026.11.0", "operator": "M. Keller", "reason": "",
        "before": "", "rehearsal": "",
    }  # fmt: skip
    told: list[tuple[float, str, str, dict[str, Any]]] = [(0, "", "begun", begun), *((0, name, "absent", {}) for name in ABSENT)]
    left = {**EVIDENCE, "rollback-21-102": {"fingerprint": MADE, "equalsBefore": True, "touched": 0, "removed": 9}}
    for stage, begin, end in attempts():
        told += [(begin, stage, "started", {}), (end, stage, "done", {**left[stage], "durationMs": 1000 * (end - begin)})]
    refused = {**EVIDENCE["rollback-21-102"], "durationMs": 9}
    told += [(400, "rollback-21-102", "started", {}), (400, "rollback-21-102", "refused", refused)]
    lines: list[dict[str, Any]] = []
    previous = chain.START
    for count, (seconds, stage, state, evidence) in enumerate(told, 1):
        lines.append({
            "at": at(seconds), "count": count, "evidence": evidence, "plan": plan.digest(begun), "previous": previous,
            "stage": stage, "state": state,
        })  # fmt: skip
        previous = hashlib.sha256(chain.rendered(lines[-1])).hexdigest()
    return lines


def rehearsal() -> dict[str, Any]:
    """A rehearsal of which every gate holds."""
    stages = [
        {
            "name": name,
            "state": "refused" if name == "rollback-21-102" else "done",
            "attempts": 1,
            "durationMs": dict(WORK)[name] * 1000,
            "evidence": copy.deepcopy(evidence),
        }
        for name, evidence in EVIDENCE.items()
    ]
    return {
        "schema": "stellaops.lnm.rehearsal/1",
        "environment": "staging",
        "operator": "M. Keller",
        "runner": "2026.11.0",
        "server": {"version": "6.0.5", "topology": "replica set", "members": 3},
        "begunAt": at(0),
        "endedAt": at(400),
        "plan": OTHER,
        "nonce": "0" * 32,
        "journal": journal(),
        "head": f"sha256:{'d' * 64}",
        "stages": [
            *stages,
            *({"name": name, "state": "absent", "attempts": 0, "durationMs": 0, "evidence": {}} for name in ABSENT),
        ],
        "proofs": {
            "rollback-21-102": {"before": MADE, "after": MADE},
            "restore": {"before": SAVED, "after": SAVED},
            "rollback-refused": True,
        },
        "lag": {"maxMs": 1_500, "samples": 389},
        "forecast": {
            "documentsPerSecond": 160,
            "oplogBytesPerDocument": 4_200,
            "storedBytesPerDocument": 3_100,
            "backupBytesPerSecond": 5_800_000,
        },
        "kit": {"version": "2026.11.0", "rootHash": OTHER, "trust": "key", "signer": "e" * 64},
        "score": None,
        "trust": "key",
    }


def samples(*, is_lag_lost: bool = False) -> list[dict[str, Any]]:
    """What was measured meanwhile, twice a second."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    found: list[dict[str, Any]] = []
    for stage, begin, end in attempts():
        done, waits = 0, 14_927
        if stage in {"backfill-21-102", "watch"}:
            for number in range(2 * (end - begin)):
                done, waits = done + chance.randint(40, 100), max(0, waits - chance.randint(150, 250))
                lag = None if is_lag_lost and 20 < number < 40 else chance.randint(100, 1_500)
                is_backfill = stage != "watch"
                found.append({
                    "at": at(begin + number / 2), "stage": stage, "lagMs": lag, "documents": done if is_backfill else None,
                    "total": 7_975 if is_backfill else None, "errors": 0, "backlog": None if is_backfill else waits,
                    "oldestMs": None,
                })  # fmt: skip
    return found


def of(predicate: dict[str, Any], stage: str) -> dict[str, Any]:
    """The row of a stage, to be changed."""
    row: dict[str, Any] = next(row for row in predicate["stages"] if row["name"] == stage)
    return row

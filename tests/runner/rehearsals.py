"""Rehearsals for the tests: a small signed kit, the journal of a whole rehearsal of it, and its evidence by a key of the tests.

The lines are written by the runner's own journal, so that a lie is one line that says something else, chained like an honest one.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnm_runner import chain
from lnm_runner.evidence import signing, statement
from lnm_runner.evidence.statement import Facts
from lnm_runner.kit import Trust, VerifiedKit, open_kit
from lnm_runner.runbook import journal, plan, stages
from lnm_runner.runbook.journal import Entry

from tests.faults import forge
from tests.faults.keys import MAIN, STRANGER, Key
from tests.runner.policies import BUILDER, made

Json = dict[str, Any]
Step = tuple[str, str, Json]
START = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)
NOW = START + dt.timedelta(days=3)
"""When it is judged; the policy of the tests lets evidence be 14 days old."""
SERVER = {"version": "6.0.5", "topology": "replica set", "members": 1}
READY = {"21-101": "20251202_lnm_21_101_sharding_and_ttl", "21-102": "20251202_lnm_21_102_backfill"}
ABSENT = [*stages.NAMES[10:15]]
BEFORE, EMPTY = "sha256:" + "b1" * 32, "sha256:" + "a1" * 32
"""Fingerprints: of the backup, and after 21-101."""


def deliveries(ready: Mapping[str, str]) -> list[Json]:
    """As a manifest tells them."""
    held = [{"digest": "sha256:" + "ab" * 32, "id": name, "migration": one, "status": "ready"} for name, one in ready.items()]
    absent = [{"id": "21-103", "reason": "not in this version", "status": "absent"}]
    return [*held, *(absent if "21-103" not in ready else [])]


def kit(place: Path, made_of: forge.Kit | None = None, ready: Mapping[str, str] = READY) -> VerifiedKit:
    """A kit on the disk, verified and opened; of the real one the third delivery is absent."""
    known = made_of or forge.kit(MAIN)
    known.state_with(lambda said: said["predicate"].update(deliveries=deliveries(ready)))
    return open_kit(known.write_folder(place), Trust(made(BUILDER), ()))


BACKUP: Json = {
    "tool": "lnm", "compress": "gzip", "collections": 4, "documents": 1200, "bytes": 2_000_000, "storedBytes": 500_000,
    "manifest": "sha256:" + "0c" * 32, "fingerprint": {"database": BEFORE, "collections": 4}, "durationMs": 2000,
}  # fmt: skip
PROOF: Json = {
    "equal": True, "collections": 4, "documents": 1200, "bytes": 2_000_000, "fingerprint": BEFORE, "restoreMs": 900,
    "durationMs": 3000,
}  # fmt: skip
APPLY: Json = {
    "migration": READY["21-101"], "digest": "sha256:" + "ab" * 32, "actions": 20, "writes": True, "fingerprint": EMPTY,
    "ledgerMs": 400, "durationMs": 1000,
}  # fmt: skip
BACKFILL: Json = {
    "migration": READY["21-102"], "run": "0123456789abcdef", "reportHash": "sha256:" + "0d" * 32, "observations": 1000,
    "linksets": 800, "events": 1800, "tombstones": 100, "documents": 1000, "legacy": 100, "errors": 0, "late": 0, "touched": 0,
    "maxLagMs": 1500, "lagSamples": 12, "pauses": 0, "durationMs": 4000,
}  # fmt: skip
VALIDATE: Json = {
    "equations": 17, "failed": 0, "names": ["observations", "linksets"], "documents": 3600, "full": True, "durationMs": 2000,
}  # fmt: skip
FREEZE: Json = {"mode": "user-write-block", "probe": "refused", "marker": True, "durationMs": 100}
ENABLE: Json = {"switch": True, "hook": "none", "durationMs": 50}
UNFREEZE: Json = {"marker": True, "mode": "open", "durationMs": 60}
WATCH: Json = {
    "calmMs": 600_000, "backlog": 0, "published": 1800, "errors": 0, "maxLagMs": 700, "maxOldestMs": 900, "durationMs": 600_100,
}  # fmt: skip
ROLLED: Json = {
    "removed": 3700, "restored": 0, "touched": 0, "fingerprint": EMPTY, "equalsBefore": True, "durationMs": 1500,
}  # fmt: skip
RESTORED: Json = {
    "collections": 4, "documents": 1200, "bytes": 2_000_000, "fingerprint": BEFORE, "equalsBackup": True, "durationMs": 900,
}  # fmt: skip
REFUSED: Json = {"exit": 2, "type": "PublishedError", "why": "published", "durationMs": 30}
FORWARD: list[Step] = [
    ("apply-21-101", "done", APPLY),
    ("backfill-21-102", "done", BACKFILL),
    ("validate", "done", VALIDATE),
]
WHOLE: list[Step] = [
    ("preflight", "done", {"checks": 20, "warnings": 1, "durationMs": 500}),
    ("freeze", "done", FREEZE),
    ("backup", "done", BACKUP),
    ("prove-backup", "done", PROOF),
    *FORWARD,
    ("rollback-21-102", "done", ROLLED),
    *FORWARD[1:],
    ("restore", "done", RESTORED),
    *FORWARD,
    ("enable-outbox", "done", ENABLE),
    ("unfreeze", "done", UNFREEZE),
    ("watch", "done", WATCH),
    ("rollback-21-102", "refused", REFUSED),
    *((name, "absent", {}) for name in ABSENT),
]
"""As scripts/staging goes it: each step is its last line, before which the journal has `started`."""


def begun(known: VerifiedKit, **changes: Any) -> Json:
    """What the first line says."""
    return {
        **plan.begun(known, "staging", "rs0/concelier", stages.NAMES, ABSENT),
        "nonce": "0f" * 16,
        "operator": "Jörg",
        **changes,
    }


def lines(first: Json, steps: Sequence[Step], *, step_s: int = 60, digest: str | None = None) -> list[Json]:
    """The lines of a journal, chained, as JSON objects; they need not be such as the runner would take."""
    known, found, at = plan.digest(first) if digest is None else digest, [], START
    written: list[Step] = [("", "begun", first)]
    for name, state, evidence in steps:
        written += [*([(name, "started", {})] if state not in {"skipped", "absent"} else []), (name, state, evidence)]
    previous = chain.START
    for count, (name, state, evidence) in enumerate(written, 1):
        line = {
            "at": at.strftime(chain.AT), "count": count, "evidence": evidence, "plan": known, "previous": previous, "stage": name,
            "state": state,
        }  # fmt: skip
        found.append(line)
        previous = forge.sha256(chain.rendered(line))
        at += dt.timedelta(seconds=step_s)
    return found


def entries(found: Sequence[Json]) -> tuple[Entry, ...]:
    """The same, read by the runner, which takes them all."""
    read = journal.of_values(found)
    assert read.defect == ""
    return read.entries


FACTS = Facts("key", SERVER, 4_000_000, 9_000_000)


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal whose evidence may be told otherwise before it is signed."""

    kit: VerifiedKit
    steps: Sequence[Step] = tuple(WHOLE)
    facts: Facts = FACTS
    first: Mapping[str, Any] | None = None

    @property
    def predicate(self) -> Json:
        """What is stated."""
        first = begun(self.kit) if self.first is None else dict(self.first)
        return statement.predicate(entries(lines(first, self.steps)), self.kit, self.facts)

    def stepped(self, name: str, **changes: Any) -> Rehearsed:
        """With other evidence of a stage, in each of its `done` lines."""
        return replace(
            self,
            steps=[
                (stage, state, {**evidence, **changes}) if (stage, state) == (name, "done") else (stage, state, evidence)
                for stage, state, evidence in self.steps
            ],
        )


def sealed(said: Mapping[str, Any], key: Key = STRANGER) -> bytes:
    """A DSSE around any statement, by the forge and not by the runner."""
    return forge.line(forge.dsse(key, forge.canonical(dict(said)) + b"\n"))


def about(known: VerifiedKit, predicate: Mapping[str, Any], **changes: Any) -> Json:
    """The statement with a predicate."""
    return {
        "_type": statement.STATEMENT_TYPE,
        "predicate": dict(predicate),
        "predicateType": statement.PREDICATE_TYPE,
        "subject": [statement.subject(known.manifest.version, known.manifest.root_hash)],
        **changes,
    }


def payload_of(dsse: bytes) -> bytes:
    """What is signed in a DSSE."""
    return base64.b64decode(json.loads(dsse)["payload"])


def pae(dsse: bytes) -> bytes:
    """The bytes that are signed."""
    return signing.pae(payload_of(dsse))

"""What a runbook is about: one kit, one environment, one database, these stages; its hash is in every line of the journal."""

from __future__ import annotations

import hashlib
import importlib.metadata
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.kit import VerifiedKit
from lnm_runner.runbook import journal

ABOUT: Final = ("environment", "database", "stages", "absent", "runner")
"""The members of the evidence of the first line that make the plan, beside the kit's rootHash."""
WORDS: Final[Mapping[str, str]] = {
    "rootHash": "the kit",
    "environment": "the environment",
    "database": "the database",
    "stages": "the stages",
    "absent": "the deliveries that are absent",
    "runner": "the version of the runner",
}


def members(begun: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan is the hash of, by the evidence of a first line."""
    return {"rootHash": begun["kit"]["rootHash"], **{name: begun[name] for name in ABOUT}}


def digest(begun: Mapping[str, Any]) -> str:
    """The plan, by the evidence of a first line."""
    return hashed(chain.rendered(members(begun))[:-1])


def hashed(data: bytes) -> str:
    """`sha256:` and hex."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def begun(kit: VerifiedKit, environment: str, database: str, stages: Sequence[str], absent: Sequence[str]) -> dict[str, Any]:
    """The evidence of a first line, less who begins it and why; `database` is what a cluster and a database are called."""
    return {
        "schema": journal.SCHEMA,
        "nonce": secrets.token_hex(16),
        "environment": environment,
        "database": hashed(database.encode()),
        "kit": {
            "version": kit.manifest.version,
            "rootHash": f"sha256:{kit.manifest.root_hash}",
            "trust": kit.manifest.trust,
        },
        "stages": list(stages),
        "absent": list(absent),
        "runner": importlib.metadata.version("lnm-runner"),
        "operator": "",
        "reason": "",
        "before": "",
        "rehearsal": "",
    }


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """In what two first lines are about different plans, in words."""
    old, new = members(found), members(wanted)
    for name, said in WORDS.items():
        if old[name] != new[name]:
            yield f"{said}: there {shown(old[name])}, now {shown(new[name])}"


def shown(value: Any) -> str:
    """A value of a plan, short."""
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"{text[:19]}…" if text.startswith("sha256:") else text or "none"

"""The statement about a rehearsal, or a run in production: in-toto Statement v1 in canonical JSON (RFC 8785) and one LF. Pure.

Its predicate: what follows from the journal (`derivation`), the journal itself, the kit, the server's kind, the rates, and for
production how far the forecast was off. `PREDICATE` names every member; docs/evidence.md explains them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lnm_runner.backfill import identity
from lnm_runner.errors import EvidenceError
from lnm_runner.evidence import derivation, screening
from lnm_runner.kit import VerifiedKit
from lnm_runner.runbook.journal import Entry

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://stella-ops.org/attestations/lnm-rehearsal/1"
SCHEMA: Final = "stellaops.lnm.rehearsal/1"
DERIVED: Final = (
    "begunAt",
    "endedAt",
    "environment",
    "head",
    "lag",
    "nonce",
    "operator",
    "plan",
    "proofs",
    "runner",
    "stages",
)
PREDICATE: Final = frozenset({*DERIVED, "forecast", "journal", "kit", "schema", "score", "server", "trust"})


@dataclass(frozen=True)
class Facts:
    """What the journal does not tell."""

    trust: str
    """Of the key that will sign (`signing.trust`): `dev` or `key`."""
    server: Mapping[str, Any]
    """`{version: "6.0.5", topology: "replica set" | "sharded cluster", members: 1}`."""
    oplog_bytes: int | None = None
    """What the backfill has put into the oplog (`measuring.written`); None: unknown."""
    stored_bytes: int | None = None
    """By how much the backfill has made the database larger, indexes and all; None: unknown."""
    score: Mapping[str, Any] | None = None
    """Of production: `forecast.score`."""


def predicate(entries: Sequence[Entry], kit: VerifiedKit, facts: Facts) -> dict[str, Any]:
    """What is stated; of a journal that is not at its end, what there is so far.

    Raises: EvidenceError where the journal, of one line at least, is another kit's.
    """
    begun = entries[0].evidence["kit"]
    root_hash = f"sha256:{kit.manifest.root_hash}"
    if begun["rootHash"] != root_hash:
        raise EvidenceError(
            f"the journal is of the kit {begun['version']}, rootHash {begun['rootHash']}, and this kit is "
            f"{kit.manifest.version}, rootHash {root_hash}",
            hint="name the kit that was rehearsed: --kit FOLDER",
        )
    found = derivation.derived(entries)
    return {
        **found,
        "forecast": forecast(found["stages"], facts),
        "journal": [entry.as_json() for entry in entries],
        "kit": {
            "version": kit.manifest.version,
            "rootHash": root_hash,
            "trust": kit.manifest.trust,
            "signer": f"sha256:{kit.signer}",
        },
        "schema": SCHEMA,
        "score": facts.score,
        "server": dict(facts.server),
        "trust": facts.trust,
    }


def forecast(rows: Sequence[Mapping[str, Any]], facts: Facts) -> dict[str, int | None]:
    """What production may be forecast by."""
    left = derivation.left_by(rows)
    documents = derivation.whole(left, derivation.BACKFILL, "documents")
    return {
        **derivation.rates(left),
        "oplogBytesPerDocument": each(facts.oplog_bytes, documents),
        "storedBytesPerDocument": each(facts.stored_bytes, documents),
    }


def each(total: int | None, documents: int | None) -> int | None:
    """The part of one document, rounded up."""
    return None if total is None or not documents else -(-total // documents)


def subject(version: str, root_hash: str) -> dict[str, Any]:
    """What the statement is about; `root_hash` in bare hex."""
    return {"digest": {"sha256": root_hash}, "name": f"concelier-lnm-{version}"}


def render(entries: Sequence[Entry], kit: VerifiedKit, facts: Facts) -> bytes:
    """The statement's bytes.

    Raises: EvidenceError of another kit's journal; InputError of what may not stand there.
    """
    return of(predicate(entries, kit, facts), kit)


def of(stated: Mapping[str, Any], kit: VerifiedKit) -> bytes:
    """The bytes of the statement with a predicate.

    Raises: InputError of what may not stand there.
    """
    screening.require(stated)
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "predicate": stated,
            "predicateType": PREDICATE_TYPE,
            "subject": [subject(kit.manifest.version, kit.manifest.root_hash)],
        }
    )


def canonical(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 and one LF."""
    return identity.canonical(value) + b"\n"

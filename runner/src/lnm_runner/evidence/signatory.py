"""Who signed evidence, and for what a site's policy refuses that: by role, algorithm and days, and a development key's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.errors import EvidenceError, RunnerError
from lnm_runner.evidence.keys import DEVELOPMENT
from lnm_runner.evidence.reading import ASK
from lnm_runner.evidence.rules import moment
from lnm_runner.kit import judgement
from lnm_runner.kit.core import PublicKey
from lnm_runner.kit.policy import ALGORITHMS, Policy, Signer

ROLE: Final = "rehearsal"


def refused(policy: Policy, key: PublicKey, predicate: Mapping[str, Any], now: dt.datetime) -> Iterator[RunnerError]:
    """Everything for which the policy refuses who signed."""
    yield from judgement.policy_expired(policy, now)
    signer = judgement.holder(policy, key)
    if signer is None or signer.role != ROLE:
        who = f"sha256:{key.fingerprint}" if signer is None else f"{signer.name}, whose role is {signer.role}"
        yield error("role", f"it is signed by {who}; the policy wants a signer whose role is {ROLE}")
    algorithm = ALGORITHMS.get(key.algorithm.name, key.algorithm.name)
    if algorithm not in policy.algorithms:
        yield error("algorithm", f"it is signed by {algorithm}; the policy allows {', '.join(sorted(policy.algorithms))}")
    if predicate["trust"] == DEVELOPMENT and not policy.is_development:
        hint = "sign it by a key of your own, LNM_EVIDENCE_KEY, which the policy names"
        yield error("trust", "a development key signed it, and the policy is no development policy", hint)
    if signer is not None:
        yield from out_of_time(signer, predicate["endedAt"], now)


def out_of_time(signer: Signer, ended: Any, now: dt.datetime) -> Iterator[RunnerError]:
    """Nobody has signed who was not trusted yet when the rehearsal ended, or is not any more."""
    if signer.valid_from is not None and chain.is_moment(ended) and moment(ended).date() < signer.valid_from:
        why = f"is trusted from {signer.valid_from}, and the rehearsal ended {ended}"
    elif signer.valid_until is not None and now.date() > signer.valid_until:
        why = f"was trusted until {signer.valid_until}, and {judgement.here(now)}"
    else:
        return
    yield error("validity", f"{signer.name}, who signed it, {why}")


def error(rule: str, what: str, hint: str = ASK) -> EvidenceError:
    """A refusal."""
    return EvidenceError(what, hint=hint, facts={"rule": rule})

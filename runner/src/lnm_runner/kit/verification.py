"""Verification of a kit as this site wants it: the core's verdict, then identity signatures, then the policy's judgement.

Without a policy, any one of the given keys is enough and nothing else is demanded; that is what a site without one asks for,
never what a kit can choose. All of it runs with the network refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner.errors import InputError, RunnerError, gathered
from lnm_runner.kit import core, identity, judgement
from lnm_runner.kit.core import PublicKey, Report
from lnm_runner.kit.judgement import Identity
from lnm_runner.kit.offline import no_network
from lnm_runner.kit.policy import Policy, Signer

IDENTITY: Final = "identity signature: "
"""How the line begins that the core prints of identities, which it does not check."""


@dataclass(frozen=True)
class Trust:
    """Whom a kit is believed."""

    policy: Policy | None
    """None: any one of the keys is enough."""
    keys: tuple[Path, ...]
    """PEM files. With a policy they only lend it the bytes of keys that it names by fingerprint."""


@dataclass(frozen=True)
class Verified:
    """A kit that was accepted."""

    report: Report
    policy: Policy | None
    identities: tuple[Identity, ...] = ()
    """Those that were verified."""
    notes: tuple[str, ...] = ()
    """What was not checked and why, and what will soon be otherwise."""

    def as_json(self) -> dict[str, Any]:
        """For a program: what verify_kit.py --json says, and what the policy adds."""
        policy = self.policy
        return {
            **self.report.as_json(),
            "identity": "verified" if self.identities else "not checked" if self.report.identity_bundles else None,
            "identities": [{"identity": found.identity, "issuer": found.issuer} for found in self.identities],
            "policy": None if policy is None else {"version": policy.version, "sha256": policy.sha256, "file": str(policy.path)},
            "counted": [] if policy is None else [{"name": signer.name, "role": signer.role} for signer in self.counted()],
            "notes": list(self.notes),
        }

    def counted(self) -> list[Signer]:
        """Who counted towards the policy's threshold."""
        return [] if self.policy is None else judgement.counted(self.policy, self.report, self.identities)

    def lines(self) -> list[str]:
        """In words; the last line is the verdict."""
        *lines, verdict = self.report.lines()
        return [*(line for line in lines if not line.startswith(IDENTITY)), *self.policy_lines(), verdict]

    def policy_lines(self) -> Iterator[str]:
        """What the policy and the identities add."""
        for found in self.identities:
            yield f"checked: {IDENTITY}{found.identity}, issuer {found.issuer}"
        if self.policy is None:
            yield "policy: none; any one of the given keys is enough"
        else:
            signers = ", ".join(f"{signer.name} ({signer.role})" for signer in self.counted())
            yield f"checked: policy {self.policy.path}, version {self.policy.version}, accepts it: signed by {signers}"
        yield from self.notes


def verify(path: Path, trust: Trust) -> Verified:
    """Lets the core of verification, and then the policy, judge a folder or a tarball.

    Raises: RunnerError with the exit code of what was refused, and every reason that was found with it.
    """
    now = dt.datetime.now(dt.UTC)
    verifier = core.verifier()
    with no_network():
        try:
            keys, notes = trusted_keys(trust)
            report = verifier.verify(path, keys)
        except verifier.Refused as refused:
            raise core.refused(refused) from refused
        return judged(trust.policy, report, notes, now)


def judged(policy: Policy | None, report: Report, notes: Sequence[str], now: dt.datetime) -> Verified:
    """The policy's judgement of what the core has found right.

    Raises: RunnerError with every reason.
    """
    if policy is None or not policy.names_identities:
        why = "no policy names an identity" if policy is None else "the policy names no identity"
        notes = [*notes, *([f"{IDENTITY}not checked: {why}"] if report.identity_bundles else [])]
    if policy is None:
        return Verified(report, None, notes=tuple(notes))
    identities, unavailable, found = identified(policy, report, now)
    found += judgement.judge(policy, report, identities, now)
    if any(err.facts.get("rule") == "threshold" for err in found):
        found = unavailable + found
    if found:
        raise gathered(found)
    told = (*notes, *(err.message for err in unavailable), *judgement.warnings(policy, report, now))
    return Verified(report, policy, identities, told)


def identified(
    policy: Policy, report: Report, now: dt.datetime
) -> tuple[tuple[Identity, ...], list[RunnerError], list[RunnerError]]:
    """Who signed by identity, where the policy names any; why that cannot be found out here; and why it is refused."""
    if not (report.identity_bundles and policy.names_identities):
        return (), [], []
    try:
        found = identity.verify(report.signed, report.identity_bundles, policy, identity.read_root(policy), now)
    except identity.UnavailableError as err:
        return (), [err], []
    except RunnerError as err:
        return (), [], [err]
    return (found,), [], []


def trusted_keys(trust: Trust) -> tuple[Sequence[PublicKey], list[str]]:
    """The keys that may sign, and what is to be said of those that may not: with a policy, only those that it names may.

    Raises: InputError where there is none; the core's Refused.
    """
    verifier = core.verifier()
    lent = verifier.load_keys(trust.keys)
    if trust.policy is None:
        return lent, []
    own = [
        key for signer in trust.policy.signers if signer.public_key for key in verifier.read_keys(signer.public_key, signer.name)
    ]
    named = {signer.fingerprint for signer in trust.policy.signers}
    keys = {key.fingerprint: key for key in (*own, *lent) if key.fingerprint in named}
    if not keys:
        raise InputError(
            "the policy brings no public key, and none that it names was given",
            hint="add the key to the policy as public-key, or name its file: --key KEY.pub",
        )
    strangers = [key.fingerprint for key in lent if key.fingerprint not in named]
    return tuple(keys.values()), [f"key sha256:{name}: given, but the policy does not name it; not trusted" for name in strangers]

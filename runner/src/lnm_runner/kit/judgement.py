"""Whether a site's policy accepts a kit whose signatures, hashes and statements verify_kit.py has found right.

Pure: no file, no clock, no network. What is demanded comes from the policy alone; the kit only ever tells whether it has that.
The clock of a host may be wrong, so it can refuse a kit and never gets one accepted: nothing is demanded less at another time.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lnm_runner.errors import RunnerError, SignatureError, TrustRootError, VersionError
from lnm_runner.kit.core import PublicKey, Report
from lnm_runner.kit.policy import ALGORITHMS, BUILDER, COUNTED, Policy, Signer
from lnm_runner.kit.toml_table import shown

PROVENANCE: Final = "attestations/slsa-provenance.dsse.json"
FUTURE: Final = dt.timedelta(days=1)
"""A builder's clock and a site's may differ by so much."""
SOON: Final = dt.timedelta(days=30)
"""So long before a kit gets too old, or a policy ends, that is said."""
ASK: Final = "do not use this kit; ask the publisher for one that is signed as the policy demands"


@dataclass(frozen=True)
class Identity:
    """Somebody who signed SHA256SUMS and manifest.json by identity, and whose log entries verify."""

    identity: str
    issuer: str
    algorithm: str
    """Of the certificate's key, as a policy calls it."""


def judge(policy: Policy, report: Report, identities: Sequence[Identity], now: dt.datetime) -> list[RunnerError]:
    """Everything for which the policy refuses a kit, the gravest first; empty where it accepts it.

    `identities` are those that were verified; `now` is the time of this host, in UTC.
    """
    return [
        *policy_expired(policy, now),
        *roles_missed(policy, report),
        *threshold_missed(policy, report, identities),
        *signers_out_of_time(policy, report, identities, now),
        *algorithms_refused(policy, report, identities),
        *kinds_refused(policy, report),
        *provenance_refused(policy, report),
        *times_refused(policy, report, now),
    ]


def holder(policy: Policy, key: PublicKey) -> Signer | None:
    """The signer who has a key."""
    return next((signer for signer in policy.signers if signer.fingerprint == key.fingerprint), None)


def counted(policy: Policy, report: Report, identities: Sequence[Identity]) -> list[Signer]:
    """Who counts towards the threshold, each once, in the order of the policy."""
    keys = {key.fingerprint for key in report.signers}
    names = {(identity.identity, identity.issuer) for identity in identities}
    return [
        signer
        for signer in policy.signers
        if signer.role in COUNTED and (signer.fingerprint in keys or (signer.identity, signer.issuer) in names)
    ]


def policy_expired(policy: Policy, now: dt.datetime) -> Iterator[RunnerError]:
    """After its last day a policy admits nothing: the site has missed what its owners have changed since."""
    if policy.expires is not None and now.date() > policy.expires:
        yield TrustRootError(
            f"the policy was to be followed until {policy.expires}, and {here(now)}",
            hint="get the next policy from its owners, then lnm trust rotate; if the clock is wrong, set it",
            facts={"rule": "expires", "found": f"{policy.expires}"},
        )


def signers_out_of_time(
    policy: Policy, report: Report, identities: Sequence[Identity], now: dt.datetime
) -> Iterator[RunnerError]:
    """Nobody has signed who was not trusted yet when the kit was made, or is not any more.

    Not yet is told by the kit's own date, which its signer could move forward only past the end; no longer, by this host's clock.
    """
    for signer in signed_by(policy, report, identities):
        if signer.valid_from is not None and made(report).date() < signer.valid_from:
            why = f"is trusted from {signer.valid_from}, and the kit was made {report.manifest.created_at}"
        elif signer.valid_until is not None and now.date() > signer.valid_until:
            why = f"was trusted until {signer.valid_until}, and {here(now)}"
        else:
            continue
        yield SignatureError(f"{signer.name}, who signed it, {why}", hint=ASK, facts={"rule": "validity", "signer": signer.name})


def signed_by(policy: Policy, report: Report, identities: Sequence[Identity]) -> Iterator[Signer]:
    """The signers of the policy who have signed anything in the kit."""
    keys = {key.fingerprint for key in (*report.signers, *report.attesters)}
    names = {(identity.identity, identity.issuer) for identity in identities}
    for signer in policy.signers:
        if signer.fingerprint in keys or (signer.identity, signer.issuer) in names:
            yield signer


def here(now: dt.datetime) -> str:
    """What is told of this host's time beside another."""
    return f"this host's clock says {now:%Y-%m-%dT%H:%M:%SZ}"


def roles_missed(policy: Policy, report: Report) -> Iterator[RunnerError]:
    """SHA256SUMS and every statement must be a builder's."""
    signed = [("SHA256SUMS", report.signers[0]), *(("a statement below attestations/", key) for key in report.attesters)]
    for what, key in signed:
        signer = holder(policy, key)
        if signer is None or signer.role != BUILDER:
            found = "whom the policy does not name" if signer is None else f"{signer.name}, whose role is {signer.role}"
            yield SignatureError(
                f"{what} is signed by sha256:{key.fingerprint}, {found}; the policy wants a builder",
                hint=ASK,
                facts={"rule": "role", "fingerprint": key.fingerprint},
            )


def threshold_missed(policy: Policy, report: Report, identities: Sequence[Identity]) -> Iterator[RunnerError]:
    """So many signers, and so many of them in a role."""
    found = counted(policy, report, identities)
    there = ", ".join(f"{signer.name} ({signer.role})" for signer in found) or "nobody who counts"
    for role, wanted in [("", policy.threshold.signatures), *policy.threshold.roles.items()]:
        have = len([signer for signer in found if role in ("", signer.role)])
        if have < wanted:
            kind = f"signers whose role is {role}" if role else "signers"
            yield SignatureError(
                f"the policy wants {wanted} {kind}, the kit has {have}: signed by {there}",
                hint=ASK,
                facts={"rule": "threshold", "role": role or None, "wanted": wanted, "found": have},
            )


def algorithms_refused(policy: Policy, report: Report, identities: Sequence[Identity]) -> Iterator[RunnerError]:
    """Every signature is made by an algorithm that the policy allows."""
    keys = {key.fingerprint: key for key in (*report.signers, *report.attesters)}
    used = [(f"sha256:{key.fingerprint}", ALGORITHMS.get(key.algorithm.name, key.algorithm.name)) for key in keys.values()]
    used += [(identity.identity, identity.algorithm) for identity in identities]
    allowed = ", ".join(sorted(policy.algorithms))
    for who, algorithm in used:
        if algorithm not in policy.algorithms:
            yield SignatureError(
                f"{who} signed by {algorithm}; the policy allows {allowed}",
                hint=ASK,
                facts={"rule": "algorithm", "found": algorithm},
            )


def kinds_refused(policy: Policy, report: Report) -> Iterator[RunnerError]:
    """Its channel is one of the policy's, and only a development policy takes what a development key signed."""
    manifest = report.manifest
    if manifest.channel not in policy.channels:
        yield SignatureError(
            f"the kit's channel is {manifest.channel}; the policy allows {', '.join(sorted(policy.channels))}",
            hint="fetch a kit of an allowed channel",
            facts={"rule": "channel", "found": manifest.channel},
        )
    if manifest.trust == "dev" and not policy.is_development:
        yield SignatureError(
            "the kit's trust is dev: a development key signed it; the policy is no development policy",
            hint="fetch a kit that the publisher released",
            facts={"rule": "trust", "found": manifest.trust},
        )


def provenance_refused(policy: Policy, report: Report) -> Iterator[RunnerError]:
    """The builder that the provenance names is one of the policy's, and the source was a clean commit where that is wanted."""
    if policy.provenance is None:
        return
    builder, allowed = builder_of(report.signed[PROVENANCE]), ", ".join(sorted(policy.provenance.builders))
    if builder not in policy.provenance.builders:
        yield SignatureError(
            f"the provenance names the builder {shown(builder)}; the policy allows {allowed}",
            hint=ASK,
            facts={"rule": "builder", "found": builder},
        )
    if policy.provenance.is_source_clean and report.manifest.state != "clean":
        yield SignatureError(
            f"the kit's source is {report.manifest.state}; the policy wants a clean commit",
            hint="fetch a kit that the publisher built from a commit",
            facts={"rule": "source", "found": report.manifest.state},
        )


def builder_of(dsse: bytes) -> str:
    """The builder's id in SLSA provenance v1 (`runDetails.builder.id`) whose signature was verified; empty where it has none."""
    try:
        found = json.loads(base64.b64decode(json.loads(dsse)["payload"]))["predicate"]["runDetails"]["builder"]["id"]
    except (KeyError, TypeError, ValueError):
        return ""
    return found if isinstance(found, str) else ""


def times_refused(policy: Policy, report: Report, now: dt.datetime) -> Iterator[RunnerError]:
    """It is neither older than the policy allows, by version or by age, nor from the future."""
    manifest = report.manifest
    if numbers(manifest.version) < numbers(policy.minimum_version):
        yield VersionError(
            f"the kit's version is {manifest.version}; the policy wants {policy.minimum_version} or newer",
            hint="fetch a newer kit",
            facts={"rule": "minimum-version", "found": manifest.version, "wanted": policy.minimum_version},
        )
    age = now - made(report)
    facts = {"rule": "age", "createdAt": manifest.created_at, "now": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    if age < -FUTURE:
        yield VersionError(
            f"the kit was made {manifest.created_at}, and {here(now)}", hint="set the clock of this host", facts=facts
        )
    if policy.kit_max_age_days and age > dt.timedelta(days=policy.kit_max_age_days):
        yield VersionError(
            f"the kit was made {manifest.created_at}, and {here(now)}; the policy allows {policy.kit_max_age_days} days",
            hint="fetch a newer kit; if the clock is wrong, set it",
            facts=facts,
        )


def warnings(policy: Policy, report: Report, now: dt.datetime) -> Iterator[str]:
    """What whoever uses an accepted kit should be told."""
    if policy.expires is not None and policy.expires - now.date() < SOON:
        yield f"the policy is to be followed until {policy.expires}; ask its owners for the next one"
    if policy.kit_max_age_days:
        left = made(report) + dt.timedelta(days=policy.kit_max_age_days) - now
        if left < SOON:
            yield f"in {left.days} days this kit is older than the {policy.kit_max_age_days} days that the policy allows"


def made(report: Report) -> dt.datetime:
    """When a kit was made."""
    return dt.datetime.fromisoformat(report.manifest.created_at)


def numbers(version: str) -> tuple[int, ...]:
    """A version as what is compared: numbers, not text."""
    return tuple(map(int, version.split(".")))

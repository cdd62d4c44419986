"""Whether a kit that was verified may become the active one here: the rules about versions, beside those of the policy.

Attacks.md, T1, T9 and X5. Pure: no file, no clock.

 (1) The kit that is active already: nothing is done.
 (2) The version of another kit that was let in before, with another rootHash: refused, whatever is forced.
 (3) An older version than the mark (standing.py): refused, unless it is forced with a reason that was never used before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from lnm_runner.errors import InputError, VersionError
from lnm_runner.kit import Trust, Verified
from lnm_runner.kit.standing import Known, Standing, by_number, identity_name, key_name

SHORTEST_REASON: Final = 10  # characters
LONGEST_REASON: Final = 500


@dataclass(frozen=True)
class Imported:
    """What came of it, or would."""

    verified: Verified
    known: Known
    is_active_already: bool
    forced_below: str
    """The mark below which it was forced; empty where nothing had to be."""


def check_reason(reason: str, now: Standing) -> None:
    """A reason that somebody could answer for.

    Raises: InputError.
    """
    hint = "--force-reason: say in a sentence why, who has agreed to it, and when"
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        what = f"wanted one line of {SHORTEST_REASON} to {LONGEST_REASON} characters"
        raise InputError(f"the reason has {len(reason)} characters, {what}", hint=hint)
    if reason in now.reasons:
        raise InputError("this reason was used before, and each is good for once", hint=hint)


def check_policy(trust: Trust, now: Standing) -> None:
    """An installed policy is the one by which this machine lets kits in.

    Raises: InputError.
    """
    found = trust.policy.sha256 if trust.policy else ""
    if now.policy and found != now.policy:
        raise InputError(
            f"--policy: this is another policy than the one that is installed here (sha256 {now.policy[:12]}…)",
            hint="leave --policy away; or change the installed one: lnm trust rotate",
        )


def signers(verified: Verified) -> frozenset[str]:
    """Who signed, as the journal names them."""
    keys = {key_name(key.fingerprint) for key in verified.report.signers}
    return frozenset(keys | {identity_name(found.identity, found.issuer) for found in verified.identities})


def decide(verified: Verified, now: Standing, reason: str) -> Imported:
    """The rules about versions; pure.

    Raises: VersionError.
    """
    manifest = verified.report.manifest
    known = Known(manifest.version, manifest.root_hash, signers(verified))
    if known.root_hash == now.active:
        same = replace(now.active_kit or known, signers=known.signers)
        return Imported(verified, same, is_active_already=True, forced_below="")  # (1)
    others = [kit for kit in now.kits.values() if kit.version == known.version and kit.root_hash != known.root_hash]
    if others:  # (2)
        raise VersionError(
            f"version {known.version} is here already with the rootHash {others[0].root_hash}, this kit has {known.root_hash}",
            hint="two kits of one version are never both right: ask the publisher which is; a changed kit needs a new version",
            facts={"version": known.version, "known": others[0].root_hash, "found": known.root_hash},
        )
    mark = now.highest
    is_older = bool(mark) and by_number(known.version) < by_number(mark)
    if is_older and not reason:  # (3)
        raise VersionError(
            f"version {known.version} is older than {mark}, which was active here",
            hint="use a newer kit; or, if that is meant: --force-activate --force-reason WHY",
            facts={"version": known.version, "highest": mark},
        )
    if is_older:
        check_reason(reason, now)
    return Imported(verified, known, is_active_already=False, forced_below=mark if is_older else "")

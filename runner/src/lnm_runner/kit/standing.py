"""How things stand by the journal: which kits were let in, which one is active, how high the versions went, under which policy.

A fold over its entries: no file, no clock. The **mark** is the highest version that was ever active here; an older kit is a
downgrade (attacks.md, T1). A rotation of the policy that removes a signer takes away the marks that this signer has helped to
set: who had his key could have set it out of reach (TUF 1.0.33, 5.3.11, fast-forward attacks). Marks by others stay, which is
stricter than TUF.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lnm_runner.kit import journal
from lnm_runner.kit.journal import Entry

HEX_IN_NAME: Final = 16


@dataclass(frozen=True)
class Known:
    """A kit that was let in."""

    version: str
    root_hash: str
    signers: frozenset[str] = frozenset()
    """By `key_name` or `identity_name`."""
    count: int = 0
    """The number of its line; 0 where only the journal before a recovery knew of it."""

    @property
    def name(self) -> str:
        """That of its folder."""
        return folder_name(self.version, self.root_hash)


def key_name(fingerprint: str) -> str:
    """How the journal names a signer who has a key; `fingerprint` is 64 hex digits."""
    return f"sha256:{fingerprint}"


def identity_name(identity: str, issuer: str) -> str:
    """How the journal names a signer who has an identity."""
    return f"{identity} by {issuer}"


def folder_name(version: str, root_hash: str) -> str:
    """The folder of a kit below kits/."""
    return f"{version}-{root_hash[:HEX_IN_NAME]}"


def by_number(version: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(map(int, version.split(".")))


@dataclass(frozen=True)
class Standing:
    """What the entries so far come to."""

    kits: Mapping[str, Known] = field(default_factory=dict)
    """By rootHash, in the order in which they were let in first."""
    names: frozenset[str] = frozenset()
    """Of the folders of all kits that were ever let in."""
    active: str = ""
    """The rootHash of the kit that is active; empty where none is."""
    marks: tuple[Known, ...] = ()
    """The kits that count for the mark."""
    policy: str = ""
    """SHA-256 of the installed policy; empty where none was installed."""
    policy_version: int = 0
    replaced: str = ""
    """SHA-256 of the policy that a rotation is about to replace; empty where it has been."""
    reasons: frozenset[str] = frozenset()
    """With which something was forced."""
    chains: frozenset[str] = frozenset()
    """The journals before a recovery."""
    newest: str = ""
    """The latest time that was written down."""

    @property
    def highest(self) -> str:
        """The mark; empty where there is none."""
        return max((known.version for known in self.marks), key=by_number, default="")

    @property
    def active_kit(self) -> Known | None:
        """The active kit."""
        return self.kits.get(self.active)


def standing(entries: Sequence[Entry]) -> Standing:
    """The fold."""
    found = Standing()
    for entry in entries:
        found = replace(STEPS[entry.event](found, entry.facts, entry.count), newest=max(found.newest, entry.at))
    return found


def begun(now: Standing, _facts: Mapping[str, Any], _count: int) -> Standing:
    """Nothing yet."""
    return now


def recovered(now: Standing, facts: Mapping[str, Any], _count: int) -> Standing:
    """What was saved of a broken state."""
    pairs = [text.split(" ") for text in facts["kits"]]
    mark = (Known(facts["highest"], ""),) if facts["highest"] else ()
    return replace(
        now,
        kits={root_hash: Known(version, root_hash) for version, root_hash in pairs},
        names=frozenset(folder_name(version, root_hash) for version, root_hash in pairs),
        active=facts["active"],
        marks=mark,
        policy=facts["policy"],
        reasons=frozenset([*facts["reasons"], facts["reason"]]),
        chains=frozenset(facts["chains"]),
    )


def policy_installed(now: Standing, facts: Mapping[str, Any], _count: int) -> Standing:
    """The policy is in its place."""
    return replace(now, policy=facts["policy"], policy_version=facts["version"], replaced="")


def policy_rotated(now: Standing, facts: Mapping[str, Any], _count: int) -> Standing:
    """The new policy is what counts, also while the old one is still in its place."""
    removed = frozenset(facts["removed"])
    marks = tuple(known for known in now.marks if not known.signers & removed)
    version: int = facts["version"]
    return replace(now, policy=facts["policy"], policy_version=version, replaced=facts["from"], marks=marks)


def imported(now: Standing, facts: Mapping[str, Any], count: int) -> Standing:
    """A kit was let in."""
    known = Known(facts["version"], facts["rootHash"], frozenset(facts["signers"]), count)
    return replace(now, kits={**now.kits, known.root_hash: known}, names=now.names | {known.name})


def activated(now: Standing, facts: Mapping[str, Any], _count: int) -> Standing:
    """A kit is the one that is used."""
    known = now.kits.get(facts["rootHash"], Known(facts["version"], facts["rootHash"]))
    return replace(now, active=known.root_hash, marks=(*now.marks, known))


def forced(now: Standing, facts: Mapping[str, Any], _count: int) -> Standing:
    """A downgrade was wanted; its reason is used up."""
    return replace(now, reasons=now.reasons | {facts["reason"]})


STEPS: Final = {
    journal.BEGUN: begun,
    journal.RECOVERED: recovered,
    journal.POLICY_INSTALLED: policy_installed,
    journal.POLICY_ROTATED: policy_rotated,
    journal.IMPORTED: imported,
    journal.ACTIVATED: activated,
    journal.FORCED: forced,
    journal.REFUSED: begun,
}

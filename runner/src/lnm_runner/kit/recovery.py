"""`lnm trust recover`: a new journal in the place of one that cannot be believed, which is kept under another name.

What is saved is what makes later imports stricter: the highest version that is named anywhere, be it in what is suspect, every
kit that was let in, and every reason that was used up. A kit stays active only if it is the highest one: if the state was set
back, what is active now may be a downgrade. The policy that lies there is taken over as it is; its SHA-256 is told, to be
compared.
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner.chain import HEX, read_form
from lnm_runner.errors import RunnerError
from lnm_runner.kit import defects, journal, state
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.admission import check_reason
from lnm_runner.kit.held import Held, state_folder
from lnm_runner.kit.policy import Policy
from lnm_runner.kit.standing import Known, Standing, by_number, folder_name
from lnm_runner.kit.state import Seen
from lnm_runner.kit.store import Store, held

KEPT: Final = "journal.broken-{}.jsonl"
MOST_KEPT: Final = 1000
"""Defects that a line tells of."""


@dataclass(frozen=True)
class Saved:
    """What a new journal begins with."""

    defects: tuple[str, ...]
    highest: str
    kits: tuple[Known, ...]
    chains: frozenset[str]
    reasons: frozenset[str]
    active: str
    """The rootHash of the kit that stays active; empty where none does."""
    policy: str
    """SHA-256 of the policy that lies there; empty where none does."""
    policy_version: int
    """Its version; 0 where none lies there, or one that cannot be read."""
    installed: int
    """The highest version of a policy that was installed here, as far as any journal tells; 0 where none was."""

    def warnings(self) -> list[str]:
        """What a new journal would make good without a word: a policy that was set back, or taken away."""
        if self.policy_version >= self.installed:
            return []
        there = f"version {self.policy_version} lies there" if self.policy_version else "none lies there that can be read"
        return [
            f"the policy of version {self.installed} was installed here, and {there}: get it from its author before you go on"
        ]


def saved(seen: Seen, lines: list[Any], policy: Policy | None) -> Saved:
    """What can be saved: `lines` are those of broken journals that are JSON objects, `policy` is the one that lies there."""
    minimum = policy.minimum_version if policy else ""
    receipts = [found for data in seen.receipts.values() if (found := read_form(data, state.RECEIPT_FORM))]
    facts = [line["facts"] for line in lines if isinstance(line.get("facts"), dict)]
    kits = {known.root_hash: known for known in (*known_kits([*facts, *receipts]), *seen.standing.kits.values())}
    folders = [name.partition("-")[0] for name in seen.folders]
    now, active = seen.standing, seen.active_kit
    named = [*versions(facts), *versions(receipts), *folders, *([active.version] if active else [])]
    highest = max([*named, *filter(None, [now.highest, minimum])], key=by_number, default="")
    is_highest = active is not None and active.version == highest and active.name in seen.folders
    is_known = active is not None and active.root_hash in kits
    chains = {seen.journal.chain, *now.chains, *(receipt["chain"] for receipt in receipts)}
    chains |= {chain for one in facts for chain in texts(one.get("chains")) if re.fullmatch(HEX, chain)}
    return Saved(
        defects=tuple(defects.defects(seen))[:MOST_KEPT],
        highest=highest,
        kits=tuple(kits.values()),
        chains=frozenset(filter(None, chains)),
        reasons=frozenset({*now.reasons, *used(facts)}),
        active=active.root_hash if active is not None and is_highest and is_known else "",
        policy=seen.policy,
        policy_version=policy.version if policy else 0,
        installed=max([now.policy_version, *policy_versions(facts)]),
    )


def versions(facts: list[Any]) -> Iterator[str]:
    """The versions of kits that are named."""
    for one in facts:
        for text in (one.get("version"), one.get("highest")):
            if isinstance(text, str) and re.fullmatch(journal.VERSION, text):
                yield text


def policy_versions(facts: list[Any]) -> Iterator[int]:
    """The versions of policies that are named."""
    for one in facts:
        version = one.get("version")
        if type(version) is int and version <= trust_policy.MOST_VERSIONS:
            yield version


def known_kits(facts: list[Any]) -> Iterator[Known]:
    """The kits that are named."""
    for one in facts:
        pairs = [(one.get("version"), one.get("rootHash")), *(text.split(" ")[:2] for text in texts(one.get("kits")))]
        for pair in pairs:
            text = " ".join(map(str, pair))
            if re.fullmatch(f"{journal.VERSION} {HEX}", text):
                version, root_hash = text.split(" ")
                yield Known(version, root_hash)


def used(facts: list[Any]) -> Iterator[str]:
    """The reasons that were used up."""
    for one in facts:
        yield from texts([one.get("reason")])
        yield from texts(one.get("reasons"))


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def readable(data: bytes) -> list[Any]:
    """The lines of a broken journal that are JSON objects."""
    found = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            found += [value] if isinstance(value, dict) else []
    return found


def look(path: Path) -> tuple[Seen, Saved]:
    """What is wrong and what can be saved; nothing is written.

    Raises: RunnerError where the folder cannot be read.
    """
    seen = state.look(path)
    return seen, saved(seen, [line for data in journals(path) for line in readable(data)], policy_there(path))


def journals(path: Path) -> Iterator[bytes]:
    """The journal, and those that were kept; what is no file of ours (a link, a pipe, one without an end) is left out."""
    with contextlib.ExitStack() as stack:
        root = state_folder(path, make=False)
        trust = stack.enter_context(root).folder(state.TRUST) if root else None
        if trust is None:
            return
        for name in stack.enter_context(trust).names():
            if name == state.JOURNAL or fnmatch.fnmatch(name, KEPT.format("*")):
                with contextlib.suppress(RunnerError):
                    yield trust.read(name, journal.LARGEST) or b""


def policy_there(path: Path) -> Policy | None:
    """The policy that lies there; None where there is none, or one that cannot be read."""
    try:
        return trust_policy.read(path / trust_policy.FILE)
    except RunnerError:
        return None


def recover(path: Path, reason: str) -> Saved:
    """Begins a new journal; does nothing where the old one can be believed.

    Raises: InputError for the reason; LockedError; RunnerError where it cannot be written.
    """
    found = look(path)[1]
    if not found.defects:
        return found
    with held(path) as (root, trust, kits):
        seen, found = look(path)
        if not found.defects:
            return found
        check_reason(reason, Standing(reasons=found.reasons))
        kept = keep(trust)
        store = Store(root, trust, kits, journal.read(b""))
        begin(store, found, reason, kept)
        settle_kits(kits, seen, found)
        return found


def keep(trust: Held) -> str:
    """Keeps a copy of the broken journal; the name that it has now, empty where there was none."""
    names, data = trust.names(), trust.read(state.JOURNAL, journal.LARGEST)
    if data is None:
        return ""
    name = next(name for number in itertools.count(1) if (name := KEPT.format(number)) not in names)
    trust.replace(name, data)
    return name


def begin(store: Store, found: Saved, reason: str, kept: str) -> None:
    """Writes the two first lines of a new journal, in one step."""
    begun = {"nonce": secrets.token_hex(16), "schema": journal.SCHEMA}
    facts = {
        "reason": reason,
        "kept": kept,
        "defects": list(found.defects),
        "chains": sorted(found.chains),
        "highest": found.highest,
        "kits": [f"{known.version} {known.root_hash}" for known in found.kits],
        "reasons": sorted(found.reasons),
        "active": found.active,
        "policy": found.policy,
    }
    store.begin([(journal.BEGUN, begun), (journal.RECOVERED, facts)])


def settle_kits(kits: Held, seen: Seen, found: Saved) -> None:
    """Takes away what names another kit as active, kits of which nothing is known, and receipts that nobody can read."""
    if not found.active:
        kits.remove(state.ACTIVE)
    known = {kit.name for kit in found.kits}
    for name in seen.folders:
        if name not in known:
            kits.remove(name)
    for name, data in seen.receipts.items():
        receipt = read_form(data, state.RECEIPT_FORM)
        if not receipt or folder_name(receipt["version"], receipt["rootHash"]) != name:
            kits.remove(name + state.RECEIPT)

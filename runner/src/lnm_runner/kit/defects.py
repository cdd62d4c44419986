"""Whether the state folder is as it was left (state.py says what lies in it).

The rules by which a folder that was deleted from, edited, or set back to an earlier day is noticed (attacks.md, T8):

 (1) Each line of the journal is an entry, has its number, and names the line before it.
 (2) head.json names the last line; after a crash it may be one behind.
 (3) Each receipt names a line of this journal as it stands there, or a journal that a recovery has replaced.
 (4) kits/active names the kit that the journal saw activated last; after a crash, that whose import is the last line.
 (5) A kit that the journal let in and whose folder is there has its receipt; after a crash, the last one may miss it.
 (6) trust-policy.toml is the one that the journal saw last; after a crash, the one before, and the new one lies in
 trust/pending/.
 (7) Where there is any of this, there is a journal.
 (8) Every kit's folder was let in by a line; a crash leaves one at most that was not.

What this cannot see: whoever can write into the whole folder can replace all of it by an earlier copy of all of it, or by
nothing, or add lines with right hashes and a head that fits: a chain is no signature. That is bounded by what is kept
elsewhere: `minimum-version` in the policy, and the head that `lnm kit import` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.errors import StateError, gathered
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit import state
from lnm_runner.kit.standing import folder_name
from lnm_runner.kit.state import Seen

JOURNAL: Final = f"{state.TRUST}/{state.JOURNAL}"
SAFE_MODE: Final = (
    "nothing is imported or activated until somebody has looked: who has written into the state folder? Then: lnm trust recover"
    " --force-reason WHY --execute. Commands that are given a kit with --kit still verify it by the policy"
)


def check(seen: Seen) -> None:
    """Raises StateError with every defect."""
    found = list(defects(seen))
    if found:
        raise gathered([StateError(f"the trust state is not as it was left: {defect}", hint=SAFE_MODE) for defect in found])


def defects(seen: Seen) -> Iterator[str]:
    """Every way in which the rules are broken; where the journal itself is, the others cannot be judged."""
    if seen.journal.defect:
        yield f"{JOURNAL}: {seen.journal.defect}"  # (1)
    elif not seen.journal.entries:
        yield from without_journal(seen)
    else:
        yield from chain.wrong_head(seen.journal, seen.head, f"{state.TRUST}/{state.HEAD}", JOURNAL)  # (2)
        yield from wrong_receipts(seen)
        yield from wrong_active(seen)
        yield from wrong_policy(seen)
        yield from wrong_folders(seen)


def without_journal(seen: Seen) -> Iterator[str]:
    """(7) What can only be there once there was a journal."""
    there = [
        *([f"{state.TRUST}/{state.HEAD}"] if seen.head is not None else []),
        *([f"{state.KITS}/{state.ACTIVE}"] if seen.active is not None else []),
        *(f"{state.KITS}/{name}{state.RECEIPT}" for name in seen.receipts),
        *(f"{state.KITS}/{name}" for name in seen.folders),
    ]
    if there:
        yield f"{JOURNAL}: is gone or empty, and {', '.join(there)} {'are' if there[1:] else 'is'} there"


def wrong_receipts(seen: Seen) -> Iterator[str]:
    """(3), (5)."""
    now = seen.standing
    for name, data in seen.receipts.items():
        where, receipt = f"{state.KITS}/{name}{state.RECEIPT}", chain.read_form(data, state.RECEIPT_FORM)
        if not receipt or folder_name(receipt["version"], receipt["rootHash"]) != name:
            yield f"{where}: lnm has not written it"
        elif receipt["chain"] == seen.journal.chain:
            yield from wrong_line(seen, where, receipt)
        elif receipt["chain"] not in now.chains:
            yield f"{where}: belongs to a journal that the one that is there now knows nothing of"
    for kit in now.kits.values():
        if kit.count and kit.name in seen.folders and kit.name not in seen.receipts and kit != seen.last_import:
            yield f"{state.KITS}/{kit.name}{state.RECEIPT}: is gone, and line {kit.count} of the journal let the kit in"


def wrong_line(seen: Seen, where: str, receipt: Mapping[str, Any]) -> Iterator[str]:
    """(3) A receipt of this journal."""
    entries, count = seen.journal.entries, receipt["count"]
    if count > len(entries):
        yield f"{JOURNAL}: ends after line {len(entries)}, and {where} knows line {count}: it was set back"
    elif count < 1 or entries[count - 1].sha256 != receipt["head"]:
        yield f"{JOURNAL}: line {count} is not the one that {where} knows: two journals from one beginning"
    elif [receipt[name] for name in state.ACTIVE_FORM] != [entries[count - 1].facts.get(name) for name in state.ACTIVE_FORM]:
        yield f"{where}: was edited"


def wrong_active(seen: Seen) -> Iterator[str]:
    """(4)."""
    where, kit, wanted = f"{state.KITS}/{state.ACTIVE}", seen.active_kit, seen.standing.active_kit
    if seen.active is not None and kit is None:
        yield f"{where}: lnm has not written it"
    elif kit is None and wanted is not None:
        yield f"{where}: is gone, and the journal knows {wanted.name} to be active"
    elif kit is not None and (kit.version, kit.root_hash) not in [
        (known.version, known.root_hash) for known in (wanted, seen.last_import) if known
    ]:
        yield f"{where}: names {kit.name}, and the journal knows {wanted.name if wanted else 'none'} to be active"


def wrong_policy(seen: Seen) -> Iterator[str]:
    """(6)."""
    now, where = seen.standing, trust_policy.FILE
    if now.policy and seen.policy != now.policy and not is_half_way(seen):
        found = f"has sha256 {seen.policy[:12]}…" if seen.policy else "is gone"
        yield f"{where}: {found}, and the journal knows the policy with sha256 {now.policy[:12]}…"


def is_half_way(seen: Seen) -> bool:
    """Whether a rotation was cut off after the journal had told it: the old policy lies there, the one that counts is pending."""
    now = seen.standing
    return bool(now.replaced) and seen.policy == now.replaced and seen.pending == now.policy


def wrong_folders(seen: Seen) -> Iterator[str]:
    """(8)."""
    left = seen.leftovers()
    if len(left) > 1:
        yield f"{state.KITS}: {', '.join(left)}: no line let them in, and a killed import leaves one at most"

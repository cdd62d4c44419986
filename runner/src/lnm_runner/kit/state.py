"""What this machine keeps below LNM_STATE_DIR of its policy and of earlier imports, and whether it is as it was left.

    trust-policy.toml, and the trusted root that it names     whom this site trusts
    trust/journal.jsonl                                       what happened (journal.py)
    trust/head.json                                           how many lines that are, and the SHA-256 of the last one
    trust/pending/                                            a new policy that a rotation is putting in its place
    kits/<version>-<16 hex of rootHash>/                      a kit that was let in
    kits/<the same>.receipt.json                              the line that says so, its number and its SHA-256
    kits/active                                               which kit is used: its version and rootHash
    quarantine/<sha256>/                                      what was refused

`kits/active` is a small file and no link: it holds the whole rootHash, and nothing in the state folder is reached through a
link. The rules, by which a folder that was deleted from, edited, or set back to an earlier day is noticed (attacks.md, T8):

 (1) Each line of the journal is an entry, has its number, and names the line before it.
 (2) head.json names the last line; after a crash it may be one behind.
 (3) Each receipt names a line of this journal as it stands there, or a journal that a recovery has replaced.
 (4) kits/active names the kit that the journal saw activated last; after a crash, that whose import is the last line.
 (5) A kit that the journal let in and whose folder is there has its receipt; after a crash, the last one may miss it.
 (6) trust-policy.toml is the one that the journal saw last; after a crash, the one before, and the new one lies in
 trust/pending/.
 (7) Where there is any of this, there is a journal.

What this cannot see: whoever can write into the whole folder can replace all of it by an earlier copy of all of it, or by
nothing. That is bounded by what is kept elsewhere: `minimum-version` in the policy, and the head that `lnm kit import` prints.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lnm_runner.errors import StateError, gathered
from lnm_runner.kit import journal
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.held import Held, state_folder
from lnm_runner.kit.journal import Journal
from lnm_runner.kit.standing import Known, Standing, folder_name, standing

TRUST: Final = "trust"
KITS: Final = "kits"
JOURNAL: Final = "journal.jsonl"
HEAD: Final = "head.json"
LOCK: Final = "lock"
PENDING: Final = "pending"
ACTIVE: Final = "active"
INCOMING: Final = ".incoming"
"""Below kits/, so that it is on the same file system: what is being imported."""
RECEIPT: Final = ".receipt.json"
KIT: Final = re.compile(rf"({journal.VERSION})-[0-9a-f]{{16}}")
SMALL: Final = 64 << 10  # bytes of a file that is read whole
LARGEST_ROOT: Final = 16 << 20
"""The same for a trusted root; the public one has 20 kB."""
LOOKS: Final = 5
"""So often a reader looks again that met somebody at work."""
HEAD_FORM: Final[Mapping[str, Any]] = {"chain": journal.HEX, "count": int, "head": journal.HEX}
ACTIVE_FORM: Final[Mapping[str, Any]] = {"rootHash": journal.HEX, "version": journal.VERSION}
RECEIPT_FORM: Final[Mapping[str, Any]] = {**HEAD_FORM, **ACTIVE_FORM, "importedAt": journal.TIME, "policy": f"(?:{journal.HEX})?"}
SAFE_MODE: Final = (
    "nothing is imported or activated until somebody has looked: who has written into the state folder? Then: lnm trust recover"
    " --force-reason WHY --execute. Commands that are given a kit with --kit still verify it by the policy"
)


@dataclass(frozen=True)
class Seen:
    """What lies in the state folder; a file that is not there is None."""

    journal: Journal
    is_torn: bool
    """There are bytes behind the last whole line."""
    head: bytes | None
    active: bytes | None
    receipts: Mapping[str, bytes]
    """`{name of a kit's folder: its receipt}`."""
    folders: tuple[str, ...]
    """The kits that lie there."""
    policy: str
    """SHA-256 of trust-policy.toml; empty where there is none."""
    pending: str
    """SHA-256 of the one in trust/pending/."""

    @cached_property
    def standing(self) -> Standing:
        """How things stand by the journal."""
        return standing(self.journal.entries)

    @property
    def active_kit(self) -> Known | None:
        """What kits/active names; None where it is not there, or not a file of ours."""
        found = read_form(self.active, ACTIVE_FORM)
        return Known(found["version"], found["rootHash"]) if found else None

    @property
    def last_import(self) -> Known | None:
        """The kit whose import is the last line; None where something else is."""
        last = self.journal.entries[-1] if self.journal.entries else None
        return self.standing.kits[last.facts["rootHash"]] if last and last.event == journal.IMPORTED else None

    def leftovers(self) -> list[str]:
        """Folders of kits that no line let in: an import was killed before it wrote it."""
        known = {kit.name for kit in self.standing.kits.values()}
        return [name for name in self.folders if name not in known]


def read_form(data: bytes | None, form: Mapping[str, Any]) -> dict[str, Any]:
    """A small file of ours: one JSON object with these members in its one form; empty where it is none."""
    try:
        value = json.loads(data or b"")
        is_ours = isinstance(value, dict) and set(value) == set(form) and journal.rendered(value) == data
    except (ValueError, RecursionError):
        return {}
    is_ours = is_ours and all(journal.has_form(value[name], wanted) for name, wanted in form.items())
    return value if is_ours else {}


def look(path: Path) -> Seen:
    """Looks, and waits for nobody; what somebody else changes meanwhile is looked at again.

    Raises: StateError for a link or another thing in the place of a folder or a file; InputError where it may not be read.
    """
    held = state_folder(path, make=False)
    if held is None:
        return NOTHING
    with held:
        seen = look_into(held)
        for _ in range(LOOKS):
            again = look_into(held)
            if again == seen:
                break
            seen = again
    return seen


def look_into(held: Held) -> Seen:
    """One look."""
    data, head, pending = b"", None, b""
    if (trust := held.folder(TRUST)) is not None:
        with trust:
            data = trust.read(JOURNAL, journal.LARGEST) or b""
            head = trust.read(HEAD, SMALL)
            pending = pending_policy(trust)
    active, receipts, folders = None, {}, []
    if (kits := held.folder(KITS)) is not None:
        with kits:
            active = kits.read(ACTIVE, SMALL)
            names = kits.names()
            folders = [name for name in names if KIT.fullmatch(name)]
            found = [name.removesuffix(RECEIPT) for name in names if name.endswith(RECEIPT)]
            receipts = {name: kits.read(name + RECEIPT, SMALL) or b"" for name in found}
    read = journal.read(data)
    policy = held.read(trust_policy.FILE, trust_policy.LARGEST) or b""
    return Seen(read, read.whole != len(data), head, active, receipts, tuple(folders), digest(policy), digest(pending))


def pending_policy(trust: Held) -> bytes:
    """The policy that a rotation has left half-way; empty where there is none."""
    folder = trust.folder(PENDING)
    if folder is None:
        return b""
    with folder:
        return folder.read(trust_policy.FILE, trust_policy.LARGEST) or b""


def digest(data: bytes) -> str:
    """SHA-256 in hex; empty for what is not there."""
    return hashlib.sha256(data).hexdigest() if data else ""


NOTHING: Final = Seen(journal.read(b""), is_torn=False, head=None, active=None, receipts={}, folders=(), policy="", pending="")


def check(seen: Seen) -> None:
    """Raises StateError with every defect."""
    found = list(defects(seen))
    if found:
        raise gathered([StateError(f"the trust state is not as it was left: {defect}", hint=SAFE_MODE) for defect in found])


def defects(seen: Seen) -> Iterator[str]:
    """Every way in which the rules are broken; where the journal itself is, the others cannot be judged."""
    if seen.journal.defect:
        yield f"{TRUST}/{JOURNAL}: {seen.journal.defect}"  # (1)
    elif not seen.journal.entries:
        yield from without_journal(seen)
    else:
        yield from wrong_head(seen)
        yield from wrong_receipts(seen)
        yield from wrong_active(seen)
        yield from wrong_policy(seen)


def without_journal(seen: Seen) -> Iterator[str]:
    """(7) What can only be there once there was a journal."""
    there = [
        *([f"{TRUST}/{HEAD}"] if seen.head is not None else []),
        *([f"{KITS}/{ACTIVE}"] if seen.active is not None else []),
        *(f"{KITS}/{name}{RECEIPT}" for name in seen.receipts),
        *(f"{KITS}/{name}" for name in seen.folders),
    ]
    if there:
        yield f"{TRUST}/{JOURNAL}: is gone or empty, and {', '.join(there)} {'are' if there[1:] else 'is'} there"


def wrong_head(seen: Seen) -> Iterator[str]:
    """(2)."""
    entries, where = seen.journal.entries, f"{TRUST}/{HEAD}"
    if seen.head is None:
        if len(entries) > 1:
            yield f"{where}: is gone, and the journal has {len(entries)} lines"
        return
    head = read_form(seen.head, HEAD_FORM)
    if not head:
        yield f"{where}: lnm has not written it"
    elif head["chain"] != seen.journal.chain:
        yield f"{where}: belongs to another journal than the one that is there now"
    elif head["count"] > len(entries):
        yield f"{TRUST}/{JOURNAL}: ends after line {len(entries)}, and {where} knows line {head['count']}: lines were cut off"
    elif head["count"] < len(entries) - 1:
        yield f"{where}: knows {head['count']} lines, and the journal has {len(entries)}: it was set back, or lines were added"
    elif head["count"] < 1 or entries[head["count"] - 1].sha256 != head["head"]:
        yield f"{TRUST}/{JOURNAL}: line {head['count']} is not the one that {where} knows"


def wrong_receipts(seen: Seen) -> Iterator[str]:
    """(3), (5)."""
    now = seen.standing
    for name, data in seen.receipts.items():
        where, receipt = f"{KITS}/{name}{RECEIPT}", read_form(data, RECEIPT_FORM)
        if not receipt or folder_name(receipt["version"], receipt["rootHash"]) != name:
            yield f"{where}: lnm has not written it"
        elif receipt["chain"] == seen.journal.chain:
            yield from wrong_line(seen, where, receipt)
        elif receipt["chain"] not in now.chains:
            yield f"{where}: belongs to a journal that the one that is there now knows nothing of"
    for kit in now.kits.values():
        if kit.count and kit.name in seen.folders and kit.name not in seen.receipts and kit != seen.last_import:
            yield f"{KITS}/{kit.name}{RECEIPT}: is gone, and line {kit.count} of the journal let the kit in"


def wrong_line(seen: Seen, where: str, receipt: Mapping[str, Any]) -> Iterator[str]:
    """(3) A receipt of this journal."""
    entries, count = seen.journal.entries, receipt["count"]
    if count > len(entries):
        yield f"{TRUST}/{JOURNAL}: ends after line {len(entries)}, and {where} knows line {count}: it was set back"
    elif count < 1 or entries[count - 1].sha256 != receipt["head"]:
        yield f"{TRUST}/{JOURNAL}: line {count} is not the one that {where} knows: there were two journals from one beginning"
    elif [receipt[name] for name in ACTIVE_FORM] != [entries[count - 1].facts.get(name) for name in ACTIVE_FORM]:
        yield f"{where}: was edited"


def wrong_active(seen: Seen) -> Iterator[str]:
    """(4)."""
    where, kit, wanted = f"{KITS}/{ACTIVE}", seen.active_kit, seen.standing.active_kit
    if seen.active is not None and kit is None:
        yield f"{where}: lnm has not written it"
    elif kit is None and wanted is not None:
        yield f"{where}: is gone, and the journal knows {wanted.name} to be active"
    elif kit is not None and kit.root_hash not in (seen.standing.active, seen.last_import and seen.last_import.root_hash):
        yield f"{where}: names {kit.name}, and the journal knows {wanted.name if wanted else 'none'} to be active"


def wrong_policy(seen: Seen) -> Iterator[str]:
    """(6)."""
    now, where = seen.standing, trust_policy.FILE
    is_half_way = bool(now.replaced) and seen.policy == now.replaced and seen.pending == now.policy
    if now.policy and seen.policy != now.policy and not is_half_way:
        found = f"has sha256 {seen.policy[:12]}…" if seen.policy else "is gone"
        yield f"{where}: {found}, and the journal knows the policy with sha256 {now.policy[:12]}…"

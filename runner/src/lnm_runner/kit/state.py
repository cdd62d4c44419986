"""What this machine keeps below LNM_STATE_DIR of its policy and of earlier imports.

    trust-policy.toml, and the trusted root that it names     whom this site trusts
    trust/journal.jsonl                                       what happened (journal.py)
    trust/head.json                                           how many lines that are, and the SHA-256 of the last one
    trust/pending/                                            a new policy that a rotation is putting in its place
    kits/<version>-<16 hex of rootHash>/                      a kit that was let in
    kits/<the same>.receipt.json                              the line that says so, its number and its SHA-256
    kits/active                                               which kit is used: its version and rootHash
    quarantine/<sha256>/                                      what was refused

`kits/active` is a small file and no link: it holds the whole rootHash, and nothing in the state folder is reached through a
link.

Whether all of it is as it was left: defects.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.kit import journal
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.held import Held, state_folder
from lnm_runner.kit.journal import Journal
from lnm_runner.kit.standing import Known, Standing, standing

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
LOOKS: Final = 5
"""So often a reader looks again that met somebody at work."""
ACTIVE_FORM: Final[Mapping[str, Any]] = {"rootHash": chain.HEX, "version": journal.VERSION}
RECEIPT_FORM: Final[Mapping[str, Any]] = {
    **chain.HEAD_FORM,
    **ACTIVE_FORM,
    "importedAt": chain.TIME,
    "policy": f"(?:{chain.HEX})?",
}


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
        found = chain.read_form(self.active, ACTIVE_FORM)
        return Known(found["version"], found["rootHash"]) if found else None

    @property
    def last_import(self) -> Known | None:
        """The kit whose import is the last line; None where something else is."""
        last = self.journal.entries[-1] if self.journal.entries else None
        return self.standing.kits[last.facts["rootHash"]] if last and last.event == journal.IMPORTED else None

    def leftovers(self) -> list[str]:
        """Folders of kits that no line let in: an import was killed before it wrote it."""
        return [name for name in self.folders if name not in self.standing.names]


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

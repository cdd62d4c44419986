"""trust/journal.jsonl: what this machine has accepted and refused, in the order in which it did, as a chain of hashes.

How a line is written and chained: lnm_runner/chain.py. Beside the chain's own members, an entry is made of `event` and `facts`.
`FACTS` is the table of events and of what each must say.

Only reading and making lines is done here: no file, no clock. That lines are missing at its end is only seen by what was kept
elsewhere (standing.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lnm_runner import chain
from lnm_runner.chain import ANY, HEX, Chain, has_form

SCHEMA: Final = "stellaops.lnm.trust-journal/1"
LARGEST: Final = 64 << 20  # bytes; 100,000 imports have about that

BEGUN: Final = "begun"
RECOVERED: Final = "recovered"
POLICY_INSTALLED: Final = "policy-installed"
POLICY_ROTATED: Final = "policy-rotated"
IMPORTED: Final = "imported"
ACTIVATED: Final = "activated"
FORCED: Final = "forced"
REFUSED: Final = "refused"

VERSION: Final = r"[1-9][0-9]{3}\.(?:[1-9]|1[0-2])\.(?:0|[1-9][0-9]{0,8})"  # as in verify_kit.py
FACTS: Final[Mapping[str, Mapping[str, Any]]] = {
    BEGUN: {"nonce": r"[0-9a-f]{32}", "schema": re.escape(SCHEMA)},
    RECOVERED: {
        "reason": ANY,
        "kept": ANY,
        "defects": [ANY],
        "chains": [HEX],
        "highest": f"(?:{VERSION})?",
        "kits": [rf"{VERSION} {HEX}"],
        "reasons": [ANY],
        "active": f"(?:{HEX})?",
        "policy": f"(?:{HEX})?",
    },
    POLICY_INSTALLED: {"policy": HEX, "version": int},
    POLICY_ROTATED: {"from": HEX, "policy": HEX, "version": int, "signedBy": [HEX], "removed": [ANY]},
    IMPORTED: {"version": VERSION, "rootHash": HEX, "policy": f"(?:{HEX})?", "signers": [ANY]},
    ACTIVATED: {"version": VERSION, "rootHash": HEX},
    FORCED: {"version": VERSION, "rootHash": HEX, "highest": VERSION, "reason": ANY},
    REFUSED: {"file": f"(?:{HEX})?", "exit": int, "why": ANY},
}
"""What each event says: the form of a text, of the texts of a list, or `int`."""


@dataclass(frozen=True)
class Entry:
    """One line; `sha256` is its own, LF included."""

    at: str
    count: int
    event: str
    facts: Mapping[str, Any]
    previous: str
    sha256: str


Journal: TypeAlias = Chain[Entry]


def is_right(value: Mapping[str, Any]) -> bool:
    """Whether event and facts have their forms."""
    forms = FACTS.get(value["event"]) if isinstance(value["event"], str) else None
    facts = value["facts"]
    if forms is None or not isinstance(facts, dict) or set(facts) != set(forms):
        return False
    return all(has_form(facts[name], form) for name, form in forms.items())


def misplaced(entry: Entry, before: Sequence[Entry]) -> str:
    """Why an entry cannot follow these; empty where it can."""
    if (entry.event == BEGUN) != (not before):
        return f"a journal begins with «{BEGUN}», and has it nowhere else"
    return ""


KIND: Final = chain.Kind(frozenset({"event", "facts"}), is_right, lambda value, sha256: Entry(**value, sha256=sha256), misplaced)


def read(data: bytes) -> Journal:
    """The entries of a journal, up to the first line that is wrong."""
    return KIND.read(data)


def with_line(before: Journal, text: bytes) -> Journal:
    """A journal without defect, and one more line.

    Raises: ValueError for a line that cannot follow.
    """
    return KIND.with_line(before, text)


def line(journal: Journal, event: str, facts: Mapping[str, Any], at: str) -> bytes:
    """The next line."""
    return chain.line(journal, at, {"event": event, "facts": dict(facts)})

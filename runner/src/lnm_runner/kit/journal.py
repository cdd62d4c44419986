"""trust/journal.jsonl: what this machine has accepted and refused, in the order in which it did, as a chain of hashes.

Each line is an entry in its one form (JSON, members sorted, ASCII, no spaces, LF), made of `at` (UTC), `count` (from 1),
`event`, `facts` and `previous`, the SHA-256 of the line before with its LF; of the first line it is 64 zeros. The SHA-256 of
the first line is the chain's name. `FACTS` is the table of events and of what each must say. A last line without LF was torn by
a crash and is no entry.

Only reading and making lines is done here: no file, no clock. What a chain proves by itself is that no line in it was changed,
removed or exchanged; that lines are missing at its end is only seen by what was kept elsewhere (standing.py).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SCHEMA: Final = "stellaops.lnm.trust-journal/1"
START: Final = "0" * 64
LARGEST: Final = 64 << 20  # bytes; 100,000 imports have about that
MEMBERS: Final = {"at", "count", "event", "facts", "previous"}

BEGUN: Final = "begun"
RECOVERED: Final = "recovered"
POLICY_INSTALLED: Final = "policy-installed"
POLICY_ROTATED: Final = "policy-rotated"
IMPORTED: Final = "imported"
ACTIVATED: Final = "activated"
FORCED: Final = "forced"
REFUSED: Final = "refused"

AT: Final = "%Y-%m-%dT%H:%M:%SZ"
TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
HEX: Final = r"[0-9a-f]{64}"
VERSION: Final = r"[1-9][0-9]{3}\.(?:[1-9]|1[0-2])\.(?:0|[1-9][0-9]{0,8})"  # as in verify_kit.py
ANY: Final = r"(?s:.*)"
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


@dataclass(frozen=True)
class Journal:
    """What was read."""

    entries: tuple[Entry, ...]
    """Those before the first line that is wrong."""
    defect: str
    """Which line is wrong, and how; empty where none is."""
    whole: int
    """Bytes of the whole lines; what is behind them was torn by a crash."""

    @property
    def chain(self) -> str:
        """Its name; empty where there is no line."""
        return self.entries[0].sha256 if self.entries else ""

    @property
    def head(self) -> str:
        """The SHA-256 of the last line."""
        return self.entries[-1].sha256 if self.entries else START


def read(data: bytes) -> Journal:
    """The entries of a journal, up to the first line that is wrong."""
    *lines, _ = data.split(b"\n")
    whole = sum(len(line) + 1 for line in lines)
    entries: list[Entry] = []
    for number, text in enumerate(lines, 1):
        entry = entry_of(text + b"\n")
        defect = "it is no entry in its one form" if entry is None else out_of_place(entry, number, entries)
        if entry is None or defect:
            return Journal(tuple(entries), f"line {number}: {defect}", whole)
        entries.append(entry)
    return Journal(tuple(entries), "", whole)


def with_line(before: Journal, text: bytes) -> Journal:
    """A journal without defect, and one more line.

    Raises: ValueError for a line that cannot follow.
    """
    entry = entry_of(text)
    if entry is None or out_of_place(entry, len(before.entries) + 1, before.entries):
        raise ValueError("no entry that could stand here")
    return Journal((*before.entries, entry), "", before.whole + len(text))


def entry_of(line: bytes) -> Entry | None:
    """The entry in a line with its LF; None where it is none."""
    try:
        value = json.loads(line)
        is_entry = isinstance(value, dict) and set(value) == MEMBERS and rendered(value) == line and is_right(value)
    except (ValueError, RecursionError):
        return None
    return Entry(**value, sha256=hashlib.sha256(line).hexdigest()) if is_entry else None


def is_right(value: Mapping[str, Any]) -> bool:
    """Whether each member of an entry has its form."""
    forms = FACTS.get(value["event"]) if isinstance(value["event"], str) else None
    facts = value["facts"]
    if forms is None or not isinstance(facts, dict) or set(facts) != set(forms) or not is_moment(value["at"]):
        return False
    return all(
        has_form(found, form)
        for found, form in [
            (value["count"], int),
            (value["previous"], HEX),
            *((facts[name], form) for name, form in forms.items()),
        ]
    )


def is_moment(found: Any) -> bool:
    """Whether a value is a time in its one form."""
    try:
        return isinstance(found, str) and dt.datetime.strptime(found, AT).strftime(AT) == found  # noqa: DTZ007 - compared alone
    except ValueError:
        return False


def has_form(found: Any, form: Any) -> bool:
    """Whether a value is a whole number, a text of a form, or a list of such texts."""
    if form is int:
        return type(found) is int
    if isinstance(form, list):
        return isinstance(found, list) and all(has_form(one, form[0]) for one in found)
    return isinstance(found, str) and re.fullmatch(form, found) is not None


def out_of_place(entry: Entry, number: int, before: Sequence[Entry]) -> str:
    """Why an entry cannot be this line; empty where it can."""
    if entry.count != number:
        return f"it was written as line {entry.count}: lines were removed, added or exchanged"
    if entry.previous != (before[-1].sha256 if before else START):
        return f"it was written behind another line than the one that is line {number - 1} now: that one was changed"
    if (entry.event == BEGUN) != (number == 1):
        return f"a journal begins with «{BEGUN}», and has it nowhere else"
    return ""


def line(journal: Journal, event: str, facts: Mapping[str, Any], at: str) -> bytes:
    """The next line."""
    value = {"at": at, "count": len(journal.entries) + 1, "event": event, "facts": dict(facts), "previous": journal.head}
    return rendered(value)


def rendered(value: Mapping[str, Any]) -> bytes:
    """A value in its one form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"

"""Lines of JSON that are chained by hashes: how one is written, what must be so of each, and the first that is wrong.

A line is one JSON object in its one form (members sorted, ASCII, no spaces, LF). Of its members three are the chain's: `at`
(UTC), `count` (from 1) and `previous`, the SHA-256 of the line before with its LF; of the first line it is 64 zeros. The SHA-256
of the first line is the chain's name. A last line without LF was torn by a crash and is no line.

What a chain proves by itself is that no line in it was changed, removed or exchanged. That lines are missing at its end is seen
by a small file beside it, `{chain, count, head}`, which is written after each line. Chains: kit/journal.py, runbook/journal.py.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

START: Final = "0" * 64
AT: Final = "%Y-%m-%dT%H:%M:%SZ"
TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
HEX: Final = r"[0-9a-f]{64}"
ANY: Final = r"(?s:.*)"


HEAD_FORM: Final[Mapping[str, Any]] = {"chain": HEX, "count": int, "head": HEX}
"""Of the small file beside a chain."""


class Linked(Protocol):
    """One line of a chain."""

    @property
    def count(self) -> int:
        """Which one it is, from 1."""

    @property
    def previous(self) -> str:
        """SHA-256 of the one before."""

    @property
    def sha256(self) -> str:
        """Its own, LF included."""


Entry = TypeVar("Entry", bound=Linked)


@dataclass(frozen=True)
class Chain(Generic[Entry]):
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


@dataclass(frozen=True)
class Kind(Generic[Entry]):
    """What the lines of a chain say, and in which order."""

    members: frozenset[str]
    """Of a line, beside the chain's own three."""
    is_right: Callable[[Mapping[str, Any]], bool]
    """Whether these members, of a line that has them all, have their forms."""
    made: Callable[[Mapping[str, Any], str], Entry]
    """An entry of a line and its SHA-256."""
    misplaced: Callable[[Entry, Sequence[Entry]], str]
    """Why an entry cannot follow those before it; empty where it can."""

    def read(self, data: bytes) -> Chain[Entry]:
        """The entries, up to the first line that is wrong."""
        *lines, _ = data.split(b"\n")
        whole = sum(len(text) + 1 for text in lines)
        entries: list[Entry] = []
        for number, text in enumerate(lines, 1):
            entry = self.entry_of(text + b"\n")
            defect = "it is no entry in its one form" if entry is None else self.out_of_place(entry, entries)
            if entry is None or defect:
                return Chain(tuple(entries), f"line {number}: {defect}", whole)
            entries.append(entry)
        return Chain(tuple(entries), "", whole)

    def with_line(self, before: Chain[Entry], text: bytes) -> Chain[Entry]:
        """A chain without defect, and one more line.

        Raises: ValueError for a line that cannot follow.
        """
        entry = self.entry_of(text)
        defect = "it is no entry in its one form" if entry is None else self.out_of_place(entry, before.entries)
        if entry is None or defect:
            raise ValueError(defect)
        return Chain((*before.entries, entry), "", before.whole + len(text))

    def entry_of(self, text: bytes) -> Entry | None:
        """The entry in a line with its LF; None where it is none."""
        try:
            value = json.loads(text)
            is_entry = isinstance(value, dict) and set(value) == self.members | {"at", "count", "previous"}
            is_entry = is_entry and rendered(value) == text and is_linked(value) and self.is_right(value)
        except (ValueError, RecursionError):
            return None
        return self.made(value, hashlib.sha256(text).hexdigest()) if is_entry else None

    def out_of_place(self, entry: Entry, before: Sequence[Entry]) -> str:
        """Why an entry cannot be the line behind these; empty where it can."""
        number = len(before) + 1
        if entry.count != number:
            return f"it was written as line {entry.count}: lines were removed, added or exchanged"
        if entry.previous != (before[-1].sha256 if before else START):
            return f"it was written behind another line than the one that is line {number - 1} now: that one was changed"
        return self.misplaced(entry, before)


def line(before: Chain[Any], at: str, members: Mapping[str, Any]) -> bytes:
    """The next line of a chain."""
    return rendered({**members, "at": at, "count": len(before.entries) + 1, "previous": before.head})


def rendered(value: Mapping[str, Any]) -> bytes:
    """A value in its one form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def is_linked(value: Mapping[str, Any]) -> bool:
    """Whether the chain's own members have their forms."""
    return is_moment(value["at"]) and has_form(value["count"], int) and has_form(value["previous"], HEX)


def is_moment(found: Any) -> bool:
    """Whether a value is a time in its one form."""
    try:
        return isinstance(found, str) and dt.datetime.strptime(found, AT).strftime(AT) == found  # noqa: DTZ007 - compared alone
    except ValueError:
        return False


def has_form(found: Any, form: Any) -> bool:
    """Whether a value is a whole number (`int`), a text of a form, or a list of such texts."""
    if form is int:
        return type(found) is int
    if isinstance(form, list):
        return isinstance(found, list) and all(has_form(one, form[0]) for one in found)
    return isinstance(found, str) and re.fullmatch(form, found) is not None


def now() -> str:
    """This host's time, as it is written down."""
    return dt.datetime.now(dt.UTC).strftime(AT)


def head_of(known: Chain[Any]) -> bytes:
    """The small file beside a chain."""
    return rendered({"chain": known.chain, "count": len(known.entries), "head": known.head})


def read_form(data: bytes | None, form: Mapping[str, Any]) -> dict[str, Any]:
    """A small file of ours: one JSON object with these members in its one form; empty where it is none."""
    try:
        value = json.loads(data or b"")
        is_ours = isinstance(value, dict) and set(value) == set(form) and rendered(value) == data
    except (ValueError, RecursionError):
        return {}
    is_ours = is_ours and all(has_form(value[name], wanted) for name, wanted in form.items())
    return value if is_ours else {}


def wrong_head(known: Chain[Any], data: bytes | None, where: str, journal: str) -> Iterator[str]:
    """In what the small file `where` differs from a chain without defect; after a crash it may be one line behind."""
    entries = known.entries
    if data is None:
        if len(entries) > 1:
            yield f"{where}: is gone, and the journal has {len(entries)} lines"
        return
    head = read_form(data, HEAD_FORM)
    if not head:
        yield f"{where}: lnm has not written it"
    elif head["chain"] != known.chain:
        yield f"{where}: belongs to another journal than the one that is there now"
    elif head["count"] > len(entries):
        yield f"{journal}: ends after line {len(entries)}, and {where} knows line {head['count']}: lines were cut off"
    elif head["count"] < len(entries) - 1:
        yield f"{where}: knows {head['count']} lines, and the journal has {len(entries)}: it was set back, or lines were added"
    elif head["count"] < 1 or entries[head["count"] - 1].sha256 != head["head"]:
        yield f"{journal}: line {head['count']} is not the one that {where} knows"

"""A table of a TOML file, read member by member: what is missing, of another form, or unknown is told with its path, at once.

Whoever reads a member that is wrong gets a value that stands in for it; nobody may use it once `defects` has a line.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

MOST_SHOWN: Final = 200  # characters of a value that is wrong


class Table:
    """One table, `path` being where it stands: `threshold`, `signer[2]`, or empty for the whole file."""

    def __init__(self, value: Any, path: str, defects: list[str]) -> None:
        """Takes any value; `defects` is the list to which what is wrong is added."""
        self.path = path
        self.defects = defects
        self.members: Mapping[str, Any] = value if isinstance(value, dict) else {}
        self.taken: set[str] = set()
        if not isinstance(value, dict):
            defects.append(f"{path}: is {shown(value)}, wanted a table")

    def where(self, name: str) -> str:
        """The path of a member."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether a member is there."""
        return name in self.members

    def wrong(self, name: str, why: str) -> None:
        """Tells a defect of a member."""
        self.defects.append(f"{self.where(name)}: {why}")

    def value(self, name: str, wanted: str) -> Any:
        """A member of any type; None, and a defect, where it is missing."""
        self.taken.add(name)
        if name not in self.members:
            self.wrong(name, f"is missing, wanted {wanted}")
        return self.members.get(name)

    def text(self, name: str, pattern: str, wanted: str) -> str:
        """A text of a form; empty where it is wrong."""
        found = self.value(name, wanted)
        if isinstance(found, str) and re.fullmatch(pattern, found):
            return found
        if name in self.members:
            self.wrong(name, f"is {shown(found)}, wanted {wanted}")
        return ""

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number between two others; `least` where it is wrong."""
        wanted = f"a whole number from {least} to {most}"
        found = self.value(name, wanted)
        if type(found) is int and least <= found <= most:  # a bool is an int, too
            return found
        if name in self.members:
            self.wrong(name, f"is {shown(found)}, wanted {wanted}")
        return least

    def flag(self, name: str) -> bool:
        """True or false; false where it is left out."""
        self.taken.add(name)
        found = self.members.get(name, False)
        if type(found) is not bool:
            self.wrong(name, f"is {shown(found)}, wanted true or false")
        return found is True

    def date(self, name: str) -> dt.date | None:
        """A day of TOML (`2027-11-30`, RFC 3339 full-date); None where it is left out, or wrong."""
        self.taken.add(name)
        found = self.members.get(name)
        if found is None or type(found) is dt.date:  # a time of day is a subclass of a day, and has a zone or none
            return found
        self.wrong(name, f"is {shown(found)}, wanted a day, as 2027-11-30 without quotes")
        return None

    def words(self, name: str, known: Collection[str]) -> frozenset[str]:
        """A list of some of the known words, each once, one at least; empty where it is wrong."""
        wanted = f"a list of {', '.join(sorted(known))}, each once, one at least"
        found = self.value(name, wanted)
        is_list = isinstance(found, list) and found and all(isinstance(word, str) and word in known for word in found)
        if is_list and len(set(found)) == len(found):
            return frozenset(found)
        if name in self.members:
            self.wrong(name, f"is {shown(found)}, wanted {wanted}")
        return frozenset()

    def texts(self, name: str, pattern: str, wanted: str) -> frozenset[str]:
        """A list of texts of a form, one at least; empty where it is wrong."""
        found = self.value(name, wanted)
        if isinstance(found, list) and found and all(isinstance(text, str) and re.fullmatch(pattern, text) for text in found):
            return frozenset(found)
        if name in self.members:
            self.wrong(name, f"is {shown(found)}, wanted {wanted}")
        return frozenset()

    def table(self, name: str) -> Table:
        """A table in this one."""
        self.taken.add(name)
        if name not in self.members:
            self.wrong(name, "is missing, wanted a table")
        return Table(self.members.get(name, {}), self.where(name), self.defects)

    def tables(self, name: str) -> list[Table]:
        """The tables of an array, one at least; none where it is wrong."""
        found = self.value(name, f"one or more [[{self.where(name)}]]")
        if isinstance(found, list) and found:
            return [Table(item, f"{self.where(name)}[{number}]", self.defects) for number, item in enumerate(found, 1)]
        if name in self.members:
            self.wrong(name, f"is {shown(found)}, wanted one or more [[{self.where(name)}]]")
        return []

    def close(self) -> None:
        """Tells every member that nobody has read: a policy with a word that is not understood is not followed in part."""
        for name in self.members.keys() - self.taken:
            self.wrong(name if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) else shown(name), "is not known here")


def shown(value: Any) -> str:
    """A value that somebody wrote, in printable ASCII, on one line and cut; text stands in quotes. No private key is repeated."""
    if "PRIVATE KEY" in str(value):
        return "a private key, which belongs elsewhere"
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    plain = text.encode("unicode_escape").decode("ascii")
    return plain if len(plain) <= MOST_SHOWN else f"{plain[:MOST_SHOWN]}..."

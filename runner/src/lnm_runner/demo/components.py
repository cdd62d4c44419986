"""Alias components: advisories that a chain of common names joins, in capitals or not. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

CVE, GHSA = re.compile(r"CVE-\d+-\d+", re.IGNORECASE), re.compile(r"GHSA(-\w+){3}", re.IGNORECASE)


@dataclass(frozen=True)
class Member:
    """An advisory of a component."""

    vendor: str
    recorded_at: dt.datetime


@dataclass(frozen=True)
class Component:
    """Advisories that are about one vulnerability, as far as their names say."""

    names: tuple[str, ...]
    """Ids and aliases, each once, in the order in which they were met."""
    members: tuple[Member, ...]

    @property
    def key(self) -> str:
        """What the merged document is called: by its CVE, else its GHSA id, else the first id."""
        found = (sorted(filter(form.fullmatch, self.names), key=lambda name: (len(name), name)) for form in (CVE, GHSA))
        return next((names[0] for names in found if names), self.names[0])


@dataclass
class Graph:
    """Names that stand for one another; grows with the names, and holds no advisory."""

    _above: dict[str, str] = field(default_factory=dict)

    def join(self, names: Sequence[str]) -> None:
        """Says that these are names of one thing."""
        first = self.root(names[0])
        for name in names[1:]:
            self._above[self.root(name)] = first

    def root(self, name: str) -> str:
        """The name that stands for all that are joined with this one."""
        name = name.upper()
        above = self._above.setdefault(name, name)
        while above != name:
            self._above[name] = self._above[above]
            name, above = above, self._above[above]
        return name


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, whatever its case."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.upper(), name)
    return tuple(found.values())

"""docs/mutation.md: why each survivor is harmless. Its two tables are read here, and nothing in them may be out of date.

A row of the first explains a *kind* of mutant by two patterns, for what was there and for the mutant; a row of the second one
survivor by its lines. Code stands in backticks, with `\\|` for `|`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.mutation.results import Survivor

PAGE = ROOT / "docs/mutation.md"
ROW = re.compile(r"^\| (.*) \|$")
HEADINGS = {"kinds": "| kind | was | mutant |", "single": "| place | was | mutant | why |"}
LEAST = 90
"""Percent of the mutants that tests must notice."""


@dataclass(frozen=True)
class Kind:
    """One kind of mutant that changes nothing that counts."""

    why: str
    was: str
    mutant: str

    def has(self, survivor: Survivor) -> bool:
        """Whether a survivor is of this kind: what stands around the patterns is the same on both sides."""
        for match in re.finditer(self.was, survivor.was):
            before, after = survivor.was[: match.start()], survivor.was[match.end() :]
            middle = survivor.mutant.removeprefix(before).removesuffix(after)
            if survivor.mutant == before + middle + after and re.fullmatch(self.mutant, middle):
                return True
        return False


@dataclass(frozen=True)
class Page:
    """What the page explains."""

    kinds: tuple[Kind, ...]
    single: tuple[Survivor, ...]

    def unexplained(self, found: Sequence[Survivor]) -> list[Survivor]:
        """Survivors of which the page says nothing."""
        return [one for one in found if one not in self.single and not any(kind.has(one) for kind in self.kinds)]

    def stale(self, found: Sequence[Survivor]) -> list[Kind | Survivor]:
        """What the page explains and nobody meets any more."""
        kinds = [kind for kind in self.kinds if not any(map(kind.has, found))]
        return [*kinds, *(one for one in self.single if one not in found)]


def rows(text: str, table: str) -> Iterator[list[str]]:
    """The cells of a table of the page."""
    lines = text.splitlines()
    for line in lines[lines.index(HEADINGS[table]) + 2 :]:
        match = ROW.match(line)
        if match is None:
            return
        yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", match[1])]


def code(cell: str) -> str:
    """The code in a cell; a cell of two backticks is empty."""
    return cell[1:-1]


def read(page: Path = PAGE) -> Page:
    """The page."""
    text = page.read_text(encoding="utf-8")
    kinds = tuple(Kind(why, code(was), code(mutant)) for why, was, mutant in rows(text, "kinds"))
    single = tuple(Survivor(code(place), code(was), code(mutant)) for place, was, mutant, why in rows(text, "single") if why)
    return Page(kinds, single)


def row(survivor: Survivor) -> str:
    """A row for the page, its last cell to be filled in by a person."""
    cells = (f"`{text}`".replace("|", "\\|") for text in (survivor.function, survivor.was, survivor.mutant))
    return f"| {' | '.join(cells)} |  |"

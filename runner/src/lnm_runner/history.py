"""Compares the ledger's story with the kit's: what no runner may go on over. Pure: it reads neither database nor kit.

Rules: (1) an applied migration that is another one in the kit; (2) an entry of ours that the kit does not know, in either
collection; (3) upstream's collection says applied, and the ledger knows nothing of it; (4) a migration that was never applied,
after which later ones were; (5) a migration whose predecessors are not applied. All that is found is told at once; nothing is
ever skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lnm_runner.errors import (
    DigestMismatchError,
    GapError,
    LedgerError,
    LostEntryError,
    OutOfOrderError,
    UnknownEntryError,
    gathered,
)

LEDGER = "lnm_migrations"
UPSTREAM = "schema_migrations"
OWN = "_lnm_21_"
"""Part of every id of ours (decisions §12)."""


NEVER = {"not applied", "rolled-back"}
"""States in which nothing of a migration is there; one that is applied again, or failed in that, is none of them."""


@dataclass(frozen=True)
class Known:
    """A delivery of a kit."""

    delivery: str
    migration: str | None
    """The ledger's id; None where the kit says that the delivery is absent."""
    digest: str | None


@dataclass(frozen=True)
class Story:
    """What a database says."""

    rows: Mapping[str, Mapping[str, object]]
    """`{id: row of lnm_migrations}`"""
    published: Sequence[str]
    """Our ids in schema_migrations."""

    def state(self, migration: str | None) -> str:
        """The state of a migration in words."""
        row = self.rows.get(migration or "")
        return "not applied" if row is None else str(row.get("state"))


def require(story: Story, kit: Sequence[Known], wanted: str | None, again: Callable[[str], str], *, resume: bool = False) -> None:
    """Refuses to go on with the delivery `wanted` (None: to look at all of them) over a story that is not the kit's.

    `again` gives the command that records a delivery's lost entry anew, which `resume` allows.

    Raises: LedgerError that carries everything that was found.
    """
    found = [*edited(story, kit), *unknown(story, kit), *out_of_order(story, kit, wanted)]
    found += [] if resume else lost(story, kit, again)
    if found:
        raise gathered(found)


def edited(story: Story, kit: Iterable[Known]) -> Iterator[LedgerError]:
    """Rule 1. Comments count: bytes are compared."""
    for part in kit:
        row = story.rows.get(part.migration or "")
        if row is not None and row.get("state") == "applied" and row.get("migrationDigest") != part.digest:
            yield DigestMismatchError(str(part.migration), str(row.get("migrationDigest")), str(part.digest))


def unknown(story: Story, kit: Iterable[Known]) -> Iterator[LedgerError]:
    """Rule 2. A migration that was rolled back has left nothing behind, so that its row stops nobody."""
    known = {part.migration for part in kit}
    for name, row in story.rows.items():
        if name not in known and OWN in name and row.get("state") != "rolled-back":
            yield UnknownEntryError(LEDGER, name, str(row.get("state")))
    for name in story.published:
        if name not in known and name not in story.rows:
            yield UnknownEntryError(UPSTREAM, name, "applied")


def lost(story: Story, kit: Iterable[Known], again: Callable[[str], str]) -> Iterator[LedgerError]:
    """Rule 3."""
    for part in kit:
        if part.migration in story.published and part.migration not in story.rows:
            yield LostEntryError(str(part.migration), again(part.delivery))


def out_of_order(story: Story, kit: Sequence[Known], wanted: str | None) -> Iterator[LedgerError]:
    """Rules 4 and 5, for the wanted delivery; without one, for every delivery that is applied."""
    for place, part in enumerate(kit):
        is_applied = story.state(part.migration) == "applied"
        if part.delivery == wanted and story.state(part.migration) in NEVER:
            later = [str(other.migration) for other in kit[place + 1 :] if story.state(other.migration) == "applied"]
            if later:
                yield OutOfOrderError(str(part.migration), later)
        if part.delivery == wanted or (wanted is None and is_applied):
            missing = {
                other.delivery: story.state(other.migration) if other.migration else "absent from this kit"
                for other in kit[:place]
                if (
                    story.state(other.migration) != "applied"
                    if part.delivery == wanted
                    else story.state(other.migration) in NEVER
                )
            }
            if missing:
                yield GapError(part.delivery, missing)

"""What an equation says: what was looked at, and every defect of a kind with how many there are and some examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lnm_runner import ledger
from lnm_runner.backfill.workfile import unpacked
from lnm_runner.errors import MOST_SHOWN
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Database, Server
from lnm_runner.options import Options, Settings
from lnm_runner.validation.skeleton import Skeleton

MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Defect:
    """A way in which an equation does not hold."""

    found: str
    wanted: str
    examples: tuple[str, ...] = ()

    def line(self) -> str:
        """The defect in words."""
        shown = f": {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.found}{shown} (wanted: {self.wanted})"


@dataclass(frozen=True)
class Finding:
    """What an equation came to."""

    said: str
    defects: tuple[Defect, ...] = ()
    is_judged: bool = True
    """False where it is only told: it can neither hold nor fail."""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What the equations look at."""

    server: Server
    schema: Migration
    """21-101."""
    backfill: Migration
    """21-102."""
    options: Options
    runs: Sequence[Mapping[str, Any]]
    """The rows of the runs that stand, in their order."""

    @property
    def database(self) -> Database:
        """The database."""
        return self.server.database

    @cached_property
    def settings(self) -> Settings:
        """What 21-101 was applied with."""
        return ledger.settings(self.database, self.options)


@dataclass(frozen=True)
class Stored:
    """The same, and the skeleton of what is stored."""

    look: Look
    skeleton: Skeleton

    @property
    def database(self) -> Database:
        """The database."""
        return self.look.database

    @property
    def run_ids(self) -> list[str]:
        """The runs that stand."""
        return list(self.skeleton.runs)

    def count(self, query: str, *values: Any) -> int:
        """The one number that a question is answered with."""
        (found,) = self.skeleton.work.execute(query, values).fetchone()
        return int(found)

    def many(self, query: str, *values: Any) -> int:
        """How many answers a question has."""
        return self.count(f"SELECT count(*) FROM ({query})", *values)  # noqa: S608 - questions of ours

    def defects(self, found: str, wanted: str, query: str, *values: Any) -> Iterator[Defect]:
        """A defect where a question has answers: `found` says what each is, its first column which."""
        many = self.many(query, *values)
        if many:
            rows = self.skeleton.work.execute(f"SELECT * FROM ({query}) ORDER BY 1 LIMIT {MOST_EXAMPLES}", values)  # noqa: S608
            yield Defect(f"{many:,} {found}", wanted, tuple(" ".join(map(shown, row)) for row in rows))


def shown(value: Any) -> str:
    """An id, or a value, in words."""
    return str(unpacked(value) if isinstance(value, bytes) else value)[:MOST_SHOWN]


def gathered(many: int, found: str, wanted: str, examples: Iterable[str]) -> Iterator[Defect]:
    """A defect that was counted elsewhere."""
    if many:
        yield Defect(f"{many:,} {found}", wanted, tuple(example[:MOST_SHOWN] for example in examples)[:MOST_EXAMPLES])

"""Joins advisories that share a name, per tenant: the alias graph and its components (decisions §4), on disk.

Union-find (Tarjan) over an array in a file; the smaller number is the root, so that a component is called by its first member.
Names come from the work file in their order, so that those that share one stand side by side.
"""

from __future__ import annotations

import contextlib
import mmap
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

WIDTH = 8  # bytes of a number


class Forest:
    """Numbers from 0, each in the set of those that it was joined with."""

    def __init__(self, parents: memoryview) -> None:
        """Takes the array, in which each is alone."""
        self.parents = parents

    def root(self, number: int) -> int:
        """The smallest number of its set."""
        parents = self.parents
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    def join(self, one: int, other: int) -> None:
        """Makes two sets one."""
        a, b = self.root(one), self.root(other)
        if a != b:
            self.parents[max(a, b)] = min(a, b)


@contextlib.contextmanager
def forest(size: int, folder: Path) -> Iterator[Forest]:
    """A forest of so many numbers, in a file that is gone afterwards."""
    with tempfile.TemporaryFile(dir=folder) as file:
        for low in range(0, size, 65_536):
            file.write(b"".join(number.to_bytes(WIDTH, "little") for number in range(low, min(low + 65_536, size))))
        file.flush()
        if not size:
            yield Forest(memoryview(b""))
            return
        with mmap.mmap(file.fileno(), size * WIDTH) as mapped, memoryview(mapped) as raw, raw.cast("q") as parents:
            yield Forest(parents)


def join_names(connection: sqlite3.Connection, folder: Path) -> None:
    """Fills `member` from `raw.lead` and `name`."""
    (size,) = connection.execute("SELECT count(*) FROM raw").fetchone()
    connection.execute("CREATE INDEX name_by_name ON name (tenant, name, n)")
    with forest(size, folder) as made:
        for n, lead in connection.execute("SELECT n, lead FROM raw WHERE lead != n"):
            made.join(n, lead)
        before: tuple[str, str] | None = None
        first = 0
        for tenant, name, n in connection.execute("SELECT tenant, name, n FROM name ORDER BY tenant, name, n"):
            if (tenant, name) == before:
                made.join(first, n)
            else:
                before, first = (tenant, name), n
        leads = connection.execute("SELECT DISTINCT lead FROM raw WHERE problem IS NULL ORDER BY lead")
        connection.executemany("INSERT INTO member VALUES (?, ?)", ((made.root(n), n) for (n,) in leads))
    connection.execute("CREATE INDEX member_by_lead ON member (lead)")


def join_legacy(connection: sqlite3.Connection) -> None:
    """Fills `burial`: which components the merged documents name."""
    connection.execute(
        "INSERT INTO burial SELECT DISTINCT member.component, legacy.n FROM legacy"
        " JOIN legacy_name ON legacy_name.n = legacy.n"
        " JOIN name ON name.tenant = legacy.tenant AND name.name = legacy_name.name"
        " JOIN raw ON raw.n = name.n JOIN member ON member.lead = raw.lead"
    )
    connection.execute("CREATE INDEX burial_by_n ON burial (n)")

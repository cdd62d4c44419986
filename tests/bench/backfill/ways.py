"""What is measured: one row a way. A new way is a new row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.backfill import tools
from tests.bench.backfill.site import Site
from tests.bench.measure import Command

CEILING, OURS, PLAIN = "ceiling", "ours-2", "plain"


def here() -> str:
    """Nothing is lacking."""
    return ""


@dataclass(frozen=True)
class Way:
    """One row."""

    name: str
    what: str
    command: Callable[[Site, str], Command] | None
    """None: this process itself writes, as the ceiling does."""
    is_slow: bool = False
    """Is measured with fewer documents, as its time for one does not depend on how many there are."""
    is_whole: bool = True
    """It makes what ours makes, byte for byte but for `backfill`; that is looked at."""
    lacking: Callable[[], str] = here
    """Why it cannot be measured; empty where it can."""


WAYS = (
    Way("ours-1", "`lnm backfill --execute`, one worker", lambda site, name: site.backfill(name, 1)),
    Way(OURS, "`lnm backfill --execute --workers=2`", lambda site, name: site.backfill(name, 2)),
    Way(CEILING, "the finished documents by `insert_many`, 500 at once, and nothing else", None),
    Way(PLAIN, "document by document: a find, an upsert each; no proof, no resume", tools.plain, is_slow=True),
    Way(
        "pymongo-migrate",
        "the same inside pymongo-migrate",
        tools.pymongo_migrate,
        is_slow=True,
        lacking=lambda: tools.lacking("pymongo-migrate"),
    ),
    Way(
        "mongodb-migrations",
        "the same inside mongodb-migrations",
        tools.mongodb_migrations,
        is_slow=True,
        lacking=lambda: tools.lacking("mongodb-migrations"),
    ),
    Way(
        "migrate-mongo",
        "inside migrate-mongo, in JavaScript: observations and their events alone, less than half of the work",
        tools.migrate_mongo,
        is_slow=True,
        is_whole=False,
        lacking=tools.lacking_npm,
    ),
)
"""In the order of a round: what the ceiling writes was made by the way before it."""

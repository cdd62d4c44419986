"""What pymongo-migrate runs in the bench: the plain way, as one of its migrations."""

from __future__ import annotations

from typing import Any

import plain  # beside it, by PYTHONPATH
from pymongo.database import Database

dependencies: list[str] = []


def upgrade(db: Database[dict[str, Any]]) -> None:
    """Does it."""
    plain.transform(db)


def downgrade(_db: Database[dict[str, Any]]) -> None:
    """Is not measured."""

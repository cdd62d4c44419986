"""What mongodb-migrations runs in the bench: the plain way, as one of its migrations."""

from __future__ import annotations

import plain  # beside it, by PYTHONPATH
from mongodb_migrations.base import BaseMigration


class Migration(BaseMigration):  # type: ignore[misc]  # it has no types
    """A migration, in its form."""

    def upgrade(self) -> None:
        """Does it."""
        plain.transform(self.db)

    def downgrade(self) -> None:
        """Is not measured."""

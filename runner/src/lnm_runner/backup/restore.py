"""Puts a database back to what it was when its backup was made; the lease and the switches of now stay as they are.

A collection that still is what was backed up is not touched. Every other one is loaded beside, as `lnm_restoring_<n>`, compared,
and renamed over the present one, which is one step of the server. Then come the views; then the collections go that the backup
does not list; then the whole is compared; then documents may expire again. A kill at any moment leaves each collection as it
was or as it is to be, and the same command goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lnm_runner import fingerprint
from lnm_runner.backup import loading, prove, reading
from lnm_runner.backup.layout import Place
from lnm_runner.backup.manifest import Manifest
from lnm_runner.errors import BackupError
from lnm_runner.fingerprint import LEASE, SWITCHES, Fingerprint
from lnm_runner.lease import Lease
from lnm_runner.mongo import Database

BESIDE: Final = "lnm_restoring_"
"""What a collection is called until it is whole."""


@dataclass(frozen=True)
class Restore:
    """A restore, once it is known that it may be done."""

    lease: Lease
    made: Manifest
    brought: Fingerprint
    """What the database must come to."""
    place: Place
    say: Callable[[str], None]

    @property
    def database(self) -> Database:
        """The product's."""
        return self.lease.database

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """What is restored."""
        return [row for row in self.made.rows if row["name"] in self.brought.collections]

    def metadata(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options and indexes of a collection."""
        return reading.metadata(self.place, row["metadata"]["file"])

    def carry_out(self) -> Fingerprint:
        """Does it; the fingerprint of the database at the end.

        Raises: BackupError where that is not the backup's; LeaseLostError; PyMongoError.
        """
        self.drop([name for name in fingerprint.listed(self.database) if name.startswith(BESIDE)])
        for number, row in enumerate(self.rows):
            if row["type"] != "view":
                self.collection(row, f"{BESIDE}{number}")
        for row in self.rows:
            if row["type"] == "view":
                self.view(row)
        self.drop_what_has_come()
        return self.finish()

    def collection(self, row: Mapping[str, Any], beside: str) -> None:
        """Puts one collection back."""
        name = row["name"]
        entry = fingerprint.listed(self.database).get(name)
        if entry is not None and entry["type"] == "view":
            self.drop([name])
        elif entry is not None and self.is_back(name, entry):
            self.say(f"restore: {name}: is as it was")
            return
        kept = list(self.database[name].find({"_id": {"$in": list(SWITCHES[name])}})) if name in SWITCHES else []
        loading.load(self.database, beside, self.place, row, kept=kept)
        self.lease.check()
        names = {"renameCollection": f"{self.database.name}.{beside}", "to": f"{self.database.name}.{name}"}
        self.database.client.admin.command({**names, "dropTarget": True})
        self.say(f"restore: {name}: {(row['apart'] or row)['count']:,} documents are back")

    def is_back(self, name: str, entry: Mapping[str, Any]) -> bool:
        """Whether a collection is what was backed up; what lets documents expire may be missing, but not be another."""
        seen = fingerprint.look(self.database, name, entry, SWITCHES.get(name, ()))
        wanted = self.brought.collections[name]
        return loading.lasting(seen) == loading.lasting(wanted) and set(seen.indexes) <= set(wanted.indexes)

    def view(self, row: Mapping[str, Any]) -> None:
        """Puts one view back."""
        entry = fingerprint.listed(self.database).get(row["name"])
        if entry is not None and self.is_back(row["name"], entry):
            return
        if entry is not None:
            self.drop([row["name"]])
        self.lease.check()
        loading.create(self.database, row["name"], self.metadata(row))

    def drop_what_has_come(self) -> None:
        """Drops the collections that the backup does not list, the lease apart; of one with switches of now, these stay."""
        come = [name for name in fingerprint.listed(self.database) if name not in self.brought.collections and name not in LEASE]
        for name in come:
            if name in SWITCHES:
                self.database[name].delete_many({"_id": {"$nin": list(SWITCHES[name])}})
        self.drop([name for name in come if name not in SWITCHES])

    def drop(self, names: Sequence[str]) -> None:
        """Drops collections."""
        for name in names:
            self.lease.check()
            self.database.drop_collection(name)
            self.say(f"restore: {name}: dropped")

    def finish(self) -> Fingerprint:
        """Compares all of it, and lets documents expire again.

        Raises: BackupError.
        """
        found = fingerprint.restorable(self.database)
        self.require_all(found)
        prove.require_equal(loading.without_expiry(self.brought), loading.without_expiry(found))
        for row in self.rows:
            self.lease.check()
            loading.expire(self.database, row["name"], self.metadata(row))
        return prove.indexed(self.database, self.brought)

    def require_all(self, found: Fingerprint) -> None:
        """Refuses to be done with fewer collections or documents than the dump lists, whatever hashes say.

        Raises: BackupError.
        """
        wanted = {row["name"]: (row["apart"] or row)["count"] for row in self.rows}
        fewer = [
            f"{name}: {found.collections[name].count if name in found.collections else 'no collection'}, {count:,} in the backup"
            for name, count in wanted.items()
            if name not in found.collections or found.collections[name].count < count
        ]
        if fewer:
            raise BackupError(
                f"the restore ends with less than the backup lists: {'; '.join(fewer[:3])}",
                hint="see who writes into the database (freeze it), then run the same command again",
                facts={"fewer": fewer[:20]},
            )

"""What the checks of `preflight` look at, and what a check says. Each thing is asked of the server once. Read-only."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lnm_runner import ledger, roles
from lnm_runner.actions import CreateIndexes
from lnm_runner.kit import VerifiedKit
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Database, Document, Server
from lnm_runner.options import Options
from lnm_runner.planning import Plan


class Status(enum.Enum):
    """What came of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """What a check saw."""

    status: Status
    evidence: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What the checks look at; each thing is asked for once."""

    server: Server
    migrations: tuple[Migration, ...]
    """Those that are to be applied."""
    kit: VerifiedKit
    options: Options

    @property
    def database(self) -> Database:
        """The database."""
        return self.server.database

    @property
    def deliveries(self) -> tuple[str, ...]:
        """The stages that are asked about."""
        return tuple(migration.delivery for migration in self.migrations)

    def ask(self, command: str, **arguments: Any) -> Document:
        """Sends a command to `admin`."""
        answer: Document = self.database.client.admin.command(command, **arguments)
        return answer

    @cached_property
    def granted(self) -> list[Document]:
        """What the user may do."""
        found: list[Document] = self.ask("connectionStatus", showPrivileges=True)["authInfo"]["authenticatedUserPrivileges"]
        return found

    @cached_property
    def is_open(self) -> bool:
        """True where the server has no access control.

        Raises: OperationFailure where it has, and no user was named.
        """
        if self.ask("connectionStatus")["authInfo"]["authenticatedUsers"]:
            return False
        self.database.list_collection_names(filter={"name": ""})
        return True

    def may(self, action: str) -> bool:
        """True where the user may do something with the cluster."""
        wanted = {"cluster": True}
        return any(action in held["actions"] and roles.covers(held["resource"], wanted) for held in self.granted)

    @cached_property
    def plans(self) -> list[Plan]:
        """The plans of the deliveries.

        Raises: PlanError.
        """
        settings = ledger.settings(self.database, self.options)
        return [migration.plan(self.database, settings) for migration in self.migrations]

    @cached_property
    def builds(self) -> list[CreateIndexes]:
        """The indexes that there are to build.

        Raises: PlanError.
        """
        return [action for plan in self.plans for action in plan.actions if isinstance(action, CreateIndexes)]

    @property
    def present(self) -> list[str]:
        """The collections of the migrations that are there."""
        wanted = {"name": {"$in": list(roles.COLLECTIONS)}, "type": "collection"}
        return sorted(entry["name"] for entry in self.database.list_collections(filter=wanted))

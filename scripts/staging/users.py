"""The users of a rehearsal: one for each stage, with the roles that the kit ships (`runbook/roles/roles.json`) and nothing else.

Each password is random, and stands in a file of its own that its owner alone can read (CONCELIER_MONGO_PASSWORD_FILE): it is in
no argument, no environment and no output.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import files
from scripts.staging.environment import Kit
from scripts.staging.server import Server

CLUSTER = "admin"
PRODUCT = "product"
"""Who writes as the product does: an ordinary user."""
SEEDER = "seeder"
PROOF = "_lnm_proof"
"""Ends the name of the scratch database of a backup."""


@dataclass(frozen=True)
class Users:
    """The users of one database."""

    server: Server
    database: str
    folder: Path
    """Where their passwords are."""

    def variables(self, user: str) -> dict[str, str]:
        """What `lnm` is told to be a user."""
        return {
            "CONCELIER_MONGO_URI": self.server.uri(user, self.database),
            "CONCELIER_MONGO_PASSWORD_FILE": str((self.folder / user).absolute()),
        }

    def password(self, user: str) -> str:
        """The password of a user, for clients that are not `lnm`."""
        return (self.folder / user).read_text(encoding="ascii")


def made(server: Server, database: str, kit: Kit, folder: Path, wanted: Mapping[str, tuple[str, ...]]) -> Users:
    """Makes the kit's roles and a user for each row of `{user: roles}`; a role that the kit has not is one of the server's own.

    Raises: KitError, PyMongoError.
    """
    table = json.loads(files.read_bytes(kit.folder / "runbook/roles/roles.json"))
    homes = {}
    for role in of_database(table, database):
        homes[role["role"]] = role["db"]
        make_role(server, role)
    folder.mkdir(mode=0o700, exist_ok=True)
    for user, roles in wanted.items():
        password = secrets.token_urlsafe(24)
        with files.replacing(folder / user, mode=0o600) as out:
            out.write(password.encode())
        granted = [{"role": name, "db": homes.get(name, database)} for name in roles]
        server.client[database].command("createUser", user, pwd=password, roles=granted)
    return Users(server, database, folder)


def of_database(table: Mapping[str, Any], database: str) -> Iterator[dict[str, Any]]:
    """The roles of the table, for another database than the one that they are written for."""
    written_for = table["database"]

    def here(place: Mapping[str, Any]) -> dict[str, Any]:
        found = str(place.get("db", ""))
        is_ours = found in {written_for, f"{written_for}{PROOF}"}
        return {**place, "db": f"{database}{found.removeprefix(written_for)}"} if is_ours else dict(place)

    for role in table["roles"]:
        yield {**here(role), "privileges": [{**held, "resource": here(held["resource"])} for held in role["privileges"]]}


def make_role(server: Server, role: Mapping[str, Any]) -> None:
    """Makes a role where it lives, or brings it up to date.

    Raises: PyMongoError.
    """
    place = server.client[role["db"]]
    command = "updateRole" if place.command("rolesInfo", role["role"])["roles"] else "createRole"
    held = [{"resource": item["resource"], "actions": item["actions"]} for item in role["privileges"]]
    place.command(command, role["role"], privileges=held, roles=role["roles"])

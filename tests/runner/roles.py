"""The roles that the kit ships, made on a real server as `create-roles.js` makes them; and roles with something taken away."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pymongo.database import Database

from tests.runner.kits import Kit

PROOF = "_lnm_proof"
"""Ends the name of the scratch database of a backup."""

Granted: TypeAlias = str | Mapping[str, str]
"""A role of the user's own database, or `{role, db}`."""
PREFLIGHT = {"role": "lnmPreflight", "db": "admin"}


def shipped(kit: Kit) -> dict[str, Any]:
    """`runbook/roles/roles.json`."""
    data: dict[str, Any] = json.loads((kit.folder / "runbook/roles/roles.json").read_bytes())
    return data


def of_database(data: Mapping[str, Any], database: str) -> list[dict[str, Any]]:
    """The roles, for another database than the one that they are written for."""
    made: list[dict[str, Any]] = copy.deepcopy(data["roles"])
    for role in made:
        for place in (role, *(privilege["resource"] for privilege in role["privileges"])):
            if place.get("db") in {data["database"], data["database"] + PROOF}:
                place["db"] = place["db"].replace(data["database"], database)
    return made


def create(database: Database[dict[str, Any]], role: Mapping[str, Any], name: str | None = None) -> None:
    """Makes a role where it lives, or brings it up to date."""
    place = database.client[role["db"]]
    there = place.command("rolesInfo", name or role["role"])["roles"]
    privileges = [{"resource": item["resource"], "actions": item["actions"]} for item in role["privileges"]]
    place.command("updateRole" if there else "createRole", name or role["role"], privileges=privileges, roles=role["roles"])


def make(database: Database[dict[str, Any]], data: Mapping[str, Any]) -> None:
    """Makes all of them for a database."""
    for role in of_database(data, database.name):
        create(database, role)


def without(role: Mapping[str, Any], resource: Mapping[str, Any], action: str) -> dict[str, Any]:
    """A role that may do everything but one thing."""
    kept = [
        {**item, "actions": [name for name in item["actions"] if item["resource"] != resource or name != action]}
        for item in role["privileges"]
    ]
    return {**role, "privileges": [item for item in kept if item["actions"]]}


def each(role: Mapping[str, Any], *, only_on: str = "") -> Iterable[tuple[dict[str, Any], str]]:
    """Every resource and action of a role, for a kind of server."""
    for item in role["privileges"]:
        if item.get("onlyOn", "") in {"", only_on}:
            yield from ((item["resource"], action) for action in item["actions"])

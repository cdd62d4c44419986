"""What every migration has to go through: check, up, assert, up again, undo, equal to the start, undo again, up again.

A case says where a migration starts from and what must hold when it is applied; the harness does the rest on a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm

OWN_STATE = {"lnm_migrations", "schema_migrations", "lnm_lease"}
DEFAULTS = {"validationLevel": "strict", "validationAction": "error"}
"""What the server keeps in the options after a validator was taken off; without one it means nothing."""

Step = Callable[[Database[dict[str, Any]]], None]


@dataclass(frozen=True)
class Case:
    """One migration from one starting point."""

    delivery: str
    start: Step
    """Fills the database."""
    holds: Step
    """Asserts what must be so afterwards."""


def content(database: Database[dict[str, Any]]) -> dict[str, Any]:
    """All that a database holds, the ledgers and the server's own collections apart: options, indexes, documents."""
    found = {}
    for entry in database.list_collections():
        name = entry["name"]
        if name in OWN_STATE or name.startswith("system."):
            continue
        indexes = {index["name"]: dict(index, key=list(index["key"].items())) for index in database[name].list_indexes()}
        found[name] = {
            "options": entry["options"],
            "uuid": entry["info"]["uuid"],
            "indexes": indexes,
            "documents": list(database[name].find().sort("_id", 1)),
        }
    return found


def documents(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The documents alone, of collections that hold any."""
    return {name: collection["documents"] for name, collection in seen.items() if collection["documents"]}


def meaning(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The content less what the options keep of a validator that is gone."""
    return {name: {**found, "options": found["options"] if found["options"] != DEFAULTS else {}} for name, found in seen.items()}


def without_times(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Actions less the forecast of their duration, which is measured each time."""
    return [{name: value for name, value in action.items() if name != "forecast"} for action in actions]


def nothing_happens(case: Case, lnm: Lnm, site: Site, command: str) -> dict[str, Any]:
    """Runs a command that has nothing to do, and so must write nothing; returns what it said."""
    now = content(site.database)
    with watched(site.server) as writes:
        said = lnm(command, case.delivery, "--execute", "--json", "--kit", lnm.kit.folder).json
    assert writes.opcounters == {"insert": 0, "update": 0, "delete": 0}
    assert writes.oplog == []
    assert content(site.database) == now
    return said


def run(case: Case, lnm: Lnm, site: Site) -> None:
    """Drives a migration through all of it."""
    case.start(site.database)
    before = content(site.database)

    # check: the plan says what is to be done, and touches nothing
    (plan,) = lnm("plan", case.delivery, "--json", "--kit", lnm.kit.folder).json["plans"]
    assert plan["state"] == "not applied"
    assert not plan["nothingToDo"]
    assert content(site.database) == before

    # up: it does what was said, and no document is another one than before
    applied = lnm("apply", case.delivery, "--execute", "--json", "--kit", lnm.kit.folder).json
    assert without_times(applied["actions"]) == without_times(plan["actions"])
    after = content(site.database)
    assert documents(after) == documents(before)
    for name, collection in before.items():
        assert after[name]["uuid"] == collection["uuid"]
        assert collection["indexes"].items() <= after[name]["indexes"].items()

    case.holds(site.database)

    # up again: nothing is left to do, and nothing is written
    assert nothing_happens(case, lnm, site, "apply")["nothingToDo"]

    # undo: without --execute nothing happens; with it everything is as it was at the start
    lnm("rollback", case.delivery, "--json", "--kit", lnm.kit.folder)
    case.holds(site.database)
    back = lnm("rollback", case.delivery, "--execute", "--json", "--kit", lnm.kit.folder).json
    assert back["state"] == "rolled-back"
    assert meaning(content(site.database)) == before
    assert site.database["schema_migrations"].count_documents({"_id": back["migration"]}) == 0

    # undo again: nothing
    assert not nothing_happens(case, lnm, site, "rollback")["writes"]

    # and up again, to the same end
    lnm("apply", case.delivery, "--execute", "--kit", lnm.kit.folder)
    case.holds(site.database)
    assert documents(content(site.database)) == documents(before)

"""What every migration has to go through: check, up, assert, up again. (Undo and the crash explorer come with step 3.)

A case says where a migration starts from and what must hold when it is applied; the harness does the rest on a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm

OWN_STATE = {"lnm_migrations", "schema_migrations"}

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
    assert applied["actions"] == plan["actions"]
    after = content(site.database)
    assert documents(after) == documents(before)
    for name, collection in before.items():
        assert after[name]["uuid"] == collection["uuid"]
        assert collection["indexes"].items() <= after[name]["indexes"].items()

    case.holds(site.database)
    now = content(site.database)

    # up again: nothing is left to do, and nothing is written
    with watched(site.server) as writes:
        again = lnm("apply", case.delivery, "--execute", "--json", "--kit", lnm.kit.folder).json
    assert again["nothingToDo"]
    assert writes.opcounters == {"insert": 0, "update": 0, "delete": 0}
    assert writes.oplog == []
    assert content(site.database) == now

"""The two roles of 21-102 hold nothing that is not used: the server's profiler sees each privilege at work.

That they suffice is seen by every test of the backfill: its users have nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.runner import roles
from tests.runner.backfills import Ready, legacy, raw
from tests.runner.test_backfill import ready
from tests.runner.test_backfill_errors import PAYLOAD, in_gridfs
from tests.runner.test_roles import TABLE

__all__ = ["ready"]
pytestmark = pytest.mark.mongod

PROFILE_BYTES = 32 << 20
ACTIONS = {"query": ("find",), "getmore": ("find",), "insert": ("insert",), "remove": ("remove",)}
"""What an operation of the profiler needs; updates and commands are looked at more closely."""
COMMANDS = {"find": "find", "aggregate": "find", "count": "find", "distinct": "find", "listIndexes": "listIndexes"}


def needs(operation: Mapping[str, Any]) -> Iterator[str]:
    """The actions without which an operation is refused («Privilege Actions» of the MongoDB manual)."""
    yield from ACTIONS.get(operation["op"], ())
    command = operation["command"]
    if operation["op"] == "update":
        yield "update"
        if command.get("upsert"):
            yield "insert"
    if "findAndModify" in command or "findandmodify" in command:
        yield from ("find", "remove" if command.get("remove") else "update")
        if command.get("upsert"):
            yield "insert"
    yield from (action for name, action in COMMANDS.items() if name in command)


def test_each_privilege_of_the_two_roles_is_used(ready: Ready) -> None:
    database = ready.database
    database.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    database.command("profile", 2)
    database["advisory_raw"].insert_many([raw("A", "CVE-1"), in_gridfs(ready, "B", data=PAYLOAD), raw("C", source__vendor=None)])
    database["advisory"].insert_one(legacy("CVE-1"))
    ready.backfill(wanted=3)
    database["advisory_raw"].insert_one(raw("D", "CVE-1"))
    ready.backfill(wanted=3)
    database["advisory_linkset_events"].update_one({}, {"$set": {"note": "mine"}})
    ready.rollback(wanted=3)
    ready.rollback()
    database.command("profile", 0)

    used = {
        (user.partition("@")[0], operation["ns"].partition(".")[2], action)
        for operation in database["system.profile"].find()
        for user in [operation.get("user", "")]
        for action in needs(operation)
    }

    for user, role in (("backfiller", "lnmBackfill21102"), ("unfiller", "lnmRollback21102")):
        unused = [
            (resource["collection"], action)
            for resource, action in roles.each(TABLE[role])
            if (user, resource["collection"], action) not in used
        ]
        assert unused == [], role

"""Documents of `lnm_settings`: settings that somebody has made, each with who made it and when, by the server's clock."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from lnm_runner.mongo import Database
from lnm_runner.roles import SWITCHES


def read(database: Database, name: str) -> Mapping[str, Any] | None:
    """A setting; None where it was never made.

    Raises: PyMongoError.
    """
    return database[SWITCHES].find_one({"_id": name})


def put(database: Database, name: str, fields: Mapping[str, Any], *, by: str = "owner") -> None:
    """Writes a setting, in the place of what there was; `by` is the field that says who: `{host, pid, user}`.

    Raises: PyMongoError.
    """
    users = database.client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
    who = {"host": platform.node(), "pid": os.getpid(), "user": users[0]["user"] if users else ""}
    stored = {key: {"$literal": value} for key, value in {"_id": name, **fields, by: who}.items()}
    database[SWITCHES].update_one({"_id": name}, [{"$replaceWith": {**stored, "at": "$$NOW"}}], upsert=True)

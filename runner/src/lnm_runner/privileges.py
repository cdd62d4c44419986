"""What a user lacks of what a stage needs, by the table of `roles`; asked before anything is written. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lnm_runner import roles
from lnm_runner.errors import PrivilegeError
from lnm_runner.mongo import Server
from lnm_runner.roles import Need


def require(server: Server, stage: str) -> None:
    """Refuses a user who may not do all that a stage is made of: it would end half-way.

    Raises: PrivilegeError.
    """
    info = server.database.client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    held = info["authenticatedUserPrivileges"]
    lacking = roles.missing(stage, server.database.name, server.topology.value, held)
    if not info["authenticatedUsers"] or not lacking:
        return
    names = dict.fromkeys(need.role for need in lacking)
    raise PrivilegeError(
        f"this user lacks {len(lacking)} privileges that {stage} needs, the first being {next(in_words(lacking[:1]))}",
        hint=f"grant {' and '.join(names)} of runbook/roles/ in the kit; nothing was changed",
        facts={"missing": as_json(lacking)},
    )


def in_words(lacking: Iterable[Need]) -> Iterator[str]:
    """What is missing, the things that the same action and role are about together."""
    together: dict[tuple[str, str], list[str]] = {}
    for need in lacking:
        together.setdefault((need.action, need.role), []).append(need.place)
    yield from (f"{action} on {', '.join(places)} ({role})" for (action, role), places in together.items())


def as_json(lacking: Iterable[Need]) -> list[Mapping[str, Any]]:
    """The same, for a program."""
    return [{"resource": dict(need.resource), "action": need.action, "role": need.role} for need in lacking]

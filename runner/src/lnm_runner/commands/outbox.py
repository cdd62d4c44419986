"""`lnm outbox status|enable|disable|publish`: what waits to be published, the switch, and the reference publisher.

The first `enable` is the runbook's stage enable-outbox, which sees that the backfill was validated; this one switches on again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from lnm_runner import mongo, privileges, switches
from lnm_runner.commands import Result
from lnm_runner.durations import in_words
from lnm_runner.errors import StageError
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options
from lnm_runner.outbox import backlog, hook, publisher, switch

NOT_DONE = "Nothing was written; add --execute to do it."


def run(options: Options) -> Result:
    """Does the sub-command.

    Raises: RunnerError.
    """
    with mongo.connect(options) as server:
        return COMMANDS[options.subcommand](server, options)


def status(server: Server, options: Options) -> Result:
    """What waits, for how long, and what was published in the last hour."""
    privileges.require(server, "outbox status")
    database = server.database
    set_to, now = switch.read(database), mongo.now(database)
    waits = backlog.measured(database)
    hour = {name: backlog.published(database, name, now - backlog.HOUR) for name in waits}
    boxes = {
        name: {"backlog": one.rows, "oldestMs": one.oldest_ms, "publishedLastHour": hour[name]} for name, one in waits.items()
    }
    data = {"database": database.name, "enabled": set_to.get("enabled") is True, "switch": told(set_to), "outboxes": boxes}
    lines = [f"the outbox is switched {on_or_off(set_to)}", *(line(name, one, hour[name]) for name, one in waits.items())]
    again = (
        [f"next: {options.command('outbox', 'publish')}"]
        if set_to.get("enabled") is True and any(one.rows for one in waits.values())
        else []
    )
    return Result(data, [*lines, *again])


def line(name: str, waits: backlog.Backlog, hour: int) -> str:
    """One outbox in words."""
    oldest = f", the oldest for {in_words(waits.oldest_ms)}" if waits.oldest_ms is not None else ""
    return f"{name}: {waits.rows:,} wait{oldest}; {hour:,} published in the last hour"


def on_or_off(set_to: Mapping[str, Any]) -> str:
    """The switch in words."""
    by = set_to.get("by") or {}
    when = f" since {set_to['at']:%Y-%m-%d %H:%M:%S} UTC" if isinstance(set_to.get("at"), dt.datetime) else ""
    who = f", by process {by.get('pid', '?')} on {by.get('host', '?')}" if by else ""
    return f"{'on' if set_to.get('enabled') is True else 'off'}{when}{who}; hook: {set_to.get('hook', '?')}"


def told(set_to: Mapping[str, Any]) -> dict[str, Any]:
    """The switch for a program."""
    return {name: set_to[name] for name in ("enabled", "plan", "hook", "by", "at") if name in set_to}


def enable(server: Server, options: Options) -> Result:
    """Switches on again what the runbook has switched on before.

    Raises: StageError, RunnerError.
    """
    server.require(Topology.REPLICA_SET, Topology.ROUTER)
    known = switches.read(server.database, switch.NAME)
    if known is None:
        raise StageError(
            "the outbox was never switched on here: the runbook does that first, once the backfill was validated",
            hint=options.command("runbook", "enable-outbox", "--execute"),
        )
    switch.require(server, options)
    if not options.execute:
        return unswitched(server, options, "enable")
    hooked = switch.enable(server, options, plan=str(known.get("plan", "")))
    return switched(server, is_on=True, hooked=hooked)


def disable(server: Server, options: Options) -> Result:
    """Switches it off.

    Raises: StageError, RunnerError.
    """
    server.require(Topology.REPLICA_SET, Topology.ROUTER)
    if not options.execute:
        return unswitched(server, options, "disable")
    return switched(server, is_on=False, hooked=switch.disable(server, options))


def unswitched(server: Server, options: Options, word: str) -> Result:
    """What would be done."""
    path = hook.named(options)
    data = {"database": server.database.name, "executed": False, "hook": path is not None}
    would = f"the outbox would be switched {'on' if word == 'enable' else 'off'}" + (f", and {path} {word} run" if path else "")
    return Result(data, [f"it is {on_or_off(switch.read(server.database))}", would, NOT_DONE])


def switched(server: Server, *, is_on: bool, hooked: str) -> Result:
    """What was done."""
    data = {"database": server.database.name, "executed": True, "enabled": is_on, "hook": hooked}
    return Result(data, [f"the outbox is switched {'on' if is_on else 'off'}; hook: {hooked}"])


def publish(server: Server, options: Options) -> Result:
    """Publishes what waits.

    Raises: StageError, LockedError, RunnerError.
    """
    server.require(Topology.REPLICA_SET, Topology.ROUTER)
    if not options.execute:
        publisher.require(server, options)
        waits = backlog.together(backlog.measured(server.database)).rows
        data = {"database": server.database.name, "executed": False, "backlog": waits}
        return Result(data, [f"{waits:,} events would be published", NOT_DONE])
    done = publisher.publish(server, options)
    said = f"{done.written:,} events published" + (f", {done.only_marked:,} more only marked" if done.only_marked else "")
    data = {"database": server.database.name, "executed": True, "published": done.written, "marked": done.only_marked}
    if options.runbook.out is None:  # standard output holds events, and nothing else
        options.progress.line(said)
        return Result(data, [])
    return Result(data, [said])


COMMANDS: Mapping[str, Callable[[Server, Options], Result]] = {
    "status": status,
    "enable": enable,
    "disable": disable,
    "publish": publish,
}

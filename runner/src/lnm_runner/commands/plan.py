"""`lnm plan [DELIVERY]`: what applying would do, on how many documents, at what risk, for how long.

Read-only: a user with the role `read` is enough, and a standalone server will do.
"""

from __future__ import annotations

from typing import Any

from lnm_runner import actions, history, lease, ledger, migrations, mongo
from lnm_runner.commands import Result
from lnm_runner.durations import FACTOR, in_words
from lnm_runner.kit import open_kit
from lnm_runner.ledger import Entry
from lnm_runner.migrations import Migration
from lnm_runner.mongo import Topology
from lnm_runner.options import Options
from lnm_runner.planning import Plan


def run(options: Options) -> Result:
    """Plans one delivery, or each that the kit holds.

    Raises: RunnerError.
    """
    _ = options.settings  # a wrong one is told before anything is asked
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    wanted = migrations.chosen(kit, options.delivery)
    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER, Topology.STANDALONE)
        history.require(ledger.story(server.database), migrations.known(kit), options.delivery, options.again)
        settings = ledger.settings(server.database, options)
        plans = [
            (migration, ledger.entry(server.database, migration.id), migration.plan(server.database, settings))
            for migration in wanted
        ]
        holder = lease.holder(server.database)
        sharding = server.sharding
    data = {
        "database": server.database.name,
        "sharding": sharding,
        "lease": lease.shown(holder),
        "plans": [planned(migration, known, plan) for migration, known, plan in plans],
    }
    lines = [line for migration, known, plan in plans for line in described(migration, known, plan)]
    if holder is not None and holder["isHeld"]:
        lines.append(f"another runner is at work: {lease.described(holder)}")
    if server.topology is Topology.STANDALONE:
        lines.append("this server is a standalone one: it can be planned for, but not migrated")
    return Result(data, [*lines, *filter(None, [kit.warning]), f"sharding: {sharding}", "Nothing was written."])


def planned(migration: Migration, known: Entry, plan: Plan) -> dict[str, Any]:
    """A plan, for a program."""
    return {
        "delivery": migration.delivery,
        "migration": migration.id,
        "migrationDigest": migration.digest,
        "state": known.state,
        "published": known.is_published,
        "actions": [actions.described(action) for action in plan.actions],
        "forecastMs": plan.duration_ms,
        "ttlDeletes": plan.ttl_deletes,
        "notes": list(plan.notes),
        "nothingToDo": known.is_complete and not plan.actions,
    }


def described(migration: Migration, known: Entry, plan: Plan) -> list[str]:
    """A plan in words."""
    lines = [f"{migration.delivery} ({migration.id}): {known.state}", f"  {migration.summary}"]
    lines += steps(plan)
    lines += [f"  note: {note}" for note in plan.notes]
    if plan.ttl_deletes:
        lines.append(f"  applying needs --accept-ttl-deletes {plan.ttl_deletes}")
    if known.is_complete and not plan.actions:
        return [*lines, "  nothing to do"]
    if not plan.actions:
        lines.append("  the schema is as declared already; only the ledger has to be written")
    return lines


def steps(plan: Plan) -> list[str]:
    """Each action in words, and how long all of them take."""
    lines = []
    for number, action in enumerate(plan.actions, 1):
        lines += [f"  {number}. {line}" if not place else f"     {line}" for place, line in enumerate(action.describe())]
        on = f"on {action.documents:,} documents; " if action.documents else ""
        lines.append(f"     {on}risk {action.risk}; {action.duration}")
    if plan.actions:
        lines.append(f"  all of it: about {in_words(plan.duration_ms)}, up to {in_words(plan.duration_ms * FACTOR)}")
    return lines

"""The stages between the work: freeze, unfreeze, enable-outbox, watch. Each `check` reads only; each `run` may be done again."""

from __future__ import annotations

from collections.abc import Sequence

from lnm_runner import freeze, privileges, probe
from lnm_runner.durations import SECOND_MS
from lnm_runner.errors import StageError
from lnm_runner.mongo import Topology
from lnm_runner.outbox import backlog, hook, switch, watching
from lnm_runner.outbox.watch import Limits
from lnm_runner.runbook.stage import Context, Done

WATCHER = "runbook watch"
"""What the stage is called in the table of roles."""


def check_freeze(context: Context) -> Sequence[str]:
    """Sees that the cluster can be frozen, and that nobody else has."""
    seen = freeze.require(context.server, context.options, context.plan)
    by = f"the user of {probe.URI}" if context.options.environment.get(probe.URI) else "this user"
    return [
        "the writes of users without bypassWriteBlockingMode will be refused, in the whole cluster, not in this database alone",
        f"as {by}, a write into lnm_settings is made that must then be refused",
        "the product does not know of it: set its CONCELIER_INGEST_ENABLED=false before, or its sources fail until the unfreeze",
        *(["it is frozen by this runbook already"] if seen.is_blocked else []),
    ]


def run_freeze(context: Context) -> Done:
    """Freezes."""
    reason = context.options.runbook.reason or f"window of concelier-lnm-{context.kit.manifest.version}"
    freeze.freeze(context.server, context.options, plan=context.plan, reason=reason)
    return Done(
        ["the cluster refuses the writes of ordinary users; one of them was tried, and refused"],
        {"mode": "user-write-block", "probe": "refused", "marker": True},
    )


def check_unfreeze(context: Context) -> Sequence[str]:
    """Sees that what is frozen is ours."""
    seen = freeze.require(context.server, context.options, context.plan)
    freeze.require_idle(context.server)
    frozen = {True: "the cluster is frozen by this runbook", False: "the cluster is not frozen", None: "a router does not tell"}
    return [frozen[seen.is_blocked], "it will take the writes of users again; one is made that must come through"]


def run_unfreeze(context: Context) -> Done:
    """Lets the cluster take writes again."""
    freeze.unfreeze(context.server, context.options, plan=context.plan)
    return Done(
        [
            "the cluster takes the writes of ordinary users; one of them was tried, and came through",
            "next: let the product ingest again (CONCELIER_INGEST_ENABLED), and start the publishers",
        ],
        {"marker": True, "mode": "open"},
    )


def require_validated(context: Context) -> None:
    """Refuses before the backfill was validated.

    Raises: StageError.
    """
    if "validate" not in context.done:
        raise StageError(
            "the outbox stays off: what the backfill has left was not validated",
            hint=f"first: {context.options.command('runbook', 'validate', '--execute')}",
        )


def check_enable_outbox(context: Context) -> Sequence[str]:
    """Sees that what would be published was validated, and that the switch can be set."""
    require_validated(context)
    switch.require(context.server, context.options)
    waits = backlog.together(backlog.measured(context.server.database))
    path = hook.named(context.options)
    return [
        f"{waits.rows:,} events wait; once they are published, rollback-21-102 is refused, and the way back is restore",
        f"{path} enable is run" if path else f"there is no {hook.VARIABLE}: the product's own publisher is switched on by hand",
    ]


def run_enable_outbox(context: Context) -> Done:
    """Switches publishing on."""
    require_validated(context)
    told = switch.enable(context.server, context.options, plan=context.plan)
    hooked = told.partition(":")[0]
    return Done(
        [
            f"the outbox is switched on; hook: {told}",
            f"next, once it is unfrozen: {context.options.command('outbox', 'publish')}",
        ],
        {"switch": True, "hook": hooked},
    )


def check_watch(context: Context) -> Sequence[str]:
    """Sees that there is something that can be watched."""
    context.server.require(Topology.REPLICA_SET, Topology.ROUTER)
    privileges.require(context.server, WATCHER)
    require_still_on(context)
    limits = limits_of(context)
    calm = f"lag at most {limits.lag_s:g} s, no new errors, no backlog that grows, no event older than {limits.oldest_s:g} s"
    bad = f"an error, a lag over {limits.lag_s:g} s for {limits.lag_for_s:g} s, a backlog that grows for {limits.growth_s:g} s"
    return [
        f"it ends once nothing was wrong for {limits.calm_s:g} s: {calm}",
        f"it stops with exit 3, and prints the way back, at {bad}",
    ]


def require_still_on(context: Context) -> None:
    """Refuses where the outbox was switched off again behind enable-outbox: nothing is calmer than events that nobody publishes.

    Raises: StageError.
    """
    set_to = switch.read(context.server.database)
    if "enable-outbox" in context.done and (set_to.get("enabled") is not True or set_to.get("hook") == switch.PENDING):
        raise StageError(
            "enable-outbox is done by this journal, and the outbox is not switched on: what waits is published by nobody",
            hint=f"switch it on again, then watch: {context.options.command('outbox', 'enable', '--execute')}; or go back",
        )


def limits_of(context: Context) -> Limits:
    """What is allowed, and for how long it is watched."""
    return Limits(calm_s=context.options.runbook.calm_s, timeout_s=context.options.runbook.timeout_s)


def run_watch(context: Context) -> Done:
    """Watches until all is well."""
    check_watch(context)
    limits = limits_of(context)
    seen = watching.watch(context.server, context.options, limits, context.sample)
    require_still_on(context)
    database = context.server.database
    published = sum(backlog.published(database, name) for name in backlog.OUTBOXES)
    calm_ms = round(limits.calm_s * SECOND_MS)
    return Done(
        [f"nothing was wrong for {limits.calm_s:g} s; {published:,} events are published, {seen.newest.backlog:,} wait"],
        {
            "calmMs": calm_ms,
            "backlog": seen.newest.backlog,
            "published": published,
            "errors": seen.newest.errors,
            "maxLagMs": seen.max_lag_ms,
            "maxOldestMs": seen.max_oldest_ms,
        },
    )

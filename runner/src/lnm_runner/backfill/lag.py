"""Measures how far the members of a replica set are behind their primary, each member of each shard (decisions §4). Read-only.

A member that is down, or says a date that cannot be, has no known lag; an arbiter holds no data; one that waits on purpose is
late by so much less. Through a router each shard is asked by itself, as the same user, who has to be known there, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from pymongo.errors import OperationFailure, PyMongoError

from lnm_runner.backfill.pace import Sample
from lnm_runner.mongo import Database as Admin

PRIMARY, SECONDARY, ARBITER = 1, 2, 7  # MongoDB manual, «Replica Set Member States»
OLDEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""A member that the others do not see says 1970."""


def measured(admin: Admin, shards: Mapping[str, Admin | None] | None = None) -> Sample:
    """The lag of the member that is furthest behind; through a router of all shards, of which each has to be asked."""
    if shards is None:
        return of_set(admin)
    found = {
        name: of_set(shard) if shard is not None else Sample(None, "a URI without hosts (SRV)") for name, shard in shards.items()
    }
    return worst({name: replace(sample, why=f"{name}: {sample.why}") for name, sample in found.items()})


def worst(found: Mapping[str, Sample]) -> Sample:
    """Of several sets: unknown where one is, else that of the one that is furthest behind. Pure."""
    unknown = next((sample for sample in found.values() if sample.lag_s is None), None)
    if unknown is not None or not found:
        return unknown or Sample(None, "no shard is seen")
    return max(found.values(), key=lambda sample: sample.lag_s or 0.0)


def of_set(admin: Admin) -> Sample:
    """Of one replica set."""
    try:
        status = admin.command("replSetGetStatus")
        return of_status(status, delays_of(admin), window(admin))
    except OperationFailure as err:
        return Sample(None, f"the server refuses replSetGetStatus (code {err.code})")
    except PyMongoError as err:
        return Sample(None, f"no answer ({type(err).__name__})")


def of_status(status: Mapping[str, Any], delays: Mapping[str, float], window_s: float | None = None) -> Sample:
    """The same, of an answer of the server. Pure."""
    members = [member for member in status.get("members", ()) if member.get("state") != ARBITER]
    primaries = [member for member in members if member.get("state") == PRIMARY]
    if len(primaries) != 1 or not is_date(primaries[0].get("optimeDate")):
        return Sample(None, f"{len(primaries)} primaries are seen", window_s)
    newest = primaries[0]["optimeDate"]
    lags = dict(lags_of(members, newest, delays))
    unknown = [name for name, lag_s in lags.items() if lag_s is None]
    if unknown:
        return Sample(None, f"{', '.join(unknown)} cannot be seen", window_s)
    name, worst = max(((name, lag_s or 0.0) for name, lag_s in lags.items()), key=lambda found: found[1], default=("", 0.0))
    return Sample(worst, name, window_s)


def lags_of(
    members: list[Mapping[str, Any]], newest: dt.datetime, delays: Mapping[str, float]
) -> Iterator[tuple[str, float | None]]:
    """`(member, seconds)`; None where it cannot be said."""
    for member in members:
        name, at = str(member.get("name")), member.get("optimeDate")
        if member.get("state") == PRIMARY:
            continue
        if member.get("state") != SECONDARY or member.get("health") != 1 or not is_date(at):
            yield name, None
        else:
            yield name, max((newest - at).total_seconds() - delays.get(name, 0.0), 0.0)


def is_date(value: object) -> TypeGuard[dt.datetime]:
    """True for a date that can be one."""
    return isinstance(value, dt.datetime) and (value if value.tzinfo else value.replace(tzinfo=dt.UTC)) > OLDEST


def delays_of(admin: Admin) -> dict[str, float]:
    """`{member: seconds that it waits on purpose}`, as far as the configuration may be read."""
    try:
        members = admin.command("replSetGetConfig")["config"]["members"]
    except OperationFailure:
        return {}
    return {member["host"]: float(member.get("secondaryDelaySecs", member.get("slaveDelay", 0))) for member in members}


def window(admin: Admin) -> float | None:
    """How many seconds the oplog goes back; None where it may not be read."""
    oplog = admin.client.local["oplog.rs"]
    try:
        first = oplog.find_one({}, {"ts": 1}, sort=[("$natural", 1)])
        last = oplog.find_one({}, {"ts": 1}, sort=[("$natural", -1)])
    except OperationFailure:
        return None
    return float(last["ts"].time - first["ts"].time) if first and last else None

"""The checks of `preflight` that are about the server, the connection and the user. Read-only; commands of the MongoDB manual.

Not seen: the clocks, disks and parameters of any member but the one that answers; the members behind a router.
"""

from __future__ import annotations

import datetime as dt
import re
import ssl
import time
from collections.abc import Mapping
from typing import Any

from lnm_runner import freeze as frozen
from lnm_runner import mongo, privileges, roles
from lnm_runner.driver_errors import OLDEST
from lnm_runner.errors import TopologyError
from lnm_runner.mongo import Topology
from lnm_runner.preflight.look import Finding, Look, Status

BALANCE_VERSION = (6, 0, 3)  # $shardedDataDistribution
LONGEST_LAG_S = 60  # as the alert LnmMongoOplogLagHigh
OPLOG_HOURS = 24  # a member that is down for a night comes back by itself
OPLOG_FULL = 0.9  # of its size: the server begins to cut before the last byte
SKEW_WARN_S, SKEW_FAIL_S = 1.0, 60.0
ROUND_TRIPS = 5  # the shortest of them counts
LONG_S = 60  # an operation that runs for so long


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without what follows a hyphen."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def dotted(version: tuple[int, ...]) -> str:
    """A version as text."""
    return ".".join(map(str, version))


def server_version(look: Look) -> Finding:
    """The program that answers."""
    found = numbers(look.server.version)
    if found < OLDEST:
        return Finding(Status.FAIL, f"MongoDB {look.server.version}", f"upgrade to MongoDB {dotted(OLDEST)} or later")
    if look.server.topology is Topology.ROUTER and found < BALANCE_VERSION:
        return Finding(
            Status.WARN,
            f"MongoDB {look.server.version}: how documents lie on the shards cannot be asked for",
            f"upgrade to MongoDB {dotted(BALANCE_VERSION)} or later before validate",
        )
    return Finding(Status.OK, f"MongoDB {look.server.version}")


def feature_version(look: Look) -> Finding:
    """What the program is allowed to do, which an upgrade leaves at the old version until somebody raises it."""
    if look.server.topology is Topology.ROUTER:
        row = look.database.client.admin["system.version"].find_one({"_id": "featureCompatibilityVersion"}) or {}
    else:
        row = look.ask("getParameter", featureCompatibilityVersion=1)["featureCompatibilityVersion"]
    found, target = str(row.get("version", "0")), row.get("targetVersion")
    if target:
        return Finding(Status.FAIL, f"it is being changed from {found} to {target}", "wait until that has ended, or run it again")
    if numbers(found) < OLDEST:
        return Finding(
            Status.FAIL,
            f"{found}, though the program is {look.server.version}",
            f'on the server: db.adminCommand({{setFeatureCompatibilityVersion: "{dotted(OLDEST)}"}})',
        )
    return Finding(Status.OK, found)


def topology(look: Look) -> Finding:
    """The kind of server, by the rule of `lnm apply`."""
    try:
        look.server.require(Topology.REPLICA_SET, Topology.ROUTER)  # what commands/apply.py allows with --execute
    except TopologyError as err:
        return Finding(Status.FAIL, err.message, err.hint)
    return Finding(Status.OK, look.server.topology.value)


def without_members(look: Look) -> Finding | None:
    """The answer where no replica set can be looked at from here."""
    if look.server.topology in {Topology.REPLICA_SET, Topology.MEMBER}:
        return None
    if look.server.topology is Topology.STANDALONE:
        return Finding(Status.FAIL, "this server is no replica set", "see to the check «topology» first")
    return Finding(Status.WARN, f"a {look.server.topology.value} does not show it", "look at each shard by itself")


def members(look: Look) -> Finding:
    """Whether a majority can acknowledge a write: by the members that vote, hold data and do not wait on purpose."""
    if elsewhere := without_members(look):
        return elsewhere
    config = {row["_id"]: row for row in look.ask("replSetGetConfig")["config"]["members"]}
    status = look.ask("replSetGetStatus")
    needed = int(status["writeMajorityCount"])
    primary = next((row["optimeDate"] for row in status["members"] if row["stateStr"] == "PRIMARY"), None)
    able, remarks = 0, []
    for row in status["members"]:
        own = config.get(row["_id"], {})
        if row["health"] != 1 or row["stateStr"] not in {"PRIMARY", "SECONDARY", "ARBITER"}:
            remarks.append(f"{row['name']} is {row['stateStr']}")
        elif own.get("arbiterOnly"):
            remarks.append(f"{row['name']} is an arbiter, which votes and acknowledges nothing")
        elif own.get("secondaryDelaySecs"):
            remarks.append(f"{row['name']} waits {own['secondaryDelaySecs']} s on purpose")
        else:
            able += int(own.get("votes", 1))
            lag_s = (primary - row["optimeDate"]).total_seconds() if primary else 0.0
            if lag_s > LONGEST_LAG_S:
                remarks.append(f"{row['name']} lags {lag_s:.0f} s")
    evidence = "; ".join([f"{able} of {len(status['members'])} members can acknowledge, a majority is {needed}", *remarks])
    if able < needed:
        return Finding(Status.FAIL, evidence, "bring the members back (rs.status()): a write would wait for ever")
    return Finding(Status.WARN, evidence, "look at rs.status()") if remarks else Finding(Status.OK, evidence)


def write_concern(look: Look) -> Finding:
    """What writes wait for that do not say it themselves: the product's; the runner always says majority."""
    if look.server.topology is Topology.STANDALONE:
        return Finding(Status.FAIL, "this server is no replica set", "see to the check «topology» first")
    found = look.ask("getDefaultRWConcern")
    waits, source = found.get("defaultWriteConcern", {}).get("w", 1), found.get("defaultWriteConcernSource", "implicit")
    evidence = f"the default is w: {waits} ({source})"
    if waits == "majority":
        return Finding(Status.OK, evidence)
    remedy = 'on the server: db.adminCommand({setDefaultRWConcern: 1, defaultWriteConcern: {w: "majority"}})'
    return Finding(Status.WARN, f"{evidence}: what the product writes can be lost when the primary changes", remedy)


def user(look: Look) -> Finding:
    """What the user may do, against the table of the roles."""
    if look.is_open:
        return Finding(Status.WARN, "the server has no access control: everybody may do everything", "switch it on (--auth)")
    kind, name = look.server.topology.value, look.database.name
    lacking = [need for delivery in look.deliveries for need in roles.missing(delivery, name, kind, look.granted)]
    if not lacking:
        return Finding(Status.OK, f"this user may do all that {', '.join(look.deliveries)} needs")
    names = list(dict.fromkeys(need.role for need in lacking))
    return Finding(
        Status.FAIL,
        f"this user may not {'; '.join(privileges.in_words(lacking))}",
        f"grant {' and '.join(names)} of runbook/roles/, and run create-roles.js of this kit again",
        {"missing": privileges.as_json(lacking)},
    )


def freeze(look: Look) -> Finding:
    """Whether writes are refused (setUserWriteBlockMode), and whether that holds for this user."""
    if elsewhere := without_members(look):
        return elsewhere
    state = look.ask("serverStatus").get("repl", {}).get("userWriteBlockMode", frozen.OPEN)
    told = frozen.leftover(look.server)
    if state == frozen.OPEN:
        return Finding(Status.WARN, told, "lnm runbook status") if told else Finding(Status.OK, "writes are not frozen")
    if look.is_open or look.may("bypassWriteBlockingMode"):
        return Finding(Status.OK, f"{told or 'writes are frozen'}; this user may write all the same")
    return Finding(
        Status.FAIL,
        f"{told or 'writes are frozen'}; this user may not write either",
        "grant lnmBypassFreeze of runbook/roles/ for the window, or unfreeze (setUserWriteBlockMode)",
    )


def oplog(look: Look) -> Finding:
    """How far back the oplog goes; one that is not full yet goes back to its beginning and is not short."""
    if elsewhere := without_members(look):
        return elsewhere
    rows = look.database.client.get_database("local", codec_options=look.database.codec_options)["oplog.rs"]
    stats = rows.database.command("collStats", "oplog.rs")
    first, last = (rows.find_one({}, {"ts": 1}, sort=[("$natural", order)]) for order in (1, -1))
    if first is None or last is None:
        return Finding(Status.UNKNOWN, "it is empty", "ask who runs the server")
    hours = (last["ts"].time - first["ts"].time) / 3600
    size, most = int(stats["size"]), int(stats["maxSize"])
    evidence = f"{hours:.1f} hours in {size / 1e6:,.0f} of {most / 1e6:,.0f} MB"
    facts = {"hours": round(hours, 2), "sizeBytes": size, "maxBytes": most}
    if size < OPLOG_FULL * most:
        return Finding(Status.OK, f"{evidence}, not full yet", facts=facts)
    if hours < OPLOG_HOURS:
        return Finding(
            Status.FAIL,
            f"{evidence}: a member that is down for longer must be copied anew",
            "on each member: db.adminCommand({replSetResizeOplog: 1, size: MEGABYTES})",
            facts,
        )
    return Finding(Status.OK, evidence, facts=facts)


def clock(look: Look) -> Finding:
    """The server's clock against this machine's, the error being half of the shortest round trip."""
    best_s, skew_s = float("inf"), 0.0
    for _ in range(ROUND_TRIPS):
        began, before = time.perf_counter(), dt.datetime.now(dt.UTC)
        at = mongo.now(look.database)
        took_s = time.perf_counter() - began
        if took_s < best_s:
            best_s, skew_s = took_s, (at - before).total_seconds() - took_s / 2
    error_s = best_s / 2 + 0.001  # the server tells milliseconds
    off_s = max(abs(skew_s) - error_s, 0.0)
    evidence = f"the server's clock is {skew_s:+.3f} s from this machine's, give or take {error_s:.3f} s"
    facts = {"skewSeconds": round(skew_s, 3), "errorSeconds": round(error_s, 3)}
    if off_s <= SKEW_WARN_S:
        return Finding(Status.OK, evidence, facts=facts)
    return Finding(Status.FAIL if off_s > SKEW_FAIL_S else Status.WARN, evidence, "set both clocks by one source (NTP)", facts)


def expiry_monitor(look: Look) -> Finding:
    """Whether the server deletes what has expired at all."""
    if look.server.topology is Topology.ROUTER:
        return Finding(Status.WARN, "a router does not show it", "look at each shard by itself")
    if look.ask("getParameter", ttlMonitorEnabled=1)["ttlMonitorEnabled"]:
        return Finding(Status.OK, "it runs")
    return Finding(
        Status.WARN,
        "it is switched off: published events would never go",
        "when the window is over: db.adminCommand({setParameter: 1, ttlMonitorEnabled: true}) on each member",
    )


def operations(look: Look) -> Finding:
    """What has run for long and would keep a change of the schema waiting."""
    running: list[Mapping[str, Any]] = [
        {"$currentOp": {"allUsers": True, "idleSessions": True}},
        {"$match": {"$or": [
            {"transaction.timeOpenMicros": {"$gte": LONG_S * 1_000_000}},
            {"ns": {"$regex": f"^{re.escape(look.database.name)}\\."}, "secs_running": {"$gte": LONG_S}},
        ]}},
        {"$project": {"secs_running": 1, "transaction.timeOpenMicros": 1}},
    ]  # fmt: skip
    found = list(look.database.client.admin.aggregate(running))
    if not found:
        return Finding(Status.OK, f"nothing has run for {LONG_S} s")
    longest_s = max(
        max(row.get("secs_running", 0), row.get("transaction", {}).get("timeOpenMicros", 0) / 1_000_000) for row in found
    )
    return Finding(
        Status.WARN,
        f"{len(found)} operations or transactions, the longest since {longest_s:.0f} s; a change of the schema waits for them",
        "look at db.currentOp(), and wait or end them",
    )


def tls(look: Look) -> Finding:
    """Whether the connection is encrypted, and to whom it is."""
    context = look.database.client.options.pool_options._ssl_context  # noqa: SLF001 - a URI says it in more ways than one
    if context is None:
        return Finding(Status.WARN, "the connection is not encrypted", "add tls=true&tlsCAFile=… to the URI")
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        return Finding(Status.WARN, "the connection is encrypted, but to whom is not checked", "leave tlsInsecure away")
    return Finding(Status.OK, "the connection is encrypted, and the server's certificate is checked")

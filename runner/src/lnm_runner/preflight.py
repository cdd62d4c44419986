"""What a server and a user must be like before anything is changed: a table of checks, and what each looks at. Read-only.

A check says what it found and what needs it, by stage. Rules: (1) what cannot be seen for want of a privilege is `unknown`, never
`ok`, and names the role that shows it; (2) `unknown` counts as `fail` for a stage that needs the check; (3) what only later
stages need is a warning; (4) every check is made, whatever the others find. The commands are those of the MongoDB manual.

Not seen: the clocks, disks and parameters of any member but the one that answers; the members behind a router.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pymongo.errors import OperationFailure

from lnm_runner import mongo, roles
from lnm_runner.actions import CreateIndexes
from lnm_runner.errors import CredentialsError, PlanError, PrivilegeError, RetryableError, RunnerError, TopologyError
from lnm_runner.migrations import Migration
from lnm_runner.mongo import OLDEST, Database, Document, Server, Topology
from lnm_runner.options import Settings
from lnm_runner.planning import Plan
from lnm_runner.roles import Need

BALANCE_VERSION = (6, 0, 3)  # $shardedDataDistribution
LONGEST_LAG_S = 60  # as the alert LnmMongoOplogLagHigh
OPLOG_HOURS = 24  # a member that is down for a night comes back by itself
OPLOG_FULL = 0.9  # of its size: the server begins to cut before the last byte
SKEW_WARN_S, SKEW_FAIL_S = 1.0, 60.0
ROUND_TRIPS = 5  # the shortest of them counts
MOST_INDEXES = 64  # of a collection (MongoDB manual, «MongoDB Limits»)
ENTRY_BYTES = 512  # of a document in an index, at most: the longest key of 21-101 is a tenant, an id, a source and a SHA-256
BUILD_FACTOR = 2  # an index build sorts on disk before it writes
RESERVE = 0.05  # of a disk, to be left free
LONG_S = 60  # an operation that runs for so long


class Status(enum.Enum):
    """What came of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """What a check saw."""

    status: Status
    evidence: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What the checks look at; each thing is asked for once."""

    server: Server
    migrations: tuple[Migration, ...]
    """Those that are to be applied."""
    settings: Settings

    @property
    def database(self) -> Database:
        """The database."""
        return self.server.database

    @property
    def deliveries(self) -> tuple[str, ...]:
        """The stages that are asked about."""
        return tuple(migration.delivery for migration in self.migrations)

    def ask(self, command: str, **arguments: Any) -> Document:
        """Sends a command to `admin`."""
        answer: Document = self.database.client.admin.command(command, **arguments)
        return answer

    @cached_property
    def granted(self) -> list[Document]:
        """What the user may do."""
        found: list[Document] = self.ask("connectionStatus", showPrivileges=True)["authInfo"]["authenticatedUserPrivileges"]
        return found

    @cached_property
    def is_open(self) -> bool:
        """True where the server has no access control.

        Raises: OperationFailure where it has, and no user was named.
        """
        if self.ask("connectionStatus")["authInfo"]["authenticatedUsers"]:
            return False
        self.database.list_collection_names(filter={"name": ""})
        return True

    def may(self, action: str) -> bool:
        """True where the user may do something with the cluster."""
        wanted = {"cluster": True}
        return any(action in held["actions"] and roles.covers(held["resource"], wanted) for held in self.granted)

    @cached_property
    def plans(self) -> list[Plan]:
        """The plans of the deliveries.

        Raises: PlanError.
        """
        return [migration.plan(self.database, self.settings) for migration in self.migrations]

    @cached_property
    def builds(self) -> list[CreateIndexes]:
        """The indexes that there are to build.

        Raises: PlanError.
        """
        return [action for plan in self.plans for action in plan.actions if isinstance(action, CreateIndexes)]

    @property
    def present(self) -> list[str]:
        """The collections of the migrations that are there."""
        wanted = {"name": {"$in": list(roles.COLLECTIONS)}, "type": "collection"}
        return sorted(entry["name"] for entry in self.database.list_collections(filter=wanted))


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    name: str
    needed_by: Mapping[str, str]
    """`{stage: what for}`"""
    run: Callable[[Look], Finding]
    seen_by: str = "lnmPreflight"
    """The role that shows it."""


@dataclass(frozen=True)
class Checked:
    """A check and what came of it, weighed by what was asked about."""

    check: Check
    finding: Finding
    verdict: Status
    """ok, warn or fail."""

    def as_json(self) -> dict[str, Any]:
        """The check, for a program."""
        return {
            "check": self.check.name,
            "status": self.finding.status.value,
            "verdict": self.verdict.value,
            "evidence": self.finding.evidence,
            "neededBy": [{"stage": stage, "for": why} for stage, why in self.check.needed_by.items()],
            "remedy": self.finding.remedy,
            **self.finding.facts,
        }

    def line(self) -> str:
        """The check in words."""
        status = self.finding.status if self.finding.status is Status.UNKNOWN else self.verdict
        words = f"{status.value:<8}{self.check.name} ({', '.join(self.check.needed_by)}): {self.finding.evidence}"
        return words if self.verdict is Status.OK or not self.finding.remedy else f"{words}. Next: {self.finding.remedy}"


def checked(look: Look) -> Iterator[Checked]:
    """Makes every check.

    Raises: OperationFailure for what may go better another time.
    """
    for check in CHECKS:
        found = examine(check, look)
        needed = any(delivery in check.needed_by for delivery in look.deliveries)
        if found.status in {Status.FAIL, Status.UNKNOWN}:
            yield Checked(check, found, Status.FAIL if needed else Status.WARN)
        else:
            yield Checked(check, found, found.status)


def examine(check: Check, look: Look) -> Finding:
    """Makes one check; what may not be seen is unknown."""
    try:
        return check.run(look)
    except OperationFailure as err:
        found = mongo.refused(err)
        if isinstance(found, (RetryableError, CredentialsError)):
            raise
        return unseen(check, found)
    except PrivilegeError as err:
        return unseen(check, err)
    except PlanError:
        return Finding(Status.UNKNOWN, "it cannot be said while there is no plan", "see to the check «plan» first")


def unseen(check: Check, err: RunnerError) -> Finding:
    """What a check says that could not see."""
    if not isinstance(err, PrivilegeError):
        return Finding(Status.UNKNOWN, f"it cannot be seen: {err.message}", "ask who runs the server")
    hint = f"grant the role {check.seen_by} of runbook/roles/"
    return Finding(Status.UNKNOWN, f"it cannot be seen: {err.message}", hint, {"role": check.seen_by})


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
        look.server.require(Topology.REPLICA_SET)  # what commands/apply.py allows with --execute
    except TopologyError as err:
        return Finding(Status.FAIL, err.message, err.hint)
    return Finding(Status.OK, look.server.topology.value)


def without_members(look: Look) -> Finding | None:
    """The answer where no replica set can be looked at from here."""
    if look.server.topology is Topology.REPLICA_SET:
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


def privileges(look: Look) -> Finding:
    """What the user may do, against the table of the roles."""
    if look.is_open:
        return Finding(Status.WARN, "the server has no access control: everybody may do everything", "switch it on (--auth)")
    kind, name = look.server.topology.value, look.database.name
    wanted = [need for delivery in look.deliveries for need in roles.missing(delivery, name, kind, look.granted)]
    if not wanted:
        return Finding(Status.OK, f"this user may do all that {', '.join(look.deliveries)} needs")
    names = list(dict.fromkeys(need.role for need in wanted))
    return Finding(
        Status.FAIL,
        f"this user may not {'; '.join(in_words(wanted))}",
        f"grant {' and '.join(names)} of runbook/roles/, and run create-roles.js of this kit again",
        {"missing": [as_json(need) for need in wanted]},
    )


def in_words(wanted: list[Need]) -> Iterator[str]:
    """What is missing, the things that the same action and role are about together."""
    together: dict[tuple[str, str], list[str]] = {}
    for need in wanted:
        together.setdefault((need.action, need.role), []).append(need.place)
    yield from (f"{action} on {', '.join(places)} ({role})" for (action, role), places in together.items())


def as_json(need: Need) -> dict[str, Any]:
    """A privilege that is missing, for a program."""
    return {"resource": dict(need.resource), "action": need.action, "role": need.role}


def freeze(look: Look) -> Finding:
    """Whether writes are refused (setUserWriteBlockMode), and whether that holds for this user."""
    if elsewhere := without_members(look):
        return elsewhere
    state = look.ask("serverStatus").get("repl", {}).get("userWriteBlockMode", 1)
    if state == 1:
        return Finding(Status.OK, "writes are not frozen")
    if look.is_open or look.may("bypassWriteBlockingMode"):
        return Finding(Status.OK, "writes are frozen, and this user may write all the same")
    return Finding(
        Status.FAIL,
        "writes are frozen, also those of this user",
        "grant lnmBypassFreeze of runbook/roles/ for the window, or unfreeze (setUserWriteBlockMode)",
    )


def plan(look: Look) -> Finding:
    """Whether `lnm plan` finds anything in the way: it is made, documents are read, and nothing is written."""
    try:
        found = look.plans
    except PlanError as err:
        told = [err, *err.others]
        return Finding(Status.FAIL, "; ".join(each.message for each in told), err.hint)
    return Finding(Status.OK, f"{sum(len(item.actions) for item in found)} actions, nothing in the way")


def indexes(look: Look) -> Finding:
    """How many indexes each collection will have."""
    made = {build.collection: len(build.indexes) for build in look.builds}
    there = {name: len(list(look.database[name].list_indexes())) for name in look.present}
    total = {name: there.get(name, 1) + made.get(name, 0) for name in {*there, *made}}  # a new one has that of _id
    over = [f"{name} would have {count}" for name, count in sorted(total.items()) if count > MOST_INDEXES]
    if over:
        return Finding(Status.FAIL, f"{', '.join(over)}; the limit is {MOST_INDEXES}", "drop what nothing uses ($indexStats)")
    return Finding(Status.OK, f"at most {max(total.values(), default=0)} of {MOST_INDEXES} in a collection")


def estimate(documents: int, count: int, size: int) -> int:
    """Bytes that building indexes on a collection may take: `BUILD_FACTOR x count x min(documents x ENTRY_BYTES, size)`.

    `size` is that of the documents, uncompressed: an index holds some of their fields. It is an upper bound; what is measured on
    documents of the product is a fraction of it (tests/runner/test_preflight.py).
    """
    return BUILD_FACTOR * count * min(documents * ENTRY_BYTES, size)


def disk(look: Look) -> Finding:
    """Room on the disk of the member that answers."""
    builds = [build for build in look.builds if build.documents]
    needed = 0
    for build in builds:
        size = int(look.database.command("collStats", build.collection)["size"])
        needed += estimate(build.documents, len(build.indexes), size)
    stats = look.database.command("dbStats")
    total, free = int(stats.get("fsTotalSize", 0)), int(stats.get("fsTotalSize", 0) - stats.get("fsUsedSize", 0))
    facts = {"neededBytes": needed, "freeBytes": free, "totalBytes": total}
    if not needed:
        return Finding(Status.OK, "no index has to be built over documents", facts=facts)
    evidence = f"building indexes may take {megabytes(needed)}, {megabytes(free)} of {megabytes(total)} are free"
    if free < needed:
        return Finding(Status.FAIL, evidence, "make room, on every member", facts)
    if free - needed < RESERVE * total:
        return Finding(Status.WARN, f"{evidence}: less than {RESERVE:.0%} would be left", "make room, on every member", facts)
    return Finding(Status.OK, evidence, facts=facts)


def megabytes(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e6:,.0f} MB"


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
    evidence = f"{hours:.1f} hours in {megabytes(size)} of {megabytes(most)}"
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


COLLMOD = "gives a plain index an expiry by collMod (MongoDB 5.1)"
FROZEN = "refuses writes by setUserWriteBlockMode (MongoDB 6.0)"
LAG = "keeps its pace by how far the members lag"
CHECKS = (
    Check(
        "server version",
        {"21-101": COLLMOD, "freeze": FROZEN, "validate": "asks how documents lie on shards (6.0.3)"},
        server_version,
    ),
    Check("feature version", {"21-101": COLLMOD, "freeze": FROZEN}, feature_version),
    Check("topology", {"21-101": "waits for a majority", "21-102": "writes in transactions"}, topology),
    Check("members", {"21-101": "waits for a majority with every command", "21-102": LAG}, members),
    Check("write concern", {"21-102": "reads what the product has written"}, write_concern),
    Check("privileges", {"21-101": "does nothing that its role does not allow"}, privileges),
    Check("freeze", {"21-101": "writes"}, freeze),
    Check("plan", {"21-101": "changes nothing that it does not understand"}, plan, "lnmRead"),
    Check("indexes", {"21-101": "adds indexes"}, indexes, "lnmRead"),
    Check("disk", {"21-101": "builds indexes"}, disk, "lnmRead"),
    Check("oplog", {"21-102": "writes as many entries as documents"}, oplog),
    Check("clock", {"21-102": "tells lag and age by both clocks", "watch": "the same"}, clock),
    Check("expiry monitor", {"21-101": "lets published events end"}, expiry_monitor),
    Check("operations", {"21-101": "changes collections, and waits for who uses them"}, operations),
    Check("TLS", {"21-101": "sends a password"}, tls),
)

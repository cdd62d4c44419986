"""The least-privilege roles of MongoDB, one for each stage: the one table that is shipped, tested under and compared with.

The build renders it into the kit (scripts/roles.py), the tests' users have nothing else, and `preflight` compares it with what a
user may do. Forms: createRole, updateRole and «Privilege Actions» of the MongoDB manual.

Only the standard library is imported, and nothing of the runner: the build executes this file without installing it. A role lives
in the database that it is about, and in `admin` where the server allows nothing else (the cluster, `local`, `config`).
Each privilege of a role is needed: tests/runner/test_roles.py takes every one away and sees something fail; those of 21-102 are
seen at work in the server's profiler (test_roles_used.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

ADMIN = "admin"
ROUTER = "router"  # the word of lnm_runner.mongo.Topology

OUTBOXES = ("advisory_observation_events", "advisory_linkset_events")
VALIDATED = ("advisory_observations", "advisory_linksets")
SHARDED = (*VALIDATED, *OUTBOXES)
COLLECTIONS = (*SHARDED, "advisory_linkset_tombstones", "lnm_object_map")
"""Those of 21-101."""
TWINS = tuple(f"lnm_undo_{name}" for name in COLLECTIONS)
"""What a collection is called while its rollback looks whether it is empty."""
SEEDED = ("documents.chunks", "documents.files", "advisory_raw", "advisory")
"""Those that a demo fills."""
LEDGER, UPSTREAM, LEASE = "lnm_migrations", "schema_migrations", "lnm_lease"
BACKFILLED = (*SHARDED, "advisory_linkset_tombstones")
"""Those that 21-102 fills."""
INPUT = ("advisory_raw", "advisory", "documents.files", "documents.chunks")
RUNS, CHECKPOINTS, FAILED, BEFORE = "lnm_runs", "lnm_checkpoints", "lnm_backfill_errors", "lnm_backfill_before"
SWITCHES = "lnm_settings"
PROOF = "_lnm_proof"
"""Ends the name of the scratch database in which a backup is proved."""

Resource: TypeAlias = Mapping[str, Any]
"""As MongoDB has it: `{db, collection}`, an empty collection being the database itself, or `{cluster: True}`."""


@dataclass(frozen=True)
class Privilege:
    """Some actions on some things, and what they are for."""

    actions: tuple[str, ...]
    why: str
    collections: tuple[str, ...] = ()
    """Of the database that the role is about, or of `database`; without them the privilege is on that database as a whole."""
    database: str = ""
    """Another one than the role is about."""
    suffix: str = ""
    """Ends the name of the database that the role is about, where it is a scratch one beside."""
    cluster: bool = False
    only_on: str = ""
    """The topology that needs it; empty: each."""
    needed_by: tuple[str, ...] = ()
    """The stages that need it, where they are others than the role's."""

    def resources(self, database: str) -> Iterator[Resource]:
        """What it is about, in the words of MongoDB."""
        if self.cluster:
            yield {"cluster": True}
            return
        for collection in self.collections or ("",):
            yield {"db": (self.database or database) + self.suffix, "collection": collection}


@dataclass(frozen=True)
class Role:
    """What one stage may do."""

    name: str
    summary: str
    stages: tuple[str, ...]
    """What it is for: deliveries, and the commands that only look."""
    privileges: tuple[Privilege, ...]
    inherits: tuple[str, ...] = ()
    """Roles of the same database."""

    @property
    def is_of_the_cluster(self) -> bool:
        """True where it has to live in `admin`."""
        return any(privilege.cluster or privilege.database or privilege.suffix for privilege in self.privileges)

    def home(self, database: str) -> str:
        """The database that it lives in."""
        return ADMIN if self.is_of_the_cluster else database


def state(*, publishes: str) -> tuple[Privilege, ...]:
    """What whoever changes something writes down about it."""
    return (
        Privilege(("insert", "update"), "writes into the ledger what is done and what came of it", (LEDGER,)),
        Privilege(("insert", "update"), "holds the lease, so that one runner works at a time", (LEASE,)),
        Privilege(
            ("remove",) if publishes == "nothing" else ("insert", "update"),
            "takes back the row by which the product knows that a migration is applied"
            if publishes == "nothing"
            else "writes the row by which the product knows that a migration is applied",
            (UPSTREAM,),
        ),
    )


ROLES = (
    Role(
        "lnmRead",
        "Looks, and changes nothing: lnm status, plan, doctor; part of every other role of this database.",
        ("status", "plan", "doctor", "preflight"),
        (
            Privilege(("listCollections",), "finds out which collections are there, and their validators"),
            Privilege(("dbStats",), "preflight: how much room is left on the disk", needed_by=("preflight",)),
            Privilege(("listIndexes",), "compares their indexes with those that are declared", COLLECTIONS),
            Privilege(
                ("find",), "counts duplicates and documents that an expiry would let die, before anything is built", COLLECTIONS
            ),
            Privilege(("collStats",), "preflight: how large an index can become", COLLECTIONS, needed_by=("preflight",)),
            Privilege(("listIndexes",), "looks for the index that makes the product's ingestion idempotent", ("advisory_raw",)),
            Privilege(("find",), "reads the ledger", (LEDGER,)),
            Privilege(("find",), "reads which migrations the product itself knows", (UPSTREAM,)),
            Privilege(("find",), "sees who holds the lease", (LEASE,)),
            Privilege(("listIndexes",), "sees that nothing lets rows of the runner's own expire", (LEDGER, UPSTREAM, LEASE)),
            Privilege(
                ("find", "listIndexes"),
                "sees what a rollback that was stopped has left",
                TWINS,
                needed_by=("doctor", "rollback 21-101"),
            ),
        ),
    ),
    Role(
        "lnmPreflight",
        "Looks at the server as a whole and changes nothing: what lnm preflight adds to lnmRead.",
        ("preflight",),
        (
            Privilege(("getParameter",), "the feature compatibility version, and whether the TTL monitor runs", cluster=True),
            Privilege(("serverStatus",), "whether writes are frozen", cluster=True),
            Privilege(
                ("replSetGetStatus",),
                "which members are there, and how far behind",
                cluster=True,
                needed_by=("preflight", "21-102"),
            ),
            Privilege(("replSetGetConfig",), "which members vote, and which wait on purpose", cluster=True),
            Privilege(("getDefaultRWConcern",), "what the product's own writes wait for", cluster=True),
            Privilege(("inprog",), "what would keep a change of the schema waiting; how far an index build is", cluster=True),
            Privilege(("find", "collStats"), "how many hours the oplog goes back", ("oplog.rs",), database="local"),
            Privilege(("find",), "the feature compatibility version", ("system.version",), database=ADMIN, only_on=ROUTER),
            Privilege(
                ("find",),
                "how the collections are sharded, over how many shards, in which zones, and whether the balancer runs",
                ("collections", "databases", "chunks", "shards", "tags", "settings"),
                database="config",
                only_on=ROUTER,
                needed_by=("preflight", "21-101", "21-102", "validate"),
            ),
            Privilege(
                ("shardedDataDistribution",),
                "how many documents each shard owns",
                cluster=True,
                only_on=ROUTER,
                needed_by=("validate",),
            ),
        ),
    ),
    Role(
        "lnmApply21101",
        "Applies 21-101. It removes and changes no document of the product.",
        ("21-101",),
        (
            Privilege(("createCollection",), "makes the collections that are missing", COLLECTIONS),
            Privilege(("createIndex",), "makes the indexes that are missing", COLLECTIONS),
            Privilege(("collMod",), "sets a validator on a collection that has none", VALIDATED),
            Privilege(("collMod",), "changes the expiry of published events in place", OUTBOXES),
            Privilege(("enableSharding",), "shards the collections", SHARDED, only_on=ROUTER),
            *state(publishes="a row"),
        ),
        ("lnmRead",),
    ),
    Role(
        "lnmRollback21101",
        "Takes 21-101 back: its indexes and validators, and of its collections those that hold no document.",
        ("rollback 21-101",),
        (
            Privilege(("dropIndex",), "drops the indexes that the migration made", COLLECTIONS),
            Privilege(("collMod",), "takes a validator off that the migration set", VALIDATED),
            Privilege(("collMod",), "sets the expiry of published events back", OUTBOXES),
            Privilege(
                ("dropCollection", "insert", "createIndex"),
                "renames a collection, sees that it is empty, and drops it, or names it back; this is what the server asks "
                "for a rename of these collections alone, while its action for renaming is on the whole database",
                (*COLLECTIONS, *TWINS),
            ),
            *state(publishes="nothing"),
        ),
        ("lnmRead",),
    ),
    Role(
        "lnmBackfill21102",
        "Backfills 21-102. It reads what the product has stored, and adds; it removes nothing.",
        ("21-102",),
        (
            Privilege(("find",), "reads the documents that are backfilled, and their payloads in GridFS", INPUT),
            Privilege(("listIndexes",), "reads them in the order of the idempotency index", ("advisory_raw",)),
            Privilege(("insert",), "writes observations, linksets, events and tombstones", BACKFILLED),
            Privilege(
                ("update",),
                "replaces linksets and tombstones of an earlier run, keeping them",
                ("advisory_linksets", BACKFILLED[-1]),
            ),
            Privilege(("insert",), "keeps what an earlier run had made, for the way back", (BEFORE,)),
            Privilege(
                ("find", "insert", "update"),
                "writes down how far it is, and the hash of what it has written",
                (RUNS, CHECKPOINTS),
            ),
            Privilege(("find", "insert"), "lists the documents of which nothing could be made", (FAILED,)),
            Privilege(("find",), "reads the limits of its pace", (SWITCHES,)),
            *state(publishes="a row"),
        ),
        ("lnmRead",),
    ),
    Role(
        "lnmRollback21102",
        "Takes 21-102 back: of what it has written, what nobody has changed since.",
        ("rollback 21-102",),
        (
            Privilege(("remove",), "removes what the backfill has written", BACKFILLED),
            Privilege(("update",), "sets back what a run had replaced", ("advisory_linksets", BACKFILLED[-1])),
            Privilege(("find", "remove"), "reads what a run had replaced, and forgets it at the end", (BEFORE,)),
            Privilege(("find", "update"), "reads the runs, and writes down how far it is", (RUNS,)),
            Privilege(
                ("find", "update", "remove"), "reads the hashes of what was written, and forgets them at the end", (CHECKPOINTS,)
            ),
            Privilege(("find", "insert", "update", "remove"), "lists the documents that it leaves", (FAILED,)),
            *state(publishes="nothing"),
        ),
        ("lnmRead",),
    ),
    Role(
        "lnmValidate",
        "Validates 21-102 and changes nothing: lnm validate.",
        ("validate",),
        (
            Privilege(("find",), "reads what was backfilled, and payloads in GridFS, to hash them again", INPUT),
            Privilege(
                ("find",),
                "reads the runs, the hashes of what they have written, and of what they could make nothing",
                (RUNS, CHECKPOINTS, FAILED),
            ),
        ),
        ("lnmRead",),
    ),
    Role(
        "lnmBypassFreeze",
        "Writes also while the cluster is frozen (setUserWriteBlockMode): for the window, beside lnmApply21101.",
        ("freeze",),
        (Privilege(("bypassWriteBlockingMode",), "applies while the product's own writes are refused", cluster=True),),
    ),
    Role(
        "lnmFreeze",
        "Freezes the cluster for a window, and lets it take writes again: lnm runbook freeze, unfreeze. Not beside "
        "lnmBypassFreeze: its own write is the one that must be refused.",
        ("runbook freeze",),
        (
            Privilege(("setUserWriteBlockMode",), "has the server refuse the writes of users, and take them again", cluster=True),
            Privilege(("serverStatus",), "sees whether it does", cluster=True),
            Privilege(("find",), "sees that no runner is at work behind the freeze that it would lift", (LEASE,)),
            Privilege(
                ("find", "insert", "update", "remove"),
                "writes down who freezes and why; makes the write that must be refused, and takes it away where it was not",
                (SWITCHES,),
            ),
        ),
    ),
    Role(
        "lnmEnableOutbox",
        "Lets events be published, or not: lnm runbook enable-outbox, lnm outbox enable, disable.",
        ("outbox switch",),
        (
            Privilege(("find", "insert", "update"), "sets the switch", (SWITCHES,)),
            Privilege(("find",), "sees that no backfill is half-way", (RUNS,)),
        ),
        ("lnmRead",),
    ),
    Role(
        "lnmPublish",
        "Publishes the events of both outboxes: lnm outbox publish.",
        ("outbox publish",),
        (
            Privilege(("find", "update"), "reads what is to be published, and marks what was", OUTBOXES),
            Privilege(("find",), "sees whether publishing is switched on", (SWITCHES,)),
            Privilege(("find",), "sees that no backfill is half-way", (RUNS,)),
            Privilege(("find", "insert", "update"), "holds the publisher's lease, so that one publishes at a time", (LEASE,)),
        ),
    ),
    Role(
        "lnmWatch",
        "Looks at the outboxes after the window and changes nothing: lnm runbook watch, lnm outbox status.",
        ("runbook watch", "outbox status"),
        (
            Privilege(("find",), "counts what waits, and since when", OUTBOXES),
            Privilege(("find",), "sees since when events may be published", (SWITCHES,)),
            Privilege(("find",), "sees whether a migration has failed", (LEDGER,)),
            Privilege(("find",), "counts what a backfill could make nothing of", (FAILED,)),
            Privilege(("replSetGetStatus",), "how far behind the members are", cluster=True),
        ),
    ),
    Role(
        "lnmRunbook",
        "What each stage of the runbook needs beside the role of its own: lnm runbook status, begin, evidence, and every stage.",
        ("runbook",),
        (
            Privilege(("find",), "sees whether production has begun here, and who has frozen it", (SWITCHES,)),
            Privilege(
                ("replSetGetConfig",), "tells this cluster from another one whose replica set has the same name", cluster=True
            ),
            Privilege(("find",), "tells this cluster from another one", ("version",), database="config", only_on=ROUTER),
        ),
    ),
    Role(
        "lnmFingerprint",
        "Reads every document, to prove that a way back leads back: beside the roles of apply-21-101 and rollback-21-102.",
        ("runbook fingerprint",),
        (
            Privilege(("listCollections",), "finds out which collections are there, and their options"),
            Privilege(("find", "listIndexes"), "hashes the documents and the indexes of each"),
        ),
    ),
    Role(
        "lnmBackup",
        "Backs the database up, and proves the backup in a scratch database beside: lnm runbook backup, prove-backup.",
        ("runbook backup",),
        (
            Privilege(("listCollections", "dbStats"), "finds out which collections are there, and how much they hold"),
            Privilege(("find", "listIndexes"), "reads every collection, its options and its indexes"),
            Privilege(("insert", "update"), "holds the lease, so that one runner works at a time", (LEASE,)),
            Privilege(
                ("listCollections", "createCollection", "insert", "bypassDocumentValidation", "createIndex"),
                "restores the backup into the scratch database",
                suffix=PROOF,
            ),
            Privilege(
                ("convertToCapped", "collMod"),
                "makes capped collections, and has documents of clustered ones expire, as they do",
                suffix=PROOF,
            ),
            Privilege(("find", "listIndexes"), "compares what is there with the backup", suffix=PROOF),
            Privilege(("dropCollection", "dropDatabase"), "drops it again", suffix=PROOF),
            Privilege(("serverStatus",), "whether writes are frozen", cluster=True),
            Privilege(("bypassWriteBlockingMode",), "does so while they are", cluster=True),
        ),
    ),
    Role(
        "lnmRestore",
        "Puts the whole database back from its backup: lnm runbook restore. It may remove everything in it: for that hour alone.",
        ("runbook restore",),
        (
            Privilege(("listCollections", "find", "listIndexes"), "compares what is there with the backup"),
            Privilege(
                ("createCollection", "insert", "bypassDocumentValidation", "createIndex"),
                "loads each collection beside the present one",
            ),
            Privilege(
                ("convertToCapped", "collMod"),
                "makes capped collections, and has documents of clustered ones expire, as before",
            ),
            Privilege(
                ("dropCollection",),
                "renames it over that one, as the server asks for this action for it, and drops what has come since",
            ),
            Privilege(("remove",), "removes settings that have come since", (SWITCHES,)),
            Privilege(("update",), "holds the lease, so that one runner works at a time", (LEASE,)),
            Privilege(("serverStatus",), "whether writes are frozen", cluster=True),
            Privilege(("bypassWriteBlockingMode",), "does so while they are", cluster=True),
        ),
    ),
    Role(
        "lnmSeedDemo",
        "Fills an empty database with advisories for a demonstration: lnm seed-demo. Never to be given where the product runs.",
        ("seed-demo",),
        (
            Privilege(("find",), "sees that nothing is there yet", SEEDED),
            Privilege(("insert",), "writes the documents", SEEDED),
            Privilege(("createIndex",), "makes the indexes that the product makes", SEEDED[:3]),
        ),
    ),
)


def by_name(name: str) -> Role:
    """The role of a name."""
    return next(role for role in ROLES if role.name == name)


@dataclass(frozen=True)
class Need:
    """One action on one thing, and the role that has it."""

    resource: Resource
    action: str
    role: str

    @property
    def place(self) -> str:
        """What the action is on, in words."""
        if "cluster" in self.resource:
            return "the cluster"
        database, collection = self.resource["db"], self.resource["collection"]
        return f"{database}.{collection}" if collection else f"the database {database}"


def needs(stage: str, database: str, topology: str) -> Iterator[Need]:
    """What a stage needs on a kind of server, that of inherited roles included."""
    names = [role.name for role in ROLES if stage in role.stages]
    names += [inherited for name in names for inherited in by_name(name).inherits]
    for role in ROLES:
        for privilege in role.privileges:
            wanted = stage in privilege.needed_by if privilege.needed_by else role.name in names
            if wanted and privilege.only_on in {"", topology}:
                for resource in privilege.resources(database):
                    yield from (Need(resource, action, role.name) for action in privilege.actions)


def missing(stage: str, database: str, topology: str, granted: Iterable[Mapping[str, Any]]) -> list[Need]:
    """What a stage needs and `connectionStatus` (with showPrivileges) does not list."""
    held = [(privilege["resource"], frozenset(privilege["actions"])) for privilege in granted]
    return [
        need
        for need in needs(stage, database, topology)
        if not any(need.action in actions and covers(resource, need.resource) for resource, actions in held)
    ]


def covers(granted: Resource, wanted: Resource) -> bool:
    """True where a privilege on one resource is one on the other (MongoDB manual, «Resource Document»)."""
    if granted.get("anyResource") or granted.get("cluster") or wanted.get("cluster"):
        return bool(granted.get("anyResource")) or bool(granted.get("cluster") and wanted.get("cluster"))
    if "db" not in granted or "collection" not in granted or granted["db"] not in {"", wanted["db"]}:
        return False
    if granted["collection"] == wanted["collection"]:
        return True
    return granted["collection"] == "" and not wanted["collection"].startswith("system.")

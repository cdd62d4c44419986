"""The stages `backup`, `prove-backup` and `restore`: what each must find, and what it leaves in the journal (decisions §10).

The backup is in the runbook's folder, or where --backup says: that folder itself if there is a backup in it, else one below that
is named after the database. It is made once: one that is there is never written over, but taken for done where it is whole and
of now, and else refused. It is read whole before it is proved, and before anything is restored from it.
"""

from __future__ import annotations

import datetime as dt
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lnm_runner import fingerprint, freeze, lease, mongo, privileges
from lnm_runner.backup import checking, compression, dump, layout, manifest, mongodump, prove, reading
from lnm_runner.backup.layout import Place
from lnm_runner.backup.manifest import Manifest
from lnm_runner.backup.restore import BESIDE, Restore
from lnm_runner.errors import LockedError, RetryableError, StageError
from lnm_runner.fingerprint import Fingerprint
from lnm_runner.lease import COLLECTION as LEASE
from lnm_runner.mongo import Server, Topology
from lnm_runner.outbox import switch
from lnm_runner.runbook.stage import Context, Done, Evidence
from lnm_runner.target import target

BACKUP, RESTORE = "runbook backup", "runbook restore"
"""What the stages are called in the table of roles, and in the lease."""
NAME: Final = "backup"
PROOF: Final = "prove-backup"
OPEN: Final = 1  # serverStatus, repl.userWriteBlockMode; higher ones are blocked
ROOM: Final = {"none": 1.02, "gzip": 0.6, "zstd": 0.6}
"""So many times the bytes of its documents must be free for a backup; advisories take 0.2 to 0.25 with gzip and zstd."""
MOST_TOLD: Final = 10


# ---- backup


def check_backup(context: Context) -> Sequence[str]:
    """Says what would be written where.

    Raises: RunnerError where it could not be.
    """
    require_server(context, BACKUP)
    runbook, place = context.options.runbook, folder(context)
    compression.require(runbook.compress)
    program = mongodump.tool(context.options.environment, runbook.compress)
    entries = fingerprint.listed(context.server.database)
    for name in entries:
        layout.stem(name)
    if half := [name for name in entries if name.startswith(BESIDE)]:
        raise StageError(
            f"a restore was begun here and not ended: {', '.join(half[:MOST_TOLD])}; half of it is no state to go back to",
            hint="end it, with the journal and the backup that it was begun with: "
            f"{context.options.command('runbook', 'restore', '--execute')}; or look at these, and drop them",
        )
    if (place / layout.MANIFEST).exists():
        made = existing(context)
        return [
            f"there is a backup already, of {made.value['at']}: it is looked at, and taken for done where it is whole and of now"
        ]
    return [
        f"{len(entries)} collections are dumped by {'mongodump' if program else 'lnm itself'}, compression {runbook.compress}",
        room(context, place),
        *unfrozen(context.server),
    ]


def room(context: Context, place: Path) -> str:
    """How much is wanted, and how much is free.

    Raises: RetryableError where that is too little.
    """
    size = int(context.server.database.command("dbStats")["dataSize"])
    wanted = int(size * ROOM[context.options.runbook.compress])
    disk = next(one for one in (place, *place.parents) if one.exists())
    free = shutil.disk_usage(disk).free
    said = f"{size:,} bytes of documents; wanted on the disk of the backup up to {wanted:,}, free {free:,}"
    if free < wanted:
        raise RetryableError(f"too little room for a backup: {said}", hint="make room, or name another disk by --backup FOLDER")
    return said


def run_backup(context: Context) -> Done:
    """Makes the backup, or takes the one that is there for done.

    Raises: RunnerError.
    """
    place, options = folder(context), context.options
    check_backup(context)
    with held(context, BACKUP):
        if (place / layout.MANIFEST).exists():
            made = existing(context)
            brought = checking.require_whole(made, Place(place, made.compress), options.progress.line)
            checking.require_current(made, context.server.database)
            head = f"the backup of {made.value['at']} is whole and of now: nothing was written"
        else:
            made, brought = new_backup(context, place)
            head = f"backup made by {made.value['tool']}"
    return Done(
        [f"{head}: {counted(brought)}, {made.stored_bytes:,} on the disk", f"manifest: {made.sha256}"], told(made, brought)
    )


def new_backup(context: Context, place: Path) -> tuple[Manifest, Fingerprint]:
    """Makes a backup beside, and gives it its name once it is whole."""
    database, options = context.server.database, context.options
    if place.exists() and (place.is_symlink() or not place.is_dir() or any(place.iterdir())):
        raise StageError(f"{place.name}: is there, and holds no backup", hint="move it away, or name another by --backup FOLDER")
    part = Place(layout.new_part(place, database.name), options.runbook.compress)
    program = mongodump.tool(options.environment, options.runbook.compress)
    time_of = operation_time(context.server)
    if program:
        found = mongodump.make(program, target(options), database, part, options.environment)
    else:
        found = dump.make(database, part, options.progress.line)
    brought = brought_by(found)
    if unfrozen(context.server):
        require_unchanged(brought, context.server)
    known = {stored.file for one in found for stored in (one.stored, one.metadata) if stored}
    made = Manifest(
        {
            "at": f"{mongo.now(database):%Y-%m-%dT%H:%M:%SZ}",
            "cluster": manifest.cluster_of(database),
            "collections": [one.as_json() for one in found],
            "compress": options.runbook.compress,
            "database": database.name,
            "fingerprint": {"collections": len(brought.collections), "database": brought.sha256},
            "kit": root_hash(context),
            "operationTime": time_of,
            "others": [one.as_json() for one in mongodump.others(part, known)],
            "schema": manifest.SCHEMA,
            "server": {"version": context.server.version},
            "tool": mongodump.NAME if program else mongodump.OURS,
        }
    )
    Place(part.folder).write(layout.MANIFEST, made.data)
    layout.settle(part.folder, place)
    return made, brought


def brought_by(found: Sequence[dump.Collection]) -> Fingerprint:
    """The fingerprint of what a restore would bring back."""
    counted_ones = [one for one in found if one.name not in fingerprint.LEASE and (one.apart is None or one.apart.count)]
    return Fingerprint({one.name: one.apart or one.seen for one in counted_ones})


def require_unchanged(brought: Fingerprint, server: Server) -> None:
    """Where nothing is frozen: refuses a backup of a database that was changed while it was made.

    Raises: BackupError.
    """
    if differences := fingerprint.differences(brought, fingerprint.restorable(server.database)):
        raise dump.changed(differences)


def operation_time(server: Server) -> dict[str, int]:
    """The time of the server's last operation, as its oplog has it."""
    at = server.database.client.admin.command("ping").get("operationTime")
    return {"i": at.inc, "t": at.time} if at is not None else {"i": 0, "t": 0}


def told(made: Manifest, brought: Fingerprint) -> Evidence:
    """What the journal keeps of a backup."""
    return {
        "tool": made.value["tool"],
        "compress": made.compress,
        "collections": len(brought.collections),
        "documents": brought.documents,
        "bytes": brought.bytes,
        "storedBytes": made.stored_bytes,
        "manifest": made.sha256,
        "fingerprint": dict(made.value["fingerprint"]),
    }


# ---- prove-backup


def check_prove_backup(context: Context) -> Sequence[str]:
    """Says what would be proved; the files are listed, and not yet read.

    Raises: RunnerError.
    """
    require_server(context, BACKUP)
    made = existing(context)
    checking.require_listed(made, files(context, made))
    scratch = prove.scratch(context.server.database)
    left = prove.require_free(scratch, context.server.database)
    prove.require_room(context.server.database)
    return [
        f"the backup of {made.value['at']}: {made.value['fingerprint']['collections']} collections, {made.stored_bytes:,} bytes",
        *(["a proof that was stopped has left something there, which is dropped first"] if left else []),
        f"it is restored into {scratch.name}, compared, and that database is dropped",
    ]


def run_prove_backup(context: Context) -> Done:
    """Restores the backup into a scratch database, and compares it with the backup and with the database as it is.

    Raises: RunnerError.
    """
    made, say = existing(context), context.options.progress.line
    place = files(context, made)
    privileges.require(context.server, BACKUP)
    with held(context, BACKUP):
        brought = checking.require_whole(made, place, say)
        checking.require_current(made, context.server.database)
        begun = time.monotonic()
        found = prove.prove(context.server.database, made, brought, place, say)
        took_ms = int((time.monotonic() - begun) * 1000)
    evidence = {"equal": True, **numbers(found), "fingerprint": found.sha256, "restoreMs": took_ms}
    return Done([f"the backup was restored and is equal: {counted(found)}", f"fingerprint: {found.sha256}"], evidence)


# ---- restore


def check_restore(context: Context) -> Sequence[str]:
    """Says what would be put back, and what would be lost.

    Raises: RunnerError where it may not be done.
    """
    made, place = existing(context), folder(context)
    if context.server.topology is Topology.ROUTER:
        raise through_router(made, place)
    require_server(context, RESTORE)
    checking.require_listed(made, files(context, made))
    lost = list(differing(made, context.server))
    require_may_restore(context, made, lost)
    return [
        f"the backup of {made.value['at']}: {made.value['fingerprint']['collections']} collections, {made.stored_bytes:,} bytes",
        *(lost or ["each collection has as many documents now as the backup has"]),
    ]


def require_may_restore(context: Context, made: Manifest, lost: Sequence[str]) -> None:
    """Refuses another cluster, or where users or publishers may write now, or could have since; unless it is forced.

    Raises: StageError.
    """
    if context.options.force_reason:
        return
    hint = "--force --force-reason WHY, knowing that; or "
    if unfrozen(context.server):
        raise StageError(
            "the database is not frozen: what users write while it is restored would be lost, or break it",
            hint=f"{hint}first: {context.options.command('runbook', 'freeze', '--reason', 'WHY', '--execute')}",
        )
    if since := open_since(context, made):
        said = f": {'; '.join(lost[:MOST_TOLD])}" if lost else ""
        raise StageError(
            f"users could write since the backup of {made.value['at']} ({since}), and that would be lost{said}",
            hint=f"{hint}look what was written since, and save it first",
            facts={"differing": list(lost)},
        )
    if context.done.get(PROOF, {}).get("fingerprint", made.fingerprint) != made.fingerprint:
        raise StageError(
            f"the backup of {made.value['at']} was never proved: the proof of this journal is about another one",
            hint=f"{hint}first: {context.options.command('runbook', PROOF, '--execute')}",
        )
    if not switch.is_silent(context.server.database):
        raise StageError(
            "the outbox is switched on, or its hook has not ended: a publisher of the site's own would go on, and publish at "
            "once what is backfilled next",
            hint=f"{hint}first: {context.options.command('outbox', 'disable', '--execute')}",
        )
    if not is_same_place(context, made):
        raise StageError(
            "this is another cluster than the one that was backed up, though both are called the same: "
            f"its {LEASE} is not the collection that was there then",
            hint=f"{hint}look at CONCELIER_MONGO_URI; it is also so where the cluster was built anew",
        )


def is_same_place(context: Context, made: Manifest) -> bool:
    """Whether the lease is the collection that the backup has seen: no restore touches it, and no two clusters share a UUID.

    Many replica sets are called alike, as rs0, and so are their databases.
    """
    row = next((one for one in made.rows if one["name"] == LEASE), None)
    if row is None:
        return True
    wanted = reading.metadata(files(context, made), row["metadata"]["file"]).get("uuid")
    entry = fingerprint.listed(context.server.database).get(LEASE, {})
    found = entry.get("info", {}).get("uuid")
    return wanted is None or (found is not None and bytes(found).hex() == wanted)


def open_since(context: Context, made: Manifest) -> str:
    """Why users could write between the backup and the freeze that is on now; empty where they could not.

    The marker tells when the cluster was frozen, whatever a journal says: the stage may have been skipped before the backup. Only
    a freeze that nobody has marked is judged by the journal.
    """
    seen = freeze.look(context.server)
    at = seen.marker.get("at") if seen.marker is not None and seen.is_marked else None
    if isinstance(at, dt.datetime):
        is_later = int(at.timestamp()) > made.value["operationTime"].get("t", 0)
        return f"it was frozen after that, at {at:%Y-%m-%d %H:%M:%S} UTC" if is_later else ""
    return "unfreeze is done" if "unfreeze" in context.done else ""


def differing(made: Manifest, server: Server) -> Iterator[str]:
    """The collections whose documents are not as many as those of the backup, in words."""
    there = fingerprint.listed(server.database)
    counts = {row["name"]: row["count"] for row in made.rows if row["type"] != "view" and row["name"] not in fingerprint.LEASE}
    names = {name for name, entry in there.items() if entry["type"] != "view"} - fingerprint.LEASE
    for name in sorted(names | counts.keys()):
        now = server.database[name].count_documents({}) if name in there else 0
        if now != counts.get(name, 0) or name not in counts:
            said = f"{counts[name]:,} in the backup" if name in counts else "in the backup it is not there: it goes"
            yield f"{name}: {now:,} documents now, {said}"


def run_restore(context: Context) -> Done:
    """Puts the database back.

    Raises: RunnerError.
    """
    check_restore(context)
    made, say = existing(context), context.options.progress.line
    place = files(context, made)
    privileges.require(context.server, RESTORE)
    with held(context, RESTORE) as mine:
        brought = checking.require_whole(made, place, say)
        found = Restore(mine, made, brought, place, say).carry_out()
    evidence = {**numbers(found), "fingerprint": found.sha256, "equalsBackup": found.sha256 == made.fingerprint}
    lines = [f"the database is what it was at {made.value['at']}: {counted(found)}", f"fingerprint: {found.sha256}"]
    return Done(lines, evidence)


def through_router(made: Manifest, place: Path) -> StageError:
    """The error for a sharded cluster."""
    unpack = "zstd -d --rm -r the dump, then " if made.compress == "zstd" else ""
    flags = ["--drop", "--bypassDocumentValidation"]
    flags += ["--gzip"] if made.compress == "gzip" else []
    command = shlex.join(["mongorestore", "--config=FILE", *flags, f"--nsInclude={made.database}.*", str(place / layout.DUMP)])
    return StageError(
        "a sharded cluster is not restored here: a collection that is renamed over a sharded one would be sharded no more",
        hint=f"as the vendor's manual says, from its own backup; or, each collection with its shard key first, {unpack}{command}",
    )


# ---- what they share


def folder(context: Context) -> Path:
    """Where the backup is, or is to be."""
    named = context.options.runbook.backup
    if named is None:
        return context.folder / NAME
    return named if (named / layout.MANIFEST).exists() else named / context.folder.name


def files(context: Context, made: Manifest) -> Place:
    """The files of the backup."""
    return Place(folder(context), made.compress)


def existing(context: Context) -> Manifest:
    """The manifest of the backup, which is the one of the journal, and of this kit, cluster and database.

    Raises: NotFoundError, BackupError.
    """
    known = context.done.get(NAME, {}).get("manifest", "")
    made = manifest.read(folder(context), str(known))
    checking.require_ours(made, context.server.database, root_hash(context))
    return made


def root_hash(context: Context) -> str:
    """`sha256:<hex>` of the kit."""
    return f"sha256:{context.kit.manifest.root_hash}"


def require_server(context: Context, stage: str) -> None:
    """Refuses another kind of server, a user who may not do it, and a runner that is at work.

    Raises: TopologyError, PrivilegeError, LockedError.
    """
    context.server.require(Topology.REPLICA_SET, Topology.ROUTER)
    privileges.require(context.server, stage)
    row = lease.holder(context.server.database)
    if row is not None and row["isHeld"] and not context.options.wait_s:
        raise LockedError(
            f"another runner is at work: {lease.described(row)}", hint="wait for it (--wait SECONDS); look: lnm doctor"
        )


def held(context: Context, stage: str) -> Any:
    """The lease, for a block."""
    options = context.options
    return lease.held(context.server.database, stage, lasts_s=options.lease_s, wait_s=options.wait_s, say=options.progress.line)


def unfrozen(server: Server) -> list[str]:
    """In words, where users may write; a router does not tell."""
    mode = server.database.client.admin.command("serverStatus").get("repl", {}).get("userWriteBlockMode")
    if mode is not None and mode != OPEN:
        return []
    return ["writes are not frozen, or the server does not tell: it is looked whether anything changes meanwhile"]


def numbers(found: Fingerprint) -> dict[str, int]:
    """How much was restored."""
    return {"collections": len(found.collections), "documents": found.documents, "bytes": found.bytes}


def counted(found: Fingerprint) -> str:
    """The same in words."""
    return f"{len(found.collections)} collections, {found.documents:,} documents, {found.bytes:,} bytes"

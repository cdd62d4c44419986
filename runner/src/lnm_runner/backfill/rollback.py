"""Takes a run of 21-102 back, by the hashes of what it has written (decisions §5).

Runs go newest first; of each: events, linksets, observations, tombstones. For each row of `lnm_checkpoints`, in one fenced
transaction: what is still as it was written is removed, or set back to what an earlier run had made; what somebody has touched
is listed and left; the row remembers it. So it can be stopped anywhere and gone on with, and doing it twice is doing it once.
It is refused once an event was published.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession

from lnm_runner.backfill import events, leaves, linksets, observations, report, runs, tombstones
from lnm_runner.backfill.batches import BEFORE, ERRORS
from lnm_runner.backfill.leaves import CHECKPOINTS, RAW, Leaf
from lnm_runner.errors import PlanError, PublishedError
from lnm_runner.lease import COLLECTION as LEASE
from lnm_runner.lease import Lease
from lnm_runner.mongo import Database
from lnm_runner.progress import Progress

ORDER = (events.OF_OBSERVATIONS, events.OF_LINKSETS, linksets.COLLECTION, observations.COLLECTION, tombstones.COLLECTION)
STAGE = "rollback"
TOUCHED = "ERR_LNM_TOUCHED"
FENCE = "21-102/rollback"
CHUNK = 200
"""Rows that are forgotten at once, when all is taken back."""


@dataclass
class Tally:
    """What a rollback did with documents."""

    removed: dict[str, int] = field(default_factory=dict)
    restored: int = 0
    gone: int = 0
    """That were not there any more."""

    def add(self, done: Done, collection: str) -> None:
        """Counts a row."""
        self.removed[collection] = self.removed.get(collection, 0) + len(done.removed)
        self.restored += len(done.restored)
        self.gone += done.gone


@dataclass(frozen=True)
class Done:
    """What is to be done with the documents of a row."""

    removed: Sequence[ObjectId]
    restored: Sequence[ObjectId]
    touched: Sequence[ObjectId]
    gone: int


def published(database: Database, run: str) -> int:
    """Events of a run that were published."""
    wanted = {"backfill.runId": run, "publishedAt": {"$ne": None}}
    return sum(database[name].count_documents(wanted) for name in (events.OF_OBSERVATIONS, events.OF_LINKSETS))


def require_unpublished(database: Database, rows: Sequence[Mapping[str, Any]], force_reason: str) -> None:
    """Refuses to take back what the world has been told.

    Raises: PublishedError.
    """
    count = sum(published(database, row["_id"]) for row in rows)
    if count and not force_reason:
        raise PublishedError(count)


def require_known(database: Database) -> None:
    """Refuses where documents carry a run that `lnm_runs` does not know: it would look done, and they would stay.

    A run that was taken back is known: what it has left was listed.

    Raises: PlanError.
    """
    known = [row["_id"] for row in runs.all_of(database)]
    for name in ORDER:
        found = database[name].find_one({"backfill.runId": {"$exists": True, "$nin": known}}, {"backfill": 1})
        if found is not None:
            raise PlanError(
                f"{name}: {found['_id']} is of the run {str(found['backfill']['runId'])[:32]}, unknown to {runs.RUNS}",
                hint=f"restore {runs.RUNS} and {CHECKPOINTS} from the backup, or the whole backup; nothing was changed",
            )


def take_back(lease: Lease, row: Mapping[str, Any], progress: Progress, reason: str = "") -> Tally:
    """Takes one run back, or the rest of it.

    Raises: LeaseLostError, PyMongoError.
    """
    database, run = lease.database, row["_id"]
    claim_all(lease)
    if row["state"] != runs.ROLLING_BACK:  # what an earlier rollback has left of a run that was done again since
        remove_all(lease, ERRORS, {"runId": run, "stage": STAGE})
    forced = {"forceReason": reason} if reason else {}
    runs.changed(lease, run, {"state": runs.ROLLING_BACK, "epoch": row["epoch"], **forced})
    tally = Tally()
    for collection in ORDER:
        stage = next(stage for stage, names in report.OUTPUTS.items() if collection in names)
        total = database[CHECKPOINTS].count_documents({"runId": run, "stage": stage})
        for done, one in enumerate(list_rows(database, run, stage), 1):
            if collection not in one.get("takenBack", ()):
                tally.add(take_row_back(lease, one, collection), collection)
            progress.show(f"taking back {collection}", done, total, 0)
    forget(lease, run)
    left = database[ERRORS].count_documents({"runId": run, "stage": STAGE})  # of this attempt, and of those before it
    runs.changed(lease, run, {"state": runs.ROLLED_BACK, "touched": left})
    return tally


def claim_all(lease: Lease) -> None:
    """From here on no worker of an earlier epoch can write into any partition, whichever it is in."""
    lease.fence(runs.FENCE)
    lease.fence(FENCE)
    names = lease.database[LEASE].find({"_id": {"$regex": "^fence:21-102/"}, "epoch": {"$lt": lease.epoch}}, {"_id": 1})
    for fence in names:
        lease.fence(fence["_id"].removeprefix("fence:"))


def list_rows(database: Database, run: str, stage: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a stage; each is read when it is wanted, as taking back may last longer than a cursor."""
    last = ""
    while True:
        wanted = {"runId": run, "stage": stage, "_id": {"$gt": last}}
        found = database[CHECKPOINTS].find_one(wanted, sort=[("_id", 1)])
        if found is None:
            return
        last = found["_id"]
        yield found


def take_row_back(lease: Lease, row: Mapping[str, Any], collection: str) -> Done:
    """Takes back what a row tells of a collection."""
    database, run = lease.database, row["runId"]
    mine = {leaf.id: leaf for leaf in leaves.leaves_of(row, collection) if leaf.before != leaf.after}

    def write(session: ClientSession) -> Done:
        done = decided(database, collection, mine, session)
        if done.removed:
            database[collection].delete_many({"_id": {"$in": list(done.removed)}}, session=session)
        if done.restored:
            wanted = [{"run": run, "collection": collection, "id": identity} for identity in done.restored]
            images = database[BEFORE].with_options(codec_options=RAW).find({"_id": {"$in": wanted}}, session=session)
            restored = {image["_id"]["id"]: ReplaceOne({"_id": image["_id"]["id"]}, image["document"]) for image in images}
            require_images(collection, [identity for identity in done.restored if identity not in restored])
            database[collection].with_options(codec_options=RAW).bulk_write([*restored.values()], ordered=False, session=session)
        for identity in done.touched:
            said = touched_row(run, collection, identity)
            database[ERRORS].replace_one({"_id": said["_id"]}, said, upsert=True, session=session)
        database[CHECKPOINTS].update_one({"_id": row["_id"]}, {"$addToSet": {"takenBack": collection}}, session=session)
        return done

    return lease.transaction(FENCE, write)


def require_images(collection: str, missing: Sequence[ObjectId]) -> None:
    """Refuses to go on where it is not known any more what a document was before.

    Raises: PlanError.
    """
    if missing:
        raise PlanError(
            f"{collection}: {BEFORE} does not hold what {missing[0]} was before this run",
            hint=f"restore {BEFORE} from the backup, then run the same command again; this document was left",
        )


def decided(database: Database, collection: str, mine: Mapping[ObjectId, Leaf], session: ClientSession) -> Done:
    """What is to be done, by what is there."""
    source = database[collection].with_options(codec_options=RAW)
    found = {one["_id"]: one.raw for one in source.find({"_id": {"$in": list(mine)}}, session=session)}
    hashes = {identity: leaves.sha256(bytes(data)) for identity, data in found.items()}
    as_written = [identity for identity, leaf in mine.items() if hashes.get(identity) == leaf.after]
    as_before = [identity for identity, leaf in mine.items() if identity in hashes and hashes[identity] == leaf.before]
    known = {*as_written, *as_before}
    return Done(
        removed=[identity for identity in as_written if mine[identity].before is None],
        restored=[identity for identity in as_written if mine[identity].before is not None],
        touched=[identity for identity in found if identity not in known],
        gone=len(mine) - len(found),
    )


def touched_row(run: str, collection: str, identity: ObjectId) -> dict[str, Any]:
    """What says that a document was left."""
    return {
        "_id": f"{run}/{STAGE}/{collection}/{identity}",
        "runId": run,
        "stage": STAGE,
        "key": [collection, str(identity)],
        "code": TOUCHED,
        "reason": "somebody has changed it since the backfill wrote it, so it was left as it is",
    }


def forget(lease: Lease, run: str) -> None:
    """Removes what a run has kept for itself; what was left of it stays listed."""
    remove_all(lease, BEFORE, {"_id.run": run})
    remove_all(lease, ERRORS, {"runId": run, "stage": {"$ne": STAGE}})
    remove_all(lease, CHECKPOINTS, {"runId": run})


def remove_all(lease: Lease, name: str, wanted: Mapping[str, Any]) -> None:
    """Removes rows of ours, some at a time."""
    while ids := [one["_id"] for one in lease.database[name].find(wanted, {"_id": 1}).limit(CHUNK)]:
        lease.transaction(FENCE, functools.partial(remove, lease.database, name, ids))


def remove(database: Database, collection: str, ids: Sequence[Any], session: ClientSession) -> None:
    """Removes rows of ours."""
    database[collection].delete_many({"_id": {"$in": list(ids)}}, session=session)


def touched(database: Database, run: str) -> Iterator[str]:
    """What was left of a run, in words."""
    for one in database[ERRORS].find({"runId": run, "stage": STAGE}).sort("_id", 1):
        yield f"{' '.join(one['key'])}: {one['reason']}"

"""How far the server is with building indexes, while the runner waits for its answer: a thread that asks `$currentOp`.

The stage needs the privilege `inprog` on the cluster (MongoDB manual, «$currentOp»); without it nothing is shown, and nothing
fails.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from lnm_runner.mongo import PARTING_S, Database
from lnm_runner.progress import Progress

ASK_EVERY_S = 0.5
LONGEST_ANSWER_S = 5


def built(database: Database, collection: str) -> tuple[int, int] | None:
    """Documents done and in all, over every shard; None where no build of the collection is under way."""
    under_way = {"command.createIndexes": collection, "command.$db": database.name, "progress.total": {"$gt": 0}}
    by_message = {"ns": f"{database.name}.{collection}", "msg": {"$regex": "^Index Build"}, "progress.total": {"$gt": 0}}
    pipeline: list[Mapping[str, Any]] = [
        {"$currentOp": {"allUsers": True, "idleConnections": False}},
        {"$match": {"$or": [under_way, by_message]}},
        {"$project": {"progress": 1}},
    ]
    found = [row["progress"] for row in database.client.admin.aggregate(pipeline)]
    return (sum(int(row["done"]) for row in found), sum(int(row["total"]) for row in found)) if found else None


@contextlib.contextmanager
def watched(database: Database, collection: str, progress: Progress) -> Iterator[None]:
    """Shows the progress of index builds on a collection for as long as the block lasts."""
    over = threading.Event()
    thread = threading.Thread(target=follow, args=(database, collection, progress, over), name="index-builds", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=PARTING_S)
        progress.wipe()


def follow(database: Database, collection: str, progress: Progress, over: threading.Event) -> None:
    """Asks until it is over, or until asking is refused."""
    began = time.monotonic()
    while not over.wait(ASK_EVERY_S):
        try:
            with pymongo.timeout(LONGEST_ANSWER_S):
                found = built(database, collection)
        except PyMongoError:
            return
        if found and not over.is_set():
            progress.show(f"  building on {collection}", *found, time.monotonic() - began)

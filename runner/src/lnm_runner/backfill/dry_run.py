"""What a backfill would do: counts, a sample that is really made and not written, and a forecast. It writes nothing at all."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from lnm_runner import mongo
from lnm_runner.backfill import inventory, lag, making, pace, source, workfile
from lnm_runner.backfill.items import Item
from lnm_runner.durations import in_words
from lnm_runner.mongo import Database, Server
from lnm_runner.options import Options
from lnm_runner.target import target

SAMPLE = 500
WRITE_MS = 0.35
"""Of the server for an observation with its event and what follows of it. `python -m tests.bench.backfill.forecast` shows what is
said beside what is taken: 20,000 documents, on two cores that did other things, took 0.6 to 0.8 of it with one worker, 1.3 to
2.0 with two. In quiet, by the rates of docs/performance.md and 0.38 ms of CPU for each of a sample, it is 0.33 for each of two
workers, which share the cores with the server, and next to nothing for one."""


@dataclass(frozen=True)
class Look:
    """What was found."""

    data: dict[str, Any]
    lines: list[str]


def look(server: Server, options: Options) -> Look:
    """Counts and tries."""
    database = server.database
    documents, legacy = database[inventory.RAW].count_documents({}), database[inventory.LEGACY].count_documents({})
    began = time.monotonic()
    tried = sampled(database)
    each_ms = (time.monotonic() - began) * 1000 / max(len(tried), 1)
    failed = [item.failure for item in tried if item.failure is not None]
    sizes = sum(item.size for item in tried) / max(len(tried), 1)
    forecast_ms = round(documents * (2 * each_ms + WRITE_MS) / min(options.workers, 2))
    clients = mongo.shard_clients(target(options), server)
    shards = None if clients is None else {name: None if client is None else client.admin for name, client in clients.items()}
    now = lag.measured(database.client.admin, shards)
    decision = pace.decide(pace.State(options.batch_size), pace.Limits(options.batch_size, options.max_lag_s), now, 0.0)
    codes = Counter(failure.code for failure in failed)
    lines = [
        f"21-102 would read {documents:,} documents of {inventory.RAW} and {legacy:,} merged ones of {inventory.LEGACY}",
        f"  a sample of {len(tried)}: {len(tried) - len(failed)} can be backfilled, {len(failed)} cannot"
        + (f" ({', '.join(f'{code} {n}' for code, n in codes.items())})" if failed else ""),
        f"  about {documents * sizes * 2 / 2**20:,.0f} MiB of documents and events, and as much of the oplog",
        f"  about {in_words(forecast_ms)} with {options.workers} workers, in batches of {options.batch_size}",
        f"  lag now: {'unknown' if now.lag_s is None else f'{now.lag_s:.0f} s'}: it would {decision.action}",
    ]
    data = {
        "documents": documents,
        "legacy": legacy,
        "sample": {"tried": len(tried), "failed": len(failed), "byCode": dict(codes)},
        "forecastMs": forecast_ms,
        "forecastBytes": round(documents * sizes * 2),
        "lagSeconds": now.lag_s,
    }
    return Look(data, lines)


def sampled(database: Database) -> list[Item]:
    """What would be made of some documents, spread over all of them."""
    rows: list[dict[str, Any]] = []
    collection = database[inventory.RAW].with_options(codec_options=inventory.OF_THE_INPUT)
    for document in collection.aggregate([{"$sample": {"size": SAMPLE}}, {"$project": inventory.FIELDS}]):
        rows.append({"twin": None, **inventory.row_of(len(rows), document)})
    given = making.Input(database, workfile.nothing(), "0" * inventory.RUN_ID_DIGITS)
    items = []
    for chunk in making.ahead(rows):
        read = source.documents(database, [workfile.unpacked(row["raw_id"]) for row in chunk])
        pointers = [found for one in read.values() if (found := inventory.inside(one, "content.gridFsId")) is not None]
        payloads = source.payloads(database, pointers)
        before = {"id": None, "revision": 0}
        items += [
            making.observed_one(given, {**dict.fromkeys(inventory.ROW), **row}, read.get(row["raw_id"]), payloads, before)
            for row in chunk
        ]
    return items

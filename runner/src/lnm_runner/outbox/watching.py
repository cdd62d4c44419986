"""Watches the outboxes after a window, once a second, until `watch` says how it ends. Read-only.

What is looked at: the lag of the members (as the backfill's pace does), errors (rows of `lnm_backfill_errors`, and migrations
that have failed), how many rows wait in the outboxes, and for how long.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lnm_runner.backfill import lag
from lnm_runner.backfill.batches import ERRORS
from lnm_runner.backfill.worker import shards_of
from lnm_runner.durations import SECOND_MS
from lnm_runner.errors import StoppedError
from lnm_runner.history import LEDGER
from lnm_runner.mongo import Database, Server
from lnm_runner.options import Options
from lnm_runner.outbox import backlog
from lnm_runner.outbox.watch import BADLY, GO_ON, TIMEOUT, Limits, Sample, Verdict, judge
from lnm_runner.target import target

EVERY_S = 1.0
RESTS = 4  # of the time that a look takes, so that looking loads the server by a fifth at most


@dataclass
class Seen:
    """What a watch has seen in all."""

    newest: Sample
    max_lag_ms: int | None = None
    max_oldest_ms: int | None = None

    def add(self, sample: Sample) -> None:
        """One sample more."""
        self.newest = sample
        self.max_lag_ms = highest(self.max_lag_ms, in_ms(sample.lag_s))
        self.max_oldest_ms = highest(self.max_oldest_ms, in_ms(sample.oldest_s))


def in_ms(seconds: float | None) -> int | None:
    """Whole milliseconds."""
    return None if seconds is None else round(seconds * SECOND_MS)


def highest(one: int | None, other: int | None) -> int | None:
    """The higher of two numbers, as far as they are known."""
    return max((number for number in (one, other) if number is not None), default=None)


def watch(server: Server, options: Options, limits: Limits, keep: Callable[[Mapping[str, Any]], None]) -> Seen:
    """Watches until all is well; `keep` takes each sample for the report.

    Raises: StoppedError where it is not, or not in time; PyMongoError.
    """
    with shards_of(target(options), server) as shards:
        return watched(server.database, shards, options, limits, keep)


def watched(
    database: Database,
    shards: Mapping[str, Any] | None,
    options: Options,
    limits: Limits,
    keep: Callable[[Mapping[str, Any]], None],
) -> Seen:
    """The same, with the admin database of each shard behind a router.

    Raises: StoppedError, PyMongoError.
    """
    began = look(database, shards)
    seen, samples, said = Seen(began), deque[Sample](), ""
    sample = began
    while True:
        took_s = time.monotonic() - sample.at_s
        seen.add(sample)
        keep(as_json(sample))
        samples.append(sample)
        while len(samples) > 2 and samples[1].at_s <= sample.at_s - limits.looks_back_s:  # noqa: PLR2004 - one is kept behind it
            samples.popleft()
        verdict = judge(list(samples), limits, began)
        if verdict.action != GO_ON:
            return ended(verdict, seen, options)
        if (kind := re.sub(r"[0-9.,]", "", verdict.why)) != said:
            options.progress.line(f"watch: {verdict.why}")
            said = kind
        time.sleep(max(EVERY_S, RESTS * took_s))
        sample = look(database, shards)


def look(database: Database, shards: Mapping[str, Any] | None) -> Sample:
    """Looks once; its time is that of its beginning.

    Raises: PyMongoError.
    """
    at_s = time.monotonic()
    waits = backlog.together(backlog.measured(database))
    failed = database[ERRORS].estimated_document_count() + database[LEDGER].count_documents({"state": "failed"})
    oldest_s = None if waits.oldest_ms is None else waits.oldest_ms / SECOND_MS
    return Sample(at_s, lag.measured(database.client.admin, shards).lag_s, failed, waits.rows, oldest_s)


def as_json(sample: Sample) -> dict[str, Any]:
    """A sample for the report."""
    return {
        "lagMs": in_ms(sample.lag_s),
        "documents": None,
        "total": None,
        "errors": sample.errors,
        "backlog": sample.backlog,
        "oldestMs": in_ms(sample.oldest_s),
    }


def ended(verdict: Verdict, seen: Seen, options: Options) -> Seen:
    """How it ended.

    Raises: StoppedError where not well.
    """
    back = options.command("runbook", "rollback-21-102", "--execute")
    restore = options.command("runbook", "restore", "--execute")
    again, off = options.command("runbook", "watch"), options.command("outbox", "disable", "--execute")
    facts = {"backlog": seen.newest.backlog, "maxLagMs": seen.max_lag_ms, "maxOldestMs": seen.max_oldest_ms}
    if verdict.action == BADLY:
        raise StoppedError(
            f"the watch has stopped: {verdict.why}",
            hint=f"stop publishing: {off}; back, while no event was published: {back}; after that: {restore}",
            facts=facts,
        )
    if verdict.action == TIMEOUT:
        raise StoppedError(
            f"it did not become calm in time: {verdict.why}",
            hint=f"look why, then watch on: {again}; or back: {back}",
            facts=facts,
        )
    return seen

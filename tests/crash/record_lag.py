"""`python -m tests.crash.record_lag`: records what the runner measures of a real replica set while one of its members lags.

It writes tests/runner/lag_traces.ndjson, which the tests of the pace replay: made once by hand, as it takes two minutes and no two
runs are equal. A writer inserts all the time; what is done to a member is a row of `HURTS`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pymongo.errors import PyMongoError

from tests.conftest import ROOT
from tests.crash.cluster import Cluster, Member, running
from tests.runner import mongod

OUT = ROOT / "tests/runner/lag_traces.ndjson"
EVERY_S, CALM_S, HURT_S, AFTER_S = 0.5, 3.0, 14.0, 12.0
DOCUMENT = {"filling": "x" * 2000}


def secondary(cluster: Cluster) -> Member:
    """One of those that follow."""
    primary = cluster.primary()
    return next(member for member in cluster.members if member is not primary)


@contextlib.contextmanager
def locked(cluster: Cluster) -> Iterator[None]:
    """A secondary whose files are locked, as a backup of its disk does (fsyncLock): it is seen, and applies nothing."""
    with mongod.direct(secondary(cluster).port, username=mongod.ROOT[0], password=mongod.ROOT[1]) as client:
        client.admin.command("fsync", lock=True)
        yield
        client.admin.command("fsyncUnlock")


@contextlib.contextmanager
def stopped(cluster: Cluster) -> Iterator[None]:
    """A secondary whose process is stopped: it answers nobody."""
    process = secondary(cluster).process
    process.send_signal(signal.SIGSTOP)
    yield
    process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def stepped_down(cluster: Cluster) -> Iterator[None]:
    """A primary that steps down: another one is elected."""
    cluster.step_down()
    yield


HURTS: dict[str, Callable[[Cluster], contextlib.AbstractContextManager[None]]] = {
    "a secondary that is locked for a backup": locked,
    "a secondary that is stopped": stopped,
    "a primary that steps down": stepped_down,
}


@contextlib.contextmanager
def writing(cluster: Cluster) -> Iterator[None]:
    """Inserts without an end, whatever becomes of it."""
    ended = threading.Event()

    def insert() -> None:
        while not ended.wait(0.02):
            with contextlib.suppress(PyMongoError):
                cluster.client["lag"]["rows"].insert_many([dict(DOCUMENT) for _ in range(20)])

    thread = threading.Thread(target=insert)
    thread.start()
    yield
    ended.set()
    thread.join()


def samples(cluster: Cluster, seconds: float) -> Iterator[float | None]:
    """What is measured in that time, in seconds; None where it is not known."""
    lag = importlib.import_module("lnm_runner.backfill.lag")  # from the wheel, whose place tests/conftest.py tells
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield lag.measured(cluster.client.admin).lag_s
        time.sleep(EVERY_S)


def recorded(how: str) -> dict[str, Any]:
    """One trace: calm, hurt, and after it."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), 3) as cluster, writing(cluster):
        trace = list(samples(cluster, CALM_S))
        with HURTS[how](cluster):
            trace += samples(cluster, HURT_S)
        trace += samples(cluster, AFTER_S)
    return {"everyS": EVERY_S, "how": how, "lagS": trace}


if __name__ == "__main__":
    os.chdir(ROOT)
    OUT.write_text("".join(f"{json.dumps(recorded(how))}\n" for how in HURTS), encoding="ascii")

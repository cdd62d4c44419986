"""Several workers at once: each takes the next partition of a stage as soon as it is free. One worker works in this process.

A worker that fails stops the others after their present batch; one that is killed is an error, and the same command goes on
behind it.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from lnm_runner.backfill import worker
from lnm_runner.backfill.worker import Hand, Place
from lnm_runner.errors import RetryableError

LOOK_EVERY_S = 0.2
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass
class Crew:
    """Whoever does the partitions."""

    do: Callable[[str, Sequence[int], Callable[[int], None]], int]
    """Does partitions of a stage, says how many inputs are done of all stages so far, and returns how many this one had."""


@contextlib.contextmanager
def hired(place: Place, workers: int) -> Iterator[Crew]:
    """A crew.

    Raises: RunnerError, the first of any worker.
    """
    if workers == 1:
        yield from alone(place)
    else:
        yield from many(place, workers)


def alone(place: Place) -> Iterator[Crew]:
    """This process."""
    done = [0]

    def work(stage: str, numbers: Sequence[int], show: Callable[[int], None]) -> int:
        before = done[0]

        def tell(inputs: int) -> None:
            done[0] += inputs
            show(done[0])

        hand.tell = tell
        for number in numbers:
            hand.do(stage, number)
        return done[0] - before

    with worker.hired(place, lambda: False, lambda _: None) as hand:
        yield Crew(work)


def many(place: Place, workers: int) -> Iterator[Crew]:
    """Processes of their own."""
    context = multiprocessing.get_context("spawn")
    stop, done = context.Event(), context.Value("Q", 0)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=settle, initargs=(place, stop, done, os.getpid()))

    def work(stage: str, numbers: Sequence[int], show: Callable[[int], None]) -> int:
        before = int(done.value)
        try:
            waiting: set[Future[bool]] = {pool.submit(one, stage, number) for number in numbers}
            while waiting:
                finished, waiting = wait(waiting, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                show(done.value)
                for future in finished:
                    future.result()
        except BrokenProcessPool as err:
            raise RetryableError(
                "a worker of the backfill was killed", hint="is there enough memory? run the same command again"
            ) from err
        return int(done.value) - before

    try:
        yield Crew(work)
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + LONGEST_PARTING_S
        while multiprocessing.active_children() and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S / 4)
        for child in multiprocessing.active_children():  # one that waits for a server which does not answer
            child.kill()


LONGEST_PARTING_S = 10
_here: dict[str, Any] = {}
"""The worker of this process, from its first partition to the end of the process."""


def settle(place: Place, stop: Any, done: Any, parent: int) -> None:
    """Runs in a worker's process before its first partition: it ends with its parent, and ^C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    _here.update(place=place, stop=stop, done=done)


def end_with(parent: int) -> None:
    """Where the system cannot do it: ends the process once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def one(stage: str, number: int) -> bool:
    """Runs in a worker's process: does a partition.

    Raises: RunnerError.
    """
    hand: Hand | None = _here.get("hand")
    if hand is None:
        _here["stack"] = stack = contextlib.ExitStack()
        hand = _here["hand"] = stack.enter_context(worker.hired(_here["place"], _here["stop"].is_set, tell))
    return translated(hand, stage, number)


def translated(hand: Hand, stage: str, number: int) -> bool:
    """A partition, less errors that could not travel between processes."""
    with worker.translating():
        return not _here["stop"].is_set() and hand.do(stage, number)


def tell(inputs: int) -> None:
    """Adds to what is done."""
    with _here["done"].get_lock():
        _here["done"].value += inputs

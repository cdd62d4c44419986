"""Several workers at once: each takes the next partition of a stage as soon as it is free. One worker works in this process.

A worker that fails stops the others after their present batch; one that is killed is an error, and the same command goes on
behind it. What they share has no lock, which a worker that is killed could take with it. A signal that is sent to all of them, as
by a terminal, is the parent's to handle: a transaction that a worker is in comes to its end, as an open one would keep the next
run waiting.
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
    stop, done = context.RawValue("b", 0), [0]
    with held_back():
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=settle, initargs=(place, stop, os.getpid()))

    def work(stage: str, numbers: Sequence[int], show: Callable[[int], None]) -> int:
        before = done[0]
        try:
            with held_back():
                waiting: set[Future[int]] = {pool.submit(one, stage, number) for number in numbers}
            while waiting:
                finished, waiting = wait(waiting, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                done[0] += sum(future.result() for future in finished)
                show(done[0])
        except BrokenProcessPool as err:
            raise RetryableError(
                "a worker of the backfill was killed", hint="is there enough memory? run the same command again"
            ) from err
        return done[0] - before

    try:
        yield Crew(work)
    finally:
        stop.value = 1
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + LONGEST_PARTING_S
        while multiprocessing.active_children() and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S / 4)
        for child in multiprocessing.active_children():  # one that waits for a server which does not answer
            child.kill()


LONGEST_PARTING_S = 10
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""Those that end a run."""
_here: dict[str, Any] = {}
"""The worker of this process, from its first partition to the end of the process."""


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals come when the block is over; a process that begins inside has them held back until it has settled."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle(place: Place, stop: Any, parent: int) -> None:
    """Runs in a worker's process before its first partition: it ends with its parent, and signals are the parent's to handle."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _here.update(place=place, stop=stop, is_busy=False)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: int) -> None:
    """Ends the process once its parent is gone, where the system cannot do it; or once it has nothing to do any more."""
    while os.getppid() == parent and (_here["is_busy"] or not _here["stop"].value):
        time.sleep(LOOK_EVERY_S)
    os._exit(1)


def one(stage: str, number: int) -> int:
    """Runs in a worker's process: does a partition, or nothing where it is to stop; returns how many inputs it did.

    Raises: RunnerError.
    """
    _here["is_busy"] = True
    try:
        hand: Hand | None = _here.get("hand")
        if hand is None:
            _here["stack"] = stack = contextlib.ExitStack()
            hand = _here["hand"] = stack.enter_context(worker.hired(_here["place"], is_stopped, tell))
        _here["done"] = 0
        if not is_stopped():
            with worker.translating():  # errors that can travel between processes
                hand.do(stage, number)
        return int(_here["done"])
    finally:
        _here["is_busy"] = False


def is_stopped() -> bool:
    """True where the parent wants an end."""
    return bool(_here["stop"].value)


def tell(inputs: int) -> None:
    """Adds to what is done of the partition."""
    _here["done"] += inputs

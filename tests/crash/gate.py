"""Holds every effect of a runner until a test lets it pass: the test decides who of several runners writes next."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.crash.proxy import Command, Cut, Fault, Moment, Then

STEP_S = 0.02


@dataclass
class Gate:
    """The controller of the proxy of one runner."""

    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[Command] = field(default_factory=list)
    _passed: set[int] = field(default_factory=set)
    """The numbers of the effects that may pass."""
    _is_open: bool = False
    _is_broken: bool = False

    def __call__(self, command: Command) -> Fault | None:
        """Holds an effect."""
        return Fault(Moment.BEFORE, lambda: self._hold(command), then=Then.PASS) if command.effect else None

    def _hold(self, command: Command) -> None:
        """Waits in the thread of the connection.

        Raises: Cut where the runner is gone.
        """
        with self._changed:
            self._waiting.append(command)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open or self._is_broken or command.effect in self._passed)
            self._waiting.remove(command)
            if self._is_broken:
                raise Cut

    def release(self) -> str:
        """Lets the effect pass that has waited longest; returns its label, or nothing where none waits."""
        with self._changed:
            first = next((command for command in self._waiting if command.effect not in self._passed), None)
            if first is None:
                return ""
            self._passed.add(first.effect)
            self._changed.notify_all()
            return first.label

    def open(self) -> None:
        """Holds nothing any more."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def shut_down(self) -> None:
        """The runner is gone: what waits is never sent."""
        with self._changed:
            self._is_broken = True
            self._changed.notify_all()

    @property
    def is_waiting(self) -> bool:
        """True when an effect stands before the gate."""
        with self._changed:
            return any(command.effect not in self._passed for command in self._waiting)


def settled(gate: Gate, runner: subprocess.Popen[str], patience_s: float) -> bool:
    """Waits until the runner stands at its gate or has ended; False where it does neither, as when the server lets it wait."""
    return any(gate.is_waiting or runner.poll() is not None for _ in ticks(patience_s))


def ticks(seconds: float) -> Iterator[None]:
    """Some time, in steps."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(STEP_S)

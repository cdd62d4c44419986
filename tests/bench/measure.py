"""Runs commands in turns, A B A B …, and takes medians: what disturbs the machine disturbs both sides.

Nothing here, and no test of it, asserts a time.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")
TOLERANCE = 1.2
"""Growth is called worse than linear where ten times as much takes more than twelve times as long: what is constant makes it fewer than ten."""


def nothing() -> None:
    """What has to be done before most commands."""


@dataclasses.dataclass(frozen=True)
class Command:
    """What is measured."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    before: Callable[[], object] = nothing
    """Is done before each run and is not measured."""
    wanted: tuple[int, ...] = (0,)
    """The exit codes of a success."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One run, or the medians of several."""

    wall_s: float
    cpu_s: float
    """Of the process and those below it, user and system."""
    peak_mb: float
    """The most memory: of the largest process, or of all together where that was seen to be more."""


class FailedError(Exception):
    """A command that is measured did not succeed."""


def run(command: Command) -> Sample:
    """Runs a command once.

    Raises: FailedError with the last of what it said.
    """
    command.before()
    argv = [sys.executable, "-I", "-S", str(LAUNCHER), *command.argv]
    done = subprocess.run(argv, cwd=command.cwd, env=command.environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else {"code": done.returncode}
    if found.pop("code") not in command.wanted:
        raise FailedError(f"{' '.join(command.argv)}\n{done.stderr[-2000:]}")
    return Sample(**found)


def in_turns(commands: Sequence[Command], repeats: int) -> list[list[Sample]]:
    """The samples of each command."""
    rounds = [[run(command) for command in commands] for _ in range(repeats)]
    return [list(samples) for samples in zip(*rounds, strict=True)]


def median(samples: Sequence[Sample]) -> Sample:
    """Each figure's median by itself; of the memory, the most."""
    return Sample(
        statistics.median(sample.wall_s for sample in samples),
        statistics.median(sample.cpu_s for sample in samples),
        max(sample.peak_mb for sample in samples),
    )


def ratio(ours: Sample, beside: Sample) -> float:
    """How many times as long ours takes."""
    return ours.wall_s / beside.wall_s


def exponent(sizes: tuple[float, float], times: tuple[float, float]) -> float:
    """The power of the size that the time grows with: 1 is linear, 2 is quadratic."""
    return math.log(times[1] / times[0]) / math.log(sizes[1] / sizes[0])


def worse_than_linear(sizes: tuple[float, float], times: tuple[float, float]) -> bool:
    """True where the time grows by more than the size does, and the tolerance on top."""
    return times[1] / times[0] > TOLERANCE * sizes[1] / sizes[0]

"""Runs the programs that a step starts (pip, hatchling), so that none of them outlives the build.

A build that is killed cannot stop what it has started; the kernel does it (PR_SET_PDEATHSIG, prctl(2), Linux). Elsewhere such a
program ends by itself, and the next build's `prune` may find its left-overs.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end and keeps what it says; it ends with this process."""
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=bond(os.getpid()),  # two calls of the kernel, and no thread of ours holds a lock here
    )


def bond(parent: int) -> Callable[[], None] | None:
    """What a new process has to call so that it ends when its parent does; None where the kernel has no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before the call
            os.kill(os.getpid(), signal.SIGKILL)

    return die_with_parent


@functools.cache
def bond_worker() -> None:
    """Ends this process with the build, where it is one of the workers of `doit -n`; does nothing in the build itself."""
    build = multiprocessing.parent_process()
    if build is not None and build.pid is not None and (die_with_parent := bond(build.pid)):
        die_with_parent()

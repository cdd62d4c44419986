"""Runs one command and prints, as JSON, how long it took and what it used. A program of its own, run with `python -I -S`.

The kernel hands the peak memory of who starts a process on to what is started (getrusage(2), ru_maxrss), so the one that starts it
must be small: about 10 MB here, and that is the least that can be found.
"""

import json
import os
import select
import sys
import time

GLANCE_MS = 50  # between two looks at the memory of all processes together
PAGE = os.sysconf("SC_PAGESIZE")


def family(pid: int) -> list[int]:
    """A process and all below it, as far as they are still there."""
    found = [pid]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as children:  # noqa: PTH123 - pathlib is large
                found += map(int, children.read().split())
        except OSError:
            continue
    return found


def resident(pid: int) -> int:
    """Bytes of a process that are in memory; pages shared by two processes count twice."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123 - pathlib is large
            return int(statm.read().split()[1]) * PAGE
    except OSError:
        return 0


def measured(argv: list[str]) -> dict[str, float]:
    """Runs a command to its end; what it says on its standard output is thrown away."""
    os.sync()  # what earlier runs left to the kernel to write is not this one's to pay
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=quiet)
    ended = select.poll()
    ended.register(os.pidfd_open(pid), select.POLLIN)
    together = 0
    while not ended.poll(GLANCE_MS):
        together = max(together, sum(map(resident, family(pid))))
    wall = time.perf_counter() - started
    _, status, usage = os.wait4(pid, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": max(together, usage.ru_maxrss * 1024) / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1:])))

"""scripts/child.py: what a build has started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import child
from tests.build.trees import BIN, Tree
from tests.conftest import ROOT

LONG_S = 30  # what is waited for ends long before
STARTS = """
import sys
from scripts import child
child.run([sys.executable, "-c", "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(999)", sys.argv[1]])
"""


def is_running(pid: int) -> bool:
    """True for a process that is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: object, what: str) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + LONG_S
    assert callable(condition)
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_what_a_program_says_is_kept() -> None:
    done = child.run(["sh", "-c", "echo out; echo err >&2; pwd >&2; exit 3"], cwd=Path("/"))
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n/\n")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it on Linux")
def test_a_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", STARTS, str(told)], cwd=ROOT) as starter:
        wait_until(lambda: told.exists() and told.read_text(), "it was not started")
        pid = int(told.read_text())
        assert is_running(pid)
        starter.kill()
    wait_until(lambda: not is_running(pid), "it is still running")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it on Linux")
def test_the_workers_of_a_build_end_with_it(tree: Tree) -> None:
    """They stop in the middle of a step; the tree is free, and nobody else writes to it."""
    tree.append(
        "scripts/layout.py",
        "\n\nimport os, time\ndef write(out, *, source):\n    open(f'worker-{os.getpid()}', 'w').close()\n    time.sleep(999)\n",
    )
    command = [str(BIN / "doit"), "-n", "2", "bundle"]
    with subprocess.Popen(command, cwd=tree.root, env=dict(tree.environment), stdout=subprocess.DEVNULL) as build:
        wait_until(lambda: len(list(tree.root.glob("worker-*"))) == 2, "no two workers")
        workers = [int(path.name.partition("-")[2]) for path in tree.root.glob("worker-*")]
        assert build.pid not in workers
        os.kill(build.pid, signal.SIGKILL)
    for pid in workers:
        wait_until(lambda pid=pid: not is_running(pid), "a worker goes on")

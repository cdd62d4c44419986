"""Which tests stay together on one worker: those that share something dear. All others go to whoever is free.

`--dist=loadgroup` has the marks for this, and ignores them without a word: pytest-xdist 3.8 writes the groups into the tests' ids,
which pytest 9.2 keeps elsewhere (pytest-xdist issue 1386). Here the scheduler looks at a table, by a hook that xdist documents.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

FEW = (
    "tests/crash/test_backfill_disturbed.py",  # databases that are made once
    "tests/crash/test_backfill_explorer.py",  # the same
)
"""Together as long as there are few points to try, and not with LNM_KILLS=all."""
TOGETHER = (
    *(FEW if os.environ.get("LNM_KILLS") != "all" else ()),
    "tests/build/test_environment.py",  # an environment that is made once
    "tests/build/test_keyless.py",  # a build that an identity signs, made once
    "tests/runbook/test_rehearsal.py",  # a rehearsal
    "tests/crash/test_fail_points.py",  # a server that may be told to fail
    "tests/runner/test_freeze.py",  # a server that is frozen
    "tests/runner/test_outbox.py",  # users and roles that are made once
    "tests/runner/test_seed_demo_stored.py",  # a database that is filled once
    "tests/runner/test_watch.py",  # users and roles that are made once
    "tests/sharding/",  # a cluster of three servers
)
"""How the ids of tests that stay together begin."""


def unit(nodeid: str) -> str:
    """What a test is scheduled with: its group, or itself."""
    return next((start for start in TOGETHER if nodeid.startswith(start)), nodeid)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """xdist's own, whose scopes are the rows of TOGETHER, and every other test for itself."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Ours instead of `--dist=loadscope`, which stands in pyproject.toml."""
    return Scheduling(config, log) if config.getoption("dist") == "loadscope" else None

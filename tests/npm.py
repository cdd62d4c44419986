"""Packages of npm that tests run, installed by their locks in ci/ (ci/npm.sh); users need none of them."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

INSTALL_S = 300


@functools.cache
def installed(name: str) -> Path:
    """The folder `node_modules` of the lock ci/<name>, made where it was not before; without node or npm the test is skipped."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} on the PATH: {name} cannot be installed from its lock")
    command = ["sh", "ci/npm.sh", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()) / "node_modules"

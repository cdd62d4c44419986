"""Real cosigns: the one on the PATH (3, as `ci/tools/build.sh` builds it), and 2 where LNM_COSIGN2 names its folder (`nox -s foreign`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TWO = os.environ.get("LNM_COSIGN2", "")
PASSWORD = "a password, with blanks"
WITHOUT_A_LOG = ("--yes", "--use-signing-config=false", "--tlog-upload=false")
"""Signing by a key, asking no server for anything; both cosigns know it, and 3 says that it would rather have a file."""


@dataclass(frozen=True)
class Cosign:
    """A cosign that stands first on the PATH."""

    major: int

    def __call__(self, *arguments: str | Path, cwd: Path) -> str:
        """Runs it with the password; returns its standard output.

        Raises: AssertionError where it fails.
        """
        environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
        done = subprocess.run(["cosign", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(params=[3, 2] if TWO else [3], ids=lambda major: f"cosign{major}")
def cosign(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cosign:
    """Each cosign that is there."""
    found = Cosign(request.param)
    if found.major == 2:
        monkeypatch.setenv("PATH", os.pathsep.join([TWO, os.environ["PATH"]]))
    elif shutil.which("cosign") is None:
        pytest.skip("cosign is not on the PATH (CI builds it: ci/tools/build.sh)")
    assert f"GitVersion:    v{found.major}." in found("version", cwd=tmp_path)
    return found

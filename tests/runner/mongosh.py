"""The kit's mongosh script, run by a real mongosh: from npm, by the lock of ci/mongosh, or named by LNM_MONGOSH."""

from __future__ import annotations

import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import npm
from tests.runner.fixtures import Site
from tests.runner.installed import Answer

TIMEOUT_S = 60


@functools.cache
def program() -> Path:
    """mongosh, installed where it was not before."""
    if named := os.environ.get("LNM_MONGOSH"):
        return Path(named)
    return npm.installed("mongosh") / ".bin/mongosh"


@dataclass(frozen=True)
class Script:
    """A script of a kit, as the operator of a site runs it."""

    path: Path
    site: Site
    home: Path
    """Where mongosh keeps its logs."""

    def start(self, **variables: str) -> subprocess.Popen[str]:
        """Starts it and does not wait."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "CONCELIER_DB": self.site.database.name}
        command = [str(program()), self.site.uri("unfiller"), "--quiet", "--norc", str(self.path)]
        return subprocess.Popen(
            command,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *, wanted: int = 0, **variables: str) -> Answer:
        """Runs it, and expects an exit code."""
        return ended(self.start(**variables), wanted=wanted)


def ended(process: subprocess.Popen[str], *, wanted: int) -> Answer:
    """What a process has said at its end."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == wanted, stdout + stderr
    return Answer(process.returncode, stdout, stderr)

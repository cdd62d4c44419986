"""`lnm` as one user calls it: a process with an environment of its own that ends with the rehearsal; its words are kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts import child
from scripts.errors import ToolError

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LNM_MONGO_TOOLS", "LNM_BACKUP_TOOL", "LNM_OPERATOR", "SSL_CERT_FILE")
"""The variables that a call takes over from the rehearsal, beside those that it is given."""
LONGEST_S = 3600
KITLESS = (("seed-demo",), ("trust",), ("outbox", "publish"))
"""The commands that are told no kit."""


@dataclass(frozen=True)
class Answer:
    """What a call said, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Lnm:
    """The program, and what every call of it is told."""

    program: tuple[str, ...]
    """It, or what runs it."""
    kit: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, *words: str, **variables: str) -> Answer:
        """Runs it to its end.

        Raises: ToolError where it cannot be started, or does not end.
        """
        options = () if words[:1] in KITLESS or words[:2] in KITLESS else ("--kit", str(self.kit))
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        try:
            done = subprocess.run(
                [*self.program, *words, *options],
                env={**kept, **self.environment, **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="backslashreplace",
                check=False,
                timeout=LONGEST_S,
                preexec_fn=child.bond(os.getpid()),  # two calls of the kernel
            )
        except (OSError, subprocess.TimeoutExpired) as err:
            raise ToolError(f"lnm {' '.join(words[:2])}: could not be run ({type(err).__name__})") from err
        return Answer(done.returncode, done.stdout, done.stderr)

"""`lnm` as one user calls it: a process with an environment of its own that ends with the rehearsal; its words are kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts import child
from scripts.errors import ToolError

KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LNM_BACKUP_TOOL"),
    *("LNM_EVIDENCE_KEY", "LNM_EVIDENCE_KEY_PASSWORD", "LNM_EVIDENCE_KEY_PASSWORD_FILE"),
)
"""The variables that a call takes over from the rehearsal, beside those that it is given."""
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

        Raises: ToolError where it cannot be started.
        """
        options = () if words[:1] in KITLESS or words[:2] in KITLESS else ("--kit", str(self.kit))
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        try:
            process = subprocess.Popen(
                [*self.program, *words, *options],
                env={**kept, **self.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="backslashreplace",
                preexec_fn=child.bond(os.getpid()),  # noqa: PLW1509 - two calls of the kernel
            )
        except OSError as err:
            raise ToolError(f"lnm {' '.join(words[:2])}: could not be started: {err.strerror}") from err
        try:
            stdout, stderr = process.communicate()
        except KeyboardInterrupt:  # it is told, too, and given the time to write down how far it is
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        return Answer(process.returncode, stdout, stderr)

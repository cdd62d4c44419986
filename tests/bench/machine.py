"""The machine and the programs that figures belong to."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

PROGRAMS = {"tar": "tar", "pigz": "pigz", "gzip": "gzip", "coreutils": "sha256sum", "make": "make", "ninja": "ninja"}


def facts() -> dict[str, str]:
    """CPU, cores, Python, and a version of each program that is here."""
    found = {"cpu": cpu(), "cores": str(len(os.sched_getaffinity(0))), "python": platform.python_version()}
    return found | {name: version(program) for name, program in PROGRAMS.items()}


def cpu() -> str:
    """The model as the kernel names it."""
    match = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else platform.machine()


def version(program: str) -> str:
    """The first number that a program says of itself."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return "not here"
    match = re.search(r"[0-9]+(\.[0-9]+)+", said.stdout + said.stderr)
    return match[0] if match else "unknown"

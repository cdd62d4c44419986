"""Explains how two files differ: where the first byte is, and what diffoscope (diffoscope.org) makes of it, bounded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

LONGEST_REPORT = 12_000  # bytes of diffoscope's text
LONGEST_WAIT = 120  # seconds; it takes 1 to 5
CONTEXT = 24  # bytes shown on both sides


def explain(one: Path, other: Path) -> str:
    """Both explanations as text."""
    missing = [path for path in (one, other) if not path.is_file()]
    if missing:
        return "one of the two builds did not make it"
    return f"{first_difference(one.read_bytes(), other.read_bytes())}\n{diffoscope(one, other)}"


def first_difference(one: bytes, other: bytes) -> str:
    """Where two contents part, and what stands there."""
    if one == other:
        return "the bytes are equal: the mode differs"
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    here, there = (data[max(0, at - CONTEXT) : at + CONTEXT] for data in (one, other))
    return f"byte {at} of {len(one)} and {len(other)}:\n  {here!r}\n  {there!r}"


def diffoscope(one: Path, other: Path) -> str:
    """diffoscope's text, or why there is none."""
    beside = shutil.which("diffoscope", path=str(Path(sys.executable).parent)) or shutil.which("diffoscope")
    if beside is None:
        return "diffoscope is not installed here (`nox -s repro` has it), so this is all"
    command = [beside, "--no-progress", "--max-text-report-size", str(LONGEST_REPORT), "--text", "-", str(one), str(other)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LONGEST_WAIT, check=False)
    except subprocess.TimeoutExpired:
        return f"diffoscope took more than {LONGEST_WAIT} s and was stopped"
    return (said.stdout or said.stderr).strip()[: 2 * LONGEST_REPORT]

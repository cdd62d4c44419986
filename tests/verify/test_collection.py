"""Every file of tests is run by the command that the README names: pytest leaves out folders by their names."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

OF_REAL_ADVISORIES = "tests/runner/test_real_advisories.py"
"""They are no part of the project: tests/runner/conftest.py leaves this file out where they are not there."""


def test_every_file_of_tests_is_collected() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--numprocesses=0"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    collected = {line.partition("::")[0] for line in said.splitlines() if "::" in line}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert collected == there - ({OF_REAL_ADVISORIES} if not (ROOT.parent / "shared/advisories").is_dir() else set())

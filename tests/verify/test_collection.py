"""Every file of tests is run by the command that the README names: pytest leaves out folders by their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

OF_REAL_ADVISORIES = "tests/runner/test_real_advisories.py"
"""They are no part of the project: tests/runner/conftest.py leaves this file out where they are not there."""


def collected(session: pytest.Session) -> set[str]:
    """The files with a test: as this session has found them where it is of everything, else as pytest says when it is asked."""
    config = session.config
    is_whole = [Path(argument).absolute() for argument in config.args] == [ROOT / "tests"]
    if is_whole and not (config.option.keyword or config.option.markexpr or config.option.deselect or config.option.ignore):
        return {item.path.relative_to(ROOT).as_posix() for item in session.items}
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--numprocesses=0"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line.partition("::")[0] for line in said.splitlines() if "::" in line}


def test_every_file_of_tests_is_collected(request: pytest.FixtureRequest) -> None:
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    left_out = {OF_REAL_ADVISORIES} if not (ROOT.parent / "shared/advisories").is_dir() else set()
    assert collected(request.session) == there - left_out

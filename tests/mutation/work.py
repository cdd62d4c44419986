"""The folder in which mutmut works: the module under its tests' name, the tests, and where these look for it.

mutmut writes all mutants of a file into one, chooses one by a variable, and forks before each run of the tests; it finds out which
tests reach which function. Results are kept in the folder, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.conftest import ROOT
from tests.mutation.subjects import Subject

SETTINGS = """\
[tool.mutmut]
source_paths = [{source}]
use_git_change_detection = false
timeout_multiplier = 10.0
timeout_constant = 5.0
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "tests.mutation.quickest"]
pytest_add_cli_args_test_selection = {tests}

[tool.pytest.ini_options]
pythonpath = ["."]
addopts = ["--import-mode=importlib", "-n", "0"]
markers = ["mongod: not here"]
"""
TESTS = (
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/schedule.py",
    "tests/verify",
    "tests/faults",
    "tests/golden",
    "tests/mutation",
)
BESIDE = ("VERSION", "bundle-layout/verify.sh")
"""What the tests read beside the module."""


def lay_out(folder: Path, subject: Subject) -> None:
    """Makes the folder, or brings it up to date; mutmut sees by a function's text whether its results still hold."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(subject.source, folder / f"{subject.module}.py")
    tests = json.dumps([*subject.tests, "-k", f"not ({subject.without})"])
    (folder / "pyproject.toml").write_text(SETTINGS.format(source=json.dumps(f"{subject.module}.py"), tests=tests), "utf-8")
    shutil.rmtree(folder / "tests", ignore_errors=True)
    for name in TESTS:
        copy(ROOT / name, folder / name)
    for name in BESIDE:
        copy(ROOT / name, folder / "mutants" / name)
    link = folder / "mutants" / subject.place
    if not link.is_symlink():
        link.symlink_to(folder / "mutants" / f"{subject.module}.py")


def copy(source: Path, target: Path) -> None:
    """A file or a folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)

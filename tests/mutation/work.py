"""The folder in which mutmut works: the files under the names by which tests import them, the tests, and where these look.

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
source_paths = {sources}
only_mutate = {sources}
also_copy = ["scripts", "src"]
use_git_change_detection = false
timeout_multiplier = 10.0
timeout_constant = 5.0
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "tests.mutation.quickest", "-p", "no:unraisableexception"]
pytest_add_cli_args_test_selection = {tests}

[tool.pytest.ini_options]
pythonpath = ["."]
addopts = ["--import-mode=importlib", "-n", "0"]
markers = ["mongod: not here"]
"""
TESTS = ("tests", "scripts")
BESIDE = ("VERSION", "bundle-layout/verify.sh", "bundle-layout/runbook", "docs")
"""What the tests read beside the module."""


def lay_out(folder: Path, subject: Subject) -> None:
    """Makes the folder, or brings it up to date; mutmut sees by a function's text whether its results still hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TESTS, "src"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in TESTS:
        copy(ROOT / name, folder / name)
    for place, source in {**subject.beside, **subject.sources}.items():
        copy(source, folder / place)
    for name in BESIDE:
        copy(ROOT / name, folder / "mutants" / name)
    sources, tests = json.dumps(list(subject.sources)), json.dumps([*subject.tests, "-k", f"not ({subject.without})"])
    (folder / "pyproject.toml").write_text(SETTINGS.format(sources=sources, tests=tests), encoding="utf-8")
    for looked_for, place in subject.looked_for.items():
        link = folder / "mutants" / looked_for
        if not link.is_symlink():
            link.symlink_to(folder / "mutants" / place)


def copy(source: Path, target: Path) -> None:
    """A file or a folder, with its times: mutmut compares them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)

"""Which way the arrows point: migrations import the runner; the runner imports the driver, and its readers a few libraries more."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "runner/src/lnm_runner"
DRIVER = {"pymongo", "bson", "gridfs"}  # all come from the distribution pymongo
READERS = {"advisories", "backfill"}
LIBRARIES = {"cvss", "packageurl", "rfc8785", "univers"}


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add((node.module or "").split(".")[0])
    return names - sys.stdlib_module_names


@pytest.mark.parametrize("path", sorted(RUNNER.rglob("*.py")), ids=lambda path: path.relative_to(RUNNER).as_posix())
def test_the_runner_imports_the_driver_and_only_its_readers_import_more(path: Path) -> None:
    is_reader = path.relative_to(RUNNER).parts[0] in READERS
    assert imported(path) <= {"lnm_runner", *DRIVER, *(LIBRARIES if is_reader else ())}


def test_only_the_verification_of_identities_asks_for_sigstore_and_only_when_it_runs() -> None:
    """It is no dependency of an installation that trusts keys alone."""
    asking = {
        path.name for path in RUNNER.rglob("*.py") if re.search(r'import_module\("(sigstore|cryptography)', path.read_text())
    }
    assert asking == {"identity.py"}
    assert imported(RUNNER / "kit/identity.py") == {"lnm_runner"}


@pytest.mark.parametrize("path", sorted((RUNNER / "advisories").rglob("*.py")), ids=lambda path: path.name)
def test_a_reader_of_advisories_needs_no_driver(path: Path) -> None:
    assert not imported(path) & DRIVER


@pytest.mark.parametrize("path", sorted((ROOT / "bundle-layout/migrations").rglob("*.py")), ids=lambda path: path.parent.name)
def test_a_migration_imports_the_runner_alone(path: Path) -> None:
    assert imported(path) <= {"lnm_runner"}


def test_the_command_line_imports_no_driver() -> None:
    """`lnm --help` must not wait for it."""
    assert imported(RUNNER / "cli.py") == {"lnm_runner"}
    assert imported(RUNNER / "errors.py") == set()

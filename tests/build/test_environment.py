"""scripts/environment.py: what `make` runs first, with the system's Python and nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose lock asks for nothing."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("scripts/__init__.py", "scripts/environment.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "requirements").mkdir()
    (folder / "requirements/build.txt").write_text("# nothing\n")
    return folder


def make(checkout: Path, group: str) -> subprocess.CompletedProcess[str]:
    """As the Makefile does it; pip is kept from the network."""
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-m", "scripts.environment", group]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def test_the_environment_is_made_once_and_again_when_the_lock_is_another(checkout: Path) -> None:
    first = make(checkout, "build")
    assert first.returncode == 0, first.stderr
    assert "environment: making .venv with Python " in first.stdout
    assert (checkout / ".venv/bin/python").exists()

    again = make(checkout, "build")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")

    (checkout / "requirements/build.txt").write_text("# nothing else\n")
    other = make(checkout, "build")
    assert other.returncode == 0
    assert "installing" in other.stdout
    assert "making" not in other.stdout


def test_a_lock_that_is_missing_is_named(checkout: Path) -> None:
    said = make(checkout, "nosuch")
    assert said.returncode == 2
    assert (
        said.stderr == "error: requirements/nosuch.txt: no such lock\n  next: restore it: git checkout requirements/ [exit 2]\n"
    )


def test_a_package_that_no_index_has_is_told_in_words_and_nothing_counts_as_made(checkout: Path) -> None:
    lock = checkout / "requirements/build.txt"
    lock.write_text(f"no-such-package-of-ours==1 --hash=sha256:{'0' * 64}\n")
    for _ in range(2):
        said = make(checkout, "build")
        assert said.returncode == 2
        assert "requirements/build.txt: pip could not install it" in said.stderr
        assert "next: " in said.stderr
        assert "Traceback" not in said.stderr

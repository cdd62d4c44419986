"""A folder for each case; its path holds no word that a reason could be mistaken for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder, gone after the test: pytest's own is named after the lie and would be kept."""
    folder = Path(tempfile.mkdtemp(prefix="k"))
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)

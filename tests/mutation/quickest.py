"""A plugin of pytest for mutmut's runs: the quickest test first, as the first that fails ends the run; mutmut itself has no order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")
"""How long each test took without a mutant, in seconds; mutmut writes it into the folder in which pytest is run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts what is to be run."""
    if STATS.is_file():
        duration_s = json.loads(STATS.read_bytes())["duration_by_test"]
        items.sort(key=lambda item: duration_s.get(item.nodeid, 0))

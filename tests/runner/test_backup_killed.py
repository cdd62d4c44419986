"""kill -9 anywhere in a stage that saves a database: each collection is the old one or the new one, and the same stage goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, WHEEL
from tests.runner import mongod
from tests.runner.fixtures import Site
from tests.runner.kits import Kit

pytestmark = pytest.mark.mongod


def explored(stage: str, site: Site, kit: Kit, folder: Path) -> list[dict[str, Any]]:
    """What became of a stage at each point."""
    uri = f"mongodb://{':'.join(mongod.ROOT)}@{site.server.address}/?{site.server.tls}"
    arguments = [stage, uri, site.database.name, kit.folder, kit.key, folder / "killed"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.runner.killed_saver", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(WHEEL)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_a_restore_that_is_killed_at_any_write_goes_on(site: Site, kit: Kit, tmp_path: Path) -> None:
    rows = explored("restore", site, kit, tmp_path)

    verbs = {row["at"].split()[0] for row in rows}
    assert verbs == {"create", "insert", "createIndexes", "renameCollection", "drop"}
    assert len(rows) >= 11
    assert [row for row in rows if row["mixed"] or not row["equal"]] == []


def test_a_proof_that_is_killed_at_any_write_is_done_again(site: Site, kit: Kit, tmp_path: Path) -> None:
    rows = explored("prove_backup", site, kit, tmp_path)

    assert len({row["at"].split()[0] for row in rows}) >= 3
    assert [row for row in rows if row["mixed"] or not row["equal"]] == []
    assert sum(bool(row["left"]) for row in rows) >= len(rows) - 1

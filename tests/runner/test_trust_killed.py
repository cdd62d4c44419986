"""Killed before any of its changes, an import or a rotation leaves the old or the new, and the next command mends the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, WHEEL


def explored(what: str, folder: Path) -> list[dict[str, Any]]:
    """The rows of tests/runner/killed.py."""
    command = [sys.executable, "-m", "tests.runner.killed", what, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(WHEEL)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def switched_at(rows: list[dict[str, Any]], name: str) -> int:
    """The first point at which the new one counts: behind the renaming of one file."""
    points = [row["at"] for row in rows]
    return len(points) - points[::-1].index(f"os.rename {name}.part")


def test_an_import_that_is_killed_anywhere_leaves_the_old_kit_or_the_new_one(tmp_path: Path) -> None:
    rows = explored("import", tmp_path)

    switched = switched_at(rows, "active")
    assert [row["active"] for row in rows] == ["2026.9.1"] * switched + ["2026.9.2"] * (len(rows) - switched)
    assert [row["at"] for row in rows if row["defects"] or row["after"]["defects"]] == []
    assert {row["after"]["seen"] for row in rows} == {"2026.9.2"}
    assert {tuple(row["after"]["kits"]) for row in rows} == {("2026.9.1", "2026.9.2")}
    assert {row["after"]["events"][-1] for row in rows} == {"activated"}
    assert {"open kit.tar.gz", "os.rename kit", "open journal.jsonl", "os.rename head.json.part"} <= {row["at"] for row in rows}


def test_a_rotation_that_is_killed_anywhere_leaves_the_old_policy_or_the_new_one(tmp_path: Path) -> None:
    rows = explored("rotate", tmp_path)

    switched = switched_at(rows, "trust-policy.toml")
    assert [row["active"] for row in rows] == [1] * switched + [2] * (len(rows) - switched)
    assert [row["at"] for row in rows if row["defects"] or row["after"]["defects"]] == []
    assert {row["after"]["seen"] for row in rows} == {2}
    assert {tuple(row["after"]["events"]) for row in rows} == {
        ("begun", "policy-installed", "policy-rotated", "policy-installed")
    }
    assert {"os.rename trusted_root.json.part", "open journal.jsonl"} <= {row["at"] for row in rows}

"""noxfile.py: each stage of the runbook is a session, with the operator's own sentence, in the runbook's order."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from lnm_runner.runbook.stages import STAGES

from tests.build.trees import BIN
from tests.conftest import ROOT

ORDERED = [stage.name for stage in STAGES if stage.window]
WAYS_BACK = [stage.name for stage in STAGES if not stage.window]


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    """`{session: what nox says of it}`"""
    said = subprocess.run([BIN / "nox", "--list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^[*-] (\S+) -> (.+)$", said, re.MULTILINE))


def run_by(name: str) -> list[str]:
    """The sessions that nox would run, in their order, where one is asked for."""
    said = subprocess.run([BIN / "nox", "--list", "-s", name], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^\* (\S+) -> ", said, re.MULTILINE)


def test_each_stage_is_a_session_that_says_what_the_stage_does(listed: dict[str, str]) -> None:
    assert {stage.name: listed.get(stage.name) for stage in STAGES} == {stage.name: stage.does for stage in STAGES}


def test_a_stage_is_preceded_by_all_that_must_be_done_before_it() -> None:
    assert run_by(ORDERED[-1]) == ORDERED


@pytest.mark.parametrize("name", WAYS_BACK)
def test_a_way_back_runs_alone(name: str) -> None:
    assert run_by(name) == [name]


def test_the_body_of_a_stage_is_eight_lines_at_most() -> None:
    tree = ast.parse(Path(ROOT / "noxfile.py").read_bytes())
    (made,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "stage")
    assert (made.end_lineno or 0) - made.body[0].lineno < 8

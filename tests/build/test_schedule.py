"""tests/schedule.py: what shall stay together does, in a run of pytest with workers. It once did not, and nobody said so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.schedule import TOGETHER, unit

MANY = "import pytest\n@pytest.mark.parametrize('number', range({times}))\ndef test_it(number): pass\n"


@pytest.mark.parametrize("start", TOGETHER)
def test_what_the_table_names_is_there(start: str) -> None:
    assert (ROOT / start).is_dir() if start.endswith("/") else (ROOT / start).is_file()


def test_a_test_of_no_group_is_scheduled_for_itself() -> None:
    assert unit("tests/build/test_files.py::test_it[1]") == "tests/build/test_files.py::test_it[1]"


def test_a_group_runs_on_one_worker_and_the_others_on_both(tmp_path: Path) -> None:
    for name, times in (("sharding/test_one.py", 6), ("sharding/test_two.py", 6), ("other/test_one.py", 60)):
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MANY.format(times=times))
    options = ("-p", "tests.schedule", "-p", "no:cacheprovider", "--import-mode=importlib", "--verbose")
    command = [sys.executable, "-m", "pytest", *options, "--numprocesses=2", "--dist=loadscope", "tests"]

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.findall(r"^\[(gw[01])\] \[[ 0-9]+%\] PASSED tests/(\w+)/", done.stdout, re.MULTILINE)
    assert len(ran) == 72
    assert len({worker for worker, folder in ran if folder == "sharding"}) == 1
    assert len({worker for worker, folder in ran if folder == "other"}) == 2

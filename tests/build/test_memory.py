"""ci/memory.sh: the tests write into memory where there is room and programs may be run, and to the disk elsewhere, which is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.build.trees import in_tiny_tmpfs
from tests.conftest import ROOT

ASK = f'sh {ROOT}/ci/memory.sh "$1" "$2"'


def asked(folder: Path, wanted_kib: str, script: str = ASK) -> subprocess.CompletedProcess[str]:
    """What it says of a file system of 64 KiB in memory."""
    command = (*in_tiny_tmpfs(folder, script), wanted_kib)
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_where_there_is_room_it_makes_a_folder_that_is_open_to_all(tmp_path: Path) -> None:
    made, mode = asked(tmp_path, "32", f'made=$({ASK}) && echo "$made" && stat -c %a "$made"').stdout.splitlines()
    assert Path(made).parent == tmp_path
    assert mode == "1777"


def test_without_room_it_makes_none_and_says_what_it_found(tmp_path: Path) -> None:
    done = asked(tmp_path, "65")
    assert done.stdout == ""
    assert f"{tmp_path}: found 64 KiB of room and " in done.stderr
    assert "wanted 65 of both; the tests write to the disk\n" in done.stderr


def test_where_no_program_may_be_run_it_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    done = asked(tmp_path, "32", f'mount -o remount,noexec "$1" && {ASK} && ls "$1"')
    assert done.stdout == ""
    assert done.stderr == f"ci/memory.sh: {tmp_path}: no program may be run there; the tests write to the disk\n"

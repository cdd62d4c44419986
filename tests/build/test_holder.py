"""scripts/holder.py: one build at a time in one tree, and who has it is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import holder
from tests.build.trees import BIN, Tree, contents, traces
from tests.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from scripts import holder
holder.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tree: Tree) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the tree."""
    command = [sys.executable, "-c", HOLD, str(tree.root / "artifacts/.build/lock")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


COMMANDS = (
    ("bundle",),
    ("layout:README.md",),
    ("-n", "2", "bundle"),
    ("clean", "layout:LICENSE"),
    ("forget", "sbom"),
    ("ignore", "sbom"),
    ("reset-dep", "sbom"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_second_build_stops_and_says_who_has_the_tree(
    tree: Tree, other: subprocess.Popen[str], command: tuple[str, ...]
) -> None:
    tree.append("bundle-layout/README.md", "changed\n")
    (tree.dist / ".half.part").write_text("what the first build is writing")
    before = traces(tree.root / "artifacts")
    said = tree.doit(*command)
    assert said.code > 0
    assert f"artifacts/.build/lock: another build works in this tree: process {other.pid}: " in said.err
    assert "\n  next: wait for it" in said.err
    assert "[exit 9]" in said.err
    assert "Traceback" not in said.text
    assert "rootHash" not in said.out
    assert traces(tree.root / "artifacts") == before


@pytest.mark.parametrize("command", [("list",), ("info", "layout:README.md"), ("help",)], ids=" ".join)
def test_looking_needs_no_lock(tree: Tree, other: subprocess.Popen[str], command: tuple[str, ...]) -> None:
    assert other.poll() is None
    assert tree.doit(*command).code == 0


def test_a_holder_that_is_killed_lets_go_and_nothing_is_left_to_clean(tree: Tree, other: subprocess.Popen[str]) -> None:
    assert tree.doit("bundle").code > 0
    other.kill()
    other.wait()
    assert tree.doit("bundle").code == 0


def test_of_two_builds_at_once_one_builds_and_the_other_says_so(tree: Tree, built: Tree) -> None:
    tree.append("requirements/build.txt", "# changed\n")
    command, pipe = [str(BIN / "doit"), "bundle"], subprocess.PIPE
    with subprocess.Popen(command, cwd=tree.root, env=dict(tree.environment), text=True, stdout=pipe, stderr=pipe) as first:
        assert first.stdout
        assert first.stdout.readline()  # it has the tree now, and much to do
        first.send_signal(signal.SIGSTOP)
        second = tree.doit("bundle")
        first.send_signal(signal.SIGCONT)
        _, err = first.communicate()
    assert first.returncode == 0, err
    assert second.code > 0
    assert f"process {first.pid}: " in second.err
    assert "[exit 9]" in second.err
    tree.edit("requirements/build.txt", "# changed\n", "")
    tree.bundle()
    assert contents(tree.dist) == contents(built.dist)


def test_taking_twice_in_one_process_is_taking_once(tmp_path: Path) -> None:
    holder.take(tmp_path / "lock")
    holder.take(tmp_path / "lock")
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_process_that_is_gone_and_one_elsewhere_have_words_too() -> None:
    assert holder.words(0) == "a process on another machine"
    assert holder.words(2**22 + 1) == f"process {2**22 + 1}"
    assert holder.words(os.getpid()).startswith(f"process {os.getpid()}: ")


# ---- builds that are stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_told_to_stop_says_so_wherever_it_is(tree: Tree, built: Tree, number: signal.Signals) -> None:
    tree.append("requirements/build.txt", "# changed\n")
    command, pipe = [str(BIN / "doit"), "bundle"], subprocess.PIPE
    with subprocess.Popen(command, cwd=tree.root, env=dict(tree.environment), text=True, stdout=pipe, stderr=pipe) as build:
        assert build.stdout
        for _ in range(9):
            build.stdout.readline()
        build.send_signal(number)
        _, err = build.communicate()
    assert build.returncode not in {0, -signal.SIGKILL}
    assert "interrupted; no target is half written" in err
    assert "[exit 130]" in err
    assert "Traceback" not in err
    tree.edit("requirements/build.txt", "# changed\n", "")
    tree.bundle()
    assert contents(tree.dist) == contents(built.dist)


def test_a_reader_that_goes_away_does_not_stop_the_build(tree: Tree, built: Tree) -> None:
    tree.append("requirements/build.txt", "# changed\n")
    command, pipe = [str(BIN / "doit"), "bundle"], subprocess.PIPE
    with subprocess.Popen(command, cwd=tree.root, env=dict(tree.environment), text=True, stdout=pipe, stderr=pipe) as build:
        assert build.stdout
        assert build.stdout.readline()
        build.stdout.close()
        assert build.stderr
        err = build.stderr.read()
    assert build.returncode == 0, err
    assert err.count("\n") <= 1  # where a signing step says by which key
    assert "Traceback" not in err
    assert "0 made, " in tree.bundle().out
    tree.edit("requirements/build.txt", "# changed\n", "")
    tree.bundle()
    assert contents(tree.dist) == contents(built.dist)

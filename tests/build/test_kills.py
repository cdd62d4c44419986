"""SIGKILL at every write of a build: no target is ever a half, and the next build is right with no cleaning.

strace(1) kills the build as it enters its n-th call of one kind, for every kind that changes a disk. On the small table
(small_dodo.py) every sixth n is tried, and of the pages of the state every 13th; on the whole build a few calls are. All
of all of them are tried in `nox -s crash` (LNM_KILLS=all).
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.build.trees import BIN, Tree, contents, surroundings
from tests.conftest import ROOT

CALLS = (
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "fchmod",
    "rename",
    "mkdir",
    "unlink",
    "rmdir",
)
WORKERS = 2  # each tries its share of the calls
STRACE = ("strace", "-qq")
OLD, NEW = "1000000000", "1500000000"
MORE_PAGES, LAST_PAGES = 8, 40
"""Of the state, tried beyond those that were counted, and at the end of the count: these alone may not be reached.

A row holds inode numbers; where they have fewer digits than when the pages were counted, it takes fewer pages of the few hundred.
"""
ALL = os.environ.get("LNM_KILLS") == "all"
EVERY_CALL = 1 if ALL else 6
EVERY_PAGE = 1 if ALL else 13  # page of the state that is tried: a transaction writes many, three in four of all calls
FEW = 6  # places that are tried on the whole build outside of `nox -s crash`
Ends = dict[str, dict[str, str]]
"""`{epoch: {file: sha256}}` of the builds that were not killed."""


def traced(tree: Tree, epoch: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A build under strace."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here")
    environment = {**tree.environment, "SOURCE_DATE_EPOCH": epoch}
    command = [*STRACE, *options, str(BIN / "doit")]
    return subprocess.run(command, cwd=tree.root, env=environment, capture_output=True, text=True, check=False)


def sources_of(tree: Tree, epoch: str) -> None:
    """The small tree's sources are of their time too, so that everything is made again."""
    if (tree.root / "sources").exists():
        for name in ("one", "in/a"):
            (tree.root / "sources" / name).write_text(f"{epoch}\n")


def build(tree: Tree, epoch: str) -> dict[str, str]:
    """A build that must succeed; returns what it made."""
    sources_of(tree, epoch)
    said = tree.variant(SOURCE_DATE_EPOCH=epoch).doit()
    assert said.code == 0, said.text
    return contents(tree.dist)


def keep(tree: Tree) -> None:
    """Keeps what was built, for `restore`."""
    shutil.copytree(tree.root / "artifacts", tree.root.with_name("kept"))


def restore(tree: Tree) -> None:
    """Puts back what was kept: each kill starts from the same state, so that a number means the same call."""
    shutil.rmtree(tree.root / "artifacts")
    shutil.copytree(tree.root.with_name("kept"), tree.root / "artifacts")


def count(tree: Tree, epoch: str) -> dict[str, int]:
    """How often a build calls each of the calls: `{call: times}`."""
    sources_of(tree, epoch)
    log = tree.root / "calls"
    done = traced(tree, epoch, "-o", str(log), "-e", f"trace={','.join(CALLS)}")
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^([a-z0-9]+)\(", log.read_text(errors="replace"), re.MULTILINE)
    log.unlink()
    return {call: names.count(call) for call in CALLS}


def points(total: dict[str, int], *without: str) -> list[tuple[str, int]]:
    """Every place where a build can be killed, of the pages of the state a part: `(call, number)`."""
    steps = {call: EVERY_PAGE if call == "pwrite64" else EVERY_CALL for call in CALLS if call not in without}
    return [(call, number) for call, step in steps.items() for number in range(1, total[call] + 1, step)]


def assert_killed_build_is_mended(tree: Tree, point: tuple[str, int], epoch: str, ends: Ends) -> bool:
    """Kills a build towards an epoch; whatever is there then belongs to one of the ends; the next build is right.

    False for a build that came to its end before it could be killed there.
    """
    call, number = point
    sources_of(tree, epoch)
    done = traced(tree, epoch, "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
    assert done.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, (point, done.stdout, done.stderr)
    for name, sha256 in contents(tree.dist).items():
        assert name.endswith(".part") or sha256 in {end.get(name) for end in ends.values()}, (point, name)
    assert build(tree, epoch) == ends[epoch], point
    assert not list((tree.root / "artifacts").rglob("*.part")), point
    return done.returncode != 0


def assert_all_are_mended(tree: Tree, tried: list[tuple[str, int]], ends: Ends, pages: int) -> None:
    """Kills a build from what was kept towards NEW at each point; none may come to its end, but for the last `pages` of the state."""
    for point in tried:
        restore(tree)
        killed = assert_killed_build_is_mended(tree, point, NEW, ends)
        assert killed or (point[0] == "pwrite64" and point[1] > pages - LAST_PAGES), point


@pytest.fixture
def small_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A tree with the small table, not built yet."""
    base = tmp_path_factory.mktemp("small")
    tree = Tree(base / "tree", "1", surroundings(base / "state", base))
    shutil.copytree(ROOT / "scripts", tree.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests/build/small_dodo.py", tree.root / "dodo.py")
    (tree.root / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/build.txt", tree.root / "requirements/build.txt")
    (tree.root / "sources/in").mkdir(parents=True)
    for name in ("one", "two", "in/a", "in/b"):
        (tree.root / "sources" / name).write_text(f"{name}\n")
    compileall.compile_dir(tree.root, quiet=1)  # some hundred builds shall not compile the same modules; they write no bytecode
    yield tree
    shutil.rmtree(base, ignore_errors=True)


@pytest.mark.parametrize("share", range(WORKERS))
def test_a_build_killed_at_any_write_is_mended_by_the_next(small_tree: Tree, share: int) -> None:
    ends = {epoch: build(small_tree, epoch) for epoch in (NEW, OLD)}
    assert {name for name in ends[OLD] if ends[OLD][name] == ends[NEW][name]} == {"kit/two", "kit/in/b", "signing-key.pub"}
    keep(small_tree)
    restore(small_tree)
    total = count(small_tree, NEW)
    assert total["rename"] >= 10
    assert total["fsync"] >= 10
    tried = points({**total, "pwrite64": total["pwrite64"] + MORE_PAGES})
    assert_all_are_mended(small_tree, tried[share::WORKERS], ends, total["pwrite64"])


@pytest.mark.parametrize("share", range(WORKERS))
def test_a_first_build_killed_at_any_write_is_mended_by_the_next(small_tree: Tree, share: int) -> None:
    """The pages of the state are left out here: the test above has all of them."""
    tree = small_tree
    ends = {NEW: build(tree, NEW)}
    shutil.rmtree(tree.root / "artifacts")
    total = count(tree, NEW)
    assert total["mkdir"] >= 4
    for point in points(total, "pwrite64")[share::WORKERS]:
        shutil.rmtree(tree.root / "artifacts")
        assert assert_killed_build_is_mended(tree, point, NEW, ends), point


def test_a_killed_build_of_the_whole_kit_is_mended_by_the_next(tree: Tree) -> None:
    ends = {epoch: build(tree, epoch) for epoch in (NEW, OLD)}
    keep(tree)
    restore(tree)
    total = count(tree, NEW)
    tried = points(total)
    few = tried[:: max(1, len(tried) // FEW)]
    assert_all_are_mended(tree, tried if ALL else few, ends, total["pwrite64"])
    assert tree.verify().code == 0


def test_what_a_killed_build_had_finished_is_not_made_again(tree: Tree) -> None:
    build(tree, OLD)
    total = count(tree, NEW)["rename"]
    build(tree, OLD)
    whole = len(tree.variant(SOURCE_DATE_EPOCH=NEW).bundle().made)
    build(tree, OLD)
    kill = f"inject=rename:signal=KILL:when={total - 2}"
    assert traced(tree, NEW, "-o", os.devnull, "-e", "trace=rename", "-e", kill).returncode != 0
    assert 1 <= len(tree.variant(SOURCE_DATE_EPOCH=NEW).bundle().made) <= 3 < whole

"""What the tests of the build share: one tree that was built once, and copies of it."""

from __future__ import annotations

import compileall
import fcntl
import os
import py_compile
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.build.trees import Tree, copy_sources, surroundings


@pytest.fixture(scope="session")
def wheels(dist: Path, version: str) -> Path:
    """A folder with every wheel of the lock, as the build under test fetched them: builds here need no network."""
    return dist / f"concelier-lnm-{version}" / "runner/wheelhouse"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, wheels: Path, version: str) -> Tree:
    """A tree built once for all workers. Nobody changes it: take `tree` for that."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built-once"
    shared.mkdir(exist_ok=True)
    tree = Tree(shared / "tree", version, surroundings(shared / "state", wheels))
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "said").exists():
            shutil.rmtree(tree.root, ignore_errors=True)
            copy_sources(tree.root)
            compiled(tree.root)
            (shared / "said").write_text(tree.bundle().text, encoding="utf-8")
    return tree


def compiled(root: Path) -> None:
    """Compiles the build's modules once for hundreds of builds, which write no bytecode; it counts for a source of that content alone."""
    for folder, levels in ((root / "scripts", None), (root, 0)):
        compileall.compile_dir(folder, maxlevels=levels, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


@pytest.fixture
def tree(built: Tree, tmp_path: Path) -> Iterator[Tree]:
    """A copy of the built tree that a test may spoil."""
    copy = Tree(tmp_path / "tree", built.version, built.environment)
    shutil.copytree(built.root, copy.root, symlinks=True)
    yield copy
    shutil.rmtree(copy.root, ignore_errors=True)


@pytest.fixture
def sources(built: Tree, tmp_path: Path) -> Iterator[Tree]:
    """A copy of the sources in which nothing was built yet."""
    copy = Tree(tmp_path / "fresh", built.version, built.environment)
    copy_sources(copy.root)
    shutil.copytree(built.root / "scripts", copy.root / "scripts", symlinks=True, dirs_exist_ok=True)  # with its bytecode
    yield copy
    shutil.rmtree(copy.root, ignore_errors=True)

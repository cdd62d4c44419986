"""scripts/verify/reproduced.py: a verdict beside the tarball is read, and one that lies is refused; none is none.

That check alone is run; where there is no verdict and where one is refused, the stage with its other checks, but for the slow ones
that read no verdict.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.repro import compare
from tests.build.conftest import built, wheels  # noqa: F401 - fixtures: a tree that was built once
from tests.build.trees import Tree
from tests.verify.test_stage import BESIDE_THE_KIT, TITLES, Kit, stage

SIGN = """
import sys
from pathlib import Path
from scripts import files
from scripts.repro import verdict
tarball, root_hash, kit_name, *states = sys.argv[1:]
findings = [verdict.Finding(f"row {number}", state, "what", "words") for number, state in enumerate(states)]
verdict.write(Path(), Path(tarball), files.sha256_of(Path(tarball)), (kit_name, root_hash), findings)
"""


@pytest.fixture
def tree(built: Tree, tmp_path: Path) -> Iterator[Tree]:  # noqa: F811 - the fixture
    copy = Tree(tmp_path / "tree", built.version, built.environment)
    shutil.copytree(built.root, copy.root, symlinks=True)
    yield copy
    shutil.rmtree(copy.root)


def sign(tree: Tree, *states: str, root_hash: str = "", tarball: Path | None = None) -> Path:
    """Leaves a signed verdict in a tree; returns where it is."""
    root_hash = root_hash or compare.look(tree.root).root_hash
    said = tree.run(sys.executable, "-c", SIGN, tarball or tree.tarball, root_hash, tree.kit.name, *states)
    assert said.code == 0, said.text
    return Path(f"{tree.tarball}.repro.sigstore.json")


def judged(tree: Tree, *, whole: bool = False) -> tuple[int, list[str]]:
    """The exit code and what the stage says of the verdict; only the check that reads it is run, or all but the slow ones."""
    *others, last = TITLES
    assert last == "reproducibility"
    said = stage(Kit(tree.dist, tree.version), without=BESIDE_THE_KIT if whole else tuple(others), PATH=os.environ["PATH"])
    return said.code, said.out.partition("\nreproducibility\n")[2].partition("\n\n")[0].splitlines()


def test_without_a_verdict_nothing_is_claimed_and_nothing_is_wrong(tree: Tree) -> None:
    code, lines = judged(tree, whole=True)
    assert code == 0
    assert len(lines) == 1
    assert lines[0].endswith("no reproducibility verdict here, so none is claimed: nox -s repro")


def test_a_verdict_that_passed_is_repeated(tree: Tree) -> None:
    sign(tree, "passed", "passed")
    code, lines = judged(tree)
    assert code == 0, lines
    assert lines[-1].endswith("says PASSED: the same bytes in 2 comparisons")


def test_what_could_not_be_varied_is_repeated(tree: Tree) -> None:
    sign(tree, "passed", "skipped")
    code, lines = judged(tree)
    assert code == 0, lines
    assert lines[-1].endswith("says WARNED: the same bytes in 1 comparisons; could not be varied: row 1")


@pytest.mark.parametrize("states", [("passed", "failed"), ("skipped",), ()])
def test_a_verdict_that_did_not_pass_fails_the_stage(tree: Tree, states: tuple[str, ...]) -> None:
    sign(tree, *states)
    code, lines = judged(tree)
    assert code == 2, lines
    assert "says FAILED: " in lines[-1]


def test_a_verdict_about_another_kit_is_refused(tree: Tree) -> None:
    sign(tree, "passed", root_hash="0" * 64)
    code, lines = judged(tree)
    assert code == 5, lines
    assert lines[-1].endswith(f"is not about {tree.kit.name} with this rootHash")


def test_a_verdict_about_another_tarball_is_refused(tree: Tree) -> None:
    other = tree.dist / "lnm-21-101-2026.11.0.tar.gz".replace("2026.11.0", tree.version)
    sign(tree, "passed", tarball=other)
    Path(f"{other}.repro.sigstore.json").rename(f"{tree.tarball}.repro.sigstore.json")
    code, lines = judged(tree)
    assert code == 5, lines
    assert "is about lnm-21-101-" in lines[0]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"dsseEnvelope":{}}', b'{"dsseEnvelope":{"payload":"e30=","signatures":[]}}']
)
def test_garbage_is_no_verdict(tree: Tree, content: bytes) -> None:
    Path(f"{tree.tarball}.repro.sigstore.json").write_bytes(content)
    code, lines = judged(tree)
    assert code == 5, lines
    assert "is no signed statement" in lines[0]


def test_a_flipped_signature_is_refused(tree: Tree) -> None:
    path = sign(tree, "passed")
    text = path.read_text()
    at = text.index('"sig":"') + 20
    path.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    code, lines = judged(tree, whole=True)
    assert code == 5, lines
    assert "FAILED" in lines[0]

"""scripts/fresh.py: content and not time decides, and why something is made again is said in words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import fresh
from tests.build.trees import Tree

# ---- content, not time


def changed(path: Path, state: fresh.State) -> bool:
    return fresh.ByContent().check_modified(str(path), path.stat(), state)


def test_only_another_content_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("one")
    state = fresh.state_of(str(path), path.stat())
    assert not changed(path, state)
    os.utime(path, (1, 1))
    assert not changed(path, state)
    path.write_text("two")
    assert changed(path, state)
    path.write_text("one")
    assert not changed(path, state)
    path.write_text("longer")
    assert changed(path, state)


def test_a_change_is_seen_though_size_and_mtime_are_put_back(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("one")
    before = path.stat()
    state = fresh.state_of(str(path), path.stat())
    (tmp_path / "y").write_text("two")
    os.utime(tmp_path / "y", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "y").replace(path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert changed(path, state)


def test_what_is_remembered_is_the_hash_of_the_content_there_is(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("one")
    old = fresh.state_of(str(path), path.stat())
    path.write_text("two")
    checker = fresh.ByContent()
    assert checker.get_state(str(path), old) == fresh.state_of(str(path), path.stat())
    assert checker.get_state(str(path), None) == fresh.state_of(str(path), path.stat())


# ---- why, in words

README = "layout:README.md"


def why(tree: Tree, task: str, *arguments: str) -> str:
    """What a build says behind a task that it makes."""
    said = tree.doit("bundle", *arguments)
    assert said.code == 0, said.text
    (line,) = (line for line in said.out.splitlines() if line.startswith("[") and f"] {task}" in line)
    return line.partition(f"] {task}")[2].strip()


def test_a_first_build_gives_no_reasons(sources: Tree) -> None:
    said = sources.bundle()
    assert len(said.made) > 50
    assert "(" not in "".join(line for line in said.out.splitlines() if line.startswith("["))


def both(tree: Tree) -> None:
    tree.append("bundle-layout/README.md", "x\n")
    (tree.kit / "README.md").chmod(0o600)


def three(tree: Tree) -> None:
    for name in ("bundle-layout/README.md", "scripts/files.py", "scripts/layout.py"):
        tree.append(name, "#\n")


REASONS: dict[str, tuple[Callable[[Tree], object], str]] = {
    "source": (lambda tree: tree.append("bundle-layout/README.md", "x\n"), "(bundle-layout/README.md changed)"),
    "code": (lambda tree: tree.append("scripts/layout.py", "# x\n"), "(scripts/layout.py changed)"),
    "target gone": (lambda tree: (tree.kit / "README.md").unlink(), "(artifacts/lnm/{kit}/README.md is gone)"),
    "target edited": (
        lambda tree: (tree.kit / "README.md").write_text("x\n"),
        "(artifacts/lnm/{kit}/README.md is not what was made)",
    ),
    "target closed": (
        lambda tree: (tree.kit / "README.md").chmod(0o600),
        "(artifacts/lnm/{kit}/README.md had mode 0644, has 0600)",
    ),
    "record gone": (
        lambda tree: (tree.root / "artifacts/.build/records/layout/README.md.json").unlink(),
        "(artifacts/.build/records/layout/README.md.json is gone)",
    ),
    "two things": (
        both,
        "(bundle-layout/README.md changed; artifacts/lnm/{kit}/README.md had mode 0644, has 0600)",
    ),
    "three things": (
        three,
        "(bundle-layout/README.md changed; scripts/files.py changed; and 1 more)",
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_line_says_why_something_is_made_again(tree: Tree, case: str) -> None:
    change, words = REASONS[case]
    change(tree)
    assert why(tree, README) == words.format(kit=tree.kit.name)


def test_with_v2_a_line_says_every_reason(tree: Tree) -> None:
    three(tree)
    reasons = "bundle-layout/README.md changed; scripts/files.py changed; scripts/layout.py changed"
    assert why(tree, README, "-v2") == f"({reasons})"
    assert "0 made, " in tree.doit("bundle", "-v2").out


def test_a_changed_setting_is_named_with_both_values(tree: Tree) -> None:
    other = tree.variant(SOURCE_DATE_EPOCH="1000000000")
    epoch = (tree.root / "SOURCE_DATE_EPOCH").read_text().strip()
    assert f"epoch was {epoch}, is 1000000000" in why(other, "sbom:lnm-tooling.spdx.json")


def test_an_added_and_a_removed_source_are_named(tree: Tree) -> None:
    added = tree.root / "bundle-layout/new.txt"
    added.write_text("x\n")
    assert f"artifacts/lnm/{tree.kit.name}/new.txt came in" in why(tree, "checksums:payload.sums")
    added.unlink()
    assert f"artifacts/lnm/{tree.kit.name}/new.txt is not read any more" in why(tree, "checksums:payload.sums")


def test_another_key_is_the_reason_for_a_new_public_half(tree: Tree, tmp_path: Path) -> None:
    other = tree.variant(XDG_STATE_HOME=str(tmp_path / "other"))
    assert why(other, "key:signing-key.pub") == "(the signing key is another one)"


def test_doit_info_says_why_in_words(tree: Tree) -> None:
    (tree.kit / "README.md").write_text("x\n")
    said = tree.variant(SOURCE_DATE_EPOCH="1000000000").doit("info", README)
    assert f"artifacts/lnm/{tree.kit.name}/README.md is not what was made" in said.out
    said = tree.variant(SOURCE_DATE_EPOCH="1000000000").doit("info", "sbom:lnm-tooling.spdx.json")
    assert ", is 1000000000" in said.out
    assert "object at 0x" not in said.out


def test_a_summary_says_how_much_was_made_and_how_much_was_fresh(tree: Tree) -> None:
    tree.append("bundle-layout/verify.sh", "# x\n")
    said = tree.bundle()
    found = re.search(r"^([0-9]+) made, ([0-9]+) fresh$", said.out, re.MULTILINE)
    total = re.search(r"^\[ *[0-9]+/([0-9]+)\] ", said.out, re.MULTILINE)
    assert found
    assert total
    assert int(found[1]) >= len(said.made) > 0  # and pruning, where there is something to prune
    assert int(found[1]) + int(found[2]) == int(total[1])
    assert int(total[1]) > len(list((tree.root / "artifacts/.build/records").rglob("*.json")))  # one for each row, and the chores

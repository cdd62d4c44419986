"""What a machine does to a build: no git, closed folders, a full disk, a damaged state, interruptions. Words, and the next build is right."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.build.trees import BIN, Tree, contents, in_tiny_tmpfs, powerless, restored, traces


def test_without_git_on_the_path_the_channel_edge_is_built_and_it_is_said(tree: Tree) -> None:
    tree.commit()
    said = tree.variant(PATH="/nowhere").bundle()
    assert "no commit, unknown; channel edge" in said.out
    assert '"commit":null' in tree.manifest
    assert '"note":"git cannot be run (ENOENT)"' in tree.manifest
    assert tree.verify().code == 0


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("artifacts/lnm", "artifacts/lnm/{kit}"), "artifacts/lnm/{kit}/README.md: Permission denied"),
        (("artifacts/.build",), "artifacts/.build: cannot be written"),
        (("artifacts", "artifacts/lnm", "artifacts/lnm/{kit}", "artifacts/.build"), "artifacts/.build: cannot be written"),
    ],
)
def test_an_output_folder_that_cannot_be_written_is_named(tree: Tree, folders: tuple[str, ...], words: str) -> None:
    before = traces(tree.dist)
    closed = [tree.root / name.format(kit=tree.kit.name) for name in folders]
    tree.append("bundle-layout/README.md", "changed\n")
    for folder in closed:
        folder.chmod(0o555)
    said = tree.run(*powerless(), BIN / "doit", "bundle")
    for folder in closed:
        folder.chmod(0o755)
    assert said.code > 0
    assert words.format(kit=tree.kit.name) in said.err
    assert "\n  next: look at " in said.err
    assert "[exit 1]" in said.err
    assert "Traceback" not in said.text
    assert "rootHash" not in said.out
    assert traces(tree.dist) == before
    tree.bundle()
    assert tree.verify().code == 0


@pytest.mark.parametrize("task", ["bundle", "layout:migrations/21-101", "sbom:lnm-kit.spdx.json"])
@pytest.mark.parametrize("name", ["lnm", "lnm/{kit}/migrations", ".build/records", ".build", ".build/doit.sqlite3"])
def test_what_cannot_be_looked_into_is_named(tree: Tree, task: str, name: str) -> None:
    before = traces(tree.dist)
    closed = tree.root / "artifacts" / name.format(kit=tree.kit.name)
    mode = closed.stat().st_mode
    tree.append("bundle-layout/migrations/21-101/README.md", "changed\n")
    closed.chmod(0)
    said = tree.run(*powerless(), BIN / "doit", task)
    closed.chmod(mode)
    assert said.code > 0
    assert f"artifacts/{name.format(kit=tree.kit.name)}" in said.err
    assert "\n  next: look at " in said.err
    assert "Traceback" not in said.text
    assert traces(tree.dist) == before
    tree.bundle()
    assert tree.verify().code == 0


def test_a_damaged_state_in_a_folder_that_cannot_be_written_is_told(tree: Tree) -> None:
    work = tree.root / "artifacts/.build"
    (work / "doit.sqlite3").write_bytes(b"garbage\n" * 99)
    work.chmod(0o555)
    said = tree.run(*powerless(), BIN / "doit", "bundle")
    work.chmod(0o755)
    assert "artifacts/.build: cannot be written" in said.err
    assert "Traceback" not in said.text
    assert len(tree.bundle().made) > 50


def test_a_folder_in_the_place_of_the_state_is_told(tree: Tree) -> None:
    state = tree.root / "artifacts/.build/doit.sqlite3"
    state.unlink()
    state.mkdir()
    said = tree.doit("bundle")
    assert said.code > 0
    assert "doit.sqlite3: found a folder, wanted a file\n  next: remove it" in said.err
    assert "Traceback" not in said.text
    state.rmdir()
    tree.bundle()


def test_a_checkout_that_cannot_be_written_is_named(sources: Tree) -> None:
    sources.root.chmod(0o555)
    said = sources.run(*powerless(), BIN / "doit", "bundle")
    sources.root.chmod(0o755)
    assert "artifacts: the folder cannot be made: Permission denied" in said.err
    assert "\n  next: " in said.err
    assert "Traceback" not in said.text


def test_a_read_only_file_system_is_named_and_the_old_kit_stays(tree: Tree) -> None:
    before = traces(tree.dist)
    tree.append("bundle-layout/README.md", "changed\n")
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && "$2" bundle'
    in_tiny_tmpfs(tree.root / "artifacts", "true")  # skips where no mount is allowed
    command = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", tree.root / "artifacts", BIN / "doit")
    said = tree.run(*command)
    assert said.code > 0
    assert "artifacts/.build: cannot be written" in said.err
    assert "\n  next: " in said.err
    assert "Traceback" not in said.text
    assert traces(tree.dist) == before
    tree.bundle()
    assert tree.verify().code == 0


def test_a_full_disk_ends_the_build_in_words_and_the_next_one_is_right(tree: Tree) -> None:
    """The disk has room for what was built before and for a mebibyte, but not for a second tarball beside the first."""
    files, kept = contents(tree.dist), tree.root / "kept"
    (tree.root / "artifacts").rename(kept)
    (tree.root / "artifacts").mkdir()
    source = (tree.root / "scripts/tarball.py").read_bytes()
    tree.append("scripts/tarball.py", "# changed\n")
    space = sum(path.stat().st_size // 4096 * 4 + 4 for path in kept.rglob("*")) + 1024
    build = 'cp -a kept/. artifacts && "$2" bundle; code=$?'
    script = f'{build}; find artifacts -name "*.part" >&2; cmp "kept/$3" "artifacts/$3" || exit 0; exit $code'
    target = tree.tarball.relative_to(tree.root / "artifacts").as_posix()

    said = tree.run(*in_tiny_tmpfs(tree.root / "artifacts", script, f"{space}k"), BIN / "doit", target)

    assert said.code > 0, said.text
    assert "No space left on device" in said.err
    assert f"{tree.tarball.relative_to(tree.root)} was left as it was" in said.err
    assert "\n  next: make room on the disk" in said.err
    assert ".part\n" not in said.err
    assert "Traceback" not in said.text

    (tree.root / "scripts/tarball.py").write_bytes(source)
    (tree.root / "artifacts").rmdir()
    kept.rename(tree.root / "artifacts")
    tree.bundle()
    assert contents(tree.dist) == files


def test_a_damaged_state_makes_everything_again(tree: Tree) -> None:
    files = contents(tree.dist)
    (tree.root / "artifacts/.build/doit.sqlite3").write_bytes(b"garbage\n" * 99)
    said = tree.bundle()
    assert len(said.made) > 50
    assert "doit.sqlite3: damaged, so everything is made again" in said.err
    assert contents(tree.dist) == files
    assert "0 made, " in tree.bundle().out


EDITED_MEANWHILE = """

from pathlib import Path as AnyPath
honest = write
def write(out, *, source):
    honest(out, source=source)
    if source.name == {name!r} and not AnyPath("edited").exists():
        AnyPath("edited").touch()
        source.write_text(source.read_text() + "changed\\n")
"""


@pytest.mark.parametrize(
    ("name", "task"), [("LICENSE", "layout:LICENSE"), ("migration.py", "layout:migrations/21-101")], ids=["file", "folder"]
)
def test_a_source_that_changes_while_it_is_read_fails_the_step_and_the_next_build_is_right(
    tree: Tree, name: str, task: str
) -> None:
    place = "LICENSE" if name == "LICENSE" else "migrations/21-101/migration.py"
    source = tree.root / ("LICENSE" if name == "LICENSE" else f"bundle-layout/{place}")
    tree.append(source.relative_to(tree.root).as_posix(), "# first\n")
    tree.append("scripts/layout.py", EDITED_MEANWHILE.format(name=name))
    said = tree.doit("bundle")
    assert said.code > 0
    assert f"failed: {task}\n" in said.err
    assert f"{name}: changed while the step read it\n  next: run the same command again [exit 2]" in said.err
    assert task in tree.bundle().made
    assert source.read_text().endswith("changed\n")
    assert (tree.kit / place).read_bytes() == source.read_bytes()
    assert tree.verify().code == 0


def test_an_interrupted_build_says_so_and_nothing_of_a_kit(tree: Tree, built: Tree) -> None:
    tree.append("scripts/wheelhouse.py", "# changed\n")
    command, pipe = [str(BIN / "doit"), "bundle"], subprocess.PIPE
    with subprocess.Popen(command, cwd=tree.root, env=dict(tree.environment), text=True, stdout=pipe, stderr=pipe) as build:
        assert build.stdout
        while "wheelhouse:" not in build.stdout.readline():
            pass
        time.sleep(0.3)  # now pip is running
        build.send_signal(signal.SIGINT)
        out, err = build.communicate()
    assert build.returncode != 0
    assert "rootHash" not in out
    assert " made, " not in out
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not list((tree.root / "artifacts").rglob("*.part"))
    restored(tree, built)
    tree.bundle()
    assert contents(tree.dist) == contents(built.dist)


def test_a_folder_in_the_place_of_a_target_is_told_where_it_is_made_alone(tree: Tree) -> None:
    """`doit bundle` removes it; a single target does not prune."""
    sums = tree.kit / "SHA256SUMS"
    sums.unlink()
    sums.mkdir()
    said = tree.doit("checksums:SHA256SUMS")
    assert f"{os.path.relpath(sums, tree.root)}: Is a directory" in said.err
    assert "\n  next: there is a folder in the place of that file" in said.err
    assert not list((tree.root / "artifacts").rglob("*.part"))
    tree.bundle()
    assert tree.verify().code == 0

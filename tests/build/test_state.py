"""scripts/state.py: what doit remembers, how it is kept, and that a damaged state is taken for none."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import state
from scripts.errors import KitError
from tests.build.trees import BIN, Tree, contents, in_tiny_tmpfs


def sound_state(folder: Path) -> Path:
    """A database as doit keeps it, with enough rows for some pages."""
    path = folder / "work/doit.sqlite3"
    state.prepare(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executemany(
            "insert into doit values (?, ?)", [(str(number), f'{{"x": "{"x" * 900}"}}') for number in range(100)]
        )
        database.commit()
    return path


def test_a_sound_state_is_left_alone(tmp_path: Path) -> None:
    path = sound_state(tmp_path)
    before = path.stat().st_mtime_ns, path.read_bytes()
    state.prepare(path)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def sql(text: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(text)
            database.commit()

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"garbage\n" * 99),
    "other table": sql("alter table doit rename column task_data to data"),
    "no table": sql("drop table doit"),
    "row": sql("update doit set task_data = 'no json' where task_id = '7'"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + bytes(path.stat().st_size // 2)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_taken_for_none(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = sound_state(tmp_path)
    DAMAGES[damage](path)
    state.prepare(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("select count(*) from doit").fetchall() == [(0,)]
    assert "damaged, so everything is made again" in capsys.readouterr().err


def test_a_state_that_another_build_holds_is_not_damaged(tmp_path: Path) -> None:
    path = sound_state(tmp_path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("begin exclusive")
        state.prepare(path)
        database.execute("rollback")
    assert path.exists()


# ---- a state that is kept task by task


def remembered(tree: Tree) -> set[str]:
    """The tasks in doit's state."""
    with contextlib.closing(sqlite3.connect(tree.root / "artifacts/.build/doit.sqlite3")) as database:
        return {row[0] for row in database.execute("select task_id from doit")}


def test_what_was_done_before_a_failure_is_not_done_again(sources: Tree) -> None:
    good = (sources.root / "requirements/packages.json").read_bytes()
    (sources.root / "requirements/packages.json").write_text("{}")
    failed = sources.doit("bundle")
    assert failed.code == 1
    done = set(failed.made) - {"sbom:lnm-tooling.spdx.json"}
    assert len(done) < len(failed.made)
    assert done <= remembered(sources)
    assert "sbom:lnm-tooling.spdx.json" not in remembered(sources)
    (sources.root / "requirements/packages.json").write_bytes(good)
    assert not done & set(sources.bundle().made)


def test_a_failed_task_is_forgotten_and_made_again(tree: Tree) -> None:
    good = (tree.root / "requirements/packages.json").read_bytes()
    (tree.root / "requirements/packages.json").write_text("{}")
    assert tree.doit("bundle").code == 1
    (tree.root / "requirements/packages.json").write_bytes(good)
    before = contents(tree.dist)
    assert "sbom:lnm-tooling.spdx.json" in tree.bundle().made
    assert contents(tree.dist) == before


@pytest.mark.parametrize("spare", [0, 4, 8, 16, 32, 64])
def test_a_disk_that_is_full_for_the_state_itself_ends_in_words(tree: Tree, spare: int) -> None:
    """The state is on a disk with that many KiB left; whatever fails first says so, and afterwards the build is right."""
    before = contents(tree.dist)
    work, kept = tree.root / "artifacts/.build", tree.root / "kept"
    work.rename(kept)
    work.mkdir()
    tree.append("requirements/build.txt", "# changed\n")
    space = sum(path.stat().st_size // 4096 * 4 + 4 for path in kept.rglob("*")) + spare
    script = 'cp -a kept/. artifacts/.build && "$2" bundle'
    said = tree.run(*in_tiny_tmpfs(work, script, f"{space}k"), BIN / "doit")
    assert said.code > 0, said.text
    assert "full" in said.err or "No space left" in said.err, said.err
    assert "make room on the disk" in said.err
    assert "Traceback" not in said.text
    work.rmdir()
    kept.rename(work)
    tree.edit("requirements/build.txt", "# changed\n", "")
    tree.bundle()
    assert contents(tree.dist) == before


def test_an_error_of_the_database_is_no_traceback_and_names_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "doit.sqlite3"
    folder.mkdir()
    with pytest.raises(KitError, match=r"doit\.sqlite3: unable to open database file"):
        state.create(folder)

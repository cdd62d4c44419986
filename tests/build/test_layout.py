"""scripts/layout.py: bundle-layout/ ships as it stands, and a kit without what was promised is not built."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import layout
from scripts.errors import InputError, MissingError
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*layout.REQUIRED, "migrations/21-101/more.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_the_projects_layout_is_complete() -> None:
    assert set(layout.REQUIRED) <= set(layout.names(ROOT / "bundle-layout"))


def test_every_file_of_the_layout_ships_under_its_own_name(folder: Path) -> None:
    assert set(layout.names(folder)) == {*layout.REQUIRED, "migrations/21-101/more.json"}


def test_every_missing_file_is_named_at_once(folder: Path) -> None:
    gone = ("verify.sh", "migrations/21-101/migration.py", "seeds/object-store/seed-manifest.json")
    for name in gone:
        (folder / name).unlink()
    with pytest.raises(MissingError) as caught:
        layout.names(folder)
    assert caught.value.message == f"{folder}: missing: {', '.join(sorted(gone, key=layout.REQUIRED.index))}"
    assert caught.value.exit_code == 4
    assert "git checkout" in caught.value.hint


def test_a_folder_in_the_place_of_a_required_file_is_a_missing_file(folder: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "README.md").mkdir()
    with pytest.raises(MissingError, match=r"missing: README\.md"):
        layout.names(folder)


def test_a_name_that_no_kit_can_hold_is_refused(folder: Path) -> None:
    (folder / "read me.txt").write_text("")
    with pytest.raises(InputError, match=r"read me\.txt: the name may only have"):
        layout.names(folder)


@pytest.mark.parametrize(
    "name", ["SHA256SUMS", "SHA256SUMS.sig", "manifest.json", "manifest.dsse.json", "manifest.0123456789abcdef.dsse.json"]
)
def test_a_name_of_the_envelope_is_not_content(folder: Path, name: str) -> None:
    """It would be signed as payload and read as envelope."""
    (folder / name).write_text("{}")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        layout.names(folder)


@pytest.mark.parametrize(
    "name",
    ["attestations/mine.json", "LICENSE", "sbom/lnm-kit.spdx.json", "runner/requirements.txt", "runner/requirements-extras.txt"],
)
def test_a_name_that_the_build_makes_is_not_content(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        layout.names(folder)


def test_the_verifiers_alone_are_executable(folder: Path) -> None:
    assert {name for name in layout.names(folder) if layout.mode(name) == 0o755} == {"verify.sh", "verify_kit.py"}
    assert {layout.mode(name) for name in layout.REQUIRED} == {0o644, 0o755}


def test_a_file_is_copied_byte_for_byte(folder: Path) -> None:
    (folder / "x").write_bytes(bytes(range(256)) * 9000 + b"\r\n")
    out = io.BytesIO()
    layout.write(out, source=folder / "x")
    assert out.getvalue() == (folder / "x").read_bytes()


# ---- rows, and folders that are laid out together


def test_a_folder_is_a_row_of_at_most_two_parts_and_a_file_at_the_top_is_its_own() -> None:
    names = ("README.md", "a/b/c/d.txt", "a/b/e.txt", "a/f.txt", "g/h.txt")
    assert layout.folders(names) == {"README.md": (), "a/b": ("c/d.txt", "e.txt"), "a": ("f.txt",), "g": ("h.txt",)}


def test_every_file_of_the_layout_is_in_one_row() -> None:
    names = layout.names(ROOT / "bundle-layout")
    rows = layout.folders(names)
    assert sorted(
        name for folder, held in rows.items() for name in ([f"{folder}/{inner}" for inner in held] or [folder])
    ) == sorted(names)


def lay_out(folder: Path, out: Path) -> None:
    sources = tuple(folder / "migrations/21-101" / name for name in ("README.md", "migration.py", "more.json"))
    layout.write_folder(out, sources=sources, base=folder / "migrations/21-101")


def test_a_folder_is_laid_out_file_by_file(folder: Path, tmp_path: Path) -> None:
    lay_out(folder, tmp_path / "out")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        name: f"migrations/21-101/{name}" for name in ("README.md", "migration.py", "more.json")
    }


def linked(path: Path) -> None:
    path.rename(path.with_name("y"))
    path.symlink_to("y")


SPOILT: dict[str, Callable[[Path], object]] = {
    "changed": lambda path: path.write_text("x"),
    "gone": Path.unlink,
    "mode": lambda path: path.chmod(0o600),
    "link": linked,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_is_there_already_is_not_touched_and_what_is_not_is_mended(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    out = tmp_path / "out"
    lay_out(folder, out)
    before = {path.name: path.stat().st_ino for path in out.iterdir()}
    spoil(out / "more.json")
    lay_out(folder, out)
    assert (out / "more.json").read_text() == "migrations/21-101/more.json"
    assert not (out / "more.json").is_symlink()
    assert (out / "more.json").stat().st_mode & 0o777 == 0o644
    assert {path.name: path.stat().st_ino for path in out.iterdir() if path.name in {"README.md", "migration.py"}} == {
        name: inode for name, inode in before.items() if name != "more.json"
    }

"""scripts/files.py: a target is the old one or the new one; a folder of content is named completely or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import files
from scripts.errors import ChecksumError, InputError, KitError, MissingError
from tests.build.trees import in_tiny_tmpfs, powerless
from tests.conftest import ROOT

FAILS = """
import sys
from pathlib import Path
from scripts import files
from scripts.errors import KitError
try:
    with files.replacing(Path(sys.argv[1])) as out:
        out.write(b"new" * 100_000)
except KitError as err:
    print(err)
else:
    sys.exit("it was written")
"""


def write(target: Path, data: bytes = b"new", mode: int = 0o644) -> None:
    with files.replacing(target, mode) as out:
        out.write(data)


def write_half_and_raise(target: Path, error: BaseException) -> None:
    with files.replacing(target) as out:
        out.write(b"half")
        raise error


def below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def said_by(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- replacing


def test_a_new_target_is_there_complete_with_its_folders(tmp_path: Path) -> None:
    write(tmp_path / "a/b/target")
    assert (tmp_path / "a/b/target").read_bytes() == b"new"
    assert below(tmp_path / "a/b") == ["target"]


@pytest.mark.parametrize("error", [KitError("x"), ValueError("x"), OSError(5, "x"), KeyboardInterrupt(), SystemExit(1)])
def test_the_old_target_stays_on_any_exception(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "target"
    write(target, b"old")
    before = target.stat()

    with pytest.raises((KitError, type(error))):
        write_half_and_raise(target, error)

    assert target.read_bytes() == b"old"
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert below(tmp_path) == ["target"]


def test_no_target_appears_when_the_first_write_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), files.replacing(tmp_path / "target"):
        raise ValueError("x")
    assert below(tmp_path) == []


def test_a_reader_of_the_old_target_goes_on_reading_it(tmp_path: Path) -> None:
    write(tmp_path / "target", b"old")
    with (tmp_path / "target").open("rb") as reader:
        write(tmp_path / "target")
        assert reader.read() == b"old"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_the_mode_of_a_target_does_not_depend_on_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "target", mode=mode)
    finally:
        os.umask(before)
    assert (tmp_path / "target").stat().st_mode & 0o7777 == mode


def test_no_folder_is_made_that_everybody_can_write(tmp_path: Path) -> None:
    """The verifiers refuse a world-writable folder."""
    before = os.umask(0)
    try:
        write(tmp_path / "a/b/target")
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o002) for path in (tmp_path / "a", tmp_path / "a/b")] == ["0o0", "0o0"]


def test_the_longest_name_of_the_name_rule_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 255))
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new"


def test_a_link_in_the_targets_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "target").symlink_to("elsewhere")
    write(tmp_path / "target")
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert not (tmp_path / "target").is_symlink()


def test_a_folder_in_the_targets_place_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(KitError, match="directory") as caught:
        write(tmp_path / "target")
    assert caught.value.message.startswith(f"{tmp_path}/target: ")
    assert "remove it" in caught.value.hint
    assert below(tmp_path) == ["target"]


def test_an_input_that_is_gone_is_named_and_not_the_target(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"gone\.txt: no such file"), files.replacing(tmp_path / "target") as out:
        out.write((tmp_path / "gone.txt").read_bytes())
    assert below(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "target").write_bytes(b"old")
    folder.chmod(0o555)
    said = said_by(*powerless(), sys.executable, "-c", FAILS, folder / "target")
    assert "Permission denied" in said
    assert "target was left as it was" in said
    assert "next: look at the permissions" in said
    assert (folder / "target").read_bytes() == b"old"


def test_an_input_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    code = "import sys; from pathlib import Path; from scripts import files\nfor read in (files.read_bytes, files.sha256_of):\n"
    code += " try: read(Path(sys.argv[1]))\n except files.InputError as err: print(err)"
    said = said_by(*powerless(), sys.executable, "-c", code, tmp_path / "secret")
    assert said.count("secret: cannot be read: Permission denied") == 2
    assert said.count("next: ") == 2


def test_a_full_disk_is_told_in_words_and_leaves_the_old_target(tmp_path: Path) -> None:
    prepare = 'printf old > "$1/target"'
    after = 'test "$(cat "$1/target")" = old && test "$(ls -A "$1")" = target'
    run = in_tiny_tmpfs(tmp_path, f'{prepare} && "$2" -c "$3" "$1/target" && {after}')
    said = said_by(*run, sys.executable, FAILS)
    assert "No space left on device" in said
    assert "next: make room on the disk" in said


def test_a_limit_on_the_size_of_a_file_is_told_in_words(tmp_path: Path) -> None:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n{FAILS}"
    said = said_by(sys.executable, "-c", limited, tmp_path / "target")
    assert "File too large" in said
    assert "target was left as it was" in said
    assert below(tmp_path) == []


# ---- listing


def grow(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def complaints(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        files.listing(root)
    assert caught.value.hint
    return caught.value.message


def test_listing_sorts_by_the_bytes_of_the_name(tmp_path: Path) -> None:
    names = ["C", "a-b", "a.b", "a/b", "a/c/d", "a0", "b"]
    grow(tmp_path, *reversed(names))
    assert [path.as_posix() for path in files.listing(tmp_path)] == names


def test_listing_leaves_out_what_running_python_leaves_behind(tmp_path: Path) -> None:
    grow(tmp_path, "a", "__pycache__/a.cpython-311.pyc", "b/__pycache__/x")
    assert files.listing(tmp_path) == (Path("a"),)


def test_listing_names_every_bad_entry_at_once(tmp_path: Path) -> None:
    bad = ("sp ace", "ü", ".hidden", "dot.", "CON", "nul.txt", "com1.tar.gz", "x/Lpt9", "new\nline", "back\\slash")
    grow(tmp_path, "good", *bad)
    (tmp_path / "link").symlink_to("good")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folderlink").symlink_to("x", target_is_directory=True)
    os.mkfifo(tmp_path / "fifo")
    found = complaints(tmp_path)
    for name in (*bad, "link", "dangling", "folderlink", "fifo"):
        assert f"{tmp_path}/{name}: " in found
    assert f"{tmp_path}/good: " not in found


def test_listing_refuses_a_bad_name_of_a_folder(tmp_path: Path) -> None:
    grow(tmp_path, "aux/a", ".git/b", "c d/e")
    found = complaints(tmp_path)
    assert all(f"{tmp_path}/{name}: " in found for name in ("aux", ".git", "c d"))


@pytest.mark.parametrize("names", [("README", "readme"), ("a/x", "A/y"), ("a/B/c", "a/b"), ("x/Y", "x/y")])
def test_listing_refuses_names_that_differ_in_case_alone(tmp_path: Path, names: tuple[str, str]) -> None:
    grow(tmp_path, *names[:1])
    try:
        grow(tmp_path, *names[1:])
    except OSError:
        pytest.skip("the file system of the temporary folder folds case")
    assert "in case alone" in complaints(tmp_path)


def test_listing_refuses_what_is_too_deep_or_too_long_for_a_kit(tmp_path: Path) -> None:
    """docs/kit-format.md, name rule: at most 32 parts and 1,024 characters."""
    grow(tmp_path / "deep", "/".join(["d"] * 33))
    grow(tmp_path / "long", "/".join(["n" * 200] * 6))
    assert "32" in complaints(tmp_path / "deep")
    assert "1024" in complaints(tmp_path / "long").replace(",", "")


def test_listing_takes_what_is_just_deep_and_long_enough(tmp_path: Path) -> None:
    deep, long = "/".join(["d"] * 32), "/".join(["n" * 204] * 5)
    grow(tmp_path, deep, long)
    assert {path.as_posix() for path in files.listing(tmp_path)} == {deep, long}


def test_listing_does_not_take_a_folder_that_it_cannot_look_into_for_an_empty_one(tmp_path: Path) -> None:
    grow(tmp_path, "a", "closed/b")
    (tmp_path / "closed").chmod(0)
    code = "import sys; from pathlib import Path; from scripts import files\n"
    code += "try: print(files.listing(Path(sys.argv[1])))\nexcept files.KitError as err: print('refused:', err)"
    said = said_by(*powerless(), sys.executable, "-c", code, tmp_path)
    (tmp_path / "closed").chmod(0o755)
    assert said.startswith("refused: ")
    assert "closed" in said


def test_a_folder_of_content_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="gone: no such folder"):
        files.listing(tmp_path / "gone")


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=8))
def test_the_name_rule_of_one_part_is_that_of_the_format(part: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+=@-")
    by_the_book = set(part) <= allowed and part[0] != "." and part[-1] != "."
    assert bool(files.NAME_PART.fullmatch(part)) == by_the_book


# ---- hashing


def test_sha256_of_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)) * 9000)
    assert said_by("sha256sum", path).split()[0] == files.sha256_of(path)


def test_a_file_of_another_hash_is_refused_with_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    files.verify_sha256(tmp_path / "x", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "the lock")
    with pytest.raises(ChecksumError, match=r"^x: sha256 is e3b0c44298fc…, the lock says 000000000000…\n"):
        files.verify_sha256(tmp_path / "x", "0" * 64, "the lock")


def test_a_file_that_is_gone_is_named_by_who_hashes_it(tmp_path: Path) -> None:
    for read in (files.sha256_of, files.read_bytes):
        with pytest.raises(MissingError, match="gone: no such file"):
            read(tmp_path / "gone")

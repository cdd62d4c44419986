"""scripts/debian.py: the lock of the image's Debian packages, and real apt that fetches them from a mirror in a folder."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from packageurl import PackageURL

from scripts import apt, debian, debian_packages
from scripts.debian import Deb
from scripts.errors import ChecksumError, InputError, ToolError
from tests.build.small_debs import Mirror, apt_looks_at, lock, make
from tests.conftest import ROOT

A = "a" * 64
ZLIB = Deb("zlib1g", "1:1.2.13.dfsg-1", "amd64", A)
ABSENT = debian.lacking(os.environ)
needs_apt = pytest.mark.skipif(bool(ABSENT), reason=ABSENT)


# ---- the lock


def test_the_projects_lock_has_the_same_packages_for_both_architectures_and_none_that_is_left_out() -> None:
    debs = debian.read_lock(ROOT / debian.LOCK)
    names = [{deb.package for deb in debian.of(architecture, debs)} for architecture in debian.ARCHITECTURES]
    assert names[0] == names[1]
    assert set(debian.ROOTS) <= names[0]
    assert not names[0] & set(debian.LEFT_OUT)


def test_a_lock_that_is_missing_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"debian\.lock: no such lock") as caught:
        debian.read_lock(tmp_path / "debian.lock")
    assert "git checkout" in caught.value.hint
    assert "nox -s lock" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (f"{A}  tar  1.0-1  amd64\nsome words\n", "line 2"),
        (f"{A}  tar  1.0-1\n", "line 1"),
        (f"{A}  tar  1.0-1  riscv64\n", "line 1"),
        (f"{A}  Tar  1.0-1  amd64\n", "line 1"),
        (f"{A}  tar  ../1.0  amd64\n", "line 1"),
        (f"{A[1:]}  tar  1.0-1  amd64\n", "line 1"),
        (f"{A}  tar  1.0-1  amd64\n{A}  tar  1.0-2  amd64\n", "line 2"),
        (f"{A}  tar  1.0-1  amd64", "no newline"),
        (f"{A}  tar  1.0-1  amd64\n{A}  ash  1.0-1  amd64\n", "order"),
    ],
)
def test_a_lock_of_another_form_is_refused_by_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "debian.lock").write_text(text, encoding="ascii")
    with pytest.raises(InputError, match=r"debian\.lock: ") as caught:
        debian.read_lock(tmp_path / "debian.lock")
    assert words in caught.value.message


def test_a_lock_without_packages_for_an_architecture_is_refused() -> None:
    with pytest.raises(InputError, match="no package for arm64"):
        debian.of("arm64", [ZLIB, Deb("netbase", "6.4", "all", A)])


@pytest.mark.parametrize("version", ["1:1.2.13.dfsg-1", "3.0.22-1~deb12u2", "1.0.8-5+b1"])
def test_a_package_url_is_the_one_that_packageurl_writes(version: str) -> None:
    deb = dataclasses.replace(ZLIB, version=version)
    qualifiers = {"arch": "amd64", "distro": "debian-12"}
    assert deb.purl == PackageURL("deb", "debian", "zlib1g", version, qualifiers).to_string()


# ---- the machine


def test_a_machine_without_apt_or_of_another_distribution_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "apt-get").write_text("", encoding="ascii")
    (tmp_path / "apt-get").chmod(0o755)
    there, release = {"PATH": str(tmp_path)}, tmp_path / "os-release"
    release.write_text('ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"\n', encoding="ascii")
    assert "no apt-get" in debian.lacking({"PATH": str(tmp_path / "empty")}, release)
    assert "Ubuntu 24.04 LTS" in debian.lacking(there, release)
    assert str(tmp_path / "gone") in debian.lacking(there, tmp_path / "gone")
    release.write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n', encoding="ascii")
    assert debian.lacking(there, release) == ""


# ---- what is fetched


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror that apt looks at, and a working folder beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    made = Mirror(tmp_path / "mirror")
    apt_looks_at([made], tmp_path, monkeypatch)
    return made


def roots(mirror: Mirror, version: str = "1.0-1", **others: str) -> list[Deb]:
    """All that the closure of the roots is on a mirror of small packages, put there."""
    return [make(mirror.folder, name, version=others.get(name, version)) for name in debian.ROOTS]


def fill(locked: Path, *, is_locked: bool = True) -> dict[str, bytes]:
    """Runs the step; `{name: bytes}` of the folder."""
    debian_packages.write(Path("debs"), lock=locked, architecture="amd64", is_locked=is_locked)
    return {path.name: path.read_bytes() for path in Path("debs").iterdir()}


@needs_apt
def test_the_folder_has_what_is_locked_and_nothing_else_and_apt_is_asked_once(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    debs = roots(mirror, tzdata="1:2.0-1")
    mirror.offer(*debs)
    foreign = Deb("tzdata", "1:2.0-1", "arm64", A)
    locked = lock(Path(), [*debs, foreign])
    Path("debs").mkdir()
    Path("debs/old_1_amd64.deb").write_bytes(b"")

    found = fill(locked)
    monkeypatch.setenv("PATH", "/nonexistent")

    assert set(found) == {*(deb.filename for deb in debs), "debian.lock"}
    assert "tzdata_1%3a2.0-1_amd64.deb" in found
    assert found["debian.lock"] == debian.render(debs)
    assert fill(locked) == found, "all is there, so no program is needed"


@needs_apt
def test_a_file_that_was_changed_is_fetched_again(mirror: Mirror) -> None:
    debs = roots(mirror)
    mirror.offer(*debs)
    locked = lock(Path(), debs)
    found = fill(locked)
    Path("debs", debs[0].filename).write_bytes(b"something else")
    assert fill(locked) == found


def test_what_a_store_has_with_the_right_bytes_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    store = tmp_path / "store/of/somebody"
    store.mkdir(parents=True)
    debs = [make(store, "one"), make(store, "two")]
    locked = lock(tmp_path, debs, "locked")
    debian_packages.write(Path("debs"), lock=locked, architecture="amd64", is_locked=True, stores=(tmp_path / "none", store))
    assert Path("debs/debian.lock").read_bytes() == debian.render(debs)
    (store / debs[0].filename).write_bytes(b"something else")
    Path("debs", debs[0].filename).unlink()
    with pytest.raises(ToolError, match="apt-get: cannot be started: No such file"):
        debian_packages.write(Path("debs"), lock=locked, architecture="amd64", is_locked=True, stores=(tmp_path / "none", store))


@needs_apt
def test_a_mirror_with_other_bytes_under_a_locked_version_is_refused(mirror: Mirror) -> None:
    debs = roots(mirror)
    mirror.offer(*debs)
    wrong = [dataclasses.replace(deb, sha256=A) if deb.package == "netbase" else deb for deb in debs]
    with pytest.raises(ChecksumError, match=r"netbase_1\.0-1_amd64\.deb"):
        fill(lock(Path(), wrong))
    assert not Path("debs", "debian.lock").exists()


@needs_apt
def test_a_superseded_package_is_refused_by_name_or_taken_loudly(mirror: Mirror, capsys: pytest.CaptureFixture[str]) -> None:
    old = roots(mirror)
    locked = lock(Path(), old)
    now = [make(mirror.folder, deb.package, version="1.1-1") if deb.package == "tzdata" else deb for deb in old]
    mirror.offer(*now)

    with pytest.raises(InputError, match=r"tzdata: locked 1\.0-1, offered 1\.1-1") as caught:
        fill(locked)
    assert "nox -s lock" in caught.value.hint

    found = fill(locked, is_locked=False)
    assert "tzdata (amd64): found 1.1-1, wanted 1.0-1" in capsys.readouterr().out
    assert found["debian.lock"] == debian.render(now)
    assert debian.changes("amd64", old, now) == [
        {"architecture": "amd64", "locked": "1.0-1", "package": "tzdata", "taken": "1.1-1"}
    ]


@needs_apt
def test_what_is_resolved_comes_from_the_suites_of_debian_12_alone(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debs = roots(mirror)
    mirror.offer(*debs)
    backports, somebody = Mirror(tmp_path / "b", "bookworm-backports"), Mirror(tmp_path / "s", "bookworm", "Somebody")
    for newer in (backports, somebody):
        newer.offer(*(make(newer.folder, name, version="9.0-1") for name in debian.ROOTS))
    apt_looks_at([mirror, backports, somebody], tmp_path, monkeypatch)
    assert apt.resolve("amd64", tmp_path / "apt") == tuple(debs)


@needs_apt
def test_a_mirror_that_cannot_be_reached_is_an_error_of_the_tool_in_its_words(mirror: Mirror) -> None:
    debs = roots(mirror)
    with pytest.raises(ToolError, match="apt-get: ") as caught:
        fill(lock(Path(), debs))
    assert "Packages" in caught.value.message
    assert "apt-get update" in caught.value.hint

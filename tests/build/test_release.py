"""scripts/release.py: what a release is called, when it says it was made, and from what source."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts import release
from scripts.errors import InputError

INPUTS = ("input", "VERSION")
LATEST = 8**11 - 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with version and epoch, as the working directory, out of reach of the user's git settings."""
    work = tmp_path / "work"
    (work / "input").mkdir(parents=True)
    (work / "VERSION").write_text("2026.11.0\n")
    (work / "SOURCE_DATE_EPOCH").write_text("1764547200\n")
    (work / "input/a").write_text("a")
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [name for name in os.environ if name.startswith("GIT_") and name != "GIT_CONFIG_NOSYSTEM"]:
        monkeypatch.delenv(name)
    return work


@pytest.fixture
def repository(folder: Path) -> Path:
    """The same with one commit that holds all of it."""
    (folder / ".gitignore").write_text("*.pyc\n__pycache__/\n")
    git("init", "--quiet")
    commit("first")
    return folder


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str) -> None:
    git("add", "--all")
    git("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false", "commit", "-q", "-m", message)


def read(**environment: str) -> release.Release:
    return release.read(environment, INPUTS)


# ---- version


@pytest.mark.parametrize("text", ["2026.11.0", "2026.1.0", "2026.12.10", "1000.1.0", "9999.9.123456"])
def test_a_version_of_the_form_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "VERSION").write_text(f"{text}\n")
    assert release.read_version(tmp_path / "VERSION") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026.11",
        "2026.11.0.1",
        "2026.0.1",
        "2026.13.0",
        "2026.01.0",
        "2026.11.00",
        "2026.11.01",
        "0226.11.0",
        "26.11.0",
        "v2026.11.0",
        "2026.11.0-rc1",
        "2026.11.0+local",
        " 2026.11.0",
        "2026.11.0 ",
        "2026.11.-1",
        "2026.11.0\n2026.11.1",
        "2026.11.0\n",
        "../../etc",
        "２０２６.11.0",
    ],
)
def test_a_version_of_another_form_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "VERSION").write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"VERSION: (found|cannot be read)") as caught:
        release.read_version(tmp_path / "VERSION")
    assert caught.value.hint


# ---- epoch


@pytest.mark.parametrize("text", ["0", "1", "1764547200", str(LATEST)])
def test_an_epoch_in_whole_seconds_is_taken(folder: Path, text: str) -> None:
    assert release.read_epoch({"SOURCE_DATE_EPOCH": text}, folder / "SOURCE_DATE_EPOCH") == int(text)


@pytest.mark.parametrize(
    "text", ["", "abc", "-1", "+1", "1e9", "1.0", " 1", "1 ", "1\n", "0x10", "1_000", "٣", "99999999999999", str(LATEST + 1)]
)
def test_an_epoch_of_another_form_is_refused_as_it_was_found(folder: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"^SOURCE_DATE_EPOCH: found") as caught:
        release.read_epoch({"SOURCE_DATE_EPOCH": text}, folder / "SOURCE_DATE_EPOCH")
    assert repr(text) in caught.value.message
    assert "unset SOURCE_DATE_EPOCH" in caught.value.hint


def test_the_epoch_is_the_constant_beside_the_version_where_the_variable_is_not_set(folder: Path) -> None:
    assert read().epoch == 1764547200
    assert read(SOURCE_DATE_EPOCH="0").epoch == 0
    (folder / "SOURCE_DATE_EPOCH").unlink()
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH: cannot be read"):
        read()


@pytest.mark.parametrize("epoch", [0, 951782400, 1764547200, LATEST])
def test_the_timestamp_is_that_of_date(epoch: int) -> None:
    said = subprocess.run(["date", "-u", "-d", f"@{epoch}", "+%Y-%m-%dT%H:%M:%SZ"], capture_output=True, text=True, check=True)
    assert release.timestamp(epoch) == said.stdout.strip()


# ---- git


def test_without_git_the_source_is_unknown(folder: Path) -> None:
    assert folder == Path.cwd()
    assert read().source == release.Source(None, "unknown", "this is no git work tree")


@pytest.mark.usefixtures("folder")
def test_without_a_commit_the_source_is_unknown() -> None:
    git("init", "--quiet")
    source = read().source
    assert (source.commit, source.state) == (None, "unknown")
    assert "commit" in source.note


@pytest.mark.usefixtures("repository")
def test_a_tree_as_it_was_committed_is_clean() -> None:
    assert read().source == release.Source(git("rev-parse", "HEAD"), "clean")


def test_a_bare_touch_leaves_the_tree_clean(repository: Path) -> None:
    os.utime(repository / "input/a", (1, 1))
    assert read().source.state == "clean"


def test_looking_does_not_write_to_the_repository(repository: Path) -> None:
    os.utime(repository / "input/a", (1, 1))
    before = (repository / ".git/index").stat().st_mtime_ns
    read()
    assert (repository / ".git/index").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["edit", "add", "remove", "stage", "chmod", "VERSION"])
def test_a_changed_input_makes_the_tree_dirty(repository: Path, change: str) -> None:
    shell = {
        "edit": "echo b > input/a",
        "add": "echo b > input/new",
        "remove": "rm input/a",
        "stage": "echo b > input/a && git add --all",
        "chmod": "chmod 755 input/a",
        "VERSION": "echo 2026.12.0 > VERSION",
    }
    subprocess.run(["sh", "-c", shell[change]], cwd=repository, check=True)
    source = read().source
    assert (source.commit, source.state) == (git("rev-parse", "HEAD"), "dirty")
    assert source.note.startswith("1 of ")


def test_an_input_that_git_ignores_makes_the_tree_dirty_all_the_same(repository: Path) -> None:
    """What ships and is in no commit must not be called clean, whoever told git not to look."""
    (repository / "input/b.pyc").write_text("b")
    assert read().source.state == "dirty"


def test_an_input_that_the_user_told_git_to_ignore_makes_the_tree_dirty_all_the_same(repository: Path) -> None:
    (repository / ".git/info/exclude").write_text("*.json\n")
    (repository / "input/b.json").write_text("b")
    assert read().source.state == "dirty"


def test_what_running_python_leaves_in_the_inputs_is_no_change(repository: Path) -> None:
    (repository / "input/__pycache__").mkdir()
    (repository / "input/__pycache__/a.cpython-311.pyc").write_text("b")
    assert read().source.state == "clean"


def test_a_file_that_is_no_input_does_not_matter(repository: Path) -> None:
    (repository / "notes.txt").write_text("x")
    assert read().source.state == "clean"


@pytest.mark.usefixtures("repository")
def test_without_a_git_on_the_path_the_source_is_unknown_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    source = read().source
    assert (source.commit, source.state) == (None, "unknown")
    assert "git cannot be run" in source.note


def test_a_repository_that_git_refuses_to_read_is_unknown(repository: Path) -> None:
    (repository / ".git/HEAD").write_text("garbage\n")
    source = read().source
    assert (source.commit, source.state) == (None, "unknown")


def test_another_repository_in_the_environment_does_not_count(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that a git hook starts has GIT_DIR and GIT_INDEX_FILE of whatever the hook is for."""
    mine = git("rev-parse", "HEAD")
    other = tmp_path / "other"
    other.mkdir()
    git("-C", str(other), "init", "--quiet")
    git("-C", str(other), "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "--allow-empty", "-m", "x")
    (repository / "input/a").write_text("b")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    source = read().source
    assert (source.commit, source.state) == (mine, "dirty")


# ---- channel


@pytest.mark.parametrize("channel", ["edge", "stable", "airgap"])
@pytest.mark.usefixtures("repository")
def test_a_clean_tree_may_be_released_to_every_channel(channel: str) -> None:
    assert read(LNM_CHANNEL=channel).channel == channel


@pytest.mark.usefixtures("repository")
def test_the_channel_is_edge_where_none_is_named() -> None:
    assert read().channel == "edge"


@pytest.mark.parametrize("environment", [{}, {"LNM_CHANNEL": "edge"}])
def test_a_dirty_tree_may_be_released_to_edge(repository: Path, environment: Mapping[str, str]) -> None:
    (repository / "input/a").write_text("b")
    assert release.read(environment, INPUTS).channel == "edge"


@pytest.mark.parametrize("channel", ["stable", "airgap"])
def test_a_dirty_tree_may_not_be_released_to_another_channel(repository: Path, channel: str) -> None:
    (repository / "input/a").write_text("b")
    with pytest.raises(InputError, match=f"^LNM_CHANNEL={channel} needs a clean git work tree: 1 of ") as caught:
        read(LNM_CHANNEL=channel)
    assert "git status" in caught.value.hint


@pytest.mark.parametrize("channel", ["stable", "airgap"])
@pytest.mark.usefixtures("folder")
def test_a_tree_without_git_may_not_be_released_to_another_channel(channel: str) -> None:
    with pytest.raises(InputError, match="this is no git work tree"):
        read(LNM_CHANNEL=channel)


@pytest.mark.parametrize("channel", ["", "Edge", "beta", "edge "])
@pytest.mark.usefixtures("repository")
def test_a_channel_that_is_none_is_refused(channel: str) -> None:
    with pytest.raises(InputError, match=r"^LNM_CHANNEL: found .* wanted one of edge, stable, airgap"):
        read(LNM_CHANNEL=channel)


def test_the_statement_of_a_source_has_a_note_only_where_there_is_something_to_say() -> None:
    assert release.Source("c" * 40, "clean").statement() == {"commit": "c" * 40, "state": "clean"}
    assert release.Source(None, "unknown", "why").statement() == {"commit": None, "state": "unknown", "note": "why"}

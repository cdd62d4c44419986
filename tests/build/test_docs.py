"""The words around the code: commands exist, links lead somewhere, locks name no host, groups nest."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.build import bases
from tests.build.trees import BIN, Tree
from tests.conftest import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "bundle-layout/**/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"^(?:    |\t)([^\n]+)$|^```[a-z]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
HOST = re.compile(
    rb"(?:https?:)?//[A-Za-z0-9.-]*(?:pypi|pythonhosted|registry|proxy\.golang|artifactory|nexus|devpi)[A-Za-z0-9.-]*"
)
DOIT_COMMANDS = {"bundle", "list", "info", "help", "forget", "clean", "run", "dumpdb"}
TARGETS = re.compile(r"^([a-z]+):", re.MULTILINE)


def commands(page: str, program: str) -> list[list[str]]:
    """The words after a program's name, in every piece of code of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    pieces = "\n".join(next(filter(None, groups)) for groups in CODE.findall(text) if any(groups))
    pieces = re.sub(r"(^|\s)#.*", "", pieces)
    found = re.findall(rf"(?:^|[\s/(])(?<!/lib/){program}((?:[ \t]+[^\s#;|&)`]+)+)", pieces, re.MULTILINE)
    return [words.split() for words in found]


def test_there_is_a_readme() -> None:
    assert "README.md" in PAGES
    assert "docs/kit-format.md" in PAGES
    assert "bundle-layout/README.md" in PAGES


def test_the_commands_of_the_readme_are_found() -> None:
    """A search that finds nothing would pass every test below."""
    assert ["-s", "verify"] in [words[:2] for words in commands("README.md", "nox")]
    assert ["bundle"] in [words[:1] for words in commands("README.md", "doit")]
    assert {"bundle", "test"} <= {words[0] for words in commands("README.md", "make")}


@pytest.fixture(scope="session")
def tasks(built: Tree, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    given = bases.base(tmp_path_factory.mktemp("base"), architectures=("amd64", "arm64"))
    tree = built.variant(LNM_IMAGE=None, LNM_BASE_LAYOUT=str(given))
    return set(tree.doit("list", "--all", "--quiet").out.split()) | set(tree.doit("list", "--quiet").out.split())


@pytest.fixture(scope="session")
def sessions() -> set[str]:
    said = subprocess.run([BIN / "nox", "--list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^[*-] (\S+) -> ", said, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_doit_command_names_a_task_or_a_command_of_doit(page: str, tasks: set[str]) -> None:
    for words in commands(page, "doit"):
        asked = [word for word in words if not word.startswith("-")]
        assert asked, words
        first, *more = asked
        assert first in DOIT_COMMANDS | tasks, f"{page}: doit {' '.join(words)}"
        if first in {"info", "forget", "clean", "run"}:
            assert set(more) <= tasks, f"{page}: doit {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_nox_command_names_a_session(page: str, sessions: set[str]) -> None:
    for words in commands(page, "nox"):
        asked = set(words[words.index("-s") + 1 :]) if "-s" in words else set()
        assert {word for word in asked if not word.startswith("-")} <= sessions, f"{page}: nox {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_make_command_names_a_target(page: str) -> None:
    targets = set(TARGETS.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    for words in commands(page, "make"):
        asked = {word for word in words if "=" not in word and not word.startswith("-")}
        assert asked <= targets, f"{page}: make {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\[[^\]]*\]\(([^)#\s]+)", text)
    for link in links:
        if not re.match(r"[a-z]+:", link):
            assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    """`scripts/x.py` in a page is a promise; what a build makes, and what a later version brings, is not one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:scripts|docs|tests|ci|requirements|runner|bundle-layout)/[A-Za-z0-9_./-]+\.[a-z]+)`", text)
    places = (ROOT, (ROOT / page).parent, ROOT / "bundle-layout")
    for name in named:
        assert any((place / name).exists() for place in places) or name == "runner/requirements.txt", f"{page}: {name}"


def test_make_has_its_two_targets_and_the_readme_names_them() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"bundle", "test"} <= set(TARGETS.findall(makefile))
    said = subprocess.run(["make", "--dry-run", "bundle", "test"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "doit bundle" in said.stdout
    assert "-m pytest" in said.stdout


# ---- locks


def pinned(group: str) -> dict[str, set[str]]:
    """`{name==version: hashes}` of a lock."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in (ROOT / f"requirements/{group}.txt").read_text(encoding="ascii").splitlines():
        if line[:1].isalnum():
            name = line.split(" ")[0]
        found.setdefault(name, set()).update(re.findall(r"sha256:([0-9a-f]{64})", line))
    return found


def test_what_builds_is_part_of_what_tests() -> None:
    """`make test` installs one environment for both."""
    build, test = pinned("build"), pinned("test")
    assert {name: hashes for name, hashes in test.items() if name in build} == build


@pytest.mark.parametrize("group", sorted(path.stem for path in (ROOT / "requirements").glob("*.txt")))
def test_every_line_of_a_lock_is_pinned_by_hash(group: str) -> None:
    lock = pinned(group)
    assert lock
    assert [name for name, hashes in lock.items() if not hashes or "==" not in name] == []


def test_the_wheels_of_the_kit_are_those_of_the_runners_lock() -> None:
    runner = {sha256 for hashes in pinned("runner").values() for sha256 in hashes}
    lock = (ROOT / "requirements/wheelhouse.lock").read_text(encoding="ascii")
    assert {line.split("  ")[0] for line in lock.splitlines()} <= runner


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registrys_host() -> None:
    found = {path.relative_to(ROOT).as_posix(): HOST.findall(path.read_bytes()) for path in sources()}
    assert {name: hosts for name, hosts in found.items() if hosts} == {}


@pytest.mark.parametrize("name", ["mongosh", "sigstore-js"])
def test_the_lock_of_what_tests_have_from_npm_pins_by_hash_and_says_nothing_of_where_from(name: str) -> None:
    packages = json.loads((ROOT / f"ci/{name}/package-lock.json").read_bytes())["packages"]
    own = packages.pop("")
    assert all(re.fullmatch(r"[0-9.]+", version) for version in own["dependencies"].values())
    assert [name for name, row in packages.items() if "integrity" not in row or "resolved" in row] == []


def test_no_lock_or_setting_names_an_index() -> None:
    option = re.compile(rb"(--(extra-)?index-url|--find-links|--trusted-host|\[\[tool\.uv\.index\]\]|GOPROXY=http)")
    places = [path for path in sources() if path.suffix in {".txt", ".toml", ".json", ".lock", ".mod", ".sum", ".sh", ".cfg"}]
    assert [path.name for path in places if option.search(path.read_bytes())] == []


def test_no_private_key_is_in_the_sources() -> None:
    begin = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}")
    assert [path.name for path in sources() if begin.search(path.read_bytes())] == []

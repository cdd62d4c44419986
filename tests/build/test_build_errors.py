"""What goes wrong in a build: one clear message with the next step, nothing half written, and the next good build is right."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec

from tests.build.trees import BIN, Tree, contents, in_tiny_tmpfs, powerless, traces

PASSWORD = "correct horse battery staple"
LOCKED_SHA256 = "af15f7d385a6ae2fb35a796fde2138004c8c42c7389090e2addc83e3b3340fd8"
WHEEL = "dnspython-2.9.2-py3-none-any.whl"
KEY_TASK = "key:signing-key.pub"
EPOCH_WORDS = ("SOURCE_DATE_EPOCH: found", "wanted whole seconds since 1970", "unset SOURCE_DATE_EPOCH")


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to go wrong."""

    name: str
    spoil: Callable[[Tree], object]
    words: tuple[str, ...]
    """What the message must say: file, found, wanted."""
    exit_code: int
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    failed: str = ""
    """The task that fails; empty where the build does not even start, so that nothing at all may change."""


def nothing(_tree: Tree) -> None:
    """The environment is what is wrong."""


def remove(*names: str) -> Callable[[Tree], None]:
    def spoil(tree: Tree) -> None:
        for name in names:
            (tree.root / name).unlink()

    return spoil


def close(*names: str) -> Callable[[Tree], None]:
    def spoil(tree: Tree) -> None:
        for name in names:
            (tree.root / name).chmod(0)

    return spoil


def write(name: str, text: str) -> Callable[[Tree], object]:
    return lambda tree: (tree.root / name).write_text(text, encoding="utf-8")


def replace(name: str, old: str, new: str) -> Callable[[Tree], None]:
    return lambda tree: tree.edit(name, old, new)


def inventory(tree: Tree, package: str, **fields: str) -> None:
    """Other facts about a package."""
    path = tree.root / "requirements/packages.json"
    packages = json.loads(path.read_bytes())
    packages[package].update(fields)
    path.write_text(json.dumps(packages))


def link(tree: Tree) -> None:
    (tree.root / "bundle-layout/latest").symlink_to("README.md")


def own_key(tree: Tree, pem: bytes, mode: int) -> None:
    path = tree.root / "own.pem"
    path.write_bytes(pem)
    path.chmod(mode)


def own(name: str, pem: bytes, words: str, mode: int = 0o600, **environment: str) -> Case:
    """A key of one's own that cannot be used."""
    environment["LNM_SIGNING_KEY"] = "own.pem"
    return Case(f"key {name}", lambda tree: own_key(tree, pem, mode), (f"own.pem: {words}",), 2, environment, KEY_TASK)


def sealed_pem(password: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.BestAvailableEncryption(password.encode()))


LOCKS = (
    Case("lock missing", remove("requirements/wheelhouse.lock"), ("wheelhouse.lock: no such lock", "nox -s lock"), 2),
    Case("lock malformed", write("requirements/wheelhouse.lock", "words\n"), ("wheelhouse.lock: line 1: found 'words'",), 2),
    Case(
        "lock with another hash",
        replace("requirements/wheelhouse.lock", LOCKED_SHA256, "0" * 64),
        (f"{WHEEL}: the index has a file with another sha256 than requirements/wheelhouse.lock (000000000000…)",),
        6,
        failed=f"wheelhouse:{WHEEL}",
    ),
    Case(
        "index without the wheel",
        lambda tree: tree.append("scripts/wheelhouse.py", "# changed\n"),
        (f"{WHEEL}: pip could not fetch it", "pip config list"),
        10,
        {"PIP_FIND_LINKS": "/nowhere"},
        failed=f"wheelhouse:{WHEEL}",
    ),
    Case(
        "inventory of another version than the lock",
        lambda tree: inventory(tree, "doit", version="0.1"),
        ("requirements/packages.json: other versions or files than requirements/build.txt: doit", "nox -s lock"),
        2,
        failed="sbom:lnm-tooling.spdx.json",
    ),
    Case(
        "inventory of another version than a wheel",
        lambda tree: inventory(tree, "dnspython", version="0.1"),
        (f"requirements/packages.json: other versions than the wheels of the kit: {WHEEL}",),
        2,
        failed="sbom:lnm-kit.spdx.json",
    ),
    Case(
        "inventory that is no json",
        write("requirements/packages.json", "{"),
        ("packages.json: not JSON",),
        2,
        failed="sbom:lnm-tooling.spdx.json",
    ),
    Case(
        "sources missing",
        remove("LICENSE", "requirements/build.txt", "requirements/packages.json"),
        ("LICENSE, requirements/build.txt, requirements/packages.json: no such file", "git status"),
        4,
    ),
)
CLOSED = (
    Case(
        "sources unreadable",
        close("LICENSE", "bundle-layout/README.md"),
        ("LICENSE, bundle-layout/README.md: cannot be read", "look at its permissions"),
        2,
    ),
    Case("version unreadable", close("VERSION"), ("VERSION: cannot be read",), 2),
)
KEYS = (
    Case("key missing", nothing, ("own.pem: no such key file",), 4, {"LNM_SIGNING_KEY": "own.pem"}, KEY_TASK),
    Case("key a folder", nothing, ("docs: the key cannot be read: Is a directory",), 2, {"LNM_SIGNING_KEY": "docs"}, KEY_TASK),
    own("unreadable", b"x", "the key cannot be read: Permission denied", 0o000),
    own("open to all", b"x", "mode 0644, others can read the private key", 0o644),
    own("garbage", b"garbage", "no private key in PKCS#8 PEM"),
    own("without its password", sealed_pem(PASSWORD), "the key is encrypted and no password was given"),
    own("with a wrong password", sealed_pem("another one"), "the password is wrong", LNM_SIGNING_KEY_PASSWORD=PASSWORD),
    Case(
        "no home for the development key",
        nothing,
        ("no folder for the development key", "LNM_SIGNING_KEY"),
        2,
        {"HOME": "", "XDG_STATE_HOME": ""},
        KEY_TASK,
    ),
)
LAYOUTS = (
    Case(
        "required files missing",
        remove("bundle-layout/verify.sh", "bundle-layout/migrations/21-101/migration.py"),
        ("bundle-layout: missing: verify.sh, migrations/21-101/migration.py", "git checkout bundle-layout"),
        4,
    ),
    Case("name no kit can hold", write("bundle-layout/a b.txt", ""), ("bundle-layout/a b.txt: the name may only have",), 2),
    Case("name of the envelope", write("bundle-layout/manifest.json", ""), ("the build makes files of these names itself",), 2),
    Case("link in the layout", link, ("bundle-layout/latest: not a regular file or folder",), 2),
    Case("bad name in the runner", write("runner/src/a b.py", ""), ("runner/src/a b.py: the name may only have",), 2),
    Case(
        "migration without id",
        replace("bundle-layout/migrations/21-101/migration.py", "\nID = ", "\nNAME = "),
        ('migrations/21-101/migration.py: found 0 lines «ID = "…"», wanted one',),
        2,
        failed="manifest:manifest.json",
    ),
    Case(
        "runner that hatchling cannot build",
        write("runner/pyproject.toml", "[project\n"),
        ("runner: hatchling made no wheel", "runner/pyproject.toml"),
        10,
        failed="runner:lnm_runner-{version}-py3-none-any.whl",
    ),
)
SETTINGS = (
    *(
        Case(f"epoch {text}", nothing, (*EPOCH_WORDS, f"'{text}'"), 2, {"SOURCE_DATE_EPOCH": text})
        for text in ("abc", "-1", "1e9", "99999999999999", "")
    ),
    Case("epoch file garbage", write("SOURCE_DATE_EPOCH", "soon\n"), ("SOURCE_DATE_EPOCH: found 'soon'",), 2),
    Case("version malformed", write("VERSION", "2026.011.0\n"), ("VERSION: found '2026.011.0'", "wanted YYYY.M.patch"), 2),
    Case("version missing", remove("VERSION"), ("VERSION: cannot be read", "git checkout VERSION"), 2),
    Case("channel unknown", nothing, ("LNM_CHANNEL: found 'beta', wanted one of edge, ",), 2, {"LNM_CHANNEL": "beta"}),
)
CASES = (*LOCKS, *CLOSED, *KEYS, *LAYOUTS, *SETTINGS)


def restored(tree: Tree, built: Tree) -> None:
    """Puts the sources back as they were; artifacts/ stays as the failed build left it."""
    for path in tree.root.iterdir():
        if path.name != "artifacts":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in built.root.iterdir():
        if path.is_dir() and path.name != "artifacts":
            shutil.copytree(path, tree.root / path.name, symlinks=True)
        elif path.is_file():
            shutil.copy2(path, tree.root / path.name)


def target_and_record(tree: Tree, task: str) -> dict[str, tuple[int, ...]]:
    """Traces of what a task makes."""
    group, _, label = task.format(version=tree.version).partition(":")
    places = [path for path in (tree.root / "artifacts").rglob(label) if "records" not in path.parts]
    places += (tree.root / "artifacts/.build/records" / group).glob(f"{label}.json")
    assert len(places) == 2
    return {path.as_posix(): traces(path.parent)[path.name] for path in places}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_build_that_cannot_go_on_says_why_and_what_next_and_leaves_no_half(tree: Tree, built: Tree, case: Case) -> None:
    files, before = contents(tree.dist), traces(tree.dist)
    made_by_it = target_and_record(tree, case.failed) if case.failed else {}
    case.spoil(tree)

    said = tree.variant(**case.environment).run(*powerless(), BIN / "doit", "bundle")

    assert said.code > 0
    for words in case.words:
        assert words in said.err
    assert "\n  next: " in said.err
    assert said.err.count("[exit ") == said.err.count(f"[exit {case.exit_code}]") == 1
    assert "Traceback" not in said.text
    assert PASSWORD not in said.text
    assert "rootHash" not in said.out
    assert not list((tree.root / "artifacts").rglob("*.part"))
    if case.failed:
        assert f"failed: {case.failed.format(version=tree.version)}\n" in said.err
        assert target_and_record(tree, case.failed) == made_by_it
        assert set(contents(tree.dist)) == set(files)
    else:
        assert traces(tree.dist) == before

    restored(tree, built)
    tree.bundle()
    assert contents(tree.dist) == files


def test_a_fresh_build_that_fails_leaves_no_target_of_the_failed_step(sources: Tree) -> None:
    sources.edit("requirements/wheelhouse.lock", LOCKED_SHA256, "0" * 64)
    said = sources.doit("bundle")
    assert "[exit 6]" in said.err
    assert not list(sources.dist.rglob("dnspython*"))
    assert not list((sources.root / "artifacts").rglob("*.part"))
    assert not sources.tarball.exists()


# ---- the machine


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

"""What goes wrong in a build: one clear message with the next step, nothing half written, and the next good build is right."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec

from tests.build.trees import BIN, Tree, contents, powerless, restored, traces

PASSWORD = "correct horse battery staple"
LOCKED_SHA256 = "af15f7d385a6ae2fb35a796fde2138004c8c42c7389090e2addc83e3b3340fd8"
WHEEL = "dnspython-2.9.2-py3-none-any.whl"
FIRST_WHEEL = "attrs-26.1.0-py3-none-any.whl"
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
        (f"{FIRST_WHEEL}: pip could not fetch it", "pip config list"),
        10,
        {"PIP_FIND_LINKS": "/nowhere", "LNM_FETCHED": ""},
        failed=f"wheelhouse:{FIRST_WHEEL}",
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
        lambda tree: inventory(tree, "cvss", version="0.1"),
        ("requirements/packages.json: other versions than the wheels of the kit: cvss-3.6-",),
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

"""scripts/repro: what is varied, and whole runs over builds that were spoilt on purpose."""

from __future__ import annotations

import base64
import ctypes
import fcntl
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scripts.errors import ChecksumError
from scripts.repro import compare, verdict, workplace
from scripts.repro.__main__ import conclude
from scripts.repro.variations import CPU_FEATURES, FACTORS, NAMES, PYTHONS, Factor, find_python, obstacle, running, variations
from scripts.repro.verdict import PASSED, SKIPPED, Finding
from tests.build.trees import Said, Tree

ISSUE = {
    "path",
    "umask",
    "TZ",
    "LC_ALL",
    "hash-seed",
    "input-order",
    "mtimes",
    "time-of-day",
    "python",
    "cpu-features",
    "user",
    "cpu-count",
}


PRIVATE = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# ---- the table


def test_every_factor_that_was_asked_for_is_in_the_table() -> None:
    assert set(NAMES) == ISSUE
    assert {factor.name for factor in FACTORS} | {"cpu-features", "python"} == ISSUE


def test_every_factor_does_something_or_is_done_when_the_sources_are_laid() -> None:
    laid = {"path", "input-order", "mtimes"}
    assert {factor.name for factor in FACTORS if not (factor.environment or factor.before or factor.umask is not None)} == laid


def test_all_factors_are_varied_at_once_then_each_cpu_and_each_other_python() -> None:
    found = list(variations(FACTORS, NAMES))
    assert found[0].factors == FACTORS
    assert len({factor.before[-1] for factor in CPU_FEATURES}) >= 2
    assert [one.name for one in found[1:]] == [
        *(f"cpu-features {factor.before[-1]}" for factor in CPU_FEATURES),
        *(f"python {python}" for python in PYTHONS if python != running()),
    ]


def test_a_tool_that_is_missing_or_refuses_is_named() -> None:
    assert obstacle(Factor("path", "")) == ""
    assert obstacle(Factor("x", "", before=("true",))) == ""
    assert obstacle(Factor("x", "", before=("sh", "-c", "echo no such luck >&2; exit 1"))) == "sh refuses: no such luck"


def test_a_tool_that_is_not_on_the_path_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert obstacle(CPU_FEATURES[0]) == "qemu-x86_64 is not on the PATH (apt-get install qemu-user)"


# ---- the workplace


def test_the_sources_are_laid_as_the_factors_want_them(built: Tree) -> None:
    by_name = {factor.name: (factor,) for factor in FACTORS}
    with workplace.workplace(built.root) as place:
        plain, masked, odd = (place.keep(place.lay(factors)) for factors in ((), by_name["umask"], by_name["mtimes"]))
        assert len(str(place.keep(place.lay(by_name["path"])))) > len(str(plain)) + 100
        assert {path.stat().st_mode & 0o077 for path in masked.rglob("*")} == {0}
        assert (plain / "VERSION").stat().st_mode & 0o777 == 0o644
        assert len({(odd / name).stat().st_mtime for name in place.names}) == len(place.names)
        assert not (plain / "artifacts").exists()
        if place.shuffled:
            other = place.lay(by_name["input-order"])
            assert os.listdir(other / "scripts") != os.listdir(plain / "scripts")  # noqa: PTH208 - the order as it comes
            assert sorted(os.listdir(other / "scripts")) == sorted(os.listdir(plain / "scripts"))  # noqa: PTH208
        left = (place.base, place.shuffled)
    assert not any(folder and folder.exists() for folder in left)


# ---- whole runs over builds that were spoilt


def repro(tree: Tree, only: str, **environment: str) -> Said:
    return tree.variant(CI=None, **environment).run(sys.executable, "-m", "scripts.repro", "--only", only)


ONE_CPU = """
import sys
from scripts.repro import __main__, variations
variations.CPU_FEATURES = variations.CPU_FEATURES[:1]
sys.exit(__main__.main(["--only", "cpu-features"]))
"""
"""An emulated build takes ten seconds, and `nox -s repro` makes one on each of the four CPUs."""


def signed(tree: Tree) -> dict[str, Any]:
    document = json.loads(Path(f"{tree.tarball}{verdict.SUFFIX}").read_bytes())
    statement: dict[str, Any] = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    return statement


@pytest.fixture
def spoilt(tree: Tree) -> Tree:
    """A built tree with an older verdict that everything passed."""
    Path(f"{tree.tarball}{verdict.SUFFIX}").write_text('{"an older": "PASSED"}')
    return tree


PLANTS = {
    # factor: what a step does wrong
    "umask": "out.write(b'%d' % [mask := os.umask(0), os.umask(mask)][0])",
    "path": "out.write(os.getcwd().encode())",
    "input-order": "out.write(' '.join(os.listdir('scripts')).encode())",
    "time-of-day": "out.write(b'%d' % __import__('time').localtime().tm_year)",
    "TZ": "out.write(repr(__import__('time').localtime(0)).encode())",
    "hash-seed": "out.write(b'%d' % hash('x'))",
    "LC_ALL": "out.write(__import__('locale').getpreferredencoding(False).encode())",
    "user": "out.write(b'%d' % os.getuid())",
    "mtimes": "out.write(b'%d' % source.stat().st_mtime_ns)",
    "cpu-count": "out.write(b'%d' % len(os.sched_getaffinity(0)))",
}
GROUPS = (("umask", "path", "input-order", "time-of-day"), ("TZ", "hash-seed", "LC_ALL"), ("user", "mtimes", "cpu-count"))
PLACES = ("LICENSE", "README.md", "migrations/21-102/README.md", "migrations/21-103/README.md")
HEAD = """

import os
honest = write
def write(out, *, source):
    honest(out, source=source)
"""


def plant(tree: Tree, **lines: str) -> None:
    """Puts a line into the step that copies hand-written files, for each of those files."""
    wrong = "".join(
        f"    if source.as_posix() in ({name!r}, {'bundle-layout/' + name!r}):\n        {line}\n" for name, line in lines.items()
    )
    tree.append("scripts/layout.py", HEAD + wrong)


def test_there_is_a_plant_for_each_factor() -> None:
    assert {factor for group in GROUPS for factor in group} == set(PLANTS) == ISSUE - {"python", "cpu-features"}


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_the_task_and_the_factor_of_a_difference_are_named(spoilt: Tree, group: tuple[str, ...]) -> None:
    places = dict(zip(group, PLACES, strict=False))
    plant(spoilt, **{places[factor]: PLANTS[factor] for factor in group})
    said = repro(spoilt, ",".join(group))
    if "skipped " in said.out and "skipped: nothing" not in said.out:
        pytest.skip(said.out)
    assert said.code == 2, said.text
    lines = [line for line in said.err.splitlines() if line.startswith("repro: ")]
    kit = f"artifacts/lnm/{spoilt.kit.name}"
    assert said.err.startswith("repro: layout:"), said.text
    assert sorted(lines) == sorted(
        f"repro: layout:{place.removesuffix('/README.md')} made other bytes of {kit}/{place} when {factor} was varied"
        for factor, place in places.items()
    )
    assert len(re.findall(r"^byte [0-9]+ of [0-9]+ and [0-9]+:$", said.err, re.MULTILINE)) == len(group)
    assert not Path(f"{spoilt.tarball}{verdict.SUFFIX}").exists()
    assert "Traceback" not in said.text


def test_what_differs_with_nothing_varied_is_said_to_and_a_fresh_kit_gets_the_verdict_failed(spoilt: Tree) -> None:
    plant(spoilt, LICENSE="out.write(os.urandom(9))")
    spoilt.bundle()
    said = repro(spoilt, "TZ,umask")
    assert said.code == 2
    assert said.err.splitlines()[0].endswith("LICENSE when nothing was varied: it differs from one build to the next")
    assert "LICENSE when it was built in the checkout" in said.err
    assert signed(spoilt)["predicate"]["result"] == "FAILED"
    assert signed(spoilt)["predicate"]["failedTests"] == ["everything", "checkout"]
    assert verdict.is_about(Path(f"{spoilt.tarball}{verdict.SUFFIX}"), compare.look(spoilt.root).sha256(spoilt.tarball.name))


def test_a_setting_of_the_table_that_varies_is_blamed_on_the_table(spoilt: Tree) -> None:
    spoilt.append(
        "dodo.py",
        "\n\nimport dataclasses as dc, time as t\nARTEFACTS = tuple(dc.replace(r, settings={**r.settings, 'epoch': t.localtime(0).tm_hour}) if r.label == 'lnm-tooling.spdx.json' else r for r in ARTEFACTS)\n",
    )
    said = repro(spoilt, "TZ,umask")
    assert said.code == 2
    assert said.err.startswith("repro: sbom:lnm-tooling.spdx.json got other settings from dodo.py")
    assert said.err.splitlines()[0].endswith("when TZ was varied")


def test_a_build_that_fails_under_a_factor_names_it(spoilt: Tree) -> None:
    plant(spoilt, LICENSE="assert os.environ['TZ'] == 'UTC0', 'this step knows one zone'")
    said = repro(spoilt, "TZ,umask")
    assert said.code == 2
    assert said.err.startswith("repro: the build failed when TZ was varied: ")
    assert "this step knows one zone" in said.err


def test_a_compressor_whose_bytes_depend_on_the_cpu_is_found(spoilt: Tree) -> None:
    """The auxiliary vector (getauxval(3), AT_HWCAP2) is what a library asks about the CPU; qemu-user's old models have none of it."""
    if obstacle(CPU_FEATURES[0]):
        pytest.skip(obstacle(CPU_FEATURES[0]))
    if not ctypes.CDLL(None).getauxval(26):
        pytest.skip("this CPU has no more features than the oldest that is varied")
    asks = "compressobj(3 if __import__('ctypes').CDLL(None).getauxval(26) else LEVEL, zlib_ng.DEFLATED, -15, 8,"
    spoilt.edit("scripts/gzipped.py", "compressobj(level, zlib_ng.DEFLATED, -15, 8,", asks)
    said = spoilt.variant(CI=None).run(sys.executable, "-c", ONE_CPU)
    assert said.code == 2
    assert re.search(
        r"^repro: (tarball|deliveries):lnm-\S+\.tar\.gz made other bytes of .* when cpu-features core2duo was varied$",
        said.err,
        re.MULTILINE,
    )


def test_a_build_that_is_reproduced_says_so_and_a_part_of_the_variations_signs_nothing(tree: Tree) -> None:
    said = repro(tree, "path,umask,TZ,LC_ALL,hash-seed,mtimes")
    assert said.code == 0, said.text
    assert said.err == ""
    assert "no verdict: not everything was varied (--only)" in said.out
    assert said.out.endswith("repro: PASSED, 2 compared, skipped: nothing\n")
    assert not Path(f"{tree.tarball}{verdict.SUFFIX}").exists()


def test_a_kit_that_is_built_meanwhile_gets_no_verdict(built: Tree) -> None:
    with pytest.raises(ChecksumError, match="the comparison says 000000000000"):
        verdict.write(built.root, built.tarball, "0" * 64, ("concelier-lnm-1", "1" * 64), [Finding("everything", PASSED, "")])
    assert not verdict.beside(built.tarball).exists()


def test_a_build_in_the_checkout_keeps_the_verdict_away(tree: Tree) -> None:
    with (tree.root / "artifacts/.build/lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        said = repro(tree, "TZ")
    assert said.code == 9
    assert f"another build works in this tree: process {os.getpid()}: " in said.err
    assert not verdict.beside(tree.tarball).exists()


@pytest.mark.parametrize("ignored", [True, False])
def test_a_key_in_the_checkout_is_used_and_never_copied(tree: Tree, ignored: bool) -> None:
    (tree.root / "own.pem").write_bytes(PRIVATE)
    (tree.root / "own.pem").chmod(0o600)
    tree.append(".gitignore", "/own.pem\n" if ignored else "")
    tree.commit() if ignored else tree.run("git", "init", "--quiet")
    tree.append(
        "scripts/layout.py", f"\n\nimport os\nassert not os.path.exists('own.pem') or os.getcwd() == {str(tree.root)!r}\n"
    )
    mine = tree.variant(LNM_SIGNING_KEY="own.pem")
    mine.bundle()
    said = repro(mine, "umask,TZ")
    assert said.code == 0, said.text
    assert said.err == ""
    assert said.out.endswith("repro: PASSED, 2 compared, skipped: nothing\n")


def test_a_stale_kit_gets_no_verdict_and_is_told_what_to_do(tree: Tree) -> None:
    tree.append("bundle-layout/README.md", "changed\n")
    said = repro(tree, "TZ")
    assert said.code == 0
    assert "no verdict: the kit in artifacts/lnm is not what these sources and this Python make" in said.out
    assert "next: doit bundle, then again: nox -s repro" in said.out


def test_a_tool_that_is_missing_is_skipped_by_name_and_in_ci_a_failure(tree: Tree, tmp_path: Path) -> None:
    for tool in ("git", "sh", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    said = tree.variant(PATH=str(tmp_path), CI="true").run(sys.executable, "-m", "scripts.repro", "--only", "time-of-day,TZ")
    assert said.code == 2
    assert "skipped time-of-day: faketime is not on the PATH (apt-get install faketime)" in said.out
    assert said.out.endswith("repro: WARNED, 2 compared, skipped: time-of-day\n")
    assert "repro: in CI nothing may be skipped: time-of-day [exit 2]" in said.err


def test_elsewhere_what_is_skipped_is_said_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert conclude([Finding("everything", PASSED, ""), Finding("time-of-day", SKIPPED, "")]) == 0
    assert capsys.readouterr() == ("repro: WARNED, 1 compared, skipped: time-of-day\n", "")


def test_pythons_are_found_beside_the_one_that_runs_whatever_home_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "3.99.1"))
    for version, minor in (("3.98.2", "3.98"), ("3.98.10", "3.98"), ("3.97.0", "3.97")):
        python = tmp_path / version / "bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho {minor}\n")
        python.chmod(0o755)
    assert find_python("3.98") == str(tmp_path / "3.98.10/bin/python")
    assert find_python("3.96") == ""


@pytest.mark.parametrize(("skipped", "code"), [("python 3.12", 0), ("time-of-day", 2)])
def test_in_ci_other_pythons_are_varied_where_they_are_found(monkeypatch: pytest.MonkeyPatch, skipped: str, code: int) -> None:
    monkeypatch.setenv("CI", "true")
    assert conclude([Finding("everything", PASSED, ""), Finding(skipped, SKIPPED, "")]) == code


def test_a_factor_that_is_unknown_is_refused_with_those_that_are_known(tree: Tree) -> None:
    said = repro(tree, "moon")
    assert said.code == 2
    assert "found moon, wanted some of path, user, umask" in said.err

"""Whole builds: the same bytes anywhere, every setting, and doit and nox as their users know them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.build import bases
from tests.build.trees import BIN, Tree, contents, payload


def test_a_build_elsewhere_under_other_circumstances_gives_the_same_files(built: Tree, sources: Tree, tmp_path: Path) -> None:
    """Other folder, zone, locale, umask, hash seed, order of files on disk, times of files; the same key."""
    elsewhere = Tree(tmp_path / "with space/ünd", built.version, built.environment)
    elsewhere.root.parent.mkdir()
    sources.root.rename(elsewhere.root)
    for number, path in enumerate(sorted(elsewhere.root.rglob("*"), reverse=True)):
        os.utime(path, (number, number))
    other = elsewhere.variant(TZ="Pacific/Apia", LC_ALL="C", LANG="de_DE", PYTHONHASHSEED="7", HOME=str(tmp_path))

    said = other.bundle(umask=0)

    assert payload(other.kit) == payload(built.kit)
    assert said.root_hash in built.manifest
    assert contents(other.dist) == contents(built.dist)
    assert other.verify().code == 0
    assert not [path for path in other.dist.rglob("*") if path.stat().st_mode & 0o002]
    elsewhere.root.rename(sources.root)


def test_a_fresh_build_says_what_it_made_where_and_what_is_next(built: Tree) -> None:
    said = (built.root.parent / "said").read_text(encoding="utf-8")
    manifest = json.loads(built.manifest)["predicate"]
    assert re.search(r"^[0-9]+ made, [0-9] fresh$", said, re.MULTILINE)
    assert f"kit          artifacts/lnm/{built.tarball.name} (" in said
    assert f"unpacked     artifacts/lnm/{built.kit.name}/" in said
    assert f"rootHash     {manifest['rootHash']}" in said
    absent = "21-103, lnm-runner-linux-amd64, lnm-runner-linux-arm64, monitoring, seeds"
    assert f"ready: 21-101, 21-102; absent: {absent}\n" in said
    assert "no commit, unknown; channel edge" in said
    key = "openssl pkey -pubin -in signing-key.pub -outform DER | sha256sum"
    fingerprint = subprocess.run(["sh", "-c", key], cwd=built.dist, capture_output=True, text=True, check=True).stdout[:64]
    assert f"trust        dev, key sha256:{fingerprint}" in said
    assert "made a development key in " in said
    next_command = re.search(r"^next +(.+)$", said, re.MULTILINE)
    assert next_command
    assert built.run(*next_command[1].split()).code == 0


def test_the_output_folder_holds_what_the_decisions_say_and_nothing_else(built: Tree) -> None:
    archives = [built.tarball.name, *(f"lnm-{one}-{built.version}.tar.gz" for one in ("21-101", "21-102", "21-103"))]
    suffixes = ("", ".sig", ".sigstore.json", ".provenance.sigstore.json")
    wanted = {archive + suffix for archive in archives for suffix in suffixes}
    wanted |= {f"{built.tarball.name}.sha256", built.kit.name, "verify_kit.py", "verify.sh", "signing-key.pub"}
    assert {path.name for path in built.dist.iterdir()} == wanted


def test_each_bundle_holds_its_delivery_and_the_licence(built: Tree) -> None:
    for one, more in (("21-101", ()), ("21-102", ()), ("21-103", ("seeds/object-store/seed-manifest.json",))):
        root = f"lnm-{one}-{built.version}"
        listed = built.run("tar", "-tzf", built.dist / f"{root}.tar.gz").out.splitlines()
        found = {name.removeprefix(f"{root}/") for name in listed if not name.endswith("/")}
        below = {
            path.relative_to(built.kit).as_posix() for path in (built.kit / f"migrations/{one}").rglob("*") if path.is_file()
        }
        assert found == {"LICENSE", *below, *more}


def test_no_part_of_a_write_is_left(built: Tree) -> None:
    assert not list((built.root / "artifacts").rglob("*.part"))


def test_the_modes_of_the_kit_are_those_of_a_kit(built: Tree) -> None:
    for path in built.kit.rglob("*"):
        runs = path.is_dir() or path.name in {"verify.sh", "verify_kit.py"}
        assert path.stat().st_mode & 0o777 == (0o755 if runs else 0o644), path
        assert not path.is_symlink()


def test_the_sources_are_not_written_to(built: Tree) -> None:
    done = built.run("find", ".", "-newer", "artifacts/.build/payload.sums", "-not", "-path", "./artifacts*", "-type", "f")
    assert done.out == ""


# ---- settings


@pytest.mark.parametrize(("epoch", "time"), [("0", "1970-01-01T00:00:00Z"), ("8589934591", "2242-03-16T12:56:31Z")])
def test_the_first_and_the_last_epoch_build_and_verify(tree: Tree, epoch: str, time: str) -> None:
    variant = tree.variant(SOURCE_DATE_EPOCH=epoch)
    variant.bundle()
    assert f'"created_at":"{time}"' in tree.manifest
    said = variant.verify()
    assert said.code == 0, said.text


def test_a_fresh_build_at_epoch_zero_works_with_hatchling_too(sources: Tree) -> None:
    """A ZIP knows no time before 1980."""
    said = sources.variant(SOURCE_DATE_EPOCH="0").doit("runner:" + f"lnm_runner-{sources.version}-py3-none-any.whl")
    assert said.code == 0, said.text


@pytest.mark.parametrize("channel", ["stable", "airgap"])
def test_a_clean_clone_is_released_to_every_channel(tree: Tree, channel: str, tmp_path: Path) -> None:
    tree.commit()
    head = tree.run("git", "rev-parse", "HEAD").out.strip()
    given = str(bases.base(tmp_path / "base", architectures=("amd64", "arm64")))
    said = tree.variant(LNM_CHANNEL=channel, LNM_IMAGE=None, LNM_BASE_LAYOUT=given).bundle()
    predicate = json.loads(tree.manifest)["predicate"]
    assert predicate["channel"] == channel
    assert predicate["source"] == {"commit": head, "state": "clean"}
    assert f"source       {head}, clean; channel {channel}" in said.out
    claim = json.loads((tree.root / "artifacts/.build/slsa-provenance.json").read_bytes())
    dependencies = claim["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"digest": {"gitCommit": head}, "uri": "git+file:."} in dependencies
    assert tree.verify().code == 0


def test_the_commit_is_in_the_envelope_and_not_in_the_payload(tree: Tree) -> None:
    before = payload(tree.kit)
    tree.commit()
    tree.bundle()
    assert '"state":"clean"' in tree.manifest
    assert payload(tree.kit) == before


@pytest.mark.parametrize("channel", ["stable", "airgap"])
@pytest.mark.parametrize("state", ["no git", "dirty"])
def test_only_edge_is_built_from_a_tree_that_is_not_its_commit(tree: Tree, channel: str, state: str) -> None:
    if state == "dirty":
        tree.commit()
        tree.append("bundle-layout/README.md", "changed\n")
    before = contents(tree.root / "artifacts")
    said = tree.variant(LNM_CHANNEL=channel).doit("bundle")
    assert said.code != 0
    assert f"LNM_CHANNEL={channel} needs a clean git work tree" in said.err
    assert "next: " in said.err
    assert "[exit 2]" in said.err
    assert "Traceback" not in said.text
    assert contents(tree.root / "artifacts") == before


def test_a_dirty_tree_is_built_for_edge_and_says_so(tree: Tree) -> None:
    tree.commit()
    tree.append("bundle-layout/README.md", "changed\n")
    said = tree.bundle()
    assert json.loads(tree.manifest)["predicate"]["source"]["state"] == "dirty"
    assert ", dirty; channel edge" in said.out


# ---- doit and nox as their users know them


def test_doit_lists_the_groups_with_a_sentence_each(tree: Tree) -> None:
    said = tree.doit("list")
    assert said.code == 0, said.text
    rows = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    groups = {"layout", "runner", "wheelhouse", "sbom", "checksums", "key", "attestations", "signatures", "manifest", "tarball"}
    assert groups | {"deliveries", "verifiers", "bundle", "prune"} <= set(rows)
    assert all(rows.values())


def test_doit_lists_every_file_with_all(tree: Tree) -> None:
    said = tree.doit("list", "--all", "--quiet")
    assert "sbom:lnm-kit.spdx.json" in said.out.split()
    assert "layout:migrations/21-101" in said.out.split()


def test_doit_info_says_what_an_artefact_depends_on(tree: Tree) -> None:
    said = tree.doit("info", "sbom:lnm-kit.spdx.json")
    assert said.code == 0, said.text
    assert "requirements/packages.json" in said.out
    assert f"artifacts/lnm/{tree.kit.name}/sbom/lnm-kit.spdx.json" in said.out
    assert "up-to-date" in said.out


def test_doit_info_says_why_an_artefact_is_not_fresh(tree: Tree) -> None:
    tree.append("bundle-layout/README.md", "changed\n")
    said = tree.doit("info", "layout:README.md")
    assert "bundle-layout/README.md" in said.out
    assert "changed" in said.out


def test_doit_helps(tree: Tree) -> None:
    for arguments in (("help",), ("help", "run"), ("help", "bundle")):
        said = tree.doit(*arguments)
        assert said.code == 0, said.text
        assert said.out


def test_doit_without_a_task_makes_the_bundle(tree: Tree) -> None:
    said = tree.doit()
    assert said.code == 0
    assert "0 made, " in said.out


def test_doit_runs_from_a_folder_below(tree: Tree) -> None:
    said = tree.run(BIN / "doit", "-f", "../dodo.py", "bundle", cwd="docs")
    assert said.code == 0, said.text
    assert "0 made, " in said.out


def test_an_unknown_task_is_said_in_words(tree: Tree) -> None:
    said = tree.doit("bundel")
    assert said.code != 0
    assert "bundel" in said.err
    assert "Traceback" not in said.text


def test_one_target_can_be_made_alone(sources: Tree) -> None:
    said = sources.doit("sbom:lnm-tooling.spdx.json")
    assert said.code == 0, said.text
    assert said.made == ["sbom:lnm-tooling.spdx.json"]
    assert "1 made" in said.out

    said = sources.doit(f"artifacts/lnm/{sources.kit.name}/LICENSE")
    assert said.made == ["layout:LICENSE"]

    said = sources.doit(f"deliveries:lnm-21-102-{sources.version}.tar.gz.sig")
    groups = {name.split(":")[0] for name in said.made}
    assert groups == {
        "checksums",
        "deliveries",
        "key",
        "layout",
        "roles",
        "runner",
        "sbom",
        "wheelhouse",
    }  # the payload passes the gate first
    assert [name for name in said.made if "deliveries" in name] == [
        f"deliveries:lnm-21-102-{sources.version}.tar.gz",
        f"deliveries:lnm-21-102-{sources.version}.tar.gz.sig",
    ]


def test_a_parallel_build_gives_the_same_files(tree: Tree) -> None:
    tree.append("bundle-layout/migrations/21-102/README.md", "changed\n")
    copy = Tree(tree.root.parent / "sequential", tree.version, tree.environment)
    shutil.copytree(tree.root, copy.root)
    said = tree.doit("-n", "2", "bundle")
    assert said.code == 0, said.text
    assert said.made == copy.bundle().made
    assert contents(tree.dist) == contents(copy.dist)
    shutil.rmtree(copy.root)


def test_nox_lists_its_sessions(tree: Tree) -> None:
    said = tree.run(BIN / "nox", "-l")
    assert said.code == 0, said.text
    for session in ("verify", "tests", "lint", "lock"):
        assert re.search(rf"^[*-] {session} -> \S", said.out, re.MULTILINE), said.out


# ---- killed builds


@pytest.mark.parametrize("lines", [3, 13, 30])
def test_after_a_killed_build_the_next_one_is_right_with_no_cleaning(tree: Tree, built: Tree, lines: int) -> None:
    tree.append("requirements/build.txt", "# changed\n")
    command = [str(BIN / "doit"), "bundle"]
    with subprocess.Popen(command, cwd=tree.root, env=dict(tree.environment), stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout
        for _ in range(lines):
            assert build.stdout.readline()
        build.kill()
    (tree.root / "requirements/build.txt").write_bytes((built.root / "requirements/build.txt").read_bytes())
    tree.bundle()
    assert contents(tree.dist) == contents(built.dist)
    assert not list((tree.root / "artifacts").rglob("*.part"))
    assert tree.verify().code == 0

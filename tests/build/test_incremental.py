"""A second build makes nothing, a change makes what depends on it, and a target that is not what was made is made again."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.build.trees import Said, Tree, contents, is_payload, traces

ENVELOPE = [
    "checksums:SHA256SUMS",
    "manifest:manifest.dsse.json",
    "manifest:manifest.json",
    "manifest:manifest.sigstore.json",
    "signatures:SHA256SUMS.sig",
    "signatures:SHA256SUMS.sigstore.json",
]
STATEMENTS = [
    "attestations:slsa-provenance.dsse.json",
    "attestations:slsa-provenance.json",
    "attestations:spdx.dsse.json",
    "attestations:spdx.json",
]
ABOUT_PAYLOAD = ["checksums:payload.sums", "sbom:lnm-kit.spdx.json", *STATEMENTS, *ENVELOPE]
BESIDE = ("", ".sig", ".sigstore.json", ".provenance.json", ".provenance.sigstore.json")


def kit_archive(tree: Tree) -> list[str]:
    return [f"tarball:{tree.tarball.name}{suffix}" for suffix in (*BESIDE, ".sha256")]


def delivery(tree: Tree, name: str) -> list[str]:
    return [f"deliveries:lnm-{name}-{tree.version}.tar.gz{suffix}" for suffix in BESIDE]


def assert_made(said: Said, *names: list[str]) -> None:
    assert said.made == sorted(itertools.chain(*names)), said.text


def assert_nothing_is_made(tree: Tree) -> None:
    before = traces(tree.root / "artifacts")
    said = tree.bundle()
    assert_made(said)
    assert traces(tree.root / "artifacts") == before
    assert "0 made, " in said.out


# ---- nothing to do


def test_a_second_build_makes_nothing_and_touches_nothing(tree: Tree) -> None:
    tree.bundle()
    assert_nothing_is_made(tree)


def test_a_touch_of_every_source_makes_nothing(tree: Tree) -> None:
    for path in tree.root.rglob("*"):
        if path.is_file() and "artifacts" not in path.parts:
            os.utime(path, (2_000_000_000, 2_000_000_000))
    assert_nothing_is_made(tree)


def test_a_built_tree_that_is_moved_makes_nothing(tree: Tree, tmp_path: Path) -> None:
    tree.root.rename(tmp_path / "moved")
    (tmp_path / "moved").rename(tree.root)
    copy = Tree(tmp_path / "elsewhere/deeper", tree.version, tree.environment)
    shutil.copytree(tree.root, copy.root, symlinks=True)
    assert_nothing_is_made(copy)
    shutil.rmtree(copy.root)


def test_a_source_that_was_changed_and_changed_back_makes_nothing(tree: Tree) -> None:
    path = tree.root / "bundle-layout/README.md"
    text = path.read_bytes()
    path.write_bytes(text + b"x")
    path.write_bytes(text)
    assert_nothing_is_made(tree)


# ---- one change


def test_a_changed_migration_makes_what_depends_on_it_and_no_more(tree: Tree) -> None:
    path = tree.root / "bundle-layout/migrations/21-101/migration.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b" \n", 1))
    before = traces(tree.kit)

    said = tree.bundle()

    changed = ["layout:migrations/21-101"]
    assert_made(said, changed, ABOUT_PAYLOAD, delivery(tree, "21-101"), kit_archive(tree))
    kept = {name for name, trace in traces(tree.kit).items() if trace == before[name]}
    assert {name for name in before if is_payload(name)} - kept == {"migrations/21-101/migration.py", "sbom/lnm-kit.spdx.json"}
    assert tree.verify().code == 0
    assert_nothing_is_made(tree)


def test_a_changed_verifier_makes_the_runner_that_holds_it(tree: Tree) -> None:
    tree.append("bundle-layout/verify_kit.py", "# changed\n")
    said = tree.bundle()
    runner = [f"runner:lnm_runner-{tree.version}-py3-none-any.whl", "runner:requirements.txt"]
    assert_made(said, ["layout:verify_kit.py", "verifiers:verify_kit.py"], runner, ABOUT_PAYLOAD, kit_archive(tree))
    assert tree.verify().code == 0
    assert_nothing_is_made(tree)


def test_a_changed_runner_makes_its_wheel_and_no_other(tree: Tree) -> None:
    tree.append("runner/src/lnm_runner/__init__.py", "# changed\n")
    runner = [f"runner:lnm_runner-{tree.version}-py3-none-any.whl", "runner:requirements.txt"]
    assert_made(tree.bundle(), runner, ABOUT_PAYLOAD, kit_archive(tree))


def test_a_changed_step_whose_bytes_stay_makes_new_records_and_what_is_about_them(tree: Tree) -> None:
    """The provenance names the code of each step, so it changes; the SBOMs do not, so nothing else of the payload does."""
    before = traces(tree.kit)
    root_hash = tree.bundle().root_hash
    tree.append("scripts/sbom.py", "# changed\n")

    said = tree.bundle()

    slsa = [name for name in STATEMENTS if "slsa" in name]
    assert_made(said, ["sbom:lnm-kit.spdx.json", "sbom:lnm-tooling.spdx.json"], slsa, ENVELOPE, kit_archive(tree))
    assert said.root_hash == root_hash
    touched = {name for name, trace in traces(tree.kit).items() if is_payload(name) and trace != before[name]}
    assert touched == {"sbom/lnm-kit.spdx.json", "sbom/lnm-tooling.spdx.json"}


def test_a_changed_step_whose_bytes_change_makes_what_comes_of_it(tree: Tree) -> None:
    root_hash = tree.bundle().root_hash
    tree.edit("scripts/sbom.py", 'AUTHOR = "StellaOps Concelier"', 'AUTHOR = "Somebody Else"')
    said = tree.bundle()
    assert_made(said, ["sbom:lnm-tooling.spdx.json"], ABOUT_PAYLOAD, kit_archive(tree))
    assert said.root_hash != root_hash
    assert "Somebody Else" in (tree.kit / "sbom/lnm-kit.spdx.json").read_text()


def test_another_epoch_makes_what_a_time_is_in(tree: Tree) -> None:
    said = tree.variant(SOURCE_DATE_EPOCH="1000000000").bundle()
    deliveries = [name for one in ("21-101", "21-102", "21-103") for name in delivery(tree, one)]
    assert_made(said, ["sbom:lnm-tooling.spdx.json"], ABOUT_PAYLOAD, deliveries, kit_archive(tree))
    assert '"created_at":"2001-09-09T01:46:40Z"' in tree.manifest
    assert_made(tree.bundle(), ["sbom:lnm-tooling.spdx.json"], ABOUT_PAYLOAD, deliveries, kit_archive(tree))
    assert contents(tree.dist) == contents(tree.dist)


def test_a_changed_line_of_the_build_lock_makes_everything_again(tree: Tree) -> None:
    """Which tools made a file is part of its record."""
    count = len(list((tree.root / "artifacts/.build/records").rglob("*.json")))
    tree.append("requirements/build.txt", "# changed\n")
    said = tree.bundle()
    assert len(said.made) == count
    assert tree.verify().code == 0


# ---- targets that are not what was made


def flip(path: Path) -> None:
    """One bit, in place; size and mtime are put back."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(stat.st_size // 2)
        byte = file.read(1)
        file.seek(stat.st_size // 2)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def swap(path: Path) -> None:
    """Another file of the same size and mtime in its place."""
    stat = path.stat()
    other = path.with_name(path.name + ".other")
    other.write_bytes(bytes(stat.st_size))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def link(path: Path) -> None:
    """A link to the very same content elsewhere."""
    outside = next(folder for folder in path.parents if folder.name == "artifacts").parent
    elsewhere = outside / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def folder(path: Path) -> None:
    path.unlink()
    (path / "sub").mkdir(parents=True)
    (path / "sub/x").write_bytes(b"x")


TAMPERINGS: tuple[Callable[[Path], object], ...] = (
    flip,
    swap,
    cut,
    Path.unlink,
    link,
    folder,
    lambda path: path.chmod(0o666),
)


def kinds_of_targets(tree: Tree) -> dict[str, Path]:
    """`{task: target}`, one of each kind of artefact, and a record."""
    work, wheel = tree.root / "artifacts/.build", f"lnm_runner-{tree.version}-py3-none-any.whl"
    bundle = tree.dist / f"lnm-21-102-{tree.version}.tar.gz"
    return {
        "layout:migrations/21-101": tree.kit / "migrations/21-101/migration.py",
        "verifiers:verify.sh": tree.dist / "verify.sh",
        f"runner:{wheel}": tree.kit / "runner/wheelhouse" / wheel,
        "wheelhouse:dnspython-2.9.2-py3-none-any.whl": next((tree.kit / "runner/wheelhouse").glob("dnspython-*")),
        "runner:requirements.txt": tree.kit / "runner/requirements.txt",
        "sbom:lnm-kit.spdx.json": tree.kit / "sbom/lnm-kit.spdx.json",
        "checksums:payload.sums": work / "payload.sums",
        "key:signing-key.pub": tree.dist / "signing-key.pub",
        "attestations:spdx.json": work / "spdx.json",
        "attestations:spdx.dsse.json": tree.kit / "attestations/spdx.dsse.json",
        "checksums:SHA256SUMS": tree.kit / "SHA256SUMS",
        "signatures:SHA256SUMS.sig": tree.kit / "SHA256SUMS.sig",
        "manifest:manifest.json": tree.kit / "manifest.json",
        f"tarball:{tree.tarball.name}": tree.tarball,
        f"deliveries:{bundle.name}.sigstore.json": Path(f"{bundle}.sigstore.json"),
        "sbom:lnm-tooling.spdx.json": work / "records/sbom/lnm-tooling.spdx.json.json",
    }


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=["flip", "swap", "cut", "delete", "link", "folder", "mode"])
def test_a_tampered_target_of_any_kind_is_made_again_and_nothing_else(tree: Tree, tamper: Callable[[Path], object]) -> None:
    before, modes = contents(tree.root / "artifacts/lnm"), modes_of(tree)
    targets = kinds_of_targets(tree)
    everywhere = tamper in (flip, Path.unlink)
    for task in targets if everywhere else list(targets)[::4]:
        tamper(targets[task])
        said = tree.bundle()
        assert [name.split("-2.")[0] for name in said.made] == [task.split("-2.")[0]], said.text
        assert contents(tree.dist) == before, task
        assert modes_of(tree) == modes, task
    assert tree.verify().code == 0
    assert_nothing_is_made(tree)


def modes_of(tree: Tree) -> dict[str, int]:
    return {path.relative_to(tree.root).as_posix(): path.lstat().st_mode for path in (tree.root / "artifacts").rglob("*")}


def test_a_target_that_is_made_alone_is_also_looked_at(tree: Tree) -> None:
    before = tree.tarball.read_bytes()
    flip(tree.tarball)
    assert tree.doit(f"tarball:{tree.tarball.name}").made == [f"tarball:{tree.tarball.name}"]
    assert tree.tarball.read_bytes() == before


def test_after_forgetting_or_cleaning_everything_comes_back_the_same(tree: Tree) -> None:
    before = contents(tree.dist)
    assert tree.doit("clean", "deliveries", "tarball", "manifest").code == 0
    assert not tree.tarball.exists()
    tree.bundle()
    assert contents(tree.dist) == before
    assert tree.doit("forget", "sbom", "layout", "manifest").code == 0
    assert tree.bundle().made
    assert contents(tree.dist) == before


# ---- sources that come and go


def test_an_added_source_ships_and_a_removed_one_vanishes_everywhere(tree: Tree) -> None:
    before = contents(tree.dist)
    added = tree.root / "bundle-layout/migrations/21-101/notes/deep/a=b+c@d.txt"
    added.parent.mkdir(parents=True)
    added.write_text("x\n")
    said = tree.bundle()
    name = added.relative_to(tree.root / "bundle-layout").as_posix()
    assert len(said.made) == 1 + len(ABOUT_PAYLOAD + delivery(tree, "21-101") + kit_archive(tree))
    assert (tree.kit / name).read_text() == "x\n"
    assert f"  {name}\n" in (tree.kit / "SHA256SUMS").read_text()
    assert f"/{name}\n" in tree.run("tar", "-tzf", tree.tarball).out
    assert f"/{name}\n" in tree.run("tar", "-tzf", tree.dist / f"lnm-21-101-{tree.version}.tar.gz").out
    assert tree.verify().code == 0

    shutil.rmtree(added.parents[1])
    said = tree.bundle()
    assert f"removed {(tree.kit / name).parents[1].relative_to(tree.root)}: nothing makes it any more" in said.out
    assert not (tree.kit / name).parents[1].exists()
    assert contents(tree.dist) == before
    assert tree.verify().code == 0
    assert_nothing_is_made(tree)


def test_strangers_in_the_output_folder_are_removed(tree: Tree) -> None:
    before = contents(tree.dist)
    (tree.dist / "stray.txt").write_text("x")
    (tree.kit / "empty/folder").mkdir(parents=True)
    (tree.kit / ".half.part").write_text("x")
    (tree.dist / "link").symlink_to("signing-key.pub")
    said = tree.bundle()
    assert_made(said)
    assert said.out.count("removed ") == 4
    assert contents(tree.dist) == before
    assert not (tree.kit / "empty").exists()
    assert tree.verify().code == 0


def test_a_new_version_leaves_nothing_of_the_old_one(tree: Tree) -> None:
    (tree.root / "VERSION").write_text("2031.2.3\n")
    newer = Tree(tree.root, "2031.2.3", tree.environment)
    newer.bundle()
    assert not [path for path in newer.dist.rglob("*") if tree.version in path.name]
    assert newer.verify().code == 0
    assert '"version":"2031.2.3"' in newer.manifest


# ---- keys


def test_a_lost_development_key_is_made_anew_and_signs_again(tree: Tree, tmp_path: Path) -> None:
    before = traces(tree.kit)
    said = tree.variant(XDG_STATE_HOME=str(tmp_path / "state")).bundle()
    assert "made a development key in " in said.out
    assert "trust        dev, key sha256:" in said.out
    after = traces(tree.kit)
    assert {name for name in before if before[name] != after[name]} == {name for name in before if not is_payload(name)}
    assert tree.verify().code == 0


def test_another_key_signs_again_and_leaves_the_payload_untouched(tree: Tree, tmp_path: Path) -> None:
    before, dist = traces(tree.kit), contents(tree.dist)
    root_hash = tree.bundle().root_hash
    key = tmp_path / "own.pem"
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    key.write_bytes(pem)
    key.chmod(0o600)
    own = tree.variant(LNM_SIGNING_KEY=str(key))

    said = own.bundle()

    after = traces(tree.kit)
    assert {name: trace for name, trace in after.items() if is_payload(name)} == {
        name: trace for name, trace in before.items() if is_payload(name)
    }
    assert said.root_hash == root_hash
    assert '"trust":"key"' in tree.manifest
    assert "trust        key, key sha256:" in said.out
    assert "wheelhouse:" not in said.out
    assert own.verify().code == 0
    assert_nothing_is_made(own)

    said = tree.bundle()
    assert '"trust":"dev"' in tree.manifest
    assert contents(tree.dist) == dist
    assert tree.verify().code == 0

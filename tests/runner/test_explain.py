"""`lnm kit explain`: what it tells is so, and of a kit that is refused it tells nothing but why."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.faults import forge
from tests.faults.keys import MAIN, SECOND
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.policies import BUILDER, SECURITY, written


@pytest.fixture(scope="session", name="kit")
def whole_kit(built_kit: Kit) -> Kit:
    """With its images and all of its wheels."""
    return built_kit


@pytest.fixture
def said(program: Path, kit: Kit, tmp_path: Path) -> Lnm:
    """The program with a state folder of its own and no database."""
    return Lnm(program, kit, {"LNM_STATE_DIR": str(tmp_path / "state")})


def test_what_is_told_of_the_built_kit_is_what_is_there(said: Lnm, kit: Kit) -> None:
    answer = said("kit", "explain", "--json", "--key", kit.key, kit.folder).json
    listed = [line.split("  ")[1] for line in (kit.folder / "SHA256SUMS").read_text().splitlines()]
    contents = answer["contents"]

    assert contents["bytes"] == sum((kit.folder / name).stat().st_size for name in listed)
    assert sum(folder["files"] for folder in contents["folders"].values()) == len(listed) == answer["files"]
    house = [name for name in listed if name.startswith("runner/wheelhouse/")]
    assert contents["wheels"][0]["wheels"] == len(house)
    assert contents["wheels"][0]["platforms"] == ["aarch64", "any", "x86_64"]
    for name, packages in contents["packages"].items():
        assert packages == len(json.loads((kit.folder / f"sbom/{name}.spdx.json").read_bytes())["packages"])
    assert {f"sbom/{name}.spdx.json" for name in contents["packages"]} == {name for name in listed if name.startswith("sbom/")}


def test_folder_and_tarball_are_told_alike(said: Lnm, kit: Kit, dist: Path, version: str) -> None:
    tarball = dist / f"lnm-offline-kit-{version}.tar.gz"

    unpacked, packed = (said("kit", "explain", "--key", kit.key, path).stdout for path in (kit.folder, tarball))

    assert packed.partition("How to go on")[0] == unpacked.partition("How to go on")[0]
    assert f"  lnm kit import {tarball} --key {kit.key}\n" in packed
    assert f"  lnm preflight 21-101 --kit {kit.folder} --key {kit.key}\n" in unpacked


def test_the_words_name_signers_roles_and_what_was_not_checked(said: Lnm, tmp_path: Path) -> None:
    policy = written(tmp_path, BUILDER, SECURITY, threshold={"signatures": 2, "security": 1}, kit_max_age_days=0)
    kit = forge.kit(MAIN, SECOND).write_folder(tmp_path)

    told = said("kit", "explain", "--policy", policy, kit).stdout

    assert f"SHA256SUMS and manifest.json: Build service, builder: sha256:{MAIN.fingerprint} (ECDSA P-256)" in told
    assert f"manifest.json: Security team, security: sha256:{SECOND.fingerprint}" in told
    assert f"{policy}, version 1, sha256 {forge.sha256(policy.read_bytes())}" in told
    assert "it wants 2 signers, 1 of them security" in told
    assert "delivery 21-102 absent (not in this version)" in told
    not_checked = told.partition("What was not checked")[2]
    assert "an identity signature: the kit has none" in not_checked
    assert "the insides of wheels" in not_checked


def test_nothing_of_a_refused_kit_is_told_but_why(said: Lnm, tmp_path: Path) -> None:
    policy = written(tmp_path, BUILDER, SECURITY, threshold={"signatures": 2}, kit_max_age_days=0)
    kit = forge.kit(MAIN)
    folder = kit.write_folder(tmp_path)

    by_policy = said("kit", "explain", "--policy", policy, folder, wanted=5)
    (folder / forge.STEPS).write_bytes(b"changed")
    by_core = said("kit", "explain", "--key", written_key(tmp_path), folder, wanted=6)

    for answer in (by_policy, by_core):
        assert answer.stdout == ""
        assert kit.version not in answer.stderr
        assert "delivery" not in answer.stderr


def written_key(folder: Path) -> Path:
    path = folder / "main.pub"
    path.write_bytes(MAIN.pem)
    return path


def test_a_kit_that_is_exchanged_after_it_was_verified_is_not_explained(program: Path, tmp_path: Path) -> None:
    folder, tarball = forge.kit(MAIN).write_folder(tmp_path), forge.kit(MAIN).write_tarball(tmp_path)
    code = """
import pathlib, sys
from lnm_runner.errors import ChecksumError
from lnm_runner.kit import Trust, verify
from lnm_runner.kit.explanation import Explanation
key, folder, tarball = map(pathlib.Path, sys.argv[1:])
def explain(path, change):
    verified = verify(path, Trust(None, (key,)))
    Explanation(path, verified)
    change()
    try:
        Explanation(path, verified)
    except ChecksumError as err:
        print(err.message.partition(": ")[2])
explain(folder, lambda: (folder / "README.md").write_bytes(b"changed"))
explain(tarball, lambda: tarball.write_bytes(tarball.read_bytes()[:-200]))
"""
    command = [str(program.with_name("python")), "-c", code, str(written_key(tmp_path)), str(folder), str(tarball)]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert re.fullmatch(r"was changed after it was verified: README.md\nwas changed after it was verified: .+\n", done.stdout)

"""`lnm … --policy`: the policy of a site rules every command that opens a kit, and nothing that is given beside it weakens it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests.conftest import WHEEL
from tests.faults import forge
from tests.faults.keys import EDDY, MAIN, SECOND, STRANGER
from tests.faults.test_no_network import available
from tests.keyless import bundle_lies
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.policies import BUILDER, SECURITY, STORAGE, identified, signer, written

WORKFLOW = identified(instance.IDENTITY, instance.ISSUER)
NO_LIMIT: dict[str, Any] = {"kit_max_age_days": 0}
"""The forge's kits have a fixed date."""


@pytest.fixture
def said(program: Path, kit: Kit, tmp_path: Path) -> Lnm:
    """The program with a state folder of its own and no database."""
    return Lnm(program, kit, {"LNM_STATE_DIR": str(tmp_path / "state")})


@pytest.fixture(scope="module")
def inst(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return instance.load(tmp_path_factory.mktemp("instance") / "state")


def keyless(inst: Instance) -> forge.Kit:
    """A kit of MAIN that the development instance's identity has signed, too."""
    made = forge.kit(MAIN)
    _, sums, _, manifest = bundle_lies.good_pair(inst, made.files[forge.SUMS], made.files[forge.MANIFEST])
    made.files |= {"SHA256SUMS.keyless.sigstore.json": sums, "manifest.keyless.sigstore.json": manifest}
    return made


def rooted(inst: Instance, folder: Path) -> str:
    """Writes the trusted root beside a policy; the table that names it."""
    data = json.dumps(inst.trusted_root()).encode()
    (folder / "trusted_root.json").write_bytes(data)
    return f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{forge.sha256(data)}'\n"


def key_file(folder: Path) -> Path:
    path = folder / "main.pub"
    path.write_bytes(MAIN.pem)
    return path


def builder_of(kit: Kit, place: Path) -> str:
    """The signer of the built kit as a [[signer]]."""
    verifier = [sys.executable, "-I", str(kit.folder / "verify_kit.py"), "--json", "--key", str(kit.key), str(kit.folder)]
    report = json.loads(subprocess.run(verifier, capture_output=True, check=True, cwd=place).stdout)
    fingerprint = report["signers"][0]["fingerprint"]
    return f'[[signer]]\nname = "Builder"\nrole = "builder"\nfingerprint = "sha256:{fingerprint}"\n'


def test_the_built_kit_is_accepted_by_a_policy_that_names_its_signer(said: Lnm, kit: Kit, tmp_path: Path) -> None:
    builder = builder_of(kit, tmp_path) + f'public-key = """{kit.key.read_text()}"""\n'
    policy = written(tmp_path, builder, development=True, minimum_version="2026.1.0")

    answer = said("kit", "verify", "--json", "--policy", policy, kit.folder).json

    assert answer["policy"] == {"file": str(policy), "version": 1, "sha256": forge.sha256(policy.read_bytes())}
    assert answer["counted"] == [{"name": "Builder", "role": "builder"}]
    assert said("kit", "verify", "--policy", policy, kit.folder).stdout.splitlines()[-1].startswith("verified: ")
    error = said("kit", "verify", "--json", "--policy", written(tmp_path, builder), kit.folder, wanted=5).json["error"]
    assert error["rule"] == "trust"


def test_the_policy_of_the_state_folder_rules_without_being_named(said: Lnm, tmp_path: Path) -> None:
    """It wins over --key and over LNM_TRUSTED_KEY: what they name has signed, and is not trusted."""
    (tmp_path / "state").mkdir()
    kit, key = forge.kit(MAIN).write_folder(tmp_path), key_file(tmp_path)
    said("kit", "verify", "--key", key, kit)
    written(tmp_path / "state", signer(EDDY, "builder"), **NO_LIMIT)

    for given in ((), ("--key", key)):
        error = said("kit", "verify", "--json", *given, kit, wanted=5, LNM_TRUSTED_KEY=str(key)).json["error"]
        assert MAIN.fingerprint in error["message"]


@pytest.mark.parametrize("command", ["plan", "preflight", "apply", "rollback", "backfill", "validate", "doctor", "status"])
def test_every_command_that_opens_a_kit_is_ruled_by_the_policy(said: Lnm, tmp_path: Path, command: str) -> None:
    """Before anything is connected: no database is there."""
    kit = forge.kit(MAIN).write_folder(tmp_path)
    words = [command, *(["21-101"] if command in {"apply", "rollback"} else []), "--kit", str(kit), "--json"]
    policy = written(tmp_path, BUILDER, SECURITY, threshold={"signatures": 2}, **NO_LIMIT)

    error = said(*words, "--policy", policy, "--key", key_file(tmp_path), wanted=5).json["error"]

    assert (error["type"], error["rule"]) == ("SignatureError", "threshold")


def test_a_policy_that_is_there_and_cannot_be_read_is_never_passed_over(said: Lnm, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    kit, key = forge.kit(MAIN).write_folder(tmp_path), key_file(tmp_path)
    (state / "trust-policy.toml").symlink_to(state / "gone.toml")
    said("kit", "verify", "--key", key, kit, wanted=4)
    (state / "gone.toml").mkdir()
    said("kit", "verify", "--key", key, kit, wanted=2)
    (state / "gone.toml").rmdir()
    (state / "gone.toml").write_text("")
    assert "schema: is missing" in said("kit", "verify", "--key", key, kit, wanted=2).stderr
    said("kit", "verify", "--key", key, "--policy", tmp_path / "nowhere.toml", kit, wanted=4)


def test_a_threshold_of_two_and_what_is_told_of_it(said: Lnm, tmp_path: Path) -> None:
    policy = written(tmp_path, BUILDER, SECURITY, STORAGE, threshold={"signatures": 2, "security": 1}, **NO_LIMIT)
    kit = forge.kit(MAIN, SECOND).write_folder(tmp_path)

    lines = said("kit", "verify", "--policy", policy, kit).stdout.splitlines()
    (kit / forge.cosigned_name(SECOND)).unlink()
    stderr = said("kit", "verify", "--policy", policy, kit, wanted=5).stderr

    assert (
        lines[-2]
        == f"checked: policy {policy}, version 1, accepts it: signed by Build service (builder), Security team (security)"
    )
    assert "the policy wants 2 signers, the kit has 1: signed by Build service (builder)" in stderr
    assert "the policy wants 1 signers whose role is security, the kit has 0" in stderr


# ---- by identity


def test_without_sigstore_an_identity_counts_for_nothing(said: Lnm, inst: Instance, tmp_path: Path) -> None:
    """The program as it is installed has no sigstore: where the identity is needed it refuses, else it says so."""
    kit, root = keyless(inst).write_folder(tmp_path), rooted(inst, tmp_path)
    needed = written(tmp_path, BUILDER, WORKFLOW, root, threshold={"signatures": 2}, **NO_LIMIT)

    error = said("kit", "verify", "--json", "--policy", needed, kit, wanted=7).json["error"]
    spare = written(tmp_path, BUILDER, WORKFLOW, root, **NO_LIMIT)
    told = said("kit", "verify", "--policy", spare, kit).stdout

    assert error["type"] == "UnavailableError"
    assert "lnm-runner[keyless]" in error["hint"]
    assert "identity signature: not checked: sigstore is not installed beside lnm" in told


def test_a_policy_that_names_no_identity_leaves_it_unchecked_and_says_so(said: Lnm, inst: Instance, tmp_path: Path) -> None:
    kit, key = keyless(inst).write_folder(tmp_path), key_file(tmp_path)

    told = said("kit", "verify", "--policy", written(tmp_path, BUILDER, **NO_LIMIT), kit).stdout
    without = said("kit", "verify", "--json", "--key", key, kit).json

    assert "identity signature: not checked: the policy names no identity" in told
    assert "identity signature: not checked here" not in told
    assert (without["identity"], without["notes"]) == (
        "not checked",
        ["identity signature: not checked: no policy names an identity"],
    )


def with_sigstore(*arguments: str | Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The runner's wheel in this environment, which has sigstore."""
    command = [*prefix, sys.executable, "-m", "lnm_runner.cli", *map(str, arguments)]
    variables = {"PATH": os.defpath, "PYTHONPATH": str(WHEEL), "LNM_STATE_DIR": "nowhere", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, env=variables, capture_output=True, check=False, text=True, timeout=60)


def test_keys_and_identities_are_verified_without_any_network(inst: Instance, tmp_path: Path) -> None:
    if not available("unshare", "-rn"):
        pytest.skip("unshare -rn is not permitted here")
    threshold = {"signatures": 2, "builder": 1, "security": 1}
    policy = written(tmp_path, BUILDER, WORKFLOW, rooted(inst, tmp_path), threshold=threshold, **NO_LIMIT)
    kit = keyless(inst)

    for path in (kit.write_folder(tmp_path), kit.write_tarball(tmp_path)):
        done = with_sigstore("kit", "verify", "--policy", policy, path, prefix=("unshare", "-rn"))
        assert done.returncode == 0, done.stderr
        assert f"checked: identity signature: {instance.IDENTITY}, issuer {instance.ISSUER}" in done.stdout
        assert "signed by Build service (builder), Release workflow (security)" in done.stdout


def test_a_kit_from_which_the_identity_was_stripped_is_refused(inst: Instance, tmp_path: Path) -> None:
    policy = written(tmp_path, BUILDER, WORKFLOW, rooted(inst, tmp_path), threshold={"signatures": 2}, **NO_LIMIT)
    kit = keyless(inst).write_folder(tmp_path)
    assert with_sigstore("kit", "verify", "--policy", policy, kit).returncode == 0

    for file in kit.glob("*.keyless.sigstore.json"):
        file.unlink()
    done = with_sigstore("kit", "verify", "--policy", policy, kit)

    assert done.returncode == 5
    assert "the policy wants 2 signers, the kit has 1" in done.stderr


@pytest.mark.parametrize("change", ["absent", "other", "foreign"])
def test_an_identity_is_refused_under_another_root_than_the_policys(inst: Instance, tmp_path: Path, change: str) -> None:
    """Also where the keys alone would be enough: what is there and does not verify is not passed over."""
    table = rooted(instance.load(tmp_path / "foreign") if change == "foreign" else inst, tmp_path)
    policy = written(tmp_path, BUILDER, WORKFLOW, table, **NO_LIMIT)
    kit = keyless(inst).write_folder(tmp_path)
    if change == "absent":
        (tmp_path / "trusted_root.json").unlink()
    if change == "other":
        shutil.copy(policy, tmp_path / "trusted_root.json")

    done = with_sigstore("kit", "verify", "--json", "--policy", policy, kit)

    assert (done.returncode, json.loads(done.stdout)["error"]["type"]) == (7, "TrustRootError")


def test_an_identity_that_the_policy_does_not_name_is_refused(inst: Instance, tmp_path: Path) -> None:
    other = identified("somebody@lnm-dev.invalid", instance.ISSUER)
    policy = written(tmp_path, BUILDER, signer(STRANGER, "storage"), other, rooted(inst, tmp_path), **NO_LIMIT)

    done = with_sigstore("kit", "verify", "--policy", policy, keyless(inst).write_folder(tmp_path))

    assert done.returncode == 5
    assert f'signed by "{instance.IDENTITY}"; the policy names somebody@lnm-dev.invalid' in done.stderr

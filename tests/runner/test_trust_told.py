"""What `lnm kit verify` tells of a policy and of identities, whole and word for word, inside this process."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.errors import InputError, NotFoundError, RunnerError, TrustRootError
from lnm_runner.kit import Trust, identity, policy, verify
from lnm_runner.kit.verification import Verified

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests.faults import forge
from tests.faults.keys import EDDY, MAIN
from tests.keyless import bundle_lies
from tests.runner.policies import BUILDER, identified, made, signer, text, written

WORKFLOW = identified(instance.IDENTITY, instance.ISSUER)
NO_LIMIT: dict[str, Any] = {"kit_max_age_days": 0}
"""The forge's kits have a fixed date."""


@pytest.fixture(scope="module")
def inst(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return instance.load(tmp_path_factory.mktemp("instance") / "state")


def key_file(folder: Path) -> Path:
    path = folder / "key.pub"
    path.write_bytes(MAIN.pem)
    return path


def identified_kit(inst: Instance) -> forge.Kit:
    """A kit that a key and an identity have signed."""
    kit = forge.kit(MAIN)
    _, sums, _, manifest = bundle_lies.good_pair(inst, kit.files[forge.SUMS], kit.files[forge.MANIFEST])
    kit.files |= {forge.SUMS_KEYLESS: sums, forge.MANIFEST_KEYLESS: manifest}
    return kit


def two_signers(inst: Instance, folder: Path, *, signatures: int, **members: Any) -> policy.Policy:
    """A policy that knows a builder and an identity, and wants so many of them."""
    root = json.dumps(inst.trusted_root()).encode()
    (folder / "trusted_root.json").write_bytes(root)
    table = f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{forge.sha256(root)}'\n"
    given = NO_LIMIT | members
    return policy.read(written(folder, BUILDER, WORKFLOW, table, threshold={"signatures": signatures}, version=3, **given))


def by_policy(inst: Instance, folder: Path) -> Verified:
    """A kit of a key and an identity before a policy that demands both, and beside which a strange key is given."""
    (folder / "stranger.pub").write_bytes(EDDY.pem)
    wanted = two_signers(inst, folder, signatures=2)
    return verify(identified_kit(inst).write_folder(folder), Trust(wanted, (folder / "stranger.pub",)))


def test_a_policy_and_an_identity_are_told(inst: Instance, tmp_path: Path) -> None:
    found = by_policy(inst, tmp_path)

    note = f"key sha256:{EDDY.fingerprint}: given, but the policy does not name it; not trusted"
    path = tmp_path / "trust-policy.toml"
    core = found.report.as_json()
    assert found.as_json() == core | {
        "identity": "verified",
        "identities": [{"identity": instance.IDENTITY, "issuer": instance.ISSUER}],
        "policy": {"version": 3, "sha256": forge.sha256(path.read_bytes()), "file": str(path)},
        "counted": [{"name": "Build service", "role": "builder"}, {"name": "Release workflow", "role": "security"}],
        "notes": [note],
    }
    assert found.lines()[-4:] == [
        f"checked: identity signature: {instance.IDENTITY}, issuer {instance.ISSUER}",
        f"checked: policy {path}, version 3, accepts it: signed by Build service (builder), Release workflow (security)",
        note,
        found.report.lines()[-1],
    ]
    assert "identity signature: not checked here" not in found.lines()
    assert "identity signature: not checked here" in found.report.lines()


def test_without_a_policy_that_is_told(tmp_path: Path) -> None:
    kit = forge.identified_kit()

    found = verify(kit.write_folder(tmp_path), Trust(None, (key_file(tmp_path),)))

    note = "identity signature: not checked: no policy names an identity"
    added = {"identity": "not checked", "identities": [], "policy": None, "counted": [], "notes": [note]}
    assert found.as_json() == found.report.as_json() | added
    assert found.lines()[-3:] == ["policy: none; any one of the given keys is enough", note, found.report.lines()[-1]]
    assert found.counted() == []


def test_a_policy_of_keys_alone_says_that_identities_were_not_checked(tmp_path: Path) -> None:
    kit = forge.kit(MAIN).identify()

    found = verify(kit.write_folder(tmp_path), Trust(made(BUILDER, **NO_LIMIT), ()))

    assert found.notes == ("identity signature: not checked: the policy names no identity",)
    assert found.as_json()["identity"] == "not checked"


def told(kind: type[RunnerError], function: Any, *arguments: Any) -> tuple[str, str]:
    """Message and hint of the error of that class, no other."""
    with pytest.raises(RunnerError) as caught:
        function(*arguments)
    assert type(caught.value) is kind
    return caught.value.message, caught.value.hint


def test_a_policy_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trust-policy.toml"
    missing = (f"{path}: no such trust policy", "check --policy; without a policy, name a --key")
    assert told(NotFoundError, policy.read, path) == missing
    assert told(InputError, policy.read, tmp_path) == (f"{tmp_path}: is no file, wanted a trust policy", "check --policy")
    written(tmp_path, BUILDER)
    assert told(InputError, policy.read, path / "x") == (
        f"{path / 'x'}: cannot be read: Not a directory",
        "a policy is a file that you may read",
    )
    path.chmod(0o646)
    assert told(InputError, policy.read, path) == (
        f"{path}: anybody may write it (mode 0646)",
        f"chmod o-w {path}, and look at it",
    )


def test_a_policy_may_be_as_large_as_its_budget(tmp_path: Path) -> None:
    path = tmp_path / "trust-policy.toml"
    data = text(BUILDER)

    path.write_bytes(data + b"\n" * (policy.LARGEST - len(data)))
    assert policy.read(path).path == path

    path.write_bytes(data + b"\n" * (policy.LARGEST + 1 - len(data)))
    assert told(InputError, policy.read, path)[0].startswith(f"{path}: ")


def test_a_trusted_root_that_is_not_there_or_another_is_told(tmp_path: Path) -> None:
    table = f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{'0' * 64}'\n"
    named, root = policy.read(written(tmp_path, BUILDER, WORKFLOW, table)), tmp_path / "trusted_root.json"

    nothing = ("the policy names no trusted root", "add [trusted-root] to it")
    assert told(TrustRootError, identity.read_root, made(BUILDER)) == nothing
    assert told(TrustRootError, identity.read_root, named) == (
        f"{root}: the policy's trusted root cannot be read: No such file or directory",
        "copy it there",
    )
    root.write_bytes(b"")
    assert told(TrustRootError, identity.read_root, named) == (
        f"{root}: sha256 is e3b0c44298fc…, the policy says 000000000000…",
        "fetch the trusted root again; a new one needs a new policy",
    )


def test_each_reason_of_a_policy_is_told_with_its_facts(tmp_path: Path) -> None:
    threshold = {"signatures": 2, "builder": 1}
    judge = made(
        signer(MAIN, "storage"),
        signer(EDDY, "builder"),
        threshold=threshold,
        channels=["stable", "airgap"],
        algorithms=["ed25519"],
        **NO_LIMIT,
    )

    with pytest.raises(RunnerError) as caught:
        verify(forge.kit(MAIN).write_folder(tmp_path), Trust(judge, ()))

    who = f"sha256:{MAIN.fingerprint}"
    wrong = f"is signed by {who}, Build service, whose role is storage; the policy wants a builder"
    role = {"rule": "role", "fingerprint": MAIN.fingerprint}
    there = "signed by Build service (storage)"
    assert [(err.message, err.facts) for err in (caught.value, *caught.value.others)] == [
        (f"SHA256SUMS {wrong}", role),
        (f"a statement below attestations/ {wrong}", role),
        (
            f"the policy wants 2 signers, the kit has 1: {there}",
            {"rule": "threshold", "role": None, "wanted": 2, "found": 1},
        ),
        (
            f"the policy wants 1 signers whose role is builder, the kit has 0: {there}",
            {"rule": "threshold", "role": "builder", "wanted": 1, "found": 0},
        ),
        (f"{who} signed by ecdsa-p256-sha256; the policy allows ed25519", {"rule": "algorithm", "found": "ecdsa-p256-sha256"}),
        ("the kit's channel is edge; the policy allows airgap, stable", {"rule": "channel", "found": "edge"}),
    ]
    demanded = "do not use this kit; ask the publisher for one that is signed as the policy demands"
    hints = [err.hint for err in (caught.value, *caught.value.others)]
    assert hints == [demanded] * 5 + ["fetch a kit of an allowed channel"]


def refusals(kit: Path, wanted: policy.Policy) -> list[RunnerError]:
    with pytest.raises(RunnerError) as caught:
        verify(kit, Trust(wanted, ()))
    return [caught.value, *caught.value.others]


def test_an_identity_that_does_not_verify_refuses_a_kit_that_keys_alone_would_have_let_in(inst: Instance, tmp_path: Path) -> None:
    kit = identified_kit(inst)
    kit.files[forge.SUMS_KEYLESS] = forge.identified_kit().files[forge.SUMS_KEYLESS]
    wanted = two_signers(inst, tmp_path, signatures=1)

    (refused,) = refusals(kit.write_folder(tmp_path), wanted)

    assert type(refused) is TrustRootError
    assert refused.message.startswith("SHA256SUMS.keyless.sigstore.json: ")


def test_what_cannot_be_checked_here_is_a_note_or_the_first_reason_of_a_missing_signer(
    inst: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, find = identified_kit(inst).write_folder(tmp_path), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "sigstore" else find(name, *more))
    why = "identity signature: not checked: sigstore is not installed beside lnm"

    assert verify(kit, Trust(two_signers(inst, tmp_path, signatures=1), ())).notes == (why,)
    one, two = refusals(kit, two_signers(inst, tmp_path, signatures=2))
    assert (type(one), one.message, two.facts["rule"]) == (identity.UnavailableError, why, "threshold")
    (other,) = refusals(kit, two_signers(inst, tmp_path, signatures=1, channels=["stable"]))
    assert other.facts["rule"] == "channel"


def test_a_policy_without_any_key_is_told(tmp_path: Path) -> None:
    wanted = made(signer(MAIN, "builder", lends=True), **NO_LIMIT)

    assert told(InputError, verify, forge.kit(MAIN).write_folder(tmp_path), Trust(wanted, ())) == (
        "the policy brings no public key, and none that it names was given",
        "add the key to the policy as public-key, or name its file: --key KEY.pub",
    )

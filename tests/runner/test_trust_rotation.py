"""A policy takes the place of another only by the root keys of both, one version at a time: as a root of TUF does."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lnm_runner import chain
from lnm_runner.commands import kit_import, kit_verify, trust
from lnm_runner.errors import InputError, RunnerError, SignatureError, StateError, TrustRootError, VersionError
from lnm_runner.kit import admission, journal, policy, rotation, state, verify
from lnm_runner.kit.judgement import Identity
from lnm_runner.options import Options

from tests.faults.keys import MAIN, SECOND, STRANGER, Key
from tests.runner import policies
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.machines import REASON, Machine, machine
from tests.runner.rotations import ROOT_A, ROOT_B, ROOT_C, offered, root, rotate, signed, with_root

__all__ = ["machine"]


@pytest.fixture
def ruled(machine: Machine) -> Machine:
    """A machine with the first policy: root keys A and B, both must sign."""
    machine.install(offered(machine.folder, with_root(policies.BUILDER, policies.SECURITY)))
    return machine


def version(machine: Machine) -> int:
    """Of the policy that is in its place."""
    return policy.read(machine.state / policy.FILE).version


def next_root(*keys: Key, number: int = 2, threshold: int = 2) -> bytes:
    """A policy with these root keys."""
    return with_root(policies.BUILDER, policies.SECURITY, version=number, keys=keys, threshold=threshold)


ROWS: dict[str, tuple[bytes, tuple[Key, ...], type[RunnerError] | None]] = {
    "the same roots sign": (next_root(ROOT_A, ROOT_B), (ROOT_A, ROOT_B), None),
    "old and new roots sign": (next_root(ROOT_A, ROOT_C), (ROOT_A, ROOT_B, ROOT_C), None),
    "all roots are others": (next_root(ROOT_C, threshold=1), (ROOT_A, ROOT_B, ROOT_C), None),
    "only the old roots": (next_root(ROOT_A, ROOT_C), (ROOT_A, ROOT_B), SignatureError),
    "only the new roots": (next_root(ROOT_A, ROOT_C), (ROOT_A, ROOT_C), SignatureError),
    "one root is too few": (next_root(ROOT_A, ROOT_B), (ROOT_A,), SignatureError),
    "nobody": (next_root(ROOT_A, ROOT_B), (), SignatureError),
    "one root twice": (next_root(ROOT_A, ROOT_B), (ROOT_A, ROOT_A), SignatureError),
    "the new threshold is higher": (next_root(ROOT_A, ROOT_B, ROOT_C, threshold=3), (ROOT_A, ROOT_B), SignatureError),
    "the new threshold is lower, the old one counts": (next_root(ROOT_A, threshold=1), (ROOT_A,), SignatureError),
    "a stranger as well": (next_root(ROOT_A, ROOT_B), (ROOT_A, ROOT_B, STRANGER), SignatureError),
    "a signer is no root": (next_root(ROOT_A, ROOT_B), (ROOT_A, MAIN), SignatureError),
    "a version is left out": (next_root(ROOT_A, ROOT_B, number=3), (ROOT_A, ROOT_B), VersionError),
    "the same version": (next_root(ROOT_A, ROOT_B, number=1), (ROOT_A, ROOT_B), VersionError),
    "no root any more": (policies.text(policies.BUILDER, version=2), (ROOT_A, ROOT_B), SignatureError),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_rotation_needs_the_roots_of_both_policies_and_the_next_version(ruled: Machine, row: str) -> None:
    """T6."""
    text, keys, wanted = ROWS[row]
    path = offered(ruled.folder, text)
    before = ruled.bytes()

    if wanted is None:
        rotate(ruled, path, *keys)
        assert version(ruled) == 2
        assert ruled.defects == []
        return
    with pytest.raises(wanted):
        rotate(ruled, path, *keys)
    assert ruled.bytes() == before


def test_a_lower_version_is_refused_and_each_version_comes_in_its_turn(ruled: Machine) -> None:
    second, third = (offered(ruled.folder, next_root(ROOT_A, ROOT_B, number=number)) for number in (2, 3))
    rotate(ruled, second, ROOT_A, ROOT_B)
    rotate(ruled, third, ROOT_A, ROOT_B)

    for path in (second, third):
        with pytest.raises(VersionError):
            rotate(ruled, path, ROOT_A, ROOT_B)
    assert ruled.events == ["begun", "policy-installed", *["policy-rotated", "policy-installed"] * 2]


def test_a_signature_of_other_bytes_is_none(ruled: Machine) -> None:
    path = offered(ruled.folder, next_root(ROOT_A, ROOT_B))
    signed(path, ROOT_A, ROOT_B)
    path.write_bytes(path.read_bytes() + b"# later\n")

    with pytest.raises(SignatureError):
        rotation.check_rotation(policy.read(ruled.state / policy.FILE), rotation.offer(path), sorted(path.parent.glob("*.sig")))


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-4], lambda text: b"!" + text, lambda _: b"", lambda text: text + b"QUJD", lambda _: bytes(5000)]
)
def test_what_is_no_signature_is_refused(ruled: Machine, spoil: Callable[[bytes], bytes]) -> None:
    path = offered(ruled.folder, next_root(ROOT_A, ROOT_B))
    found = signed(path, ROOT_A, ROOT_B)
    found[0].write_bytes(spoil(found[0].read_bytes().strip()))

    with pytest.raises((SignatureError, InputError)):
        rotation.check_rotation(policy.read(ruled.state / policy.FILE), rotation.offer(path), found)


def test_a_kit_is_judged_by_the_new_policy(ruled: Machine) -> None:
    both = with_root(policies.BUILDER, policies.SECURITY, version=2).replace(b"signatures = 1", b"signatures = 2")
    ruled.import_versions("2026.9.1")
    rotate(ruled, offered(ruled.folder, both), ROOT_A, ROOT_B)

    with pytest.raises(SignatureError):
        ruled.let_in(ruled.tarball("2026.9.2"))
    ruled.let_in(ruled.tarball("2026.9.3", MAIN, SECOND))


def test_a_version_that_a_stolen_key_put_out_of_reach_falls_with_that_key(ruled: Machine) -> None:
    """T6, fast-forward recovery: the marks of a signer who is removed go, those of others stay."""
    ruled.import_versions("2026.9.5")
    ruled.let_in(ruled.tarball("9999.12.1", MAIN, SECOND))
    with pytest.raises(VersionError):
        ruled.let_in(ruled.tarball("2026.10.1"))
    without = with_root(policies.BUILDER, version=2)

    rotate(ruled, offered(ruled.folder, without), ROOT_A, ROOT_B)

    assert state.look(ruled.state).standing.highest == "2026.9.5"
    with pytest.raises(VersionError):
        ruled.let_in(ruled.tarball("2026.9.4"))
    ruled.let_in(ruled.tarball("2026.10.1"))
    assert ruled.active == "2026.10.1"


def test_an_identity_that_is_removed_has_the_name_under_which_it_signed(ruled: Machine) -> None:
    """So that its marks fall as those of a key do."""
    workflow, issuer = "https://example.org/release.yml@refs/heads/main", "https://issuer.example.org"
    trusted = '[trusted-root]\nfile = "trusted_root.json"\nsha256 = "' + "0" * 64 + '"\n'
    old = policies.made(policies.BUILDER, policies.identified(workflow, issuer), trusted)
    verified = verify(ruled.tarball(), ruled.trust())

    signed_by = admission.signers(dataclasses.replace(verified, identities=(Identity(workflow, issuer, "ed25519"),)))

    gone = rotation.removed(old, policies.made(policies.BUILDER))
    assert signed_by == {f"sha256:{MAIN.fingerprint}", *gone}
    assert len(gone) == 1


def test_a_rotation_that_removes_nobody_takes_no_mark_away(ruled: Machine) -> None:
    ruled.import_versions("2026.9.5")
    rotate(ruled, offered(ruled.folder, next_root(ROOT_A, ROOT_B)), ROOT_A, ROOT_B)

    with pytest.raises(VersionError):
        ruled.let_in(ruled.tarball("2026.9.4"))
    ruled.let_in(ruled.tarball("2026.9.3"), REASON)


def cut_off(machine: Machine, path: Path) -> None:
    """What a rotation leaves that is killed right after its line in the journal."""
    old = (machine.state / policy.FILE).read_bytes()
    rotate(machine, path, ROOT_A, ROOT_B)
    (machine.state / "trust/pending").mkdir(mode=0o700)
    (machine.state / policy.FILE).rename(machine.state / "trust/pending" / policy.FILE)
    (machine.state / policy.FILE).write_bytes(old)
    lines = machine.journal.read_bytes().splitlines(keepends=True)[:-1]
    machine.journal.write_bytes(b"".join(lines))
    read = journal.read(b"".join(lines))
    head = {"chain": read.chain, "count": len(lines), "head": read.head}
    (machine.state / "trust/head.json").write_bytes(chain.rendered(head))


def test_a_rotation_that_was_cut_off_lets_nothing_be_judged_by_the_old_policy_and_is_finished(ruled: Machine) -> None:
    """By the next import, without a word about a policy that nobody has named, or by the same rotation once more."""
    path, kit = offered(ruled.folder, next_root(ROOT_A, ROOT_B)), ruled.tarball("2026.9.1")
    cut_off(ruled, path)
    assert ruled.defects == []
    other = ruled.copy(ruled.folder.with_name("other"))
    options = Options(kit=kit, environment={"LNM_STATE_DIR": str(ruled.state)})

    status = trust.run(dataclasses.replace(options, subcommand="status"))
    assert "a rotation was cut off" in "\n".join(status.lines)
    assert "by hand" not in "\n".join(status.lines)
    for command in (kit_verify, kit_import):
        with pytest.raises(StateError, match="a rotation was cut off"):
            command.run(options)
    assert kit_import.run(dataclasses.replace(options, execute=True)).data["outcome"] == "imported"

    again = Options(
        subcommand="rotate",
        policy=path,
        signatures=tuple(signed(path, ROOT_A, ROOT_B)),
        execute=True,
        environment={"LNM_STATE_DIR": str(other.state)},
    )
    assert trust.run(again).data["mended"] == ["the policy of version 2 was put in its place"]
    assert [version(machine) for machine in (ruled, other)] == [2, 2]


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_policy_that_was_set_back_is_not_made_good_without_a_word(ruled: Machine, *, is_deleted: bool) -> None:
    first = (ruled.state / policy.FILE).read_bytes()
    rotate(ruled, offered(ruled.folder, next_root(ROOT_A, ROOT_B)), ROOT_A, ROOT_B)
    options = Options(subcommand="recover", environment={"LNM_STATE_DIR": str(ruled.state)})
    assert trust.run(options).data["warnings"] == []
    (ruled.state / policy.FILE).write_bytes(first)
    if is_deleted:
        (ruled.state / policy.FILE).unlink()

    (warning,) = trust.run(options).data["warnings"]
    assert warning.startswith("the policy of version 2 was installed here, and ")
    done = trust.run(dataclasses.replace(options, execute=True, force_reason=REASON))
    assert f"warning: {warning}" in done.lines


def test_the_trusted_root_goes_with_its_policy(ruled: Machine) -> None:
    wanted = with_root(policies.BUILDER, version=2, trusted=b"{}")
    with pytest.raises(TrustRootError):
        rotation.offer(offered(ruled.folder, wanted))
    with pytest.raises(TrustRootError):
        rotation.offer(offered(ruled.folder, wanted, trusted=b"[]"))

    rotate(ruled, offered(ruled.folder, wanted, trusted=b"{}"), ROOT_A, ROOT_B)

    assert (ruled.state / "trusted_root.json").read_bytes() == b"{}"
    with pytest.raises(InputError):
        rotation.offer(offered(ruled.folder, wanted.replace(b"trusted_root.json", b"trust-policy.toml")))


def test_a_policy_that_is_here_is_not_installed_over(program: Path, kit: Kit, ruled: Machine) -> None:
    lnm = Lnm(program, kit, {"LNM_STATE_DIR": str(ruled.state)})
    other = offered(ruled.folder, next_root(ROOT_A, ROOT_B))

    assert "lnm trust rotate" in lnm("trust", "install", other, "--execute", wanted=2).stderr
    same = lnm("trust", "install", offered(ruled.folder, (ruled.state / policy.FILE).read_bytes()), "--execute", "--json").json
    assert same["journal"]["count"] == 2
    without = policies.written(ruled.folder, policies.BUILDER, root(ROOT_A, threshold=1))
    empty = Lnm(program, kit, {"LNM_STATE_DIR": str(ruled.folder / "empty")})
    assert "would be installed" in empty("trust", "install", without).stdout
    assert not (ruled.folder / "empty").exists()


def openssl(*arguments: str | Path) -> bytes:
    """What it prints."""
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True).stdout


def test_signatures_of_openssl_rotate_a_policy(program: Path, kit: Kit, ruled: Machine) -> None:
    """The commands of runbook/import.md."""
    path = offered(ruled.folder, next_root(ROOT_A, ROOT_B))
    lnm = Lnm(program, kit, {"LNM_STATE_DIR": str(ruled.state)})
    signatures: list[str | Path] = []
    for name, key in (("a", ROOT_A), ("b", ROOT_B)):
        private, raw, text = (ruled.folder / f"{name}.{kind}" for kind in ("pem", "raw", "sig"))
        private.write_bytes(key.private_pem)
        if key is ROOT_A:
            openssl("dgst", "-sha256", "-sign", private, "-out", raw, path)
        else:
            openssl("pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", path, "-out", raw)
        openssl("base64", "-in", raw, "-out", text)
        signatures += ["--signature", text]

    assert "nothing was written" in lnm("trust", "rotate", path, *signatures).stdout
    assert version(ruled) == 1
    answer = lnm("trust", "rotate", path, *signatures, "--execute", "--json").json

    assert (answer["version"], version(ruled)) == (2, 2)
    assert lnm("trust", "rotate", path, *signatures, "--execute", "--json", wanted=8).json["error"]["type"] == "VersionError"
    assert "have signed, wanted 2" in lnm("trust", "rotate", path, *signatures[:2], "--execute", wanted=5).stderr

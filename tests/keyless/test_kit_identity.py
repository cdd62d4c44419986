"""lnm_runner/kit/identity.py: who signed a kit by identity; real signatures, made by sigstore-python against the development instance."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from lnm_runner.errors import RunnerError, SignatureError, TrustRootError
from lnm_runner.kit import identity
from lnm_runner.kit.identity import BUNDLES, MANIFEST, SUMS
from lnm_runner.kit.judgement import Identity
from lnm_runner.kit.policy import ALGORITHMS, Policy

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests.keyless import bundle_lies
from tests.keyless.signing import signer, statement_bundle
from tests.runner.policies import BUILDER, identified, made

Pair = tuple[dict[str, bytes], dict[str, bytes]]
"""What is signed, and the bundles, each by name."""


@pytest.fixture(scope="module")
def inst(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return instance.load(tmp_path_factory.mktemp("instance") / "state")


@pytest.fixture(scope="module")
def pair(inst: Instance) -> Pair:
    sums, sums_bundle, manifest, manifest_bundle = bundle_lies.good_pair(inst)
    return {SUMS: sums, MANIFEST: manifest}, {BUNDLES[SUMS]: sums_bundle, BUNDLES[MANIFEST]: manifest_bundle}


def root_of(inst: Instance) -> bytes:
    return json.dumps(inst.trusted_root()).encode()


def policy(*signers: str, root: bytes = b"") -> Policy:
    table = f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{hashlib.sha256(root).hexdigest()}'\n"
    return made(BUILDER, *(signers or (identified(instance.IDENTITY, instance.ISSUER),)), table)


def verified(inst: Instance, pair: Pair, *signers: str, root: bytes | None = None, now: dt.datetime | None = None) -> Identity:
    return identity.verify(*pair, policy(*signers), root_of(inst) if root is None else root, now or dt.datetime.now(dt.UTC))


def test_an_identity_that_the_policy_names_is_found(inst: Instance, pair: Pair) -> None:
    found = verified(inst, pair)

    assert (found.identity, found.issuer, found.algorithm) == (instance.IDENTITY, instance.ISSUER, "ecdsa-p256-sha256")


def test_one_of_several_identities_is_found(inst: Instance, pair: Pair) -> None:
    other = identified("nobody@lnm-dev.invalid", instance.ISSUER).replace("Release", "Other")

    assert verified(inst, pair, other, identified(instance.IDENTITY, instance.ISSUER)).identity == instance.IDENTITY


@pytest.mark.parametrize("lie", [*bundle_lies.LIES, *bundle_lies.BEYOND], ids=lambda lie: lie.name)
def test_no_bundle_that_lies_is_taken_for_an_identity(inst: Instance, pair: Pair, lie: bundle_lies.Lie) -> None:
    signed, bundles = pair
    name = BUNDLES[SUMS if lie.of == "sums" else MANIFEST]
    told = {**bundles, name: lie.make(bundles[name], inst)}

    with pytest.raises(RunnerError) as caught:
        verified(inst, (signed, told))

    assert caught.value.exit_code in {5, 7}
    assert caught.value.message.startswith(f"{name}: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "issuer"),
    [
        ("nobody@lnm-dev.invalid", instance.ISSUER),
        (instance.IDENTITY, "https://oidc.example.invalid"),
        (instance.IDENTITY.upper(), instance.ISSUER),
        (instance.IDENTITY, instance.ISSUER + "/"),
        (instance.IDENTITY[1:], instance.ISSUER),
        (".*", instance.ISSUER),
    ],
)
def test_identity_and_issuer_must_both_be_the_very_ones(inst: Instance, pair: Pair, name: str, issuer: str) -> None:
    with pytest.raises(SignatureError, match=r"signed by .*; the policy names"):
        verified(inst, pair, identified(name, issuer))


def test_both_files_must_be_signed_by_one_identity(inst: Instance, pair: Pair) -> None:
    signed, bundles = pair
    with signer(inst, "other@lnm-dev.invalid") as ready:
        theirs = {**bundles, BUNDLES[MANIFEST]: statement_bundle(ready, signed[MANIFEST])}
    both = [
        identified(instance.IDENTITY, instance.ISSUER),
        identified("other@lnm-dev.invalid", instance.ISSUER).replace("Rel", "X"),
    ]

    with pytest.raises(SignatureError, match="wanted one identity"):
        verified(inst, (signed, theirs), *both)


def test_signatures_over_other_files_are_refused(inst: Instance, pair: Pair) -> None:
    signed, bundles = pair
    for name in (SUMS, MANIFEST):
        with pytest.raises(TrustRootError):
            verified(inst, ({**signed, name: signed[name] + b" "}, bundles))


def test_bundles_that_changed_places_are_refused(inst: Instance, pair: Pair) -> None:
    signed, bundles = pair
    swapped = {BUNDLES[SUMS]: bundles[BUNDLES[MANIFEST]], BUNDLES[MANIFEST]: bundles[BUNDLES[SUMS]]}

    with pytest.raises(TrustRootError):
        verified(inst, (signed, swapped))


# ---- the trusted root, and time


def changed(inst: Instance, change: Callable[[dict[str, Any]], object]) -> bytes:
    root = json.loads(root_of(inst))
    change(root)
    return json.dumps(root).encode()


def over(item: dict[str, Any], end: dt.datetime) -> None:
    item["validFor"] = {**item["validFor"], "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}


@pytest.mark.parametrize("kind", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_root_whose_time_was_over_when_the_kit_was_signed_is_refused(inst: Instance, pair: Pair, kind: str) -> None:
    def change(root: dict[str, Any]) -> None:
        for item in root[kind]:
            over(item if "validFor" in item else item["publicKey"], dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))

    with pytest.raises(TrustRootError, match="when none of the trusted root"):
        verified(inst, pair, root=changed(inst, change))


@pytest.mark.parametrize("kind", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_root_that_does_not_say_from_when_on_is_refused(inst: Instance, pair: Pair, kind: str) -> None:
    """As sigstore-conformance has it: a bound that is missing is not taken for none."""

    def change(root: dict[str, Any]) -> None:
        for item in root[kind]:
            (item if "validFor" in item else item["publicKey"]).pop("validFor")

    with pytest.raises(TrustRootError, match="when none of the trusted root"):
        verified(inst, pair, root=changed(inst, change))


def test_a_root_whose_time_came_to_its_end_later_still_counts(inst: Instance, pair: Pair) -> None:
    """A kit does not get worse because a log was replaced after it had been signed."""

    def change(root: dict[str, Any]) -> None:
        for item in root["tlogs"]:
            over(item["publicKey"], dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))

    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=3652)
    assert verified(inst, pair, root=changed(inst, change), now=later).identity == instance.IDENTITY


@pytest.mark.parametrize(
    "root",
    [b"", b"{}", b"[]", b"null", b'{"tlogs":[{}],"ctlogs":[{}],"certificateAuthorities":[{}]}'],
    ids=["empty", "object", "list", "null", "hollow"],
)
def test_a_root_that_is_none_is_refused(inst: Instance, pair: Pair, root: bytes) -> None:
    with pytest.raises(TrustRootError):
        verified(inst, pair, root=root)


def test_the_root_of_another_instance_is_refused(inst: Instance, pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(TrustRootError):
        verified(inst, pair, root=root_of(instance.load(tmp_path / "other")))


def test_a_clock_that_is_behind_refuses_and_one_that_is_ahead_changes_nothing(inst: Instance, pair: Pair) -> None:
    now = dt.datetime.now(dt.UTC)
    with pytest.raises(TrustRootError, match="this host's clock says"):
        verified(inst, pair, now=now - dt.timedelta(days=3652))
    for wrong in (dt.timedelta(minutes=-5), dt.timedelta(days=3652)):
        assert verified(inst, pair, now=now + wrong).identity == instance.IDENTITY


def test_the_root_is_the_file_that_the_policy_names_and_no_other(inst: Instance, tmp_path: Path) -> None:
    root = root_of(inst)
    named = replace(policy(root=root), path=tmp_path / "trust-policy.toml")
    file = tmp_path / "trusted_root.json"

    with pytest.raises(TrustRootError, match="names no trusted root"):
        identity.read_root(policy(root=root))
    with pytest.raises(TrustRootError, match="cannot be read"):
        identity.read_root(named)
    file.write_bytes(root)
    assert identity.read_root(named) == root
    file.write_bytes(root + b" ")
    with pytest.raises(TrustRootError, match="the policy says"):
        identity.read_root(named)


class PanicError(BaseException):
    """As a panic in Rust comes out: no Exception."""


@pytest.mark.parametrize("way_out", [SystemExit(0), PanicError("panic"), MemoryError(), RecursionError(), OSError("a socket")])
def test_whatever_comes_out_of_the_library_is_a_refusal(
    inst: Instance, pair: Pair, monkeypatch: pytest.MonkeyPatch, way_out: BaseException
) -> None:
    def leave(*_: object, **__: object) -> None:
        raise way_out

    monkeypatch.setattr("sigstore.verify.Verifier.verify_dsse", leave)
    with pytest.raises(TrustRootError, match="does not verify"):
        verified(inst, pair)


def test_a_library_that_does_not_ask_whose_certificate_it_is_gets_nobody_accepted(
    inst: Instance, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigstore.verify.Verifier.verify_artifact", lambda *_: None)

    with pytest.raises(TrustRootError, match="nobody asked"):
        verified(inst, pair)


def test_only_a_key_on_p_256_is_called_by_the_name_that_a_policy_may_allow() -> None:
    keys = [ec.generate_private_key(curve).public_key() for curve in (ec.SECP256R1(), ec.SECP384R1())]
    named = [identity.algorithm_of(key) for key in (*keys, ed25519.Ed25519PrivateKey.generate().public_key())]

    assert named[0] == "ecdsa-p256-sha256"
    assert not {*named[1:]} & {*ALGORITHMS.values()}

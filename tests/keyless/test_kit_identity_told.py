"""lnm_runner/kit/identity.py: each sentence in which it refuses, and what it makes of a trusted root, of times and of sizes."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from lnm_runner.errors import RunnerError, SignatureError, TrustRootError
from lnm_runner.kit import identity
from lnm_runner.kit.identity import BUNDLES, MANIFEST, SUMS, Matching, UnavailableError
from lnm_runner.kit.judgement import FUTURE, Identity
from lnm_runner.kit.policy import Signer

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests.keyless import bundle_lies
from tests.keyless.signing import signer, statement_bundle
from tests.runner.policies import BUILDER, identified, made

Pair = tuple[dict[str, bytes], dict[str, bytes]]
"""What is signed, and the bundles, each by name."""
WORKFLOW = identified(instance.IDENTITY, instance.ISSUER)
OTHER = identified("other@lnm-dev.invalid", instance.ISSUER).replace("Release", "Other")
SUSPECT = "do not use this kit; tell the publisher"
NOON = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(scope="module")
def inst(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return instance.load(tmp_path_factory.mktemp("instance") / "state")


@pytest.fixture(scope="module")
def pair(inst: Instance) -> Pair:
    sums, sums_bundle, manifest, manifest_bundle = bundle_lies.good_pair(inst)
    return {SUMS: sums, MANIFEST: manifest}, {BUNDLES[SUMS]: sums_bundle, BUNDLES[MANIFEST]: manifest_bundle}


def told(kind: type[RunnerError], function: Callable[..., object], *arguments: Any) -> tuple[str, str]:
    """Message and hint of the error of that class, no other."""
    with pytest.raises(RunnerError) as caught:
        function(*arguments)
    assert type(caught.value) is kind
    return caught.value.message, caught.value.hint


def verify(inst: Instance, pair: Pair, *signers: str) -> Identity:
    table = f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{'0' * 64}'\n"
    root = json.dumps(inst.trusted_root()).encode()
    return identity.verify(*pair, made(BUILDER, *signers, table), root, dt.datetime.now(dt.UTC))


def test_without_sigstore_that_is_told(inst: Instance, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "sigstore" else find(name, *more))

    assert told(UnavailableError, verify, inst, pair, WORKFLOW) == (
        "identity signature: not checked: sigstore is not installed beside lnm",
        "install lnm-runner[keyless] from the wheelhouse of a kit, runner/README.md says how; the image has no sigstore",
    )


def test_what_sigstore_logs_is_not_printed(inst: Instance, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("sigstore")
    monkeypatch.setattr(logger, "handlers", [])

    verify(inst, pair, WORKFLOW)

    assert [type(one) for one in logger.handlers] == [logging.NullHandler]


def test_two_identities_and_another_one_are_told(inst: Instance, pair: Pair) -> None:
    signed, bundles = pair
    with signer(inst, "other@lnm-dev.invalid") as ready:
        theirs = {**bundles, BUNDLES[MANIFEST]: statement_bundle(ready, signed[MANIFEST])}

    assert told(SignatureError, verify, inst, (signed, theirs), WORKFLOW, OTHER) == (
        (
            f"SHA256SUMS.keyless.sigstore.json is signed by {instance.IDENTITY}, "
            "manifest.keyless.sigstore.json by other@lnm-dev.invalid; wanted one identity"
        ),
        SUSPECT,
    )
    third = identified("third@lnm-dev.invalid", "https://c.example").replace("Release", "Third")
    assert told(SignatureError, verify, inst, pair, OTHER, third) == (
        (
            f'SHA256SUMS.keyless.sigstore.json: signed by "{instance.IDENTITY}"; '
            f"the policy names other@lnm-dev.invalid of {instance.ISSUER}, third@lnm-dev.invalid of https://c.example"
        ),
        SUSPECT,
    )


def test_the_words_of_a_library_are_told_on_one_line_and_cut() -> None:
    err = ValueError("é\nx" + "y" * 300)

    found = identity.refused(MANIFEST, Matching(()), err)

    begin = "ValueError: \\xe9\\nx"
    cut = begin + "y" * (200 - len(begin))
    line = f"manifest.keyless.sigstore.json: its identity signature does not verify: {cut}"
    assert (type(found), found.message, found.hint) == (TrustRootError, line, SUSPECT)


def test_an_interrupt_is_one(inst: Instance, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sigstore.verify.Verifier.verify_artifact", leave)
    with pytest.raises(KeyboardInterrupt):
        verify(inst, pair, WORKFLOW)


def test_another_payload_is_told(inst: Instance, pair: Pair) -> None:
    signed, bundles = pair

    found = told(TrustRootError, verify, inst, ({**signed, MANIFEST: b"{}"}, bundles), WORKFLOW)

    line = "its identity signature does not verify: ValueError: its payload is not manifest.json"
    assert found == (f"manifest.keyless.sigstore.json: {line}", SUSPECT)


def unseen(envelope: str, algorithm: str | None) -> dict[str, Any]:
    """What is looked at beside what sigstore verifies."""
    proof = {"treeSize": "7", "rootHash": "r", "checkpoint": {"envelope": envelope}}
    message = {} if algorithm is None else {"messageSignature": {"messageDigest": {"algorithm": algorithm}}}
    return {"verificationMaterial": {"tlogEntries": [{"inclusionProof": proof}]}, **message}


@pytest.mark.parametrize(
    ("bundle", "why"),
    [
        (unseen("log\n8\nr\n", None), "the checkpoint is of another tree than the inclusion proof"),
        (unseen("log\n7\ns\n", None), "the checkpoint is of another tree than the inclusion proof"),
        (unseen("log\n7\nr\n", "SHA2_512"), "its digest is not by SHA-256"),
        (unseen("log\n7\nr\n", "SHA2_256"), ""),
        (unseen("log\n7\nr\nmore\n", None), ""),
    ],
)
def test_what_sigstore_does_not_look_at_is_told(bundle: dict[str, Any], why: str) -> None:
    if not why:
        identity.check_unseen(bundle)
        return
    with pytest.raises(ValueError, match=f"^{why}$"):
        identity.check_unseen(bundle)


def test_a_log_entry_from_the_future_is_told() -> None:
    limit = NOON + FUTURE
    identity.check_past(SUMS, limit, NOON)

    assert told(TrustRootError, identity.check_past, SUMS, limit + SECOND, NOON) == (
        "SHA256SUMS.keyless.sigstore.json: signed 2026-09-02T12:00:01Z, and this host's clock says 2026-09-01T12:00:00Z",
        "set the clock of this host; if it is right, do not use this kit",
    )


def test_the_time_of_a_log_entry_is_that_of_the_log() -> None:
    bundle = {"verificationMaterial": {"tlogEntries": [{"integratedTime": "1788264000"}]}}

    assert identity.integrated_at(json.dumps(bundle).encode()) == NOON


DAY = {"start": "2026-09-01T12:00:00Z", "end": "2026-09-01T12:00:01Z"}


@pytest.mark.parametrize(
    ("item", "at", "is_valid"),
    [
        ({"validFor": DAY}, NOON, True),
        ({"validFor": DAY}, NOON - SECOND, False),
        ({"validFor": DAY}, NOON + SECOND, True),
        ({"validFor": DAY}, NOON + 2 * SECOND, False),
        ({"publicKey": {"validFor": DAY}}, NOON, True),
        ({"publicKey": {"validFor": DAY}}, NOON - SECOND, False),
        ({"validFor": {"start": DAY["start"]}}, NOON + dt.timedelta(days=9999), True),
        ({"validFor": {"end": DAY["end"]}}, NOON, False),
        ({"publicKey": {}}, NOON, False),
        ({}, NOON, False),
    ],
)
def test_both_bounds_of_an_authority_belong_to_its_time(item: dict[str, Any], at: dt.datetime, *, is_valid: bool) -> None:
    assert identity.is_valid(item, at) is is_valid


def test_of_a_trusted_root_only_what_was_valid_is_left() -> None:
    valid, over = {"validFor": DAY}, {"validFor": {**DAY, "end": DAY["start"]}}
    whole = {"mediaType": "m", "tlogs": [over, valid], "ctlogs": [valid, over], "certificateAuthorities": [valid]}

    left = json.loads(identity.root_at(SUMS, json.dumps(whole).encode(), NOON + SECOND))

    assert left == {**whole, "tlogs": [valid], "ctlogs": [valid], "timestampAuthorities": []}
    for kind in ("tlogs", "ctlogs", "certificateAuthorities"):
        less = json.dumps({**whole, kind: [over]}).encode()
        assert told(TrustRootError, identity.root_at, MANIFEST, less, NOON + SECOND) == (
            f"manifest.keyless.sigstore.json: signed 2026-09-01T12:00:01Z, when none of the trusted root's {kind} was valid",
            "fetch the present trusted root from the publisher, and let the policy name it",
        )
        gone = json.dumps({name: value for name, value in whole.items() if name != kind}).encode()
        assert told(TrustRootError, identity.root_at, MANIFEST, gone, NOON)[0].endswith(f"the trusted root's {kind} was valid")


def test_a_trusted_root_has_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "LARGEST_ROOT", 10)

    def read(size: int) -> bytes:
        root = b"r" * size
        (tmp_path / "trusted_root.json").write_bytes(root)
        table = f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{hashlib.sha256(root).hexdigest()}'\n"
        return identity.read_root(replace(made(BUILDER, WORKFLOW, table), path=tmp_path / "trust-policy.toml"))

    assert read(10) == b"r" * 10
    assert told(TrustRootError, read, 12)[0].startswith(f"{tmp_path / 'trusted_root.json'}: sha256 is ")


def test_another_kind_of_key_goes_by_its_own_name() -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()

    assert identity.algorithm_of(key) == type(key).__name__


def test_nobody_is_found_twice_for_one_certificate(inst: Instance, pair: Pair) -> None:
    """Two signers with one identity a policy cannot have; were it so, nobody would know who it was."""
    both = tuple(Signer(name, "security", identity=instance.IDENTITY, issuer=instance.ISSUER) for name in "ab")
    signed, bundles = pair
    bounds = identity.Bounds(both, json.dumps(inst.trusted_root()).encode(), dt.datetime.now(dt.UTC))

    found = told(TrustRootError, identity.verify_one, SUMS, signed[SUMS], bundles[BUNDLES[SUMS]], bounds)

    assert found[0].endswith(": nobody asked whose certificate it is")

"""Each reason for which a policy refuses a kit, word for word, with its hint and its facts; one real report, judged by many policies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lnm_runner.errors import RunnerError
from lnm_runner.kit import Trust, judgement, open_kit, verify
from lnm_runner.kit.core import Report
from lnm_runner.kit.judgement import Identity
from lnm_runner.kit.policy import Policy, read

from tests.faults import forge
from tests.faults.keys import EDDY, MAIN, STRANGER
from tests.runner.policies import BUILDER, REHEARSAL, SECURITY, STORAGE, identified, made, signer, written

MADE = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
"""When the forge's kits are made."""
DAY = dt.timedelta(days=1)
ASK = "do not use this kit; ask the publisher for one that is signed as the policy demands"
ROOT_TABLE = f"[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '{'0' * 64}'\n"

Told = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What is reported of a kit that the build service and the storage team have signed."""
    place = tmp_path_factory.mktemp("kit")
    keys = []
    for key in (MAIN, EDDY):
        keys.append(place / f"{key.fingerprint}.pub")
        keys[-1].write_bytes(key.pem)
    return verify(forge.kit(MAIN, EDDY).write_folder(place), Trust(None, tuple(keys))).report


def told(errors: Iterable[RunnerError]) -> Told:
    return [(err.message, err.hint, dict(err.facts)) for err in errors]


def test_a_policy_past_its_last_day_is_told() -> None:
    assert told(judgement.policy_expired(made(BUILDER, expires=dt.date(2026, 8, 31)), MADE)) == [
        (
            "the policy was to be followed until 2026-08-31, and this host's clock says 2026-09-01T00:00:00Z",
            "get the next policy from its owners, then lnm trust rotate; if the clock is wrong, set it",
            {"rule": "expires", "found": "2026-08-31"},
        )
    ]
    assert told(judgement.policy_expired(made(BUILDER, expires=dt.date(2026, 9, 1)), MADE + DAY / 2)) == []


@pytest.mark.parametrize(
    ("period", "why"),
    [
        ("valid-from = 2026-09-02\n", "is trusted from 2026-09-02, and the kit was made 2026-09-01T00:00:00Z"),
        ("valid-until = 2026-08-31\n", "was trusted until 2026-08-31, and this host's clock says 2026-09-01T00:00:00Z"),
        ("valid-from = 2026-09-01\n", ""),
        ("valid-until = 2026-09-01\n", ""),
    ],
)
def test_a_signer_out_of_his_time_is_told(report: Report, period: str, why: str) -> None:
    found = told(judgement.signers_out_of_time(made(BUILDER, STORAGE + period), report, [], MADE))

    facts = {"rule": "validity", "signer": "Storage team"}
    assert found == ([(f"Storage team, who signed it, {why}", ASK, facts)] if why else [])


def test_every_signer_out_of_his_time_is_told_by_his_key_or_his_identity(report: Report) -> None:
    late = "valid-until = 2026-08-31\n"
    workflow = identified("me", "https://a.example")
    policy = made(BUILDER + late, SECURITY + late, STORAGE + late, workflow + late, ROOT_TABLE)

    def names(*identities: Identity) -> list[str]:
        return [err.facts["signer"] for err in judgement.signers_out_of_time(policy, report, identities, MADE)]

    assert names() == ["Build service", "Storage team"]
    assert names(Identity("me", "https://a.example", "x")) == ["Build service", "Storage team", "Release workflow"]
    assert names(Identity("me", "https://b.example", "x")) == ["Build service", "Storage team"]


def test_who_signed_without_being_a_builder_is_told(report: Report) -> None:
    def refusal(what: str, who: str) -> tuple[str, str, dict[str, Any]]:
        line = f"{what} is signed by sha256:{MAIN.fingerprint}, {who}; the policy wants a builder"
        return line, ASK, {"rule": "role", "fingerprint": MAIN.fingerprint}

    stranger = "whom the policy does not name"
    other = "Build service, whose role is security"
    for policy, who in (
        (made(signer(STRANGER, "builder")), stranger),
        (made(signer(STRANGER, "builder"), signer(MAIN, "security")), other),
    ):
        both = [refusal("SHA256SUMS", who), refusal("a statement below attestations/", who)]
        assert told(judgement.roles_missed(policy, report)) == both
    assert told(judgement.roles_missed(made(BUILDER), report)) == []


def test_signers_that_are_missing_are_told(report: Report) -> None:
    def refusals(policy: Policy) -> Told:
        return told(judgement.threshold_missed(policy, report, []))

    three = made(BUILDER, SECURITY, STORAGE, threshold={"signatures": 3})
    facts = {"rule": "threshold", "role": None, "wanted": 3, "found": 2}
    there = "signed by Build service (builder), Storage team (storage)"
    assert refusals(three) == [(f"the policy wants 3 signers, the kit has 2: {there}", ASK, facts)]
    nobody = made(signer(STRANGER, "builder"), threshold={"signatures": 1})
    assert refusals(nobody) == [
        ("the policy wants 1 signers, the kit has 0: signed by nobody who counts", ASK, facts | {"wanted": 1, "found": 0})
    ]
    role = made(BUILDER, SECURITY, threshold={"signatures": 1, "security": 1})
    facts = {"rule": "threshold", "role": "security", "wanted": 1, "found": 0}
    line = "the policy wants 1 signers whose role is security, the kit has 0: signed by Build service (builder)"
    assert refusals(role) == [(line, ASK, facts)]


def test_an_algorithm_is_told_by_the_name_that_a_policy_has_for_it_or_by_its_own(report: Report) -> None:
    signers: list[Any] = [*report.signers]
    odd: Any = replace(signers[0], algorithm=SimpleNamespace(name="RSA"))
    of_three: Any = SimpleNamespace(signers=[odd, *signers[1:]], attesters=[])
    both, one = made(BUILDER), made(BUILDER, algorithms=["ed25519"])

    refused = [(f"sha256:{MAIN.fingerprint} signed by RSA; the policy allows ecdsa-p256-sha256, ed25519", "RSA")]
    assert told(judgement.algorithms_refused(both, of_three, [])) == [
        (line, ASK, {"rule": "algorithm", "found": name}) for line, name in refused
    ]
    identity = Identity("me", "https://a.example", "ecdsa-p256-sha256")
    assert told(judgement.algorithms_refused(one, report, [identity])) == [
        (
            f"{who} signed by ecdsa-p256-sha256; the policy allows ed25519",
            ASK,
            {"rule": "algorithm", "found": "ecdsa-p256-sha256"},
        )
        for who in (f"sha256:{MAIN.fingerprint}", "me")
    ]


def changed(report: Any, **members: str) -> Any:
    """The report of a kit whose manifest says otherwise."""
    return replace(report, manifest=replace(report.manifest, **members))


def test_the_channel_and_the_kind_of_a_kit_are_told(report: Report) -> None:
    kit = changed(report, trust="dev", channel="edge")

    assert told(judgement.kinds_refused(made(BUILDER, channels=["stable", "airgap"]), kit)) == [
        (
            "the kit's channel is edge; the policy allows airgap, stable",
            "fetch a kit of an allowed channel",
            {"rule": "channel", "found": "edge"},
        ),
        (
            "the kit's trust is dev: a development key signed it; the policy is no development policy",
            "fetch a kit that the publisher released",
            {"rule": "trust", "found": "dev"},
        ),
    ]
    assert told(judgement.kinds_refused(made(BUILDER, development=True), kit)) == []


def test_another_builder_and_source_are_told(report: Report) -> None:
    policy = made(BUILDER, '[provenance]\nbuilders = ["urn:b", "urn:a"]\nclean-source = true\n')
    built = forge.provenance()["runDetails"]["builder"]["id"]

    assert told(judgement.provenance_refused(policy, changed(report, state="dirty"))) == [
        (
            f'the provenance names the builder "{built}"; the policy allows urn:a, urn:b',
            ASK,
            {"rule": "builder", "found": built},
        ),
        (
            "the kit's source is dirty; the policy wants a clean commit",
            "fetch a kit that the publisher built from a commit",
            {"rule": "source", "found": "dirty"},
        ),
    ]
    right = made(BUILDER, f'[provenance]\nbuilders = ["{built}"]\nclean-source = true\n')
    assert told(judgement.provenance_refused(right, changed(report, state="clean"))) == []


def test_the_times_of_a_kit_are_told(report: Report) -> None:
    def refusals(policy: Policy, now: dt.datetime) -> Told:
        return told(judgement.times_refused(policy, report, now))

    old = {"rule": "minimum-version", "found": "2026.9.1", "wanted": "2026.10.0"}
    line = "the kit's version is 2026.9.1; the policy wants 2026.10.0 or newer"
    assert refusals(made(BUILDER, minimum_version="2026.10.0"), MADE) == [(line, "fetch a newer kit", old)]
    made_at = "the kit was made 2026-09-01T00:00:00Z, and this host's clock says"
    age = {"rule": "age", "createdAt": "2026-09-01T00:00:00Z"}
    assert refusals(made(BUILDER), MADE - 2 * DAY) == [
        (f"{made_at} 2026-08-30T00:00:00Z", "set the clock of this host", age | {"now": "2026-08-30T00:00:00Z"})
    ]
    assert refusals(made(BUILDER, kit_max_age_days=1), MADE + 2 * DAY) == [
        (
            f"{made_at} 2026-09-03T00:00:00Z; the policy allows 1 days",
            "fetch a newer kit; if the clock is wrong, set it",
            age | {"now": "2026-09-03T00:00:00Z"},
        )
    ]


def test_thirty_days_before_the_end_that_is_said_and_not_before(report: Report) -> None:
    def said(policy: Policy, now: dt.datetime) -> list[str]:
        return list(judgement.warnings(policy, report, now))

    policy = made(BUILDER, kit_max_age_days=0, expires=dt.date(2026, 10, 1))
    assert said(policy, MADE) == []
    assert said(policy, MADE + DAY) == ["the policy is to be followed until 2026-10-01; ask its owners for the next one"]
    kit = made(BUILDER, kit_max_age_days=31)
    assert said(kit, MADE + DAY) == []
    assert said(kit, MADE + DAY * 1.5) == ["in 29 days this kit is older than the 31 days that the policy allows"]


def test_every_warning_of_an_opened_kit_is_told(tmp_path: Path) -> None:
    kit = forge.kit(MAIN).state_with(lambda statement: statement["predicate"].update(trust="dev"))
    policy = read(written(tmp_path, BUILDER, REHEARSAL, development=True, kit_max_age_days=0))
    (tmp_path / "eddy.pub").write_bytes(EDDY.pem)

    opened = open_kit(kit.write_folder(tmp_path), Trust(policy, (tmp_path / "eddy.pub",)))

    assert opened.warning == (
        "a development key signed this kit: it is for trying out, not for production; "
        f"key sha256:{EDDY.fingerprint}: given, but the policy does not name it; not trusted"
    )
    assert opened.verified.as_json()["identity"] is None

"""What a policy demands of a kit: who signed it, by what, what it is and when it was made. The kits are real ones, small, and signed."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path

import pytest
from lnm_runner.errors import InputError, RunnerError, SignatureError, TrustRootError, VersionError
from lnm_runner.kit import core, judgement, verification
from lnm_runner.kit.policy import Policy
from lnm_runner.kit.verification import Trust, Verified

from tests.faults import forge
from tests.faults.keys import EDDY, EDDY_SECOND, MAIN, SECOND, STRANGER, Key
from tests.runner.policies import BUILDER, REHEARSAL, SECURITY, STORAGE, made, signer

MADE = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
"""When the forge's kits are made."""
DAY = dt.timedelta(days=1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def seen(kit: forge.Kit, place: Path, policy: Policy | None, now: dt.datetime = MADE, keys: tuple[Path, ...] = ()) -> Verified:
    """The verdict on a kit as a folder, at a time."""
    return seen_at(kit.write_folder(place), policy, now, keys)


def seen_at(path: Path, policy: Policy | None, now: dt.datetime, keys: tuple[Path, ...] = ()) -> Verified:
    trusted, notes = verification.trusted_keys(Trust(policy, keys))
    verifier = core.verifier()
    try:
        report = verifier.verify(path, trusted)
    except verifier.Refused as refused:
        raise core.refused(refused) from refused
    return verification.judged(policy, report, notes, now)


def refusals(kit: forge.Kit, place: Path, policy: Policy, now: dt.datetime = MADE) -> list[str]:
    """The rules by which it is refused, or the kind of the core's failure."""
    with pytest.raises(RunnerError) as caught:
        seen(kit, place, policy, now)
    found = [caught.value, *caught.value.others]
    assert all(err.hint for err in found)
    assert len({err.exit_code for err in found if isinstance(err, VersionError)}) <= 1
    return [str(err.facts.get("rule") or err.facts["failure"]["kind"]) for err in found]


def key_file(place: Path, key: Key) -> Path:
    path = place / f"{key.fingerprint[:8]}.pub"
    path.write_bytes(key.pem)
    return path


def test_a_kit_that_is_signed_as_the_policy_demands_is_accepted(place: Path) -> None:
    policy = made(BUILDER, SECURITY, STORAGE, threshold={"signatures": 3, "builder": 1, "security": 1, "storage": 1})

    verdict = seen(forge.kit(MAIN, SECOND, EDDY), place, policy)

    assert [one.name for one in verdict.counted()] == ["Build service", "Security team", "Storage team"]
    assert "signed by Build service (builder), Security team (security), Storage team (storage)" in verdict.lines()[-2]
    assert verdict.lines()[-1].startswith("verified: ")


def test_two_of_three_are_enough_where_the_policy_wants_two(place: Path) -> None:
    policy = made(BUILDER, SECURITY, STORAGE, threshold={"signatures": 2})

    assert len(seen(forge.kit(MAIN, EDDY), place, policy).counted()) == 2


def test_one_signer_too_few_is_refused(place: Path) -> None:
    policy = made(BUILDER, SECURITY, threshold={"signatures": 2})

    assert refusals(forge.kit(MAIN), place, policy) == ["threshold"]


def test_a_role_that_nobody_fills_is_refused_although_enough_signed(place: Path) -> None:
    policy = made(BUILDER, SECURITY, STORAGE, threshold={"signatures": 2, "security": 1})

    assert refusals(forge.kit(MAIN, EDDY), place, policy) == ["threshold"]


def test_a_signer_counts_once_however_often_it_signed(place: Path) -> None:
    """The same manifest signed twice by one key, the second time under the file name of another."""
    policy = made(BUILDER, SECURITY, threshold={"signatures": 2})
    kit = forge.kit(MAIN)
    again = forge.line(forge.dsse(MAIN, kit.files[forge.MANIFEST]))
    for number, name in enumerate((forge.cosigned_name(MAIN), forge.cosigned_name(SECOND))):
        folder = place / str(number)
        folder.mkdir()
        copy = forge.kit(MAIN)
        copy.files[name] = again
        assert refusals(copy, folder, policy) == ["statement"]


def test_whoever_rehearses_does_not_count(place: Path) -> None:
    policy = made(BUILDER, SECURITY, REHEARSAL, threshold={"signatures": 2})

    assert refusals(forge.kit(MAIN, STRANGER), place, policy) == ["threshold"]


@pytest.mark.parametrize("role", ["security", "storage", "rehearsal"])
def test_the_list_must_be_signed_by_a_builder(place: Path, role: str) -> None:
    policy = made(BUILDER, signer(SECOND, role), threshold={"signatures": 1})

    assert refusals(forge.kit(SECOND, MAIN), place, policy)[0] == "role"


@pytest.mark.parametrize("name", [forge.PROVENANCE, forge.SPDX])
def test_a_statement_must_be_signed_by_a_builder(place: Path, name: str) -> None:
    policy = made(BUILDER, SECURITY)
    kit = forge.kit(MAIN)
    x = kit.files[forge.SBOM].removesuffix(b"\n") if name == forge.SPDX else forge.canonical(forge.provenance())
    kit.files[name] = forge.line(forge.dsse(SECOND, kit.statement(name, x)))
    kit.relist()

    assert seen(kit, place, None, keys=(key_file(place, MAIN), key_file(place, SECOND))).policy is None
    with pytest.raises(SignatureError, match=r"a statement below attestations/ is signed by .*Security team"):
        seen_at(place / "kit", policy, MADE)


def test_two_builders_may_share_the_work(place: Path) -> None:
    policy = made(BUILDER, signer(SECOND, "builder"))
    kit = forge.kit(MAIN)
    kit.files[forge.PROVENANCE] = forge.line(
        forge.dsse(SECOND, kit.statement(forge.PROVENANCE, forge.canonical(forge.provenance())))
    )

    assert [key.fingerprint for key in seen(kit.relist(), place, policy).report.attesters] == [
        MAIN.fingerprint,
        SECOND.fingerprint,
    ]


@pytest.mark.parametrize(("key", "allowed"), [(EDDY, "ecdsa-p256-sha256"), (MAIN, "ed25519")])
def test_an_algorithm_that_the_policy_does_not_allow_is_refused(place: Path, key: Key, allowed: str) -> None:
    policy = made(signer(key, "builder"), algorithms=[allowed])

    assert refusals(forge.kit(key), place, policy) == ["algorithm"]


def test_the_algorithm_of_every_signer_counts_not_only_of_the_first(place: Path) -> None:
    policy = made(BUILDER, STORAGE, algorithms=["ecdsa-p256-sha256"])

    assert refusals(forge.kit(MAIN, EDDY), place, policy) == ["algorithm"]


def test_a_channel_that_the_policy_does_not_allow_is_refused(place: Path) -> None:
    assert refusals(forge.kit(MAIN), place, made(BUILDER, channels=["airgap", "stable"])) == ["channel"]


def test_only_a_development_policy_takes_a_development_kit(place: Path) -> None:
    kit = forge.kit(MAIN).state_with(lambda statement: statement["predicate"].update(trust="dev"))

    assert refusals(kit, place, made(BUILDER)) == ["trust"]
    assert seen_at(place / "kit", made(BUILDER, development=True), MADE).report.manifest.trust == "dev"


@pytest.mark.parametrize("minimum", ["2026.9.2", "2026.10.0", "2027.1.0"])
def test_a_version_below_the_least_is_refused(place: Path, minimum: str) -> None:
    """The kit is 2026.9.1; versions are compared as numbers."""
    assert refusals(forge.kit(MAIN), place, made(BUILDER, minimum_version=minimum)) == ["minimum-version"]


def test_the_least_version_itself_is_enough(place: Path) -> None:
    assert seen(forge.kit(MAIN), place, made(BUILDER, minimum_version="2026.9.1")).policy is not None


def test_every_reason_is_told_and_a_signature_decides_the_exit_code(place: Path) -> None:
    policy = made(
        signer(EDDY, "security"), BUILDER, channels=["stable"], algorithms=["ecdsa-p256-sha256"], minimum_version="2027.1.0"
    )

    with pytest.raises(SignatureError) as caught:
        seen(forge.kit(EDDY), place, policy, MADE + 500 * DAY)

    rules = [err.facts["rule"] for err in (caught.value, *caught.value.others)]
    assert rules == ["role", "role", "algorithm", "channel", "minimum-version", "age"]


@pytest.mark.parametrize(
    ("clock", "is_refused"),
    [
        (dt.timedelta(days=-3652), True),
        (dt.timedelta(days=3652), True),
        (dt.timedelta(minutes=-5), False),
        (-DAY, False),
        (-DAY - dt.timedelta(seconds=1), True),
        (400 * DAY, False),
        (400 * DAY + dt.timedelta(seconds=1), True),
    ],
    ids=["ten_years_early", "ten_years_late", "five_minutes_early", "a_day_early", "more_than_a_day_early", "last", "too_late"],
)
def test_a_wrong_clock_can_refuse_a_kit(place: Path, clock: dt.timedelta, *, is_refused: bool) -> None:
    """T3, T5."""
    if is_refused:
        assert refusals(forge.kit(MAIN), place, made(BUILDER), MADE + clock) == ["age"]
    else:
        assert seen(forge.kit(MAIN), place, made(BUILDER), MADE + clock).policy is not None


@pytest.mark.parametrize("clock", [dt.timedelta(days=-3652), dt.timedelta(days=3652), dt.timedelta(minutes=-5), dt.timedelta()])
def test_no_clock_gets_a_kit_accepted_that_is_refused_for_anything_else(place: Path, clock: dt.timedelta) -> None:
    policy = made(BUILDER, SECURITY, threshold={"signatures": 2}, channels=["stable"], minimum_version="2027.1.0")

    assert {"threshold", "channel", "minimum-version"} <= set(refusals(forge.kit(MAIN), place, policy, MADE + clock))


def test_without_a_limit_only_a_kit_from_the_future_is_refused(place: Path) -> None:
    policy = made(BUILDER, kit_max_age_days=0)

    assert refusals(forge.kit(MAIN), place, policy, MADE - 2 * DAY) == ["age"]
    assert seen_at(place / "kit", policy, MADE + 10_000 * DAY).notes == ()


def test_before_a_kit_gets_too_old_that_is_said(place: Path) -> None:
    assert seen(forge.kit(MAIN), place, made(BUILDER), MADE + 369 * DAY).notes == ()
    (told,) = seen_at(place / "kit", made(BUILDER), MADE + 380 * DAY).notes
    assert told.startswith("in 20 days this kit is older than the 400 days")


def test_a_key_that_the_policy_does_not_name_adds_no_trust(place: Path) -> None:
    """C8, C9: it signed, it was given, and it does not count."""
    policy = made(BUILDER)
    strangers = (key_file(place, STRANGER),)
    stranger = forge.kit(STRANGER)

    assert seen(stranger, place, None, keys=strangers).policy is None
    with pytest.raises(SignatureError, match="was not given"):
        seen_at(place / "kit", policy, MADE, strangers)


def test_a_key_that_the_policy_does_not_name_is_told(place: Path) -> None:
    (told,) = seen(forge.kit(MAIN), place, made(BUILDER), keys=(key_file(place, STRANGER),)).notes

    assert STRANGER.fingerprint in told


def test_a_key_that_the_policy_names_may_be_lent(place: Path) -> None:
    policy = made(signer(MAIN, "builder", lends=True), signer(SECOND, "security", lends=True), threshold={"signatures": 2})
    kit = forge.kit(MAIN, SECOND)

    assert len(seen(kit, place, policy, keys=(key_file(place, MAIN), key_file(place, SECOND))).counted()) == 2
    with pytest.raises(SignatureError, match="was not given"):
        seen_at(place / "kit", policy, MADE, (key_file(place, MAIN),))
    with pytest.raises(InputError, match="brings no public key"):
        seen_at(place / "kit", policy, MADE)


@pytest.mark.parametrize("stripped", [forge.cosigned_name(SECOND), forge.MANIFEST_DSSE, forge.SIG, forge.SUMS_BUNDLE])
def test_a_kit_from_which_a_signature_was_stripped_is_refused(place: Path, stripped: str) -> None:
    """C8: without the second signature it is a whole kit, and still not what the policy wants."""
    policy = made(BUILDER, SECURITY, threshold={"signatures": 2, "security": 1})
    kit = forge.kit(MAIN, SECOND)
    del kit.files[stripped]

    found = refusals(kit, place, policy)

    assert set(found) == ({"threshold"} if stripped == forge.cosigned_name(SECOND) else {"envelope"})


def test_a_further_signature_by_a_stranger_is_refused(place: Path) -> None:
    assert refusals(forge.kit(MAIN, EDDY_SECOND), place, made(BUILDER)) == ["statement"]


def test_nobody_counts_by_an_identity_of_another_issuer(place: Path) -> None:
    named = '[[signer]]\nname = "Workflow"\nrole = "security"\nidentity = "me"\nissuer = "https://a.example"\n'
    root = f"[trusted-root]\nfile = 'root.json'\nsha256 = '{'0' * 64}'\n"
    policy = made(BUILDER, named, root)
    report = seen(forge.kit(MAIN), place, None, keys=(key_file(place, MAIN),)).report

    right = judgement.Identity("me", "https://a.example", "ecdsa-p256-sha256")
    wrong = judgement.Identity("me", "https://b.example", "ecdsa-p256-sha256")

    assert [one.name for one in judgement.counted(policy, report, [right, right])] == ["Build service", "Workflow"]
    assert [one.name for one in judgement.counted(policy, report, [wrong])] == ["Build service"]


# ---- time: T4


def test_a_policy_past_its_last_day_admits_nothing_and_says_so_before(place: Path) -> None:
    policy = made(BUILDER, expires=dt.date(2026, 9, 30))
    kit = forge.kit(MAIN).write_folder(place)

    assert [line for line in seen_at(kit, policy, MADE + 29 * DAY, ()).lines() if "until 2026-09-30" in line]
    with pytest.raises(TrustRootError, match="until 2026-09-30") as caught:
        seen_at(kit, policy, MADE + 30 * DAY, ())
    assert caught.value.facts["rule"] == "expires"


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("valid-from = 2026-09-02\n", "is trusted from 2026-09-02, and the kit was made 2026-09-01"),
        ("valid-until = 2026-09-09\n", "was trusted until 2026-09-09, and this host's clock says 2026-09-10"),
        ("valid-from = 2026-09-01\nvalid-until = 2026-09-10\n", ""),
    ],
)
def test_a_signer_out_of_his_time_refuses_the_kit_although_others_are_enough(place: Path, period: str, words: str) -> None:
    policy, kit = made(BUILDER, STORAGE + period), forge.kit(MAIN, EDDY)

    if not words:
        assert len(seen(kit, place, policy, MADE + 9 * DAY).counted()) == 2
        return
    with pytest.raises(SignatureError, match=words) as caught:
        seen(kit, place, policy, MADE + 9 * DAY)
    assert caught.value.facts == {"rule": "validity", "signer": "Storage team"}


# ---- builder and source: C14

BUILDER_ID = forge.provenance()["runDetails"]["builder"]["id"]


@pytest.mark.parametrize(
    ("builder", "clean", "rules"),
    [
        (BUILDER_ID, "false", []),
        (f"{BUILDER_ID}2", "false", ["builder"]),
        (BUILDER_ID, "true", ["source"]),
        ("x", "true", ["builder", "source"]),
    ],
)
def test_another_builder_or_source_than_the_policy_wants_is_refused(
    place: Path, builder: str, clean: str, rules: list[str]
) -> None:
    """The forge's kits come from no work tree."""
    policy = made(BUILDER, f'[provenance]\nbuilders = ["{builder}"]\nclean-source = {clean}\n')

    if rules:
        assert refusals(forge.kit(MAIN), place, policy) == rules
    else:
        assert seen(forge.kit(MAIN), place, policy).counted()


@pytest.mark.parametrize("predicate", [{}, {"runDetails": []}, {"runDetails": {"builder": {"id": 7}}}])
def test_provenance_that_names_no_builder_has_none(predicate: object) -> None:
    dsse = {"payload": base64.b64encode(json.dumps({"predicate": predicate}).encode()).decode()}

    assert judgement.builder_of(json.dumps(dsse).encode()) == ""

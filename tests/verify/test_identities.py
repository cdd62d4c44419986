"""The check of identity signatures in the verify stage: sigstore-python over what the development instance signed, and over lies."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import canonical, sigstore_client
from scripts.sigstore_instance import instance
from scripts.verify import identities, statements
from scripts.verify.outcome import FAILED, OK, SKIPPED, Built, Outcome, Trusted
from tests.verify.test_stage import without_cosign

VERSION = "2026.9.1"
SUMS, MANIFEST = "SHA256SUMS", "manifest.json"
KEYLESS = ("SHA256SUMS.keyless.sigstore.json", "manifest.keyless.sigstore.json")
LISTED = b"0" * 64 + b"  README.md\n"


def manifest(trust: str) -> bytes:
    """As much of a manifest as is looked at here, as a statement that sigstore takes."""
    subject = [{"digest": {"sha256": hashlib.sha256(LISTED).hexdigest()}, "name": SUMS}]
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": statements.MANIFEST, "subject": subject}
    return canonical.render(statement | {"predicate": {"trust": trust}})


def signed(folder: Path, instance_folder: Path, trust: str) -> Path:
    """A kit's folder with the two files that identities sign, signed."""
    folder.mkdir(parents=True)
    (folder / SUMS).write_bytes(LISTED)
    (folder / MANIFEST).write_bytes(manifest(trust))
    blob, _ = sigstore_client.sign_blob(hashlib.sha256(LISTED).hexdigest(), instance_folder)
    statement, _ = sigstore_client.sign_statement(manifest(trust), instance_folder)
    (folder / KEYLESS[0]).write_bytes(blob)
    (folder / KEYLESS[1]).write_bytes(statement)
    return folder


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State of a builder, a kit of trust «dev», one of trust «keyless», and trusted roots: of the instance and of another."""
    place = tmp_path_factory.mktemp("identities")
    home = place / "state/lnm-build/sigstore"
    signed(place / "dev" / f"concelier-lnm-{VERSION}", home, "dev")
    signed(place / "keyless" / f"concelier-lnm-{VERSION}", home, "keyless")
    for name, folder in (("root.json", home), ("other.json", place / "other")):
        (place / name).write_text(json.dumps(instance.load(folder).trusted_root()), encoding="ascii")
    return place


@pytest.fixture
def place(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a lie may be told in."""
    shutil.copytree(honest, tmp_path / "place")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "place/state"))
    monkeypatch.setenv("PATH", without_cosign())
    return tmp_path / "place"


def asked(place: Path, kit: str, trusted: Trusted) -> list[Outcome]:
    return list(identities.identities(Built(place / kit, VERSION, place / "key", place, trusted)))


def looked(place: Path, kit: str, trusted: Trusted) -> list[Outcome]:
    """What sigstore-python finds."""
    return [outcome for outcome in asked(place, kit, trusted) if outcome.state != SKIPPED]


def right(place: Path) -> Trusted:
    return Trusted(place / "root.json", instance.IDENTITY, instance.ISSUER)


def states(outcomes: list[Outcome]) -> list[tuple[str, int]]:
    return [(outcome.state, outcome.exit_code) for outcome in outcomes]


def test_cosign_is_asked_where_it_is_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [outcome.words for outcome in asked(place, "dev", Trusted()) if outcome.state == SKIPPED] == 2 * [
        "cosign is not on the PATH"
    ]
    monkeypatch.undo()
    if shutil.which("cosign") is None:
        pytest.skip("cosign is not on the PATH (CI builds it: ci/tools/build.sh)")

    found = asked(place, "keyless", right(place))
    _list_changed(place / "keyless" / f"concelier-lnm-{VERSION}")
    lied = asked(place, "keyless", right(place))

    assert [outcome.words for outcome in found if "cosign" in outcome.words] == 2 * ["accepted by cosign for SHA256SUMS"]
    assert [outcome.state for outcome in lied if "cosign" in outcome.words] == [FAILED, FAILED]


@pytest.mark.parametrize("kit", ["dev", "keyless"])
def test_what_was_signed_passes_by_a_root_from_outside(place: Path, kit: str) -> None:
    shutil.rmtree(place / "state")  # nothing else is asked

    found = looked(place, kit, right(place))

    assert states(found) == [(OK, 0), (OK, 0)]
    assert all(f"by {instance.IDENTITY} of {instance.ISSUER}" in outcome.words for outcome in found)


def test_a_kit_of_development_is_held_against_the_instance_of_its_builder_who_is_told_what_that_is_worth(place: Path) -> None:
    found = looked(place, "dev", Trusted())

    assert states(found) == [(OK, 0), (OK, 0)]
    assert all("for development only" in outcome.words for outcome in found)


def test_a_kit_without_identity_says_so(place: Path) -> None:
    for name in KEYLESS:
        (place / "dev" / f"concelier-lnm-{VERSION}" / name).unlink()

    (found,) = looked(place, "dev", Trusted())

    assert (found.state, found.words) == (OK, "no identity has signed it (trust dev)")


def _without_state(place: Path) -> Trusted:
    shutil.rmtree(place / "state")
    return Trusted()


@pytest.mark.parametrize(
    ("kit", "trusted"),
    [
        ("keyless", lambda _: Trusted()),
        ("dev", _without_state),
        ("dev", lambda place: Trusted(root=place / "root.json")),
        ("dev", lambda place: Trusted(place / "root.json", instance.IDENTITY)),
        ("dev", lambda _: Trusted(None, instance.IDENTITY, instance.ISSUER)),
    ],
    ids=["trust_keyless", "no_instance", "root_alone", "no_issuer", "no_root"],
)
def test_without_anybody_to_trust_nothing_is_judged_and_nothing_passes(
    place: Path, kit: str, trusted: Callable[[Path], Trusted]
) -> None:
    found = looked(place, kit, trusted(place))

    assert states(found) == [(FAILED, 7), (FAILED, 7)]
    assert all("LNM_TRUSTED_ROOT=FILE LNM_IDENTITY=WHO LNM_ISSUER=URL" in outcome.words for outcome in found)


@pytest.mark.parametrize(
    "trusted",
    [
        lambda place: Trusted(place / "root.json", "somebody@lnm-dev.invalid", instance.ISSUER),
        lambda place: Trusted(place / "root.json", instance.IDENTITY, "https://issuer.invalid"),
        lambda place: Trusted(place / "other.json", instance.IDENTITY, instance.ISSUER),
        lambda place: Trusted(place / "none.json", instance.IDENTITY, instance.ISSUER),
        lambda place: Trusted(place / "keyless" / f"concelier-lnm-{VERSION}" / MANIFEST, instance.IDENTITY, instance.ISSUER),
    ],
    ids=["identity", "issuer", "root", "no_file", "no_root"],
)
def test_another_identity_issuer_or_root_is_refused(place: Path, trusted: Callable[[Path], Trusted]) -> None:
    assert states(looked(place, "keyless", trusted(place))) == [(FAILED, 7), (FAILED, 7)]


def _flipped(kit: Path) -> None:
    for name in KEYLESS:
        text = (kit / name).read_text(encoding="utf-8")
        start = text.index('"signedEntryTimestamp":"') + 40
        (kit / name).write_text(text[:start] + ("A" if text[start] != "A" else "B") + text[start + 1 :], encoding="utf-8")


def _list_changed(kit: Path) -> None:
    (kit / SUMS).write_bytes(LISTED.replace(b"README", b"OTHERS"))


def _manifest_changed(kit: Path) -> None:
    (kit / MANIFEST).write_bytes(manifest("key"))


def _swapped(kit: Path) -> None:
    one, two = ((kit / name).read_bytes() for name in KEYLESS)
    (kit / KEYLESS[0]).write_bytes(two)
    (kit / KEYLESS[1]).write_bytes(one)


@pytest.mark.parametrize(
    ("lie", "codes"),
    [
        (_flipped, [(FAILED, 7), (FAILED, 7)]),
        (_list_changed, [(FAILED, 7), (OK, 0)]),
        (_manifest_changed, [(OK, 0), (FAILED, 5)]),
        (_swapped, [(FAILED, 7), (FAILED, 7)]),
        (lambda kit: (kit / KEYLESS[0]).write_text("{}"), [(FAILED, 7), (OK, 0)]),
        (lambda kit: (kit / KEYLESS[1]).unlink(), [(FAILED, 5), (OK, 0)]),
    ],
    ids=["promise", "list", "manifest", "swapped", "no_bundle", "one_missing"],
)
def test_a_lie_is_refused(place: Path, lie: Callable[[Path], object], codes: list[tuple[str, int]]) -> None:
    lie(place / "keyless" / f"concelier-lnm-{VERSION}")

    assert states(looked(place, "keyless", right(place))) == codes


def test_trust_keyless_without_any_bundle_is_no_kit(place: Path) -> None:
    for name in KEYLESS:
        (place / "keyless" / f"concelier-lnm-{VERSION}" / name).unlink()

    assert states(looked(place, "keyless", right(place))) == [(FAILED, 5), (FAILED, 5)]

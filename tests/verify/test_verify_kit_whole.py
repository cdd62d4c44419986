"""verify_kit.py on whole kits: what it accepts, in which stage it refuses, and what it tells."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.verify.tiny_kit import (
    ECDSA,
    EDDSA,
    ENVELOPE,
    OTHER,
    PROVENANCE,
    ROOT,
    SBOM,
    SPDX,
    VERSION,
    Kit,
    Signer,
    canonical,
    dsse,
    keys,
    kit,
    load,
    statement,
)

vk = load()
FORMS = ["folder", "tarball"]


def write(made: Kit, form: str, place: Path) -> Path:
    """The kit in one of its containers."""
    if form == "tarball":
        return made.write_tarball(place / "kit.tar.gz")
    (place / "kit").mkdir(mode=0o755)
    return made.write_folder(place / "kit")


def verdict(made: Kit, place: Path, *given: Signer, form: str = "tarball") -> Any:
    """The report, or the refusal."""
    try:
        return vk.verify(write(made, form, place), keys(*(given or made.signers)))
    except vk.Refused as refused:
        return refused


def told(refused: Any) -> str:
    """All of its lines."""
    assert isinstance(refused, vk.Refused), refused
    return "\n".join(failure.line() for failure in refused.failures)


# -- what is accepted

SIGNERS = {
    "ecdsa": (ECDSA,),
    "ed25519": (EDDSA,),
    "both": (ECDSA, EDDSA),
    "three": (EDDSA, OTHER, ECDSA),
}


@pytest.mark.parametrize("signers", SIGNERS.values(), ids=SIGNERS)
@pytest.mark.parametrize("form", FORMS)
def test_kit_is_verified(tmp_path: Path, form: str, signers: tuple[Signer, ...]) -> None:
    made = kit(*signers)

    report = verdict(made, tmp_path, form=form)

    assert (report.version, report.root_hash, report.fingerprint) == (VERSION, made.root_hash, signers[0].fingerprint)
    assert {key.fingerprint for key in report.signers} == {signer.fingerprint for signer in signers}
    assert report.statements == (PROVENANCE, SPDX)
    assert "".join(f"{digest}  {name}\n" for name, digest in report.sums.items()).encode() == made.files["SHA256SUMS"]


def test_kit_is_verified_when_more_keys_are_given(tmp_path: Path) -> None:
    assert verdict(kit(ECDSA), tmp_path, OTHER, EDDSA, ECDSA).fingerprint == ECDSA.fingerprint


def test_statement_by_another_given_key_is_accepted(tmp_path: Path) -> None:
    made = kit(ECDSA)
    payload = base64.b64decode(json.loads(made.files[PROVENANCE])["payload"])
    made.files[PROVENANCE] = dsse(EDDSA, payload)

    assert verdict(made.listed(), tmp_path, ECDSA, EDDSA).version == VERSION


def test_folder_of_any_name_and_any_version_is_one_kit(tmp_path: Path) -> None:
    assert verdict(kit(version=VERSION), tmp_path, form="folder").version == VERSION


def test_report_tells_what_was_checked(tmp_path: Path) -> None:
    made = kit(ECDSA, EDDSA, source={"commit": None, "note": "no git work tree", "state": "unknown"}, trust="dev")

    lines = verdict(made, tmp_path).lines()

    assert lines[0] == f"checked: SHA256SUMS is signed by ECDSA P-256 {ECDSA.fingerprint}"
    assert "checked: source commit unknown (unknown, no git work tree)" in lines
    assert any(EDDSA.fingerprint in line for line in lines)
    assert "checked: delivery 21-101 ready (20251202_lnm_21_101)" in lines
    assert "checked: delivery 21-102 absent (not in this version)" in lines
    assert "checked: part image absent (not in this version)" in lines
    assert lines[-2].startswith("trust: dev")
    assert lines[-1] == f"verified: {ROOT} rootHash {made.root_hash}"


def test_report_of_a_key_signed_kit_has_no_warning(tmp_path: Path) -> None:
    lines = verdict(kit(deliveries=[], parts=[]), tmp_path).lines()

    assert not any("trust" in line or "delivery" in line for line in lines)


# -- stage 2


@pytest.mark.parametrize("name", ENVELOPE)
@pytest.mark.parametrize("form", FORMS)
def test_kit_without_a_file_of_the_envelope_is_refused(tmp_path: Path, form: str, name: str) -> None:
    made = kit()
    del made.files[name]

    refused = verdict(made, tmp_path, form=form)

    assert refused.exit_code == 5
    assert told(refused) == f"refused: {name}: not in the kit, a signed kit has it"


def test_kit_without_any_signature_names_all_that_is_missing(tmp_path: Path) -> None:
    made = kit()
    for name in ENVELOPE:
        del made.files[name]

    assert [failure.file for failure in verdict(made, tmp_path).failures] == list(ENVELOPE)


def test_no_key_is_never_enough(tmp_path: Path) -> None:
    with pytest.raises(vk.Refused) as refused:
        vk.verify(write(kit(), "tarball", tmp_path), ())

    assert refused.value.exit_code == 2


def test_kit_by_a_key_that_was_not_given_tells_both_fingerprints(tmp_path: Path) -> None:
    refused = verdict(kit(ECDSA), tmp_path, EDDSA)

    assert refused.exit_code == 5
    assert ECDSA.fingerprint in refused.failures[0].found
    assert EDDSA.fingerprint in refused.failures[0].wanted


def envelope_change(name: str, change: Callable[[bytes], bytes]) -> Callable[[Kit], None]:
    def apply(made: Kit) -> None:
        made.files[name] = change(made.files[name])

    return apply


def by_other_key(made: Kit) -> None:
    """The right key's name over another key's signature."""
    made.files["SHA256SUMS.sig"] = base64.b64encode(OTHER.sign(made.files["SHA256SUMS"])) + b"\n"


def bundle_of_other_digest(made: Kit) -> None:
    bundle = json.loads(made.files["SHA256SUMS.sigstore.json"])
    bundle["messageSignature"]["messageDigest"]["digest"] = base64.b64encode(bytes(32)).decode()
    made.files["SHA256SUMS.sigstore.json"] = canonical(bundle)


def bundle_of_other_signature(made: Kit) -> None:
    bundle = json.loads(made.files["SHA256SUMS.sigstore.json"])
    bundle["messageSignature"]["signature"] = base64.b64encode(ECDSA.sign(made.files["SHA256SUMS"])).decode()
    made.files["SHA256SUMS.sigstore.json"] = canonical(bundle)


STAGE_2: dict[str, tuple[Callable[[Kit], None], str]] = {
    "list_changed": (envelope_change("SHA256SUMS", lambda data: data + b"\n"), "SHA256SUMS: SHA256SUMS.sig does not verify"),
    "list_emptied": (envelope_change("SHA256SUMS", lambda _: b""), "does not verify"),
    "sig_emptied": (envelope_change("SHA256SUMS.sig", lambda _: b""), "SHA256SUMS"),
    "sig_without_line_end": (envelope_change("SHA256SUMS.sig", lambda data: data[:-1]), "SHA256SUMS.sig"),
    "sig_with_space_for_line_end": (envelope_change("SHA256SUMS.sig", lambda data: data[:-1] + b" "), "SHA256SUMS.sig"),
    "sig_with_two_line_ends": (envelope_change("SHA256SUMS.sig", lambda data: data + b"\n"), "SHA256SUMS.sig"),
    "sig_with_crlf": (envelope_change("SHA256SUMS.sig", lambda data: data[:-1] + b"\r\n"), "SHA256SUMS.sig"),
    "sig_in_two_lines": (envelope_change("SHA256SUMS.sig", lambda data: data[:40] + b"\n" + data[40:]), "SHA256SUMS.sig"),
    "sig_by_other_key": (by_other_key, "does not verify"),
    "bundle_emptied": (envelope_change("SHA256SUMS.sigstore.json", lambda _: b""), "SHA256SUMS.sigstore.json"),
    "bundle_with_space": (
        envelope_change("SHA256SUMS.sigstore.json", lambda data: data.replace(b",", b", ", 1)),
        "SHA256SUMS.sigstore.json",
    ),
    "bundle_without_line_end": (envelope_change("SHA256SUMS.sigstore.json", lambda data: data[:-1]), "SHA256SUMS.sigstore.json"),
    "bundle_of_other_digest": (bundle_of_other_digest, "SHA256SUMS.sigstore.json: its bytes"),
    "bundle_of_other_signature": (bundle_of_other_signature, "SHA256SUMS.sigstore.json: its bytes"),
}


@pytest.mark.parametrize(("change", "word"), STAGE_2.values(), ids=STAGE_2)
def test_kit_with_a_wrong_signature_is_refused_before_its_files_are_compared(
    tmp_path: Path, change: Callable[[Kit], None], word: str
) -> None:
    made = kit()
    made.files["blob"] = b"changed"
    change(made)

    refused = verdict(made, tmp_path, form="folder")

    assert refused.exit_code == 5
    assert word in told(refused)
    assert "blob" not in told(refused)


# -- stages 3 and 4


@pytest.mark.parametrize("form", FORMS)
def test_every_wrong_file_is_named_in_one_order(tmp_path: Path, form: str) -> None:
    made = kit()
    made.files["README.md"] += b"x"
    made.files[SPDX] += b"x"
    del made.files["empty"]
    del made.files["blob"]
    made.files["new"] = made.files["attestations/new"] = b""

    refused = verdict(made, tmp_path, form=form)

    assert [(failure.kind.label, failure.file) for failure in refused.failures] == [
        ("digest", "README.md"),
        ("digest", SPDX),
        ("missing", "blob"),
        ("missing", "empty"),
        ("unlisted", "attestations/new"),
        ("unlisted", "new"),
    ]
    assert refused.exit_code == 6
    assert vk.sha256_hex(made.files["README.md"])[:12] in told(refused)
    assert vk.sha256_hex(b"# A kit\n")[:12] in told(refused)


def test_bad_lines_come_before_bad_files(tmp_path: Path) -> None:
    made = kit()
    made.files["blob"] = b"changed"
    made.listed(made.files["SHA256SUMS"] + b"# end\n")
    made.files["README.md"] = b"changed, too"

    assert [failure.kind.label for failure in verdict(made, tmp_path).failures][:3] == ["list", "digest", "digest"]


def test_file_that_cannot_be_read_is_a_failure_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(kit(), "folder", tmp_path)
    before = vk.check_signature

    def exchange(*arguments: Any) -> Any:
        (path / "blob").unlink()
        (path / "blob").symlink_to("README.md")
        return before(*arguments)

    monkeypatch.setattr(vk, "check_signature", exchange)

    with pytest.raises(vk.Refused) as refused:
        vk.verify(path, keys(ECDSA))
    assert told(refused.value).startswith("refused: blob: cannot be read")


# -- stage 5


def manifest_with(made: Kit, **changes: Any) -> Kit:
    """The manifest with other members at its top, signed again."""
    return made.stated_as(canonical({**json.loads(made.files["manifest.json"]), **changes}))


def further_file(name: str, signer: Signer, payload: bytes | None = None) -> Callable[[Kit], None]:
    def apply(made: Kit) -> None:
        made.files[name] = dsse(signer, made.files["manifest.json"] if payload is None else payload)

    return apply


def dsse_by(signer: Signer) -> Callable[[Kit], None]:
    def apply(made: Kit) -> None:
        made.files["manifest.dsse.json"] = dsse(signer, made.files["manifest.json"])
        made.bundled(made.files["manifest.dsse.json"], signer)

    return apply


def attestation(name: str, payload: Callable[[Kit], bytes], signer: Signer = ECDSA) -> Callable[[Kit], None]:
    def apply(made: Kit) -> None:
        made.files[name] = dsse(signer, payload(made))
        made.listed()

    return apply


def about(made: Kit, kind: str, predicate: Any, **changes: str) -> bytes:
    """A statement about the kit, or about another name or digest."""
    subject = {"digest": {"sha256": changes.get("digest", made.root_hash)}, "name": changes.get("name", ROOT)}
    return statement(kind, predicate, [subject])


def without(name: str) -> Callable[[Kit], None]:
    def apply(made: Kit) -> None:
        del made.files[name]
        made.listed()

    return apply


def further_statement(made: Kit) -> None:
    made.files["attestations/vex.dsse.json"] = made.files[SPDX]
    made.listed()


def without_sbom(made: Kit) -> None:
    """The listed SBOM removed, everything signed again."""
    x = json.loads(made.files.pop(SBOM))
    for name, kind, predicate in ((PROVENANCE, SLSA_KIND, {}), (SPDX, SPDX_KIND, x)):
        made.files[name] = dsse(ECDSA, about(made, kind, predicate))
    made.listed()


SLSA_KIND, SPDX_KIND = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document"
NAME_OF_OTHER = f"manifest.{OTHER.fingerprint[:16]}.dsse.json"
NAME_OF_ECDSA = f"manifest.{ECDSA.fingerprint[:16]}.dsse.json"

STAGE_5: dict[str, tuple[Callable[[Kit], object], str]] = {
    "manifest_changed": (envelope_change("manifest.json", lambda data: data.replace(b"edge", b"none")), "manifest.json"),
    "manifest_without_line_end": (envelope_change("manifest.json", lambda data: data[:-1]), "manifest.json"),
    "dsse_changed": (envelope_change("manifest.dsse.json", lambda data: data.replace(b"A", b"B", 1)), "manifest.dsse.json"),
    "dsse_by_another_given_key": (dsse_by(OTHER), "manifest.dsse.json: signed by"),
    "dsse_by_a_key_not_given": (dsse_by(EDDSA), "manifest.dsse.json: signed by key SHA256:"),
    "bundle_changed": (
        envelope_change("manifest.sigstore.json", lambda data: data.replace(b"hint", b"Hint")),
        "manifest.sigstore.json",
    ),
    "bundle_of_other_key": (lambda made: made.bundled(made.files["manifest.dsse.json"], OTHER), "manifest.sigstore.json"),
    "further_under_the_name_of_another": (further_file("manifest.0123456789abcdef.dsse.json", OTHER), "the file's name"),
    "further_by_the_same_key": (further_file(NAME_OF_ECDSA, ECDSA), "already"),
    "further_by_a_key_not_given": (further_file("manifest.0123456789abcdef.dsse.json", EDDSA), "not given"),
    "further_of_another_payload": (further_file(NAME_OF_OTHER, OTHER, b"{}\n"), f"payload of {NAME_OF_OTHER}"),
    "not_json": (lambda made: made.stated_as(b"no JSON\n"), "manifest.json: no canonical JSON"),
    "not_ascii": (lambda made: made.stated_as('{"a":"\u00e9"}\n'.encode()), "ASCII"),
    "not_canonical": (lambda made: made.stated_as(made.files["manifest.json"].replace(b":", b": ", 1)), "canonical"),
    "other_kind": (lambda made: manifest_with(made, predicateType=SPDX_KIND), "predicateType"),
    "subject_missing": (
        lambda made: manifest_with(made, subject=json.loads(made.files["manifest.json"])["subject"][:-1]),
        "subjects",
    ),
    "no_subject": (lambda made: manifest_with(made, subject=[]), "subjects"),
    "root_hash": (lambda made: (made.predicate.update(rootHash="0" * 64), made.stated()), "rootHash"),
    "version_of_another_root": (lambda made: (made.predicate.update(version="2026.9.2"), made.stated()), "version"),
    "channel": (lambda made: (made.predicate.update(channel="x"), made.stated()), "channel"),
    "without_provenance": (without(PROVENANCE), f"{PROVENANCE}: not in the kit"),
    "without_spdx": (without(SPDX), f"{SPDX}: not in the kit"),
    "further_statement": (further_statement, "nobody here can check"),
    "provenance_of_other_name": (
        attestation(PROVENANCE, lambda made: about(made, SLSA_KIND, {}, name="concelier-lnm-2026.9.2")),
        PROVENANCE,
    ),
    "provenance_of_other_digest": (attestation(PROVENANCE, lambda made: about(made, SLSA_KIND, {}, digest="0" * 64)), PROVENANCE),
    "provenance_of_other_kind": (attestation(PROVENANCE, lambda made: about(made, SLSA_KIND + ".1", {})), PROVENANCE),
    "provenance_without_object": (attestation(PROVENANCE, lambda made: about(made, SLSA_KIND, [])), PROVENANCE),
    "provenance_not_canonical": (attestation(PROVENANCE, lambda made: about(made, SLSA_KIND, {})[:-1]), PROVENANCE),
    "provenance_by_a_key_not_given": (attestation(PROVENANCE, lambda made: about(made, SLSA_KIND, {}), EDDSA), PROVENANCE),
    "spdx_of_other_document": (attestation(SPDX, lambda made: about(made, SPDX_KIND, {"name": "other"})), SPDX),
    "spdx_and_provenance_swapped": (
        lambda made: (made.files.update({SPDX: made.files[PROVENANCE], PROVENANCE: made.files[SPDX]}), made.listed()),
        PROVENANCE,
    ),
    "without_sbom": (without_sbom, SPDX),
}


@pytest.mark.parametrize(("change", "word"), STAGE_5.values(), ids=STAGE_5)
def test_kit_with_a_wrong_statement_is_refused(tmp_path: Path, change: Callable[[Kit], object], word: str) -> None:
    made = kit()
    change(made)

    refused = verdict(made, tmp_path, ECDSA, OTHER)

    assert word in told(refused)
    assert refused.exit_code == 5


def test_all_wrong_statements_are_told(tmp_path: Path) -> None:
    made = kit()
    made.files[PROVENANCE] = made.files["attestations/x"] = b"x"

    refused = verdict(made.listed(), tmp_path)

    assert [failure.file for failure in refused.failures] == [PROVENANCE, "attestations/x"]


def test_stages_are_kept_in_order(tmp_path: Path) -> None:
    """Each fault is mended in turn; the next stage's comes to light."""
    made = kit()
    valid = dict(made.files)
    made.files["manifest.json"] = b"x"
    made.files["blob"] = b"x"
    made.files["SHA256SUMS.sig"] = b"x"
    made.files["bad name"] = b""
    codes = []

    for name in ("bad name", "SHA256SUMS.sig", "blob", "manifest.json"):
        refused = verdict(made, tmp_path)
        codes.append((refused.exit_code, refused.failures[0].file.rpartition("/")[2]))
        if name in valid:
            made.files[name] = valid[name]
        else:
            del made.files[name]

    assert codes == [(6, "bad name"), (5, "SHA256SUMS.sig"), (6, "blob"), (5, "manifest.json")]
    assert verdict(made, tmp_path).version == VERSION


def test_flipping_any_byte_of_any_file_is_refused(tmp_path: Path) -> None:
    """One flip in each file: the middle byte."""
    valid = kit()

    for name in valid.files:
        made = Kit(files=dict(valid.files))
        data = bytearray(made.files[name] or b"\0")
        data[len(data) // 2] ^= 1
        made.files[name] = bytes(data)
        assert told(verdict(made, tmp_path)) != ""


# -- the kit itself


@pytest.mark.parametrize(("name", "code"), [("missing", 4), ("file/below", 4), ("loop", 6), ("/dev/null", 6), ("fifo", 6)])
def test_kit_that_is_none_is_refused(tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    vk.os.mkfifo(tmp_path / "fifo")

    with pytest.raises(vk.Refused) as refused:
        vk.verify(tmp_path / name, keys(ECDSA))

    assert refused.value.exit_code == code


def test_tarball_may_be_given_by_a_link(tmp_path: Path) -> None:
    path = write(kit(), "tarball", tmp_path)
    (tmp_path / "link").symlink_to(path.name)

    assert vk.verify(str(tmp_path / "link"), keys(ECDSA)).version == VERSION


def test_empty_file_is_truncated(tmp_path: Path) -> None:
    (tmp_path / "kit.tar.gz").write_bytes(b"")

    with pytest.raises(vk.Refused) as refused:
        vk.verify(tmp_path / "kit.tar.gz", keys(ECDSA))

    assert "truncated" in told(refused.value)

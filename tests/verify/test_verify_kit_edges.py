"""Edges that nothing else of verify_kit.py's tests walks along; each was shown by a mutant that survived (docs/mutation.md)."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.faults import forge
from tests.faults.images import AMD64, ARM64, Image
from tests.faults.keys import EDDY, MAIN, SECOND, STRANGER, other_curve, rsa_public
from tests.verify.tiny_kit import ECDSA, keys, load

vk = load()
Y_OF_ZERO = pow(vk.P256_B, (vk.P256_P + 1) // 4, vk.P256_P)
"""Of the points whose x is zero: x beyond the field would be a second way to write it."""


def refused(function: Any, *arguments: Any) -> str:
    """The sentence of a refusal."""
    with pytest.raises((vk.Refused, vk.Wrong)) as caught:
        function(*arguments)
    return str(caught.value)


def test_a_point_of_p256_has_one_way_to_be_written() -> None:
    y = Y_OF_ZERO.to_bytes(32, "big")

    assert vk.p256_point(bytes(32) + y) == (0, Y_OF_ZERO, 1)
    assert vk.p256_point(vk.P256_P.to_bytes(32, "big") + y) is None


def test_a_gnu_long_name_has_one_nul() -> None:
    assert vk.read_long_name(b"a\0") == "a"
    for data in (b"", b"a", b"a\0b\0", b"\0a\0", b"a\0\0"):
        assert "a GNU long name record" in refused(vk.read_long_name, data)


@pytest.mark.parametrize("function", [vk.no_number, vk.small_integer])
def test_a_number_is_cut_where_it_is_told(function: Any) -> None:
    assert refused(function, "9" * 40).startswith(f"the number {'9' * 40}, wanted ")
    assert refused(function, "9" * 41).startswith(f"the number {'9' * 40}..., wanted ")


def test_an_image_signature_that_is_no_base64_is_told_with_its_file() -> None:
    image, (key,) = vk.Image("lnm-runner-linux-amd64", "sha256:" + "0" * 64, 1), keys(ECDSA)

    with pytest.raises(vk.Refused) as caught:
        vk.check_image_signature("a/file", "AA=", image, key)

    (failure,) = caught.value.failures
    assert (failure.kind, failure.file, failure.wanted) == (vk.Kind.STATEMENT, "a/file", "wanted base64")


def reported(made: forge.Kit, place: Path) -> Any:
    """The report of a kit of the forge that is accepted."""
    return vk.verify(made.write_folder(place), vk.read_keys(MAIN.pem, "main.pub"))


def test_identity_signatures_are_told_and_not_judged(tmp_path: Path) -> None:
    report = reported(forge.identified_kit(), tmp_path)

    assert report.as_json()["identity"] == "not checked here"
    assert report.lines()[-2] == "identity signature: not checked here"
    assert list(report.identity_bundles) == ["SHA256SUMS.keyless.sigstore.json", "manifest.keyless.sigstore.json"]


def test_images_are_told_with_their_digests(tmp_path: Path) -> None:
    made = forge.kit()
    made.files |= Image(MAIN, AMD64).files() | Image(MAIN, ARM64, layers=(b"x",)).files()

    report = reported(made.attest(), tmp_path)

    digests = [image.digest for image in report.images]
    assert report.as_json()["images"] == [{"image": AMD64, "digest": digests[0]}, {"image": ARM64, "digest": digests[1]}]
    about = [
        f"checked: image {name} {digest}: signature, provenance and SBOM statement are about it"
        for name, digest in zip((AMD64, ARM64), digests, strict=True)
    ]
    assert [line for line in report.lines() if line.startswith("checked: image ")] == about
    assert report.attesters == report.signers


def test_an_image_whose_manifest_is_too_large_is_refused(tmp_path: Path) -> None:
    made = forge.kit()
    made.files |= Image(MAIN, lies={"manifest": lambda data: data.ljust(vk.MAX_MANIFEST + 1)}).files()

    with pytest.raises(vk.Refused, match=f"wanted such a manifest as images/{AMD64}/blobs/sha256/"):
        reported(made.attest(), tmp_path)


def test_a_keyless_file_may_be_as_large_as_its_budget() -> None:
    head, rest, most = b"head " * 9, re.compile(b"x*"), vk.MAX_KEYLESS

    vk.check_keyless_file("a file", head + b"x" * most, head, rest, "it")

    said = refused(vk.check_keyless_file, "a file", head + b"x" * (most + 1), head, rest, "it")
    assert said == f"refused: a file: {len(head) + most + 1} bytes, at most {len(head) + most} are allowed"


def test_a_keyless_form_has_its_fields_in_their_order() -> None:
    made = vk.keyless_pattern(vk.DSSE_END, b"dsse")

    assert made.pattern == vk.MANIFEST_KEYLESS_PATTERN.pattern
    assert made.groups == 14
    text = forge.identified_kit().files["manifest.keyless.sigstore.json"]
    rest = text[text.index(b'"sig":"') + len(b'"sig":"') :]
    assert made.fullmatch(rest) is not None
    assert made.fullmatch(rest.replace(b'"dsse"', b'"intoto"')) is None


def test_no_socket_is_opened_by_the_command() -> None:
    vk.refuse_sockets("open", ())

    with pytest.raises(RuntimeError, match=r"^this verifier asked for socket\.connect, and needs no network$"):
        vk.refuse_sockets("socket.connect", ())


def test_a_statement_about_an_image_that_is_led_to_and_absent_is_refused(tmp_path: Path) -> None:
    made = forge.kit()
    files = Image(MAIN).files()
    statement = next(name for name, data in files.items() if data.startswith(b'{"payload"'))
    made.files |= {name: data for name, data in files.items() if name != statement}

    with pytest.raises(vk.Refused) as caught:
        reported(made.attest(), tmp_path)

    assert str(caught.value).startswith(f"refused: {statement}: not in the one form of a DSSE, ")


def test_a_point_of_ed25519_has_one_way_to_be_written() -> None:
    """y = 0 is a point of this curve, of order four; y = p would be the same."""
    assert vk.ed_decode(bytes(32)) is not None
    assert vk.ed_decode(vk.ED_P.to_bytes(32, "little")) is None


def test_whoever_signed_a_statement_is_an_attester(tmp_path: Path) -> None:
    made = forge.kit()
    made.files |= Image(SECOND, AMD64).files()
    given = [key for signer in (STRANGER, SECOND, MAIN) for key in vk.read_keys(signer.pem, "key.pub")]

    report = vk.verify(made.attest().write_folder(tmp_path), given)

    assert [key.fingerprint for key in report.attesters] == [SECOND.fingerprint, MAIN.fingerprint]
    assert [key.fingerprint for key in report.signers] == [MAIN.fingerprint]


def test_the_sbom_of_an_image_that_is_not_there_is_refused(tmp_path: Path) -> None:
    made = forge.kit()
    made.files[f"sbom/{ARM64}.spdx.json"] = b"{}\n"

    with pytest.raises(vk.Refused) as caught:
        reported(made.attest(), tmp_path)

    assert str(caught.value).startswith(f"refused: images/{ARM64}/index.json: not in the kit, ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"migration": "a b"}, 'deliveries 1: migration is "a b", wanted a migration\'s id'),
        ({"migration": None}, "deliveries 1: migration is null, wanted a migration's id"),
        ({"id": ""}, 'deliveries 1: id is "", wanted an id'),
        ({"digest": "0" * 63}, f'deliveries 1: digest is "{"0" * 63}", wanted a sha256'),
        ({"status": "here"}, 'deliveries 1: status is "here", wanted ready or absent'),
    ],
)
def test_what_is_wrong_with_a_delivery_is_told_with_its_place(change: Any, said: str) -> None:
    part = {"digest": "0" * 64, "id": "21-101", "migration": "x", "status": "ready", **change}

    with pytest.raises(vk.Wrong) as caught:
        vk.read_parts([part], "deliveries", migrates=True)
    assert str(caught.value) == said


def test_what_is_wrong_with_an_absent_part_is_told_with_its_place() -> None:
    for part, said in (
        ({"id": "", "reason": "why", "status": "absent"}, 'parts 1: id is "", wanted an id'),
        ({"id": "a", "reason": "", "status": "absent"}, 'parts 1: reason is "", wanted printable text'),
    ):
        with pytest.raises(vk.Wrong) as caught:
            vk.read_parts([part], "parts", migrates=False)
        assert str(caught.value) == said


def test_integers_end_where_every_reader_sees_the_same() -> None:
    most = 2**53 - 1

    assert [vk.small_integer(str(number)) for number in (most, -most, 0)] == [most, -most, 0]
    for number in (most + 1, -most - 1, 10**17):
        assert refused(vk.small_integer, str(number)) == f"the number {number}, wanted none beyond 2**53 - 1"
    assert refused(vk.small_integer, "1" * 5000).endswith(", wanted none beyond 2**53 - 1")  # more digits than Python reads


def test_a_file_that_goes_away_after_the_walk_is_told(tmp_path: Path) -> None:
    folder = vk.Folder(str(forge.kit().write_folder(tmp_path)))
    (tmp_path / "kit" / forge.README).unlink()
    (tmp_path / "kit" / forge.SUMS).unlink()
    said = "cannot be read (No such file or directory)"

    assert folder.digest(forge.README) == vk.Failure(vk.Kind.DIGEST, forge.README, said, "wanted a readable file")
    assert refused(folder.read, forge.SUMS, 1) == f"refused: {forge.SUMS}: {said}, wanted a readable file"


def test_what_is_held_in_memory_may_be_as_large_as_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = vk.Folder(str(forge.kit().write_folder(tmp_path)))
    kept_bytes = sum(map(len, folder.read_kept().values()))

    monkeypatch.setattr(vk, "MAX_KEPT", kept_bytes)
    assert folder.read_kept()
    monkeypatch.setattr(vk, "MAX_KEPT", kept_bytes - 1)
    assert refused(folder.read_kept).endswith(f"one signed file too many, together they may have at most {kept_bytes - 1} bytes")


def test_another_kind_of_key_is_told_with_its_size() -> None:
    rule = " (RSA below 3072 bits is refused anywhere, larger ones are not used here)"
    wanted = ", wanted ECDSA P-256 with an uncompressed point, or Ed25519"
    oid = bytes.fromhex("06092a864886f70d010101")

    for bits in (1024, 2048, 4096):
        assert refused(vk.read_keys, rsa_public(bits), "a.pub") == f"refused: a.pub: RSA of {bits} bits{rule}{wanted}"
    assert refused(vk.read_keys, other_curve(ec.SECP384R1()), "a.pub") == f"refused: a.pub: ECDSA P-384{wanted}"
    assert refused(vk.read_spki, oid) == f"RSA{rule}{wanted}"
    assert refused(vk.read_spki, bytes(29) + oid) == f"RSA{rule}{wanted}"
    assert refused(vk.read_spki, bytes(30) + oid) == f"another kind of key{wanted}"


def test_only_of_rsa_a_size_is_told() -> None:
    """A key that says Ed448 in the place where RSA is said, in an SPKI as long as before."""
    spki = base64.b64decode(b"".join(rsa_public(2048).splitlines()[1:-1]))
    other = spki.replace(bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06032b65710504" + "00" * 4))

    assert vk.rsa_bits(other) == 2048
    assert vk.other_kind(spki).startswith("RSA of 2048 bits (")
    assert vk.other_kind(other) == "Ed448"


def test_the_reason_of_an_error_is_its_own_or_its_name() -> None:
    assert vk.reason(OSError(2, "No such file or directory")) == "No such file or directory"
    assert vk.reason(ValueError("a\nb")) == vk.shown("a\nb")
    assert vk.reason(EOFError()) == "EOFError"


@pytest.mark.parametrize(
    ("data", "depth"),
    [(b"1", 0), (b'"[{"', 0), (b"[]", 1), (b'{"[":[]}', 2), (b"[[],[[1]],{}]", 3), (b'[{"a":[2,{}]},"\\"["]', 4)],
)
def test_depth_is_that_of_the_deepest_value(data: bytes, depth: int) -> None:
    assert vk.depth_of(data) == depth


def test_members_ascend_by_their_utf16_units_surrogates_among_them() -> None:
    assert list(vk.ascending_members([("\ud800", 1), ("\U0001f600", 2), ("\ufb01", 3)])) == ["\ud800", "\U0001f600", "\ufb01"]
    for first, second in (("\ufb01", "\U0001f600"), ("b", "a"), ("a", "a"), ("\ue000", "\ud800")):
        assert refused(vk.ascending_members, [(first, 1), (second, 2)]).startswith("members that do not ascend or come twice, [")


def test_what_is_no_number_is_not_written_either() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        vk.render_canonical([float("nan")])
    assert vk.render_canonical({"é": [1, None]}) == '{"é":[1,null]}\n'.encode()


def test_a_line_that_is_none_of_a_list_is_cut_where_it_is_told() -> None:
    wanted = "wanted <64 lower-case hex>, two spaces, <name>, line feed"

    assert refused(vk.read_sum, "x" * 80, "") == f'it reads "{"x" * 80}", {wanted}'
    assert refused(vk.read_sum, "x" * 81, "") == f'it reads "{"x" * 80}...", {wanted}'


def test_the_given_keys_are_told_and_cut() -> None:
    given = [key for signer in (MAIN, SECOND, STRANGER, EDDY) for key in vk.read_keys(signer.pem, "key.pub")]
    told = ", ".join(f"{key} {key.keyid}" for key in given)
    assert len(told) > 401

    said = refused(vk.given_key, vk.Kind.SIGNATURE, "a", "SHA256:x", given)
    assert said == f"refused: a: signed by key SHA256:x, which was not given, the given keys are {told[:400]}..."
    assert vk.given_key(vk.Kind.SIGNATURE, "a", given[1].hint, given) is given[1]

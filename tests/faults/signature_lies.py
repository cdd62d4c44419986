"""Lies about signatures: rows C5 to C10 and C17. Who signed, over what, how the number is written, how the DSSE around it is written."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.faults.checksum_lies import SIGNATURE, exactly
from tests.faults.forge import (
    ENVELOPE,
    MANIFEST,
    MANIFEST_BUNDLE,
    MANIFEST_DSSE,
    PROVENANCE,
    README,
    SIG,
    SPDX,
    SUMS,
    SUMS_BUNDLE,
    Json,
    Kit,
    cosigned_name,
    dsse,
    eddy_kit,
    kit,
    line,
    manifest_bundle,
    other_kit,
    pae,
    signature,
    sums_bundle,
)
from tests.faults.keys import (
    ED25519_ORDER,
    EDDY,
    EDDY_SECOND,
    MAIN,
    P256_ORDER,
    SECOND,
    STRANGER,
    Key,
    b64,
    der_integer,
    der_signature,
)
from tests.faults.registry import instead, kit_lie

KEY = r"\bkey"
FORM = r"form|base64|byte|canonical|" + SIGNATURE


# -- C6: signatures of other things


def _signed_over(message: Callable[[Kit], bytes], truth: Kit) -> None:
    truth.list_signed_by(truth.key.sign(message(truth)))


for _lie, _message in {
    "of_the_manifest": lambda truth: truth.files[MANIFEST],
    "of_a_payload_file": lambda truth: truth.files[README],
    "of_nothing": lambda _: b"",
    "of_another_list": lambda _: other_kit().sums,
    "of_the_list_without_its_newline": lambda truth: truth.sums[:-1],
    "of_the_list_with_a_second_newline": lambda truth: truth.sums + b"\n",
    "of_the_list_with_crlf": lambda truth: truth.sums.replace(b"\n", b"\r\n"),
    "of_the_digest_of_the_list": lambda truth: hashlib.sha256(truth.sums).digest(),
    "of_the_hex_digest_of_the_list": lambda truth: hashlib.sha256(truth.sums).hexdigest().encode(),
    "of_the_first_line": lambda truth: truth.lines[0] + b"\n",
    "of_the_list_in_pae": lambda truth: pae(truth.sums),
}.items():
    kit_lie("C6", 5, SIGNATURE, name=f"signature_{_lie}")(partial(_signed_over, _message))


@kit_lie("C6", 5, SIGNATURE)
def signature_and_bundle_of_another_kit(truth: Kit) -> None:
    other = other_kit()
    truth.files[SIG], truth.files[SUMS_BUNDLE] = other.files[SIG], other.files[SUMS_BUNDLE]


@kit_lie("C6", 6, exactly(README))
def list_of_another_kit_with_its_signature(truth: Kit) -> None:
    other = other_kit()
    for name in (SUMS, SIG, SUMS_BUNDLE):
        truth.files[name] = other.files[name]


@kit_lie("C6", 6, exactly(README))
def envelope_of_another_kit(truth: Kit) -> None:
    other = other_kit()
    for name in ENVELOPE:
        truth.files[name] = other.files[name]


@kit_lie("C6", 5, r"manifest|subject|SHA256SUMS")
def manifest_of_another_kit_with_its_signatures(truth: Kit) -> None:
    other = other_kit()
    for name in (MANIFEST, MANIFEST_DSSE, MANIFEST_BUNDLE):
        truth.files[name] = other.files[name]


@kit_lie("C6", 5, SIGNATURE, exactly(MANIFEST_DSSE))
def manifest_signature_is_that_of_the_list(truth: Kit) -> None:
    envelope = dsse(truth.key, truth.files[MANIFEST])
    envelope["signatures"][0]["sig"] = truth.files[SIG].decode().strip()
    truth.enclose(line(envelope))


@kit_lie("C6", 5, SIGNATURE, exactly(MANIFEST_DSSE))
def manifest_signed_without_pae(truth: Kit) -> None:
    envelope = dsse(truth.key, truth.files[MANIFEST])
    envelope["signatures"][0]["sig"] = b64(truth.key.sign(truth.files[MANIFEST]))
    truth.enclose(line(envelope))


@kit_lie("C6", 5, SIGNATURE, exactly(PROVENANCE))
def attestation_signature_is_that_of_another(truth: Kit) -> None:
    envelope, other = json.loads(truth.files[PROVENANCE]), json.loads(truth.files[SPDX])
    envelope["signatures"] = other["signatures"]
    truth.files[PROVENANCE] = line(envelope)
    truth.relist()


# -- C7 to C9: keys


@kit_lie("C7", 5, KEY, MAIN.named, STRANGER.named)
def wrong_key_given(truth: Kit) -> None:
    truth.given = (STRANGER,)


@kit_lie("C7", 5, KEY, MAIN.named, EDDY.named)
def wrong_kind_of_key_given(truth: Kit) -> None:
    truth.given = (EDDY,)


@kit_lie("C7", 5, KEY, EDDY.named, MAIN.named)
def wrong_kind_of_key_given_for_ed25519(_: Kit) -> Kit:
    truth = eddy_kit()
    truth.given = (MAIN,)
    return truth


@kit_lie("C7", 5, KEY, MAIN.named)
def two_wrong_keys_given(truth: Kit) -> None:
    truth.given = (STRANGER, SECOND)


@kit_lie("C7", 5, KEY + "|" + SIGNATURE)
def stranger_signs_under_the_right_hint(truth: Kit) -> None:
    truth.list_signed_by(STRANGER.sign(truth.sums))


@kit_lie("C7", 5, KEY + "|hint", STRANGER.named)
def right_signature_under_a_strangers_hint(truth: Kit) -> None:
    truth.files[SUMS_BUNDLE] = line(sums_bundle(STRANGER, truth.sums, truth.files[SIG].decode().strip()))


@kit_lie("C7", 5, KEY + "|" + SIGNATURE)
def right_signature_under_the_hint_of_another_given_key(truth: Kit) -> None:
    truth.given = (MAIN, SECOND)
    truth.files[SUMS_BUNDLE] = line(sums_bundle(SECOND, truth.sums, truth.files[SIG].decode().strip()))


@kit_lie("C7", 5, exactly(MANIFEST_BUNDLE) + "|hint|key")
def manifest_bundle_under_the_hint_of_another_given_key(truth: Kit) -> None:
    truth.given = (MAIN, SECOND)
    truth.files[MANIFEST_BUNDLE] = manifest_bundle(SECOND, truth.files[MANIFEST_DSSE])


@kit_lie("C7", 5, exactly(MANIFEST_DSSE) + "|key|" + SIGNATURE)
def manifest_signed_by_another_given_key_than_the_list(truth: Kit) -> None:
    truth.given = (MAIN, SECOND)
    truth.files[MANIFEST_DSSE] = line(dsse(SECOND, truth.files[MANIFEST]))
    truth.files[MANIFEST_BUNDLE] = manifest_bundle(SECOND, truth.files[MANIFEST_DSSE])


@kit_lie("C7", 5, exactly(MANIFEST_DSSE) + "|key", STRANGER.named)
def manifest_signed_by_a_stranger(truth: Kit) -> None:
    truth.files[MANIFEST_DSSE] = line(dsse(STRANGER, truth.files[MANIFEST]))
    truth.files[MANIFEST_BUNDLE] = manifest_bundle(STRANGER, truth.files[MANIFEST_DSSE])


@kit_lie("C7", 5, exactly(MANIFEST_DSSE), SIGNATURE)
def manifest_signed_by_a_stranger_under_the_right_keyid(truth: Kit) -> None:
    envelope = dsse(STRANGER, truth.files[MANIFEST])
    envelope["signatures"][0]["keyid"] = truth.key.keyid
    truth.enclose(line(envelope))


def _removed(names: tuple[str, ...], truth: Kit) -> None:
    for name in names:
        del truth.files[name]


for _lie, _names in {
    "the_list": (SIG, SUMS_BUNDLE),
    "the_manifest": (MANIFEST_DSSE, MANIFEST_BUNDLE),
    "everything": (SIG, SUMS_BUNDLE, MANIFEST_DSSE, MANIFEST_BUNDLE),
    "everything_but_the_list": tuple(name for name in ENVELOPE if name != SUMS),
    "everything_and_the_list": ENVELOPE,
}.items():
    kit_lie("C8", 5, *(exactly(name) for name in _names), name=f"signatures_stripped_from_{_lie}")(partial(_removed, _names))


@kit_lie("C8", 6, "empty|no file", only="folder")
def kit_without_any_file(truth: Kit) -> None:
    truth.files.clear()


# -- how a signature is written


def _rs(key: Key, message: bytes) -> tuple[bytes, bytes]:
    r, s = key.sign_rs(message)
    return der_integer(r), der_integer(s)


def _longer(der: bytes) -> bytes:
    """The SEQUENCE's length in two bytes where one would do."""
    return der[:1] + b"\x81" + der[1:]


def _with_numbers(change: Callable[[int, int], tuple[int, int]], key: Key, message: bytes) -> bytes:
    r, s = change(*key.sign_rs(message))
    return der_signature(der_integer(r), der_integer(s))


def _padded_r(key: Key, message: bytes) -> bytes:
    r, s = key.sign_rs(message)
    return der_signature(der_integer(r, padding=1), der_integer(s))


def _negative_r(key: Key, message: bytes) -> bytes:
    """R written without the zero byte that keeps it positive, as old Java did; or r - 2^256 where it has none."""
    r, s = _rs(key, message)
    body = r[3:] if r[2] == 0 else b"\xff" + r[2:]
    return der_signature(bytes([2, len(body)]) + body, s)


def _hashed(kind: hashes.HashAlgorithm, key: Key, message: bytes) -> bytes:
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    return key.private.sign(message, ec.ECDSA(kind, deterministic_signing=True))


RawSignature = Callable[[Key, bytes], bytes]
RAW: dict[str, RawSignature] = {
    "empty": lambda *_: b"",
    "of_one_zero_byte": lambda *_: b"\0",
    "of_zeros": lambda *_: bytes(64),
    "raw_r_and_s": lambda key, message: b"".join(number.to_bytes(32) for number in key.sign_rs(message)),
    "der_with_padded_r": _padded_r,
    "der_with_negative_r": _negative_r,
    "der_with_long_length": lambda key, message: _longer(key.sign(message)),
    "der_with_trailing_byte": lambda key, message: key.sign(message) + b"\0",
    "der_without_last_byte": lambda key, message: key.sign(message)[:-1],
    "der_twice": lambda key, message: key.sign(message) * 2,
    "der_with_third_number": lambda key, message: bytes([0x30, key.sign(message)[1] + 3]) + key.sign(message)[2:] + b"\2\1\0",
    "der_with_byte_inside_after_s": lambda key, message: bytes([0x30, key.sign(message)[1] + 1]) + key.sign(message)[2:] + b"\0",
    "der_with_set_for_sequence": lambda key, message: b"\x31" + key.sign(message)[1:],
    "der_with_indefinite_length": lambda key, message: b"\x30\x80" + key.sign(message)[2:] + b"\0\0",
    "der_with_bit_strings": lambda key, message: key.sign(message).replace(b"\2\x20", b"\3\x20").replace(b"\2\x21", b"\3\x21"),
    "der_of_one_number": lambda key, message: bytes([0x30, len(_rs(key, message)[0])]) + _rs(key, message)[0],
    "of_r_zero": partial(_with_numbers, lambda _, s: (0, s)),
    "of_s_zero": partial(_with_numbers, lambda r, _: (r, 0)),
    "of_both_zero": partial(_with_numbers, lambda *_: (0, 0)),
    "of_both_one": partial(_with_numbers, lambda *_: (1, 1)),
    "of_r_the_order": partial(_with_numbers, lambda _, s: (P256_ORDER, s)),
    "of_s_the_order": partial(_with_numbers, lambda r, _: (r, P256_ORDER)),
    "of_both_the_order": partial(_with_numbers, lambda *_: (P256_ORDER, P256_ORDER)),
    "of_r_beyond_the_order": partial(_with_numbers, lambda r, s: (r + P256_ORDER, s)),
    "of_s_beyond_the_order": partial(_with_numbers, lambda r, s: (r, s + P256_ORDER)),
    "of_s_beyond_twice_the_order": partial(_with_numbers, lambda r, s: (r, s + 2 * P256_ORDER)),
    "of_r_and_s_swapped": partial(_with_numbers, lambda r, s: (s, r)),
    "of_r_negated": partial(_with_numbers, lambda r, s: (P256_ORDER - r, s)),
    "of_huge_numbers": partial(_with_numbers, lambda r, s: (r << 200, s << 200)),
    "over_sha1": partial(_hashed, hashes.SHA1()),  # noqa: S303 # the downgrade is the lie
    "over_md5": partial(_hashed, hashes.MD5()),  # noqa: S303 # the same
    "over_sha224": partial(_hashed, hashes.SHA224()),
    "over_sha384": partial(_hashed, hashes.SHA384()),
    "over_sha512": partial(_hashed, hashes.SHA512()),
    "as_long_as_rsa_of_2048_bits": lambda key, message: (key.sign(message) * 4)[:256],
    "by_ed25519_under_the_right_hint": lambda _, message: EDDY.sign(message),
}
DOWNGRADES = ("over_sha1", "over_md5", "over_sha224", "as_long_as_rsa_of_2048_bits")


def _eddy(change: Callable[[int], int], key: Key, message: bytes) -> bytes:
    raw = key.sign(message)
    return raw[:32] + change(int.from_bytes(raw[32:], "little")).to_bytes(32, "little")


RAW_ED25519: dict[str, RawSignature] = {
    "with_s_plus_the_order": partial(_eddy, lambda s: s + ED25519_ORDER),
    "with_s_plus_eight_orders": partial(_eddy, lambda s: s + 8 * ED25519_ORDER),
    "with_s_zero": partial(_eddy, lambda _: 0),
    "with_s_negated": partial(_eddy, lambda s: ED25519_ORDER - s),
    "with_high_bit_of_s": partial(_eddy, lambda s: s | 1 << 255),
    "of_63_bytes": lambda key, message: key.sign(message)[:-1],
    "of_65_bytes": lambda key, message: key.sign(message) + b"\0",
    "of_64_zeros": lambda *_: bytes(64),
    "of_64_ff": lambda *_: b"\xff" * 64,
    "of_identity_and_zero": lambda *_: b"\1" + bytes(63),
    "of_halves_swapped": lambda key, message: key.sign(message)[32:] + key.sign(message)[:32],
    "over_the_digest": lambda key, message: key.sign(hashlib.sha256(message).digest()),
    "over_the_sha512_digest": lambda key, message: key.sign(hashlib.sha512(message).digest()),
    "with_sign_bit_of_r": lambda key, message: (
        key.sign(message)[:31] + bytes([key.sign(message)[31] ^ 0x80]) + key.sign(message)[32:]
    ),
    "by_p256_under_the_right_hint": lambda _, message: MAIN.sign(message),
    "empty": lambda *_: b"",
}


def _list_signed(raw: RawSignature, key: Key, _: Kit) -> Kit:
    truth = kit(key)
    return truth.list_signed_by(raw(key, truth.sums))


def signed_with(raw: RawSignature, key: Key, payload: bytes) -> bytes:
    """A DSSE with another signature."""
    envelope = dsse(key, payload)
    envelope["signatures"][0]["sig"] = b64(raw(key, pae(payload)))
    return line(envelope)


def _manifest_signed(raw: RawSignature, key: Key, _: Kit) -> Kit:
    truth = kit(key)
    return truth.enclose(signed_with(raw, key, truth.files[MANIFEST]))


def _attestation_signed(raw: RawSignature, key: Key, _: Kit) -> Kit:
    truth = kit(key)
    payload = base64.b64decode(json.loads(truth.files[PROVENANCE])["payload"])
    truth.files[PROVENANCE] = signed_with(raw, key, payload)
    return truth.relist()


for _key, _prefix, _table in ((MAIN, "signature", RAW), (EDDY, "ed25519_signature", RAW_ED25519)):
    for _lie, _raw in _table.items():
        _row = "C17" if _lie in DOWNGRADES else "C10"
        kit_lie(_row, 5, FORM, name=f"{_prefix}_{_lie}", kin=f"{_prefix}_{_lie}")(partial(_list_signed, _raw, _key))
        kit_lie(_row, 5, exactly(MANIFEST_DSSE), name=f"manifest_{_prefix}_{_lie}", only="folder", kin=f"{_prefix}_{_lie}")(
            partial(_manifest_signed, _raw, _key)
        )
        kit_lie(_row, 5, exactly(PROVENANCE), name=f"attestation_{_prefix}_{_lie}", only="tarball", kin=f"{_prefix}_{_lie}")(
            partial(_attestation_signed, _raw, _key)
        )


# -- how base64 is written


def loose_bits(text: bytes) -> bytes:
    """The same bytes with the unused bits before the padding set (RFC 4648 §3.5)."""
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = text.rstrip(b"=\n")
    if len(last) % 4 == 0:
        raise ValueError("there is no padding: the lie would be the truth")
    return last[:-1] + digits[digits.index(last[-1:]) + 1 : digits.index(last[-1:]) + 2] + text[len(last) :]


def url_alphabet(text: bytes) -> bytes:
    """RFC 4648 §5, and a text in which it differs."""
    if (changed := text.replace(b"+", b"-").replace(b"/", b"_")) == text:
        raise ValueError("neither + nor / is there: the lie would be the truth")
    return changed


TextChange = Callable[[bytes], bytes]
BASE64: dict[str, TextChange] = {
    "with_loose_bits": loose_bits,
    "in_url_alphabet": url_alphabet,
    "without_padding": lambda text: instead(text, b"=", b"").replace(b"=", b""),
    "with_more_padding": lambda text: text.rstrip(b"\n") + b"====" + text[len(text.rstrip(b"\n")) :],
    "with_leading_space": lambda text: b" " + text,
    "with_space_in_it": lambda text: text[:8] + b" " + text[8:],
    "with_text_after_padding": lambda text: text.rstrip(b"\n") + b"AAAA" + text[len(text.rstrip(b"\n")) :],
    "with_a_foreign_letter": lambda text: text[:8] + b"!" + text[8:],
    "in_hex": lambda text: base64.b64decode(text).hex().encode() + text[len(text.rstrip(b"\n")) :],
}
FILE: dict[str, TextChange] = {
    "without_newline": lambda text: text[:-1],
    "with_two_newlines": lambda text: text + b"\n",
    "with_crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "in_two_lines": lambda text: text[:64] + b"\n" + text[64:],
    "with_blank_line_first": lambda text: b"\n" + text,
    "with_space_at_end": lambda text: instead(text, b"\n", b" \n"),
    "with_nul": lambda text: text + b"\0",
    "with_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "twice": lambda text: text * 2,
    "of_a_mebibyte": lambda text: text[:-1] + b"A" * 2**20 + b"\n",
    "in_pem": lambda text: b"-----BEGIN SIGNATURE-----\n" + text + b"-----END SIGNATURE-----\n",
    "in_der": base64.b64decode,
}


def _awkward_eddy_kit() -> Kit:
    """A valid kit whose base64 texts have padding, `+` and `/`: an Ed25519 signature is 64 bytes, which two `=` end."""
    for number in range(100):
        truth = Kit(signers=(EDDY,))
        truth.files[README] = b"%d\n" % number
        truth.attest()
        texts = [
            truth.files[SIG],
            *(json.loads(truth.files[name])["signatures"][0]["sig"].encode() for name in (MANIFEST_DSSE, PROVENANCE)),
        ]
        if all(set(text) & set(b"+/") for text in texts):
            return truth
    raise ValueError("no such kit among a hundred")


def _sig_text(change: TextChange, _: Kit) -> Kit:
    """The bundle holds the same text: only its writing is wrong."""
    truth = _awkward_eddy_kit()
    truth.files[SIG] = change(truth.files[SIG])
    text = truth.files[SIG].removesuffix(b"\n").decode("latin-1")
    truth.files[SUMS_BUNDLE] = line(sums_bundle(truth.key, truth.sums, text))
    return truth


def _sig_file(change: TextChange, truth: Kit) -> None:
    truth.files[SIG] = change(truth.files[SIG])


def _sig_in_dsse(name: str, change: TextChange, _: Kit) -> Kit:
    truth = _awkward_eddy_kit()
    envelope = json.loads(truth.files[name])
    envelope["signatures"][0]["sig"] = change(envelope["signatures"][0]["sig"].encode()).decode()
    return _enveloped(name, line(envelope), truth)


def _enveloped(name: str, envelope: bytes, truth: Kit) -> Kit:
    """Writes a DSSE with all that follows from it."""
    if name == MANIFEST_DSSE:
        return truth.enclose(envelope)
    truth.files[name] = envelope
    return truth if name.startswith("manifest.") else truth.relist()


for _lie, _change in BASE64.items():
    kit_lie("C10", 5, FORM, name=f"signature_text_{_lie}", kin=f"signature_text_{_lie}")(partial(_sig_text, _change))
    for _name, _slug in ((MANIFEST_DSSE, "manifest"), (PROVENANCE, "attestation")):
        kit_lie("C10", 5, exactly(_name), name=f"{_slug}_signature_text_{_lie}", only="folder", kin=f"signature_text_{_lie}")(
            partial(_sig_in_dsse, _name, _change)
        )
for _lie, _change in FILE.items():
    kit_lie("C10", 5, FORM, name=f"signature_file_{_lie}")(partial(_sig_file, _change))


# -- C10: how a DSSE and a bundle are written


def _field(name: str, value: Json) -> Callable[[Json], Json]:
    return lambda envelope: {**envelope, name: value}


def _without(name: str) -> Callable[[Json], Json]:
    return lambda envelope: {key: value for key, value in envelope.items() if key != name}


def _signature_field(name: str, value: Json) -> Callable[[Json], Json]:
    return lambda envelope: {**envelope, "signatures": [{**envelope["signatures"][0], name: value}]}


def _payload(envelope: Json) -> bytes:
    return base64.b64decode(envelope["payload"])


def _typed(payload_type: str) -> Callable[[Json], Json]:
    """Another payloadType, under which the right key has signed."""
    return lambda envelope: {
        **envelope,
        "payloadType": payload_type,
        "signatures": [signature(MAIN, _payload(envelope), payload_type)],
    }


def _repayload(change: TextChange) -> Callable[[Json], Json]:
    """Another payload, which the right key has signed."""
    return lambda envelope: dsse(MAIN, change(_payload(envelope)))


def _payload_text(change: TextChange) -> Callable[[Json], Json]:
    """The same payload, written otherwise."""
    return lambda envelope: {**envelope, "payload": change(envelope["payload"].encode()).decode()}


def _url_payload(envelope: Json) -> Json:
    """The payload's text in the other alphabet, or in a longer text where the two are one."""
    text = envelope["payload"]
    return {**envelope, "payload": text.replace("+", "-").replace("/", "_") if set(text) & set("+/") else text + "_-"}


DsseChange = Callable[[Json], Json]
DSSE: dict[str, DsseChange] = {
    "payload_type_changed": _field("payloadType", "application/json"),
    "payload_type_changed_and_signed": _typed("application/json"),
    "payload_type_in_upper_case_and_signed": _typed("application/vnd.in-toto+JSON"),
    "payload_type_empty_and_signed": _typed(""),
    "payload_type_with_space_and_signed": _typed("application/vnd.in-toto+json "),
    "payload_type_non_ascii_and_signed": _typed("application/vnd.in-toto+j\u00e9on"),
    "payload_type_missing": _without("payloadType"),
    "payload_missing": _without("payload"),
    "signatures_missing": _without("signatures"),
    "payload_empty_and_signed": _repayload(lambda _: b""),
    "payload_indented_and_signed": _repayload(
        lambda payload: json.dumps(json.loads(payload), indent=2, sort_keys=True).encode() + b"\n"
    ),
    "payload_with_spaces_and_signed": _repayload(
        lambda payload: json.dumps(json.loads(payload), sort_keys=True).encode() + b"\n"
    ),
    "payload_without_newline_and_signed": _repayload(lambda payload: payload[:-1]),
    "payload_with_two_newlines_and_signed": _repayload(lambda payload: payload + b"\n"),
    "payload_with_crlf_and_signed": _repayload(lambda payload: payload[:-1] + b"\r\n"),
    "payload_with_byte_order_mark_and_signed": _repayload(lambda payload: b"\xef\xbb\xbf" + payload),
    "payload_in_utf16_and_signed": _repayload(lambda payload: payload.decode().encode("utf-16")),
    "payload_with_escaped_letter_and_signed": _repayload(lambda payload: payload.replace(b'"_type"', b'"\\u005ftype"')),
    "payload_with_escaped_slash_and_signed": _repayload(lambda payload: payload.replace(b"https://", b"https:\\/\\/")),
    "payload_of_another_kit_and_signed": _repayload(lambda _: other_kit().files[MANIFEST]),
    "payload_with_trailing_json_and_signed": _repayload(lambda payload: payload + b"{}\n"),
    "payload_text_without_padding_or_longer": lambda envelope: {
        **envelope,
        "payload": envelope["payload"].rstrip("=") if "=" in envelope["payload"] else envelope["payload"] + "====",
    },
    "payload_text_in_url_alphabet": _url_payload,
    "payload_text_with_newline": _payload_text(lambda text: text[:76] + b"\n" + text[76:]),
    "payload_text_with_space": _payload_text(lambda text: text + b" "),
    "payload_not_base64": _field("payload", "{}"),
    "payload_is_an_object": lambda envelope: {**envelope, "payload": json.loads(_payload(envelope))},
    "extra_signature_by_a_stranger": lambda envelope: {
        **envelope,
        "signatures": [*envelope["signatures"], signature(STRANGER, _payload(envelope))],
    },
    "extra_signature_by_a_stranger_first": lambda envelope: {
        **envelope,
        "signatures": [signature(STRANGER, _payload(envelope)), *envelope["signatures"]],
    },
    "extra_signature_by_the_same_key": lambda envelope: {**envelope, "signatures": envelope["signatures"] * 2},
    "extra_empty_signature": lambda envelope: {**envelope, "signatures": [*envelope["signatures"], {}]},
    "zero_signatures": _field("signatures", []),
    "signatures_null": _field("signatures", None),
    "signature_not_in_a_list": lambda envelope: {**envelope, "signatures": envelope["signatures"][0]},
    "signature_is_a_text": lambda envelope: {**envelope, "signatures": [envelope["signatures"][0]["sig"]]},
    "keyid_missing": lambda envelope: {**envelope, "signatures": [{"sig": envelope["signatures"][0]["sig"]}]},
    "keyid_empty": _signature_field("keyid", ""),
    "keyid_null": _signature_field("keyid", None),
    "keyid_in_hex": _signature_field("keyid", MAIN.fingerprint),
    "keyid_of_a_stranger": _signature_field("keyid", STRANGER.keyid),
    "keyid_is_the_hint": _signature_field("keyid", MAIN.hint),
    "keyid_with_padding": _signature_field("keyid", MAIN.keyid + "="),
    "keyid_without_prefix": _signature_field("keyid", MAIN.keyid.removeprefix("SHA256:")),
    "keyid_with_prefix_in_lower_case": _signature_field("keyid", MAIN.keyid.replace("SHA256", "sha256")),
    "keyid_with_loose_bits": _signature_field("keyid", loose_bits(MAIN.keyid.encode() + b"=").decode().rstrip("=")),
    "sig_missing": lambda envelope: {**envelope, "signatures": [{"keyid": envelope["signatures"][0]["keyid"]}]},
    "sig_null": _signature_field("sig", None),
    "sig_empty": _signature_field("sig", ""),
    "extra_member": _field("zzz", 1),
    "extra_member_first": _field("_", 1),
    "extra_member_in_signature": _signature_field("cert", "x"),
    "is_a_list": lambda envelope: [envelope],
    "is_null": lambda _: None,
    "is_a_number": lambda _: 1,
    "is_empty": lambda _: {},
}


def _keyid_last(text: bytes) -> bytes:
    """A DSSE whose signature has its two members the wrong way round."""
    envelope = json.loads(text)
    envelope["signatures"] = [{"sig": row["sig"], "keyid": row["keyid"]} for row in envelope["signatures"]]
    return json.dumps(envelope, separators=(",", ":")).encode() + b"\n"


WRITING: dict[str, TextChange] = {
    "file_with_trailing_json": lambda text: text + b"{}\n",
    "file_with_trailing_json_in_the_line": lambda text: instead(text, b"}]}", b"}]}{}"),
    "file_without_newline": lambda text: text[:-1],
    "file_with_two_newlines": lambda text: text + b"\n",
    "file_with_crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "file_with_space_first": lambda text: b" " + text,
    "file_with_space_after_colon": lambda text: instead(text, b'":', b'": '),
    "file_with_space_after_comma": lambda text: instead(text, b',"', b', "'),
    "file_indented": lambda text: json.dumps(json.loads(text), indent=1).encode() + b"\n",
    "file_with_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "file_with_nul": lambda text: text + b"\0",
    "file_with_key_order_changed": lambda text: (
        json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":")).encode() + b"\n"
    ),
    "file_with_keyid_after_sig": _keyid_last,
    "file_with_member_twice": lambda text: instead(text, b'"payloadType":', b'"payloadType":"x","payloadType":'),
    "file_with_payload_twice": lambda text: instead(text, b'{"payload":', b'{"payload":"","payload":'),
    "file_with_escaped_name": lambda text: instead(text, b'"payload"', b'"p\\u0061yload"'),
    "file_with_escaped_type": lambda text: instead(text, b"application/vnd", b"application\\/vnd"),
    "file_with_comment": lambda text: text + b"// comment\n",
    "file_with_trailing_comma": lambda text: instead(text, b"]}", b"],}"),
    "file_with_single_quotes": lambda text: text.replace(b'"', b"'"),
    "file_truncated": lambda text: text[:-3],
    "file_twice": lambda text: text * 2,
    "file_nested_100000_deep": lambda _: b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "file_nested_100000_deep_in_a_member": lambda text: instead(text, b"{", b'{"_":' + b"[" * 100_000 + b"]" * 100_000 + b","),
    "file_with_huge_number": lambda text: instead(text, b"{", b'{"_":' + b"9" * 10_000 + b","),
    "file_not_utf8": lambda text: instead(text, b"{", b'{"_":"\xff",'),
    "file_with_lone_surrogate": lambda text: instead(text, b"{", b'{"_":"\\ud800",'),
}


def _dsse_changed(name: str, change: DsseChange, truth: Kit) -> Kit:
    old = json.loads(truth.files[name])
    if (new := change(old)) == old:
        raise ValueError("the DSSE did not change: the lie would be the truth")
    return _enveloped(name, line(new), truth)


def _dsse_rewritten(name: str, change: TextChange, truth: Kit) -> Kit:
    if (new := change(truth.files[name])) == truth.files[name]:
        raise ValueError("the DSSE did not change: the lie would be the truth")
    return _enveloped(name, new, truth)


for _name, _slug, _only in ((MANIFEST_DSSE, "manifest", "folder"), (PROVENANCE, "attestation", "tarball")):
    for _lie, _dsse in DSSE.items():
        kit_lie("C10", 5, exactly(_name), name=f"{_slug}_dsse_{_lie}", only=_only, kin=f"dsse_{_lie}")(
            partial(_dsse_changed, _name, _dsse)
        )
    for _lie, _change in WRITING.items():
        kit_lie("C10", 5, exactly(_name), name=f"{_slug}_dsse_{_lie}", only=_only, kin=f"dsse_{_lie}")(
            partial(_dsse_rewritten, _name, _change)
        )


BUNDLE_WRITING = {
    name: change for name, change in WRITING.items() if "payload" not in name and "type" not in name and "member" not in name
}
BUNDLE_WRITING |= {
    "file_with_escaped_member_name": lambda text: instead(text, b'"mediaType"', b'"medi\\u0061Type"'),
    "file_with_other_media_type": lambda text: instead(text, b"v0.3+json", b"v0.2+json"),
    "file_with_log_entry": lambda text: instead(text, b'"tlogEntries":[]', b'"tlogEntries":[{}]'),
    "file_without_log_entries": lambda text: instead(text, b',"tlogEntries":[]', b""),
    "file_with_certificate": lambda text: instead(text, b'"publicKey":', b'"certificate":{"rawBytes":""},"publicKey":'),
    "file_with_keyid_as_hint": lambda text: instead(text, MAIN.hint.encode(), MAIN.keyid.encode()),
    "file_with_empty_hint": lambda text: instead(text, MAIN.hint.encode() + b'"}', b'"}'),
    "file_with_hint_in_hex": lambda text: instead(
        text, b'"hint":"' + MAIN.hint.encode(), b'"hint":"' + MAIN.fingerprint.encode()
    ),
    "file_with_loose_bits_in_hint": lambda text: instead(text, MAIN.hint.encode(), loose_bits(MAIN.hint.encode())),
    "file_without_hint": lambda text: instead(text, b'{"hint":"' + MAIN.hint.encode() + b'"}', b"{}"),
    "file_is_a_list": lambda text: b"[" + text[:-1] + b"]\n",
}
for _lie in ("file_with_keyid_after_sig", "file_with_trailing_json_in_the_line", "file_with_escaped_name"):
    del BUNDLE_WRITING[_lie]


def _bundle_rewritten(name: str, change: TextChange, truth: Kit) -> None:
    if (new := change(truth.files[name])) == truth.files[name]:
        raise ValueError("the bundle did not change: the lie would be the truth")
    truth.files[name] = new


for _name, _slug, _only in ((SUMS_BUNDLE, "list_bundle", "tarball"), (MANIFEST_BUNDLE, "manifest_bundle", "folder")):
    for _lie, _change in BUNDLE_WRITING.items():
        kit_lie("C10", 5, exactly(_name), name=f"{_slug}_{_lie}", only=_only, kin=f"bundle_{_lie}")(
            partial(_bundle_rewritten, _name, _change)
        )


def _digest(value: str) -> TextChange:
    digest = b64(hashlib.sha256(kit().sums).digest())
    return lambda text: instead(text, digest.encode(), value.encode())


for _lie, _change in {
    "digest_of_another_list": _digest(b64(hashlib.sha256(b"").digest())),
    "digest_in_hex": _digest(hashlib.sha256(kit().sums).hexdigest()),
    "digest_empty": _digest(""),
    "digest_with_loose_bits": _digest(loose_bits(b64(hashlib.sha256(kit().sums).digest()).encode()).decode()),
    "algorithm_changed": lambda text: instead(text, b"SHA2_256", b"SHA2_512"),
    "algorithm_in_lower_case": lambda text: instead(text, b"SHA2_256", b"sha2_256"),
    "signature_of_another_kit": lambda text: instead(text, kit().files[SIG].strip(), other_kit().files[SIG].strip()),
    "signature_empty": lambda text: instead(text, kit().files[SIG].strip(), b""),
}.items():
    kit_lie("C10", 5, exactly(SUMS_BUNDLE), name=f"list_bundle_{_lie}")(partial(_bundle_rewritten, SUMS_BUNDLE, _change))


@kit_lie("C10", 5, exactly(MANIFEST_BUNDLE))
def manifest_bundle_around_another_dsse(truth: Kit) -> None:
    truth.files[MANIFEST_BUNDLE] = manifest_bundle(truth.key, line(dsse(truth.key, other_kit().files[MANIFEST])))


@kit_lie("C10", 5, exactly(MANIFEST_BUNDLE))
def manifest_bundle_around_a_randomly_other_signature(truth: Kit) -> None:
    assert isinstance(truth.key.private, ec.EllipticCurvePrivateKey)
    envelope = dsse(truth.key, truth.files[MANIFEST])
    raw = truth.key.private.sign(pae(truth.files[MANIFEST]), ec.ECDSA(hashes.SHA256()))
    envelope["signatures"][0]["sig"] = b64(raw)
    truth.files[MANIFEST_BUNDLE] = manifest_bundle(truth.key, line(envelope))


# -- co-signers


def _cosigned(change: Callable[[Kit], object], _: Kit) -> Kit:
    truth = kit(MAIN, SECOND)
    change(truth)
    return truth


def _given(*keys: Key) -> Callable[[Kit], object]:
    return lambda truth: setattr(truth, "given", keys)


def _cofile(
    name: str, key: Key, *, payload: Callable[[Kit], bytes] = lambda truth: truth.files[MANIFEST]
) -> Callable[[Kit], object]:
    """Writes a co-signer's file."""
    return lambda truth: truth.files.update({name: line(dsse(key, payload(truth)))})


COSIGNED = cosigned_name(SECOND)


def _renamed(name: str) -> Callable[[Kit], object]:
    return lambda truth: truth.files.update({name: truth.files.pop(COSIGNED)})


def _second(change: Callable[[Json], object]) -> Callable[[Kit], object]:
    """Changes the co-signer's DSSE in place."""

    def edit(truth: Kit) -> None:
        envelope = json.loads(truth.files[COSIGNED])
        change(envelope["signatures"][0])
        truth.files[COSIGNED] = line(envelope)

    return edit


OTHER_NAME = "manifest.0123456789abcdef.dsse.json"
for _lie, _reason, _cochange in (
    ("under_no_given_key", SECOND.named, _given(MAIN)),
    ("given_alone", MAIN.named, _given(SECOND)),
    ("under_another_name", r"0123456789abcdef|manifest\.", _renamed(OTHER_NAME)),
    ("under_the_first_signers_name", MAIN.named, _renamed(cosigned_name(MAIN))),
    ("under_a_strangers_name", STRANGER.named, _renamed(cosigned_name(STRANGER))),
    ("twice_under_two_names", r"0123456789abcdef|twice|manifest\.", _cofile(OTHER_NAME, SECOND)),
    ("is_the_first_signer_again", MAIN.named, _cofile(cosigned_name(MAIN), MAIN)),
    ("signs_another_payload", SECOND.named, _cofile(COSIGNED, SECOND, payload=lambda _: other_kit().files[MANIFEST])),
    ("signs_the_list", SECOND.named, _cofile(COSIGNED, SECOND, payload=lambda truth: truth.sums)),
    ("file_signed_by_the_first_signer", SECOND.named, _cofile(COSIGNED, MAIN)),
    ("file_signed_by_a_stranger", SECOND.named, _cofile(COSIGNED, STRANGER)),
    ("signature_wrong", SECOND.named, _second(lambda row: row.update(sig=b64(STRANGER.sign(b""))))),
    ("signature_of_the_first", SECOND.named, _second(lambda row: row.update(sig=b64(MAIN.sign(pae(kit().files[MANIFEST])))))),
    ("keyid_of_the_first", SECOND.named, _second(lambda row: row.update(keyid=MAIN.keyid))),
    ("keyid_empty", SECOND.named, _second(lambda row: row.update(keyid=""))),
    ("file_empty", SECOND.named, lambda truth: truth.files.update({COSIGNED: b""})),
    ("file_not_json", SECOND.named, lambda truth: truth.files.update({COSIGNED: b"{\n"})),
    ("file_without_newline", SECOND.named, lambda truth: truth.files.update({COSIGNED: truth.files[COSIGNED][:-1]})),
    ("file_is_the_first_dsse", SECOND.named, lambda truth: truth.files.update({COSIGNED: truth.files[MANIFEST_DSSE]})),
):
    kit_lie("C10", 5, _reason, name=f"co_signer_{_lie}")(partial(_cosigned, _cochange))


@kit_lie("C10", 5, STRANGER.named)
def co_signer_is_a_stranger(truth: Kit) -> None:
    truth.files[cosigned_name(STRANGER)] = line(dsse(STRANGER, truth.files[MANIFEST]))


@kit_lie("C10", 5, EDDY_SECOND.named)
def co_signer_by_ed25519_wrong(_: Kit) -> Kit:
    truth = kit(EDDY, EDDY_SECOND)
    name = cosigned_name(EDDY_SECOND)
    truth.files[name] = signed_with(RAW_ED25519["with_s_plus_the_order"], EDDY_SECOND, truth.files[MANIFEST])
    return truth


@kit_lie("C10", 5, exactly(SIG) + "|" + SIGNATURE)
def list_signed_by_the_co_signer_under_the_first_ones_hint(_: Kit) -> Kit:
    truth = kit(MAIN, SECOND)
    return truth.list_signed_by(SECOND.sign(truth.sums))

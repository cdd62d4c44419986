"""The forms of the envelope and of statements: base64, SHA256SUMS, DSSE, bundles, canonical JSON, the manifest's predicate."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.tiny_kit import ECDSA, EDDSA, LAW, canonical, default_predicate, dsse, keys, kit, load, sha256

vk = load()

# -- base64


@LAW
@given(data=st.binary(max_size=200))
def test_base64_is_read_as_it_is_written(data: bytes) -> None:
    assert vk.to_base64(data) == base64.b64encode(data)
    assert vk.from_base64(base64.b64encode(data)) == data


@LAW
@given(text=st.text("AQgw+/=\n -_\0", max_size=8).map(str.encode))
def test_base64_has_one_text_for_each_bytes(text: bytes) -> None:
    try:
        data = vk.from_base64(text)
    except vk.Wrong:
        return
    assert base64.b64encode(data) == text


@pytest.mark.parametrize(
    "text",
    [b"=", b"A", b"AA", b"AAA", b"AA=", b"AB==", b"AAB=", b"AA==\n", b"A A=", b"AA==AA==", b"__==", b"AA===", b"\xff\xff=="],
)
def test_base64_in_another_form_is_wrong(text: bytes) -> None:
    with pytest.raises(vk.Wrong):
        vk.from_base64(text)


# -- SHA256SUMS

D = "0" * 64


def sums(text: str) -> list[str]:
    """What is wrong with a list."""
    return [failure.line() for failure in vk.read_sums(text.encode())[1]]


NAMES = st.lists(st.text("abc.-", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)
DIGESTS = st.binary(max_size=3).map(sha256)


@LAW
@given(rows=st.dictionaries(NAMES.filter(lambda name: vk.name_fault(name) is None), DIGESTS, min_size=1))
def test_list_is_read_as_it_is_written(rows: dict[str, str]) -> None:
    names = sorted(name for name in rows if not any(name.startswith(f"{other}/") for other in rows))
    text = "".join(f"{rows[name]}  {name}\n" for name in names)

    found, failures = vk.read_sums(text.encode())

    assert failures == []
    assert list(found.items()) == [(name, rows[name]) for name in names]


LISTS = {
    "empty": ("", "no line"),
    "line_feed_alone": ("\n", "line 1"),
    "without_final_line_feed": (f"{D}  a", "line 1"),
    "without_final_line_feed_later": (f"{D}  a\n{D}  b", "line 2"),
    "crlf": (f"{D}  a\r\n", "line 1"),
    "comment": (f"# a\n{D}  a\n", "line 1"),
    "comment_after": (f"{D}  a # b\n", "line 1"),
    "blank_line": (f"{D}  a\n\n{D}  b\n", "line 2"),
    "upper_case": (f"{'A' * 64}  a\n", "line 1"),
    "short": (f"{D[1:]}  a\n", "line 1"),
    "long": (f"0{D}  a\n", "line 1"),
    "one_space": (f"{D} a\n", "line 1"),
    "three_spaces": (f"{D}   a\n", "line 1"),
    "star": (f"{D} *a\n", "line 1"),
    "tab": (f"{D}\ta\n", "line 1"),
    "backslash": (f"\\{D}  a\n", "line 1"),
    "no_name": (f"{D}  \n", "line 1"),
    "bsd": (f"SHA256 (a) = {D}\n", "line 1"),
    "traversal": (f"{D}  ../a\n", "part"),
    "device": (f"{D}  aux\n", "device"),
    "not_ascii": (f"{D}  caf\u00e9\n", "line 1"),
    "form_feed": (f"{D}  a\f{D}  b\n", "line 1"),
    "line_separator": (f"{D}  a\u2028\n", "line 1"),
    "envelope": (f"{D}  manifest.json\n", "envelope"),
    "further_signer": (f"{D}  manifest.0123456789abcdef.dsse.json\n", "envelope"),
    "twice": (f"{D}  a\n{D}  a\n", "a comes after a"),
    "order": (f"{D}  b\n{D}  a\n", "a comes after b"),
    "order_of_bytes": (f"{D}  a/b\n{D}  a-b\n", "comes after"),
    "case": (f"{D}  A\n{D}  a\n", "case"),
    "file_and_folder": (f"{D}  a\n{D}  a/b\n", "both"),
}


@pytest.mark.parametrize(("text", "word"), LISTS.values(), ids=LISTS)
def test_list_is_refused_and_the_line_is_named(text: str, word: str) -> None:
    (line,) = sums(text)

    assert word in line
    assert line.startswith("refused: SHA256SUMS: ")
    assert line.isascii()


def test_every_bad_line_is_named() -> None:
    said = sums(f"x\n{D}  a\ny\n{D}  b\n{D}  a\n")

    assert [line.split(":")[2] for line in said] == [" line 1", " line 3", " line 5"]


# -- canonical JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@LAW
@given(value=VALUES)
def test_canonical_json_of_another_implementation_is_read(value: Any) -> None:
    assert vk.parse_canonical(rfc8785.dumps(value) + b"\n") == value


@LAW
@given(value=VALUES, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_other_json_of_the_same_value_is_wrong(value: Any, indent: int | None, ascii_only: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n"

    if data != rfc8785.dumps(value) + b"\n":
        with pytest.raises(vk.Wrong):
            vk.parse_canonical(data)


BAD_JSON = {
    "nothing": b"",
    "line_feed": b"\n",
    "no_line_feed": b"{}",
    "two_line_feeds": b"{}\n\n",
    "leading_space": b" {}\n",
    "space": b'{"a": 1}\n',
    "order": b'{"b":1,"a":1}\n',
    "duplicate": b'{"a":1,"a":1}\n',
    "duplicate_by_escape": b'{"a":1,"\\u0061":1}\n',
    "utf16_order": '{"\ufb01":1,"\U0001f600":1}\n'.encode(),
    "fraction": b"1.5\n",
    "integral_fraction": b"1.0\n",
    "exponent": b"1e2\n",
    "minus_zero": b"-0\n",
    "leading_zero": b"01\n",
    "beyond_2_53": b"9007199254740992\n",
    "below_2_53": b"-9007199254740992\n",
    "huge": b"9" * 5000 + b"\n",
    "nan": b"NaN\n",
    "infinity": b"-Infinity\n",
    "escaped_letter": b'"\\u0061"\n',
    "escaped_solidus": b'"\\/"\n',
    "escape_in_upper_case": b'"\\u001F"\n',
    "lone_surrogate": b'"\\ud800"\n',
    "lone_surrogate_in_a_key": b'{"\\ud800":1}\n',
    "not_utf8": b'"\xff"\n',
    "byte_order_mark": b"\xef\xbb\xbf{}\n",
    "utf16": '{"a":1}\n'.encode("utf-16"),
    "trailing": b"{}{}\n",
    "cut": b'{"a":\n',
    "single_quotes": b"{'a':1}\n",
    "control_character": b'"\x01"\n',
    "deep": b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "deep_objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n",
}


@pytest.mark.parametrize("data", BAD_JSON.values(), ids=BAD_JSON)
def test_json_in_another_form_is_wrong(data: bytes) -> None:
    with pytest.raises(vk.Wrong) as wrong:
        vk.parse_canonical(data)

    assert len(str(wrong.value)) < 400
    assert str(wrong.value).isascii()


def test_canonical_json_orders_keys_by_utf16_units() -> None:
    assert vk.parse_canonical('{"\U0001f600":1,"\ufb01":1}\n'.encode()) == {"\U0001f600": 1, "\ufb01": 1}


# -- DSSE

PAYLOAD = b'{"a":1}\n'


def test_dsse_gives_its_payload_and_key() -> None:
    (ecdsa, eddsa) = keys(ECDSA, EDDSA)

    for signer, key in ((ECDSA, ecdsa), (EDDSA, eddsa)):
        assert vk.check_dsse("f", dsse(signer, PAYLOAD), (ecdsa, eddsa)) == (PAYLOAD, key)


def changed_dsse(**changes: Any) -> bytes:
    """A DSSE with other members at its top."""
    return canonical({**json.loads(dsse(EDDSA, PAYLOAD)), **changes})


ENVELOPE = json.loads(dsse(EDDSA, PAYLOAD))
SIGNATURE = ENVELOPE["signatures"][0]
BAD_DSSE = {
    "empty": b"",
    "no_line_feed": dsse(EDDSA, PAYLOAD)[:-1],
    "two_line_feeds": dsse(EDDSA, PAYLOAD) + b"\n",
    "spaces": json.dumps(ENVELOPE).encode() + b"\n",
    "other_type": changed_dsse(payloadType="application/vnd.in-toto+jsonx"),
    "further_member": changed_dsse(x=1),
    "no_signature": changed_dsse(signatures=[]),
    "two_signatures": changed_dsse(signatures=[SIGNATURE, SIGNATURE]),
    "no_keyid": changed_dsse(signatures=[{"sig": SIGNATURE["sig"]}]),
    "empty_keyid": changed_dsse(signatures=[{**SIGNATURE, "keyid": ""}]),
    "hint_as_keyid": changed_dsse(signatures=[{**SIGNATURE, "keyid": EDDSA.hint}]),
    "padded_keyid": changed_dsse(signatures=[{**SIGNATURE, "keyid": EDDSA.keyid + "="}]),
    "other_keyid": changed_dsse(signatures=[{**SIGNATURE, "keyid": ECDSA.keyid}]),
    "other_payload": changed_dsse(payload=base64.b64encode(b'{"a":2}\n').decode()),
    "no_payload": changed_dsse(payload=""),
    "payload_url_safe": dsse(EDDSA, b"\xff\xff\xff").replace(b"////", b"____"),
    "payload_not_canonical": dsse(EDDSA, b"a").replace(b'"YQ=="', b'"YR=="'),
    "signature_not_canonical": dsse(EDDSA, b"a").replace(b'=="}]}', b'="}]}'),
    "no_sig": changed_dsse(signatures=[{**SIGNATURE, "sig": ""}]),
}


@pytest.mark.parametrize("data", BAD_DSSE.values(), ids=BAD_DSSE)
def test_dsse_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(vk.Refused) as refused:
        vk.check_dsse("f", data, keys(ECDSA, EDDSA))

    assert refused.value.exit_code == 5
    assert refused.value.failures[0].file == "f"


def test_dsse_by_a_key_that_was_not_given_tells_both_keys() -> None:
    with pytest.raises(vk.Refused) as refused:
        vk.check_dsse("f", dsse(EDDSA, PAYLOAD), keys(ECDSA))

    assert EDDSA.keyid in refused.value.failures[0].found
    assert ECDSA.fingerprint in refused.value.failures[0].wanted


# -- statements

KIND = "https://example.com/kind"
SUBJECTS = [{"digest": {"sha256": D}, "name": "a"}, {"digest": {"sha256": D}, "name": "b"}]
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "predicate": {"x": 1}, "predicateType": KIND, "subject": SUBJECTS}


def test_statement_gives_its_predicate() -> None:
    assert vk.read_statement(canonical(STATEMENT), KIND, SUBJECTS) == {"x": 1}


BAD_STATEMENTS: dict[str, Any] = {
    "a_list": [],
    "null": None,
    "without_type": {key: value for key, value in STATEMENT.items() if key != "_type"},
    "further_member": {**STATEMENT, "x": 1},
    "type_v0": {**STATEMENT, "_type": "https://in-toto.io/Statement/v0.1"},
    "type_with_dot_as_any": {**STATEMENT, "_type": "https://in-toto-io/Statement/v1"},
    "type_null": {**STATEMENT, "_type": None},
    "kind": {**STATEMENT, "predicateType": KIND + "/"},
    "predicate_list": {**STATEMENT, "predicate": []},
    "predicate_null": {**STATEMENT, "predicate": None},
    "no_subject": {**STATEMENT, "subject": []},
    "subject_object": {**STATEMENT, "subject": SUBJECTS[0]},
    "fewer_subjects": {**STATEMENT, "subject": SUBJECTS[:1]},
    "more_subjects": {**STATEMENT, "subject": [*SUBJECTS, SUBJECTS[0]]},
    "subjects_swapped": {**STATEMENT, "subject": SUBJECTS[::-1]},
    "subject_with_sha1_alone": {**STATEMENT, "subject": [SUBJECTS[0], {"digest": {"sha1": D}, "name": "b"}]},
    "subject_with_sha1_too": {**STATEMENT, "subject": [SUBJECTS[0], {"digest": {"sha1": D, "sha256": D}, "name": "b"}]},
    "subject_is_text": {**STATEMENT, "subject": [SUBJECTS[0], "b"]},
}


@pytest.mark.parametrize("value", BAD_STATEMENTS.values(), ids=BAD_STATEMENTS)
def test_statement_in_another_form_is_wrong(value: Any) -> None:
    with pytest.raises(vk.Wrong):
        vk.read_statement(canonical(value), KIND, SUBJECTS)


# -- the manifest's predicate

READY = {"digest": D, "id": "21-101", "migration": "m", "status": "ready"}
ABSENT = {"id": "21-101", "reason": "why", "status": "absent"}


def predicate(**changes: Any) -> Any:
    """A predicate with other members."""
    return {**default_predicate(), "rootHash": D, **changes}


GOOD_PREDICATES = {
    "as_it_is": {},
    **{f"channel_{word}": {"channel": word} for word in ("edge", "stable", "airgap")},
    **{f"state_{word}": {"source": {"commit": None, "state": word}} for word in ("clean", "dirty", "unknown")},
    "note": {"source": {"commit": None, "note": "no git work tree", "state": "unknown"}},
    "dev": {"trust": "dev"},
    "nothing_in_it": {"deliveries": [], "parts": []},
    "digest_with_algorithm": {"deliveries": [{**READY, "digest": "sha256:" + D}]},
    "part_without_migration": {"parts": [{"digest": D, "id": "image", "status": "ready"}]},
    "part_with_null": {"parts": [{"digest": D, "id": "image", "migration": None, "status": "ready"}]},
    "part_with_migration": {"parts": [READY]},
    "year_9999": {"version": "9999.12.999999999"},
    "leap_day": {"created_at": "2028-02-29T23:59:59Z"},
}


@pytest.mark.parametrize("changes", GOOD_PREDICATES.values(), ids=GOOD_PREDICATES)
def test_predicate_is_read(changes: Any) -> None:
    manifest = vk.read_predicate(predicate(**changes))

    assert manifest.root_hash == D
    assert all(str(part).isprintable() for part in (*manifest.deliveries, *manifest.parts))


BAD_PREDICATES: dict[str, Any] = {
    "channel": {"channel": "nightly"},
    "channel_of_two": {"channel": "edge|stable"},
    "channel_null": {"channel": None},
    "channel_list": {"channel": ["edge"]},
    "created_at_number": {"created_at": 1},
    "created_at_offset": {"created_at": "2026-09-01T00:00:00+00:00"},
    "created_at_day": {"created_at": "2026-02-30T00:00:00Z"},
    "created_at_hour": {"created_at": "2026-02-01T24:00:00Z"},
    "created_at_fraction": {"created_at": "2026-02-01T00:00:00.0Z"},
    "created_at_line_end": {"created_at": "2026-02-01T00:00:00Z\n"},
    "created_at_other_digits": {"created_at": "\u0662026-02-01T00:00:00Z"},
    "deliveries_object": {"deliveries": {}},
    "deliveries_text": {"deliveries": ["21-101"]},
    "delivery_twice": {"deliveries": [READY, ABSENT]},
    "delivery_status": {"deliveries": [{**READY, "status": "maybe"}]},
    "delivery_status_list": {"deliveries": [{**READY, "status": ["ready"]}]},
    "delivery_without_status": {"deliveries": [{"id": "a"}]},
    "ready_without_digest": {"deliveries": [{"id": "a", "migration": "m", "status": "ready"}]},
    "ready_without_migration": {"deliveries": [{"digest": D, "id": "a", "status": "ready"}]},
    "ready_with_null_migration": {"deliveries": [{**READY, "migration": None}]},
    "ready_with_reason": {"deliveries": [{**READY, "reason": "why"}]},
    "ready_with_short_digest": {"deliveries": [{**READY, "digest": D[1:]}]},
    "ready_with_sha512": {"deliveries": [{**READY, "digest": "sha512:" + D}]},
    "ready_with_escape": {"deliveries": [{**READY, "migration": "\x1b[2J"}]},
    "absent_without_reason": {"deliveries": [{"id": "a", "status": "absent"}]},
    "absent_with_empty_reason": {"deliveries": [{**ABSENT, "reason": ""}]},
    "absent_with_line_end": {"deliveries": [{**ABSENT, "reason": "a\nverified: b"}]},
    "absent_with_digest": {"deliveries": [{**ABSENT, "digest": D}]},
    "id_number": {"deliveries": [{**ABSENT, "id": 1}]},
    "id_empty": {"parts": [{**ABSENT, "id": ""}]},
    "parts_null": {"parts": None},
    "part_migration_number": {"parts": [{**READY, "migration": 1}]},
    "root_hash_upper": {"rootHash": "A" * 64},
    "source_text": {"source": "x"},
    "source_without_state": {"source": {"commit": None}},
    "source_state": {"source": {"commit": None, "state": "good"}},
    "source_commit_short": {"source": {"commit": "0" * 39, "state": "clean"}},
    "source_commit_false": {"source": {"commit": False, "state": "clean"}},
    "source_commit_empty": {"source": {"commit": "", "state": "clean"}},
    "source_note_null": {"source": {"commit": None, "note": None, "state": "clean"}},
    "source_further": {"source": {"commit": None, "state": "clean", "x": 1}},
    "trust": {"trust": "identity"},
    "further_member": {"x": 1},
    **{
        f"version_{version!r}": {"version": version}
        for version in (
            "2026.9",
            "2026.09.1",
            "2026.9.01",
            "2026.0.1",
            "2026.13.1",
            "026.9.1",
            "02026.9.1",
            "2026.9.1 ",
            "v2026.9.1",
            1,
        )
    },
}


@pytest.mark.parametrize("changes", BAD_PREDICATES.values(), ids=BAD_PREDICATES)
def test_predicate_in_another_form_is_wrong(changes: Any) -> None:
    with pytest.raises(vk.Wrong) as wrong:
        vk.read_predicate(predicate(**changes))

    assert str(wrong.value).isascii()
    assert str(wrong.value).isprintable()


@pytest.mark.parametrize("member", list(default_predicate()))
def test_predicate_without_a_member_is_wrong(member: str) -> None:
    value = predicate()
    del value[member]

    with pytest.raises(vk.Wrong, match="members"):
        vk.read_predicate(value)


def test_predicate_that_is_no_object_is_wrong() -> None:
    with pytest.raises(vk.Wrong):
        vk.read_predicate([])


def test_root_hash_is_that_of_the_lines_of_the_payload() -> None:
    made = kit()
    listed, _ = vk.read_sums(made.files["SHA256SUMS"])

    assert vk.root_hash(listed) == made.root_hash == sha256(made.lines(attestations=False))

"""Lies that the right key has signed: the manifest's and the attestations' statements. Rows C8, C10 to C13, A2, C18."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.faults.checksum_lies import SIGNATURE, exactly
from tests.faults.forge import (
    MANIFEST,
    PROVENANCE,
    SBOM,
    SPDX,
    Json,
    Kit,
    canonical,
    dsse,
    line,
    other_kit,
    provenance,
    sha256,
)
from tests.faults.keys import MAIN, SECOND, STRANGER
from tests.faults.registry import instead, kit_lie, tarball_lie

MANIFEST_REASON = exactly(MANIFEST) + "|manifest"
Change = Callable[[Json], object]
TextChange = Callable[[bytes], bytes]


# -- the manifest's statement


def _set(*path: Any) -> Change:
    """Sets the member that the path leads to; the last part is the value."""
    *way, last, value = path

    def change(statement: Json) -> None:
        for part in way:
            statement = statement[part]
        statement[last] = value

    return change


def _drop(*path: Any) -> Change:
    """Removes the member that the path leads to."""
    *way, last = path

    def change(statement: Json) -> None:
        for part in way:
            statement = statement[part]
        del statement[last]

    return change


def _swap_subjects(statement: Json) -> None:
    subjects = statement["subject"]
    subjects[1], subjects[2] = subjects[2], subjects[1]


def _subject(name: str, **digest: str) -> Json:
    return {"digest": digest or {"sha256": sha256(b"")}, "name": name}


STATEMENT: dict[str, Change] = {
    "subject_missing": _drop("subject", 2),
    "subject_last_missing": _drop("subject", -1),
    "subject_list_missing": _drop("subject", 0),
    "subject_none": _set("subject", []),
    "subject_null": _set("subject", None),
    "subject_is_the_list_alone": lambda statement: statement["subject"].__delitem__(slice(1, None)),
    "subject_extra": lambda statement: statement["subject"].append(_subject("zzz")),
    "subject_extra_first": lambda statement: statement["subject"].insert(0, _subject("AAA")),
    "subject_twice": lambda statement: statement["subject"].append(statement["subject"][1]),
    "subject_reordered": _swap_subjects,
    "subject_list_last": lambda statement: statement["subject"].append(statement["subject"].pop(0)),
    "subject_of_other_digest": _set("subject", 1, "digest", "sha256", "0" * 64),
    "subject_of_other_list_digest": _set("subject", 0, "digest", "sha256", sha256(other_kit().sums)),
    "subject_digest_in_upper_case": lambda statement: statement["subject"][1]["digest"].update(
        sha256=statement["subject"][1]["digest"]["sha256"].upper()
    ),
    "subject_of_sha1_only": _set("subject", 1, "digest", {"sha1": "0" * 40}),
    "subject_list_of_sha1_only": _set("subject", 0, "digest", {"sha1": "0" * 40}),
    "subject_of_no_digest": _set("subject", 1, "digest", {}),
    "subject_of_second_digest": _set("subject", 1, "digest", "sha512", "0" * 128),
    "subject_of_other_name": _set("subject", 1, "name", "LICENSE"),
    "subject_of_traversal_name": _set("subject", 1, "name", "../README.md"),
    "subject_extra_of_traversal_name": lambda statement: statement["subject"].append(_subject("../../etc/passwd")),
    "subject_extra_of_absolute_name": lambda statement: statement["subject"].append(_subject("/etc/passwd")),
    "subject_without_name": _drop("subject", 1, "name"),
    "subject_with_uri": _set("subject", 1, "uri", "https://example.org/"),
    "other_type": _set("_type", "https://in-toto.io/Statement/v0.1"),
    "no_type": _drop("_type"),
    "other_predicate_type": _set("predicateType", "https://slsa.dev/provenance/v1"),
    "predicate_type_of_other_version": _set("predicateType", "https://stella-ops.org/attestations/offline-update/2"),
    "no_predicate_type": _drop("predicateType"),
    "no_predicate": _drop("predicate"),
    "predicate_empty": _set("predicate", {}),
    "predicate_null": _set("predicate", None),
    "predicate_is_a_list": _set("predicate", []),
    "extra_member": _set("zzz", 1),
    "other_root_hash": _set("predicate", "rootHash", "0" * 64),
    "root_hash_of_all_lines": lambda statement: statement["predicate"].update(
        rootHash=statement["subject"][0]["digest"]["sha256"]
    ),
    "root_hash_of_another_kit": _set("predicate", "rootHash", other_kit().root_hash),
    "root_hash_in_upper_case": lambda statement: statement["predicate"].update(
        rootHash=statement["predicate"]["rootHash"].upper()
    ),
    "root_hash_with_prefix": lambda statement: statement["predicate"].update(
        rootHash="sha256:" + statement["predicate"]["rootHash"]
    ),
    "no_root_hash": _drop("predicate", "rootHash"),
    "root_hash_in_another_place": lambda statement: statement["predicate"]["source"].update(
        rootHash=statement["predicate"].pop("rootHash")
    ),
    "version_null": _set("predicate", "version", None),
    "version_number": _set("predicate", "version", 2026),
    "version_empty": _set("predicate", "version", ""),
    "no_version": _drop("predicate", "version"),
    "unknown_channel": _set("predicate", "channel", "nightly"),
    "channel_in_upper_case": _set("predicate", "channel", "Edge"),
    "channel_empty": _set("predicate", "channel", ""),
    "channel_of_two": _set("predicate", "channel", "edge stable"),
    "channel_null": _set("predicate", "channel", None),
    "no_channel": _drop("predicate", "channel"),
    "unknown_trust": _set("predicate", "trust", "full"),
    "trust_keyless": _set("predicate", "trust", "keyless"),
    "no_trust": _drop("predicate", "trust"),
    "no_source": _drop("predicate", "source"),
    "unknown_source_state": _set("predicate", "source", "state", "tidy"),
    "no_source_state": _drop("predicate", "source", "state"),
    "no_source_commit": _drop("predicate", "source", "commit"),
    "source_commit_short": _set("predicate", "source", "commit", "abcdef1"),
    "source_commit_in_upper_case": _set("predicate", "source", "commit", "A" * 40),
    "source_commit_is_a_branch": _set("predicate", "source", "commit", "main"),
    "source_is_a_text": _set("predicate", "source", "clean"),
    "created_at_in_words": _set("predicate", "created_at", "yesterday"),
    "created_at_with_space": _set("predicate", "created_at", "2026-09-01 00:00:00Z"),
    "created_at_with_offset": _set("predicate", "created_at", "2026-09-01T00:00:00+00:00"),
    "created_at_with_fraction": _set("predicate", "created_at", "2026-09-01T00:00:00.000Z"),
    "created_at_number": _set("predicate", "created_at", 1_788_220_800),
    "created_at_of_month_13": _set("predicate", "created_at", "2026-13-01T00:00:00Z"),
    "created_at_of_no_day": _set("predicate", "created_at", "2026-02-29T00:00:00Z"),
    "created_at_of_hour_24": _set("predicate", "created_at", "2026-09-01T24:00:00Z"),
    "created_at_with_newline": _set("predicate", "created_at", "2026-09-01T00:00:00Z\n"),
    "no_created_at": _drop("predicate", "created_at"),
    "no_deliveries": _drop("predicate", "deliveries"),
    "deliveries_null": _set("predicate", "deliveries", None),
    "deliveries_is_an_object": _set("predicate", "deliveries", {}),
    "delivery_of_unknown_status": _set("predicate", "deliveries", 0, "status", "almost"),
    "delivery_without_status": _drop("predicate", "deliveries", 0, "status"),
    "delivery_without_id": _drop("predicate", "deliveries", 0, "id"),
    "delivery_ready_without_digest": _drop("predicate", "deliveries", 0, "digest"),
    "delivery_ready_without_migration": _drop("predicate", "deliveries", 0, "migration"),
    "delivery_absent_without_reason": _drop("predicate", "deliveries", 1, "reason"),
    "delivery_twice": lambda statement: statement["predicate"]["deliveries"].append(statement["predicate"]["deliveries"][1]),
    "delivery_digest_of_sha1": _set("predicate", "deliveries", 0, "digest", "sha1:" + "0" * 40),
    "delivery_digest_short": _set("predicate", "deliveries", 0, "digest", "sha256:abc"),
    "delivery_reason_empty": _set("predicate", "deliveries", 1, "reason", ""),
    "delivery_id_empty": _set("predicate", "deliveries", 0, "id", ""),
    "delivery_id_of_256_characters": _set("predicate", "deliveries", 0, "id", "i" * 256),
    "delivery_migration_of_256_characters": _set("predicate", "deliveries", 0, "migration", "m" * 256),
    "delivery_id_of_traversal": _set("predicate", "deliveries", 0, "id", "../21-101"),
    "delivery_status_in_upper_case": _set("predicate", "deliveries", 0, "status", "Ready"),
    "delivery_with_extra_member": _set("predicate", "deliveries", 0, "zzz", 1),
    "source_with_extra_member": _set("predicate", "source", "zzz", 1),
    "source_note_empty": _set("predicate", "source", "note", ""),
    "extra_predicate_member": _set("predicate", "zzz", 1),
    "extra_predicate_member_first": _set("predicate", "a", 1),
    "delivery_is_a_text": _set("predicate", "deliveries", 0, "21-101"),
    "no_parts": _drop("predicate", "parts"),
    "part_of_unknown_status": _set("predicate", "parts", 0, "status", "almost"),
    "part_absent_without_reason": _drop("predicate", "parts", 0, "reason"),
    "float_in_predicate": _set("predicate", "source", "note", 1.5),
    "non_ascii": _set("predicate", "source", "note", "caf\u00e9"),
}


def _stated(change: Change, truth: Kit) -> None:
    before = truth.files[MANIFEST]
    truth.state_with(change)
    if truth.files[MANIFEST] == before:
        raise ValueError("the manifest did not change: the lie would be the truth")


for _lie, _change in STATEMENT.items():
    _row = "C13" if "subject" in _lie else "C10"
    kit_lie(_row, 5, MANIFEST_REASON, name=f"manifest_{_lie}")(partial(_stated, _change))

NOTE = b'"note":"no git work tree"'
MANIFEST_WRITING: dict[str, TextChange] = {
    "with_float": lambda text: instead(text, NOTE, b'"note":1.5'),
    "with_exponent": lambda text: instead(text, NOTE, b'"note":1e3'),
    "with_fraction_of_zero": lambda text: instead(text, NOTE, b'"note":1.0'),
    "with_minus_zero": lambda text: instead(text, NOTE, b'"note":-0'),
    "with_nan": lambda text: instead(text, NOTE, b'"note":NaN'),
    "with_infinity": lambda text: instead(text, NOTE, b'"note":1e999'),
    "with_huge_number": lambda text: instead(text, NOTE, b'"note":' + b"9" * 10_000),
    "with_escaped_non_ascii": lambda text: instead(text, b"no git", b"n\\u00f6 git"),
    "with_escaped_ascii": lambda text: instead(text, b"no git", b"n\\u006f git"),
    "with_escaped_slash": lambda text: instead(text, b"no git", b"no\\/git"),
    "with_lone_surrogate": lambda text: instead(text, b"no git", b"\\ud800 git"),
    "not_utf8": lambda text: instead(text, b"no git", b"\xff git"),
    "with_raw_tab": lambda text: instead(text, b"no git", b"no\tgit"),
    "with_delete_escaped": lambda text: instead(text, b"no git", b"no\\u007fgit"),
    "with_key_twice": lambda text: instead(text, b'"channel":"edge"', b'"channel":"stable","channel":"edge"'),
    "with_same_key_twice": lambda text: instead(text, b'"channel":"edge"', b'"channel":"edge","channel":"edge"'),
    "with_root_hash_twice": lambda text: instead(text, b'"rootHash":', b'"rootHash":"","rootHash":'),
    "with_version_twice": lambda text: instead(text, b'"version":', b'"version":"2027.1.0","version":'),
    "with_subject_twice": lambda text: instead(text, b'"subject":', b'"subject":[],"subject":'),
    "with_keys_unsorted": lambda text: instead(
        text, b'"trust":"key","version":"2026.9.1"', b'"version":"2026.9.1","trust":"key"'
    ),
    "with_type_last": lambda text: (
        b"{"
        + instead(text, b'{"_type":"https://in-toto.io/Statement/v1",', b"")[:-2]
        + b',"_type":"https://in-toto.io/Statement/v1"}\n'
    ),
    "with_spaces": lambda text: json.dumps(json.loads(text), sort_keys=True).encode() + b"\n",
    "with_one_space": lambda text: instead(text, b'"trust":', b'"trust": '),
    "with_space_in_an_empty_place": lambda text: instead(text, b'"subject":[', b'"subject":[ '),
    "indented": lambda text: json.dumps(json.loads(text), indent=2, sort_keys=True).encode() + b"\n",
    "without_newline": lambda text: text[:-1],
    "with_two_newlines": lambda text: text + b"\n",
    "with_crlf": lambda text: text[:-1] + b"\r\n",
    "with_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "with_trailing_json": lambda text: text + b"{}\n",
    "with_trailing_comma": lambda text: instead(text, b"}]}", b"}],}"),
    "with_comment": lambda text: instead(text, b"{", b"{/* */"),
    "with_nul": lambda text: text + b"\0",
    "empty": lambda _: b"",
    "of_an_empty_object": lambda _: b"{}\n",
    "of_null": lambda _: b"null\n",
    "of_a_list": lambda text: b"[" + text[:-1] + b"]\n",
    "not_json": lambda _: b"This is no JSON.\n",
    "in_yaml": lambda _: b"_type: https://in-toto.io/Statement/v1\n",
    "nested_100000_deep": lambda text: instead(text, NOTE, b'"note":' + b"[" * 100_000 + b"]" * 100_000),
}


def _written(change: TextChange, truth: Kit) -> None:
    truth.state_as(change(truth.files[MANIFEST]))


for _lie, _text in MANIFEST_WRITING.items():
    kit_lie("C12", 5, MANIFEST_REASON, name=f"signed_manifest_{_lie}")(partial(_written, _text))


@kit_lie("C10", 5, MANIFEST_REASON)
def manifest_is_not_the_payload_of_its_dsse(truth: Kit) -> None:
    other = truth.manifest()
    other["predicate"]["channel"] = "stable"
    truth.files[MANIFEST] = line(other)


def _versioned(version: str, truth: Kit) -> Kit:
    """A kit that says this version everywhere but in its root folder's name."""
    truth.version = version
    return truth.attest()


@tarball_lie("T2", 5, r"version|root")
def tar_root_of_another_version(truth: Kit) -> list[Any]:
    truth.root = "concelier-lnm-2026.9.2"
    return list(truth.members())


@kit_lie("T2", 5, "version|root", only="tarball")
def manifest_of_another_version_than_the_root(truth: Kit) -> Kit:
    return _versioned("2026.9.2", truth)


@kit_lie("T2", 5, "version|concelier-lnm|subject")
def manifest_of_another_version_than_the_attestations(truth: Kit) -> None:
    truth.version = "2026.9.2"
    truth.root = "concelier-lnm-2026.9.2"
    truth.state()


for _lie, _version in {
    "with_leading_zero_month": "2026.09.1",
    "with_leading_zero_patch": "2026.9.01",
    "of_two_parts": "2026.9",
    "of_four_parts": "2026.9.1.0",
    "of_short_year": "26.9.1",
    "with_v": "v2026.9.1",
    "with_suffix": "2026.9.1-rc1",
    "with_plus": "2026.9.1+1",
    "with_letters": "2026.sep.1",
    "of_month_0": "2026.0.1",
    "of_month_13": "2026.13.1",
    "of_year_0": "0000.1.1",
}.items():

    def _version_everywhere(version: str, truth: Kit) -> Kit:
        truth.root = f"concelier-lnm-{version}"
        return _versioned(version, truth)

    kit_lie("C10", 5, "version", name=f"version_{_lie}", only="folder")(partial(_version_everywhere, _version))


# -- the attestations' statements


def _payload(name: str, truth: Kit) -> Json:
    return json.loads(base64.b64decode(json.loads(truth.files[name])["payload"]))


def _attested(name: str, change: Change, truth: Kit) -> Kit:
    payload = _payload(name, truth)
    before = line(payload)
    change(payload)
    if line(payload) == before:
        raise ValueError("the statement did not change: the lie would be the truth")
    return truth.attest_with(name, line(payload))


ATTESTATION: dict[str, tuple[str, Change]] = {
    "subject_empty": ("C13", _set("subject", [])),
    "subject_null": ("C13", _set("subject", None)),
    "subject_missing": ("C13", _drop("subject")),
    "subject_is_an_object": ("C13", lambda statement: statement.update(subject=statement["subject"][0])),
    "subject_extra": ("C13", lambda statement: statement["subject"].append(_subject("concelier-lnm-2026.9.2"))),
    "subject_extra_first": ("C13", lambda statement: statement["subject"].insert(0, _subject("concelier-lnm-2026.9.2"))),
    "subject_twice": ("C13", lambda statement: statement["subject"].append(statement["subject"][0])),
    "subject_of_other_digest": ("C13", _set("subject", 0, "digest", "sha256", "0" * 64)),
    "subject_of_another_kit": ("C13", _set("subject", 0, "digest", "sha256", other_kit().root_hash)),
    "subject_digest_of_the_list": (
        "C13",
        lambda statement: statement["subject"][0]["digest"].update(sha256=sha256(Kit().attest().sums)),
    ),
    "subject_digest_in_upper_case": (
        "C13",
        lambda statement: statement["subject"][0]["digest"].update(sha256=statement["subject"][0]["digest"]["sha256"].upper()),
    ),
    "subject_of_sha1_only": ("C13", _set("subject", 0, "digest", {"sha1": "0" * 40})),
    "subject_of_second_digest": ("C13", _set("subject", 0, "digest", "sha1", "0" * 40)),
    "subject_of_no_digest": ("C13", _set("subject", 0, "digest", {})),
    "subject_of_other_version": ("C13", _set("subject", 0, "name", "concelier-lnm-2026.9.2")),
    "subject_of_other_name": ("C13", _set("subject", 0, "name", "concelier")),
    "subject_is_a_tag": ("C13", _set("subject", 0, {"name": "concelier-lnm:latest", "digest": {"tag": "latest"}})),
    "subject_without_name": ("C13", _drop("subject", 0, "name")),
    "subject_with_annotations": ("C13", _set("subject", 0, "annotations", {})),
    "other_statement_type": ("C11", _set("_type", "https://in-toto.io/Statement/v0.1")),
    "other_predicate_type": ("C11", _set("predicateType", "https://in-toto.io/attestation/link/v0.3")),
    "predicate_type_of_other_version": (
        "C11",
        lambda statement: statement.update(predicateType=statement["predicateType"] + "2"),
    ),
    "predicate_type_missing": ("C11", _drop("predicateType")),
    "predicate_missing": ("C11", _drop("predicate")),
    "predicate_null": ("C12", _set("predicate", None)),
    "predicate_is_a_list": ("C12", _set("predicate", [])),
    "predicate_is_a_text": ("C12", _set("predicate", "provenance")),
    "predicate_is_a_number": ("C12", _set("predicate", 1)),
    "extra_member": ("C12", _set("zzz", 1)),
    "extra_member_first": ("C12", _set("AAA", 1)),
}

X = b'"runDetails":'
ATTESTATION_WRITING: dict[str, TextChange] = {
    "not_json": lambda _: b"This is no JSON.\n",
    "empty": lambda _: b"",
    "of_one_newline": lambda _: b"\n",
    "of_an_empty_object": lambda _: b"{}\n",
    "of_null": lambda _: b"null\n",
    "of_a_list": lambda text: b"[" + text[:-1] + b"]\n",
    "of_zeros": lambda _: bytes(100),
    "truncated": lambda text: text[:-20],
    "with_trailing_json": lambda text: text + b"{}\n",
    "with_trailing_brace": lambda text: text[:-1] + b"}\n",
    "without_newline": lambda text: text[:-1],
    "with_two_newlines": lambda text: text + b"\n",
    "with_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "with_spaces": lambda text: json.dumps(json.loads(text), sort_keys=True).encode() + b"\n",
    "with_one_space": lambda text: instead(text, b'"predicate":', b'"predicate": '),
    "with_predicate_twice": lambda text: instead(text, b'"predicate":', b'"predicate":{},"predicate":'),
    "with_subject_twice": lambda text: instead(text, b'"subject":', b'"subject":[],"subject":'),
    "with_predicate_type_twice": lambda text: instead(text, b'"predicateType":', b'"predicateType":"","predicateType":'),
    "with_keys_unsorted": lambda text: (
        b'{"predicateType"' + text[1:].split(b'"predicateType"')[1][:-2] + b"," + text[1:].split(b',"predicateType"')[0] + b"}\n"
    ),
    "nested_100000_deep": lambda text: instead(
        text, b'"predicate":', b'"predicate":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b'},"z":'
    ),
}
X_WRITING: dict[str, TextChange] = {
    "nested_101_deep": lambda text: instead(text, X, b'"n":' + b"[" * 99 + b"]" * 99 + b"," + X),
    "nested_950_deep": lambda text: instead(text, X, b'"n":' + b"[" * 948 + b"]" * 948 + b"," + X),
    "nested_5000_deep": lambda text: instead(text, X, b'"n":' + b"[" * 4998 + b"]" * 4998 + b"," + X),
    "with_key_twice": lambda text: instead(text, X, b'"runDetails":{},"runDetails":'),
    "with_keys_unsorted": lambda text: instead(text, b'"externalParameters":', b'"zzz":1,"externalParameters":'),
    "with_keys_in_code_point_order": lambda text: instead(text, X, '"\ufb33":1,"\U0001f600":2,'.encode() + X),
    "with_one_space": lambda text: instead(text, X, X + b" "),
    "with_fraction_of_zero": lambda text: instead(text, X, b'"n":1.0,' + X),
    "with_exponent": lambda text: instead(text, X, b'"n":1E5,' + X),
    "with_fraction": lambda text: instead(text, X, b'"n":1.5,' + X),
    "with_canonical_exponent": lambda text: instead(text, X, b'"n":1e+21,' + X),
    "with_plus_exponent_missing": lambda text: instead(text, X, b'"n":1e21,' + X),
    "with_minus_zero": lambda text: instead(text, X, b'"n":-0,' + X),
    "with_leading_zero": lambda text: instead(text, X, b'"n":01,' + X),
    "with_nan": lambda text: instead(text, X, b'"n":NaN,' + X),
    "with_infinity": lambda text: instead(text, X, b'"n":1e999,' + X),
    "with_number_beyond_double": lambda text: instead(text, X, b'"n":9007199254740993,' + X),
    "with_huge_number": lambda text: instead(text, X, b'"n":' + b"9" * 10_000 + b"," + X),
    "with_escaped_non_ascii": lambda text: instead(text, X, b'"n":"\\u00e9",' + X),
    "with_escaped_slash": lambda text: instead(text, b"https://stella-ops.org/builds", b"https:\\/\\/stella-ops.org/builds"),
    "with_upper_case_escape": lambda text: instead(text, X, b'"n":"\\u001F",' + X),
    "with_long_escape_of_newline": lambda text: instead(text, X, b'"n":"\\u000a",' + X),
    "with_raw_control": lambda text: instead(text, X, b'"n":"\x01",' + X),
    "with_unknown_escape": lambda text: instead(text, X, b'"n":"\\x41",' + X),
    "with_lone_surrogate": lambda text: instead(text, X, b'"n":"\\ud800",' + X),
    "with_raw_surrogate": lambda text: instead(text, X, b'"n":"\xed\xa0\x80",' + X),
    "with_overlong_utf8": lambda text: instead(text, X, b'"n":"\xc0\xaf",' + X),
    "not_utf8": lambda text: instead(text, X, b'"n":"\xff",' + X),
    "with_true_in_upper_case": lambda text: instead(text, X, b'"n":True,' + X),
    "with_missing_comma": lambda text: instead(text, b"," + X, X),
    "with_trailing_comma": lambda text: instead(text, b'}},"predicateType"', b'},},"predicateType"'),
    "with_mismatched_brackets": lambda text: instead(text, X, b'"n":[1},' + X),
}


def _attestation_written(name: str, change: TextChange, truth: Kit) -> Kit:
    payload = base64.b64decode(json.loads(truth.files[name])["payload"])
    if (changed := change(payload)) == payload:
        raise ValueError("the payload did not change: the lie would be the truth")
    return truth.attest_with(name, changed)


for _name, _slug, _only in ((PROVENANCE, "provenance", "folder"), (SPDX, "spdx", "tarball")):
    for _lie, (_row, _change) in ATTESTATION.items():
        kit_lie(_row, 5, exactly(_name), name=f"{_slug}_{_lie}", only=_only, kin=f"attested_{_lie}")(
            partial(_attested, _name, _change)
        )
    for _lie, _text in ATTESTATION_WRITING.items():
        kit_lie("C12", 5, exactly(_name), name=f"{_slug}_payload_{_lie}", only=_only, kin=f"payload_{_lie}")(
            partial(_attestation_written, _name, _text)
        )
for _lie, _text in X_WRITING.items():
    kit_lie("C12", 5, exactly(PROVENANCE), name=f"provenance_predicate_{_lie}", only="folder")(
        partial(_attestation_written, PROVENANCE, _text)
    )


# -- C11: the right type is not there


def _absent(name: str, truth: Kit) -> Kit:
    del truth.files[name]
    return truth.relist()


for _name, _slug in ((PROVENANCE, "provenance"), (SPDX, "spdx")):
    kit_lie("C11", 5, exactly(_name), name=f"{_slug}_absent")(partial(_absent, _name))


@kit_lie("C11", 5, exactly(PROVENANCE), exactly(SPDX))
def both_attestations_absent(truth: Kit) -> None:
    del truth.files[PROVENANCE], truth.files[SPDX]
    truth.relist()


@kit_lie("C11", 5, exactly(PROVENANCE))
def provenance_file_holds_the_spdx_statement(truth: Kit) -> None:
    truth.files[PROVENANCE] = truth.files[SPDX]
    truth.relist()


@kit_lie("C11", 5, exactly(PROVENANCE), exactly(SPDX))
def attestations_folder_is_a_file(truth: Kit) -> None:
    del truth.files[PROVENANCE], truth.files[SPDX]
    truth.files["attestations"] = b"This is no folder.\n"
    truth.relist()


@kit_lie("C11", 5, exactly(PROVENANCE))
def attestations_swapped_and_listed(truth: Kit) -> None:
    truth.files[PROVENANCE], truth.files[SPDX] = truth.files[SPDX], truth.files[PROVENANCE]
    truth.relist()


@kit_lie("C11", 5, exactly(SPDX))
def spdx_file_holds_the_manifest_statement(truth: Kit) -> None:
    truth.attest_with(SPDX, truth.files[MANIFEST])


@kit_lie("C11", 5, exactly(PROVENANCE))
def attestation_of_another_kit_and_listed(truth: Kit) -> None:
    truth.files[PROVENANCE] = other_kit().files[PROVENANCE]
    truth.relist()


for _lie, _name in {
    "beside": "attestations/release-log.dsse.json",
    "that_is_no_dsse": "attestations/README.md",
    "in_a_folder": "attestations/old/slsa-provenance.dsse.json",
    "that_begins_alike": "attestations/spdx.dsse.json.bak",
    "of_a_second_provenance": "attestations/slsa-provenance2.dsse.json",
    "in_upper_case": "attestations/VSA.dsse.json",
}.items():

    def _unknown(name: str, truth: Kit) -> None:
        truth.files[name] = truth.files[PROVENANCE]
        truth.relist()

    kit_lie("C11", 5, exactly(_name), name=f"unknown_attestation_{_lie}")(partial(_unknown, _name))


# -- who signed an attestation


@kit_lie("C7", 5, exactly(PROVENANCE), STRANGER.named)
def attestation_by_a_stranger(truth: Kit) -> None:
    truth.files[PROVENANCE] = line(dsse(STRANGER, truth.statement(PROVENANCE, canonical(provenance()))))
    truth.relist()


@kit_lie("C7", 5, exactly(SPDX), STRANGER.named)
def spdx_by_a_stranger(truth: Kit) -> None:
    truth.files[SPDX] = line(dsse(STRANGER, truth.statement(SPDX, truth.files[SBOM][:-1])))
    truth.relist()


@kit_lie("C7", 5, exactly(PROVENANCE), SIGNATURE)
def attestation_by_a_stranger_under_the_right_keyid(truth: Kit) -> None:
    envelope = dsse(STRANGER, truth.statement(PROVENANCE, canonical(provenance())))
    envelope["signatures"][0]["keyid"] = MAIN.keyid
    truth.files[PROVENANCE] = line(envelope)
    truth.relist()


@kit_lie("C7", 5, exactly(PROVENANCE), SECOND.named)
def attestation_by_a_key_that_was_not_given(truth: Kit) -> None:
    truth.files[PROVENANCE] = line(dsse(SECOND, truth.statement(PROVENANCE, canonical(provenance()))))
    truth.relist()


# -- C18: the SBOM


@kit_lie("C18", 5, exactly(SPDX) + "|" + exactly(SBOM))
def sbom_missing_though_its_statement_is_there(truth: Kit) -> None:
    del truth.files[SBOM]
    truth.attest_with(PROVENANCE, truth.statement(PROVENANCE, canonical(provenance())))
    truth.attest_with(SPDX, truth.statement(SPDX, canonical({"SPDXID": "SPDXRef-DOCUMENT"})))


def _sbom(statement: Callable[[bytes], bytes], truth: Kit) -> None:
    """The statement's X is made from the SBOM that is in the kit."""
    x = truth.files[SBOM].removesuffix(b"\n")
    truth.attest_with(SPDX, truth.statement(SPDX, statement(x)))


for _lie, _x in {
    "of_another_sbom": lambda _: other_kit().files[SBOM][:-1],
    "of_an_empty_sbom": lambda _: b"{}",
    "of_an_sbom_with_one_more_member": lambda x: instead(x, b'"SPDXID"', b'"A":1,"SPDXID"'),
    "of_the_sbom_indented": lambda x: json.dumps(json.loads(x), indent=1).encode(),
    "of_the_sbom_as_a_text": lambda x: json.dumps(x.decode()).encode(),
    "of_the_sbom_in_a_list": lambda x: b"[" + x + b"]",
    "of_the_digest_of_the_sbom": lambda x: canonical({"sha256": sha256(x + b"\n")}),
    "of_the_sbom_with_its_newline": lambda x: x + b"\n",
}.items():
    kit_lie("C18", 5, exactly(SPDX) + "|" + exactly(SBOM), name=f"spdx_statement_{_lie}")(partial(_sbom, _x))


def _sbom_file(change: TextChange, truth: Kit) -> None:
    """The SBOM's file is changed, and all of the kit is made from it."""
    truth.files[SBOM] = change(truth.files[SBOM])
    truth.attest()


for _lie, _change2 in {
    "without_newline": lambda text: text[:-1],
    "indented": lambda text: json.dumps(json.loads(text), indent=1).encode() + b"\n",
    "with_two_newlines": lambda text: text + b"\n",
    "unsorted": lambda text: instead(text, b'{"SPDXID":', b'{"a":1,"SPDXID":'),
    "not_json": lambda _: b"no JSON\n",
    "empty": lambda _: b"",
}.items():
    kit_lie("C18", 5, exactly(SPDX) + "|" + exactly(SBOM), name=f"sbom_{_lie}_and_signed", only="folder")(
        partial(_sbom_file, _change2)
    )

"""Lies about the two keyless files: rows C6, C8 and C10 for signatures by identity. How they are written, and what they are about.

Nobody has signed what the forge writes into them, and no verifier of a single file may look: what they must judge is the form and the
subject. Each lie about the form is told of both files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial

from tests.faults.checksum_lies import exactly
from tests.faults.forge import (
    KEYLESS,
    MANIFEST,
    MANIFEST_KEYLESS,
    SUMS,
    SUMS_KEYLESS,
    Json,
    Kit,
    identified_kit,
    kit,
    line,
    manifest_keyless,
    material,
    other_kit,
    sums_keyless,
)
from tests.faults.keys import b64
from tests.faults.registry import instead, kit_lie
from tests.faults.signature_lies import loose_bits

Change = Callable[[Json], object]
Rewrite = Callable[[bytes], bytes]


def stuff(document: Json) -> Json:
    """The verification material."""
    return document["verificationMaterial"]


def entry(document: Json) -> Json:
    """The log entry."""
    return stuff(document)["tlogEntries"][0]


def proof(document: Json) -> Json:
    """The inclusion proof."""
    return entry(document)["inclusionProof"]


def stamps(document: Json) -> Json:
    """What timestamps are in."""
    return stuff(document)["timestampVerificationData"]


def sign_as(document: Json, text: str) -> None:
    """Writes another text for the signature."""
    if "dsseEnvelope" in document:
        document["dsseEnvelope"]["signatures"] = [{"sig": text}]
    else:
        document["messageSignature"]["signature"] = text


def _rewritten(name: str, rewrite: Rewrite, _: Kit) -> Kit:
    truth = identified_kit()
    truth.files[name] = rewrite(truth.files[name])
    return truth


def _changed(change: Change, data: bytes) -> bytes:
    document = json.loads(data)
    change(document)
    return line(document)


def _noted(change: Callable[[str], str], document: Json) -> None:
    checkpoint = proof(document)["checkpoint"]
    checkpoint["envelope"] = change(checkpoint["envelope"])


def _loose(data: str) -> str:
    return loose_bits(data.encode()).decode()


def _turned(value: Json) -> Json:
    """The same with the members of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(list(value))}
    return [_turned(item) for item in value] if isinstance(value, list) else value


STAMP = {"signedTimestamp": b64(b"a timestamp")}
STRANGE: dict[str, Change] = {
    "of_another_version": lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
    "with_a_further_member": lambda d: d.update(note="x"),
    "with_further_material": lambda d: stuff(d).update(note="x"),
    "with_a_key_beside_the_certificate": lambda d: stuff(d).update(publicKey={"hint": "x"}),
    "with_a_chain_beside_the_certificate": lambda d: stuff(d).update(x509CertificateChain={"certificates": []}),
    "with_a_key_for_a_certificate": lambda d: d.update(verificationMaterial=material(kit().key)),
    "with_an_empty_signature": lambda d: sign_as(d, ""),
    "with_loose_base64_in_the_signature": lambda d: sign_as(d, _loose(b64(b"signature"[:8]))),
    "without_certificate": lambda d: stuff(d).pop("certificate"),
    "with_an_empty_certificate": lambda d: stuff(d)["certificate"].update(rawBytes=""),
    "with_loose_base64_in_the_certificate": lambda d: stuff(d)["certificate"].update(rawBytes=_loose(b64(b"certificate"))),
    "with_an_unpadded_certificate": lambda d: stuff(d)["certificate"].update(rawBytes="QUI"),
    "with_base64url_in_the_certificate": lambda d: stuff(d)["certificate"].update(rawBytes="-_-_"),
    "with_a_line_end_in_the_certificate": lambda d: stuff(d)["certificate"].update(rawBytes="QUJD\n"),
    "without_timestamp_data": lambda d: stuff(d).pop("timestampVerificationData"),
    "with_two_timestamps": lambda d: stamps(d).update(rfc3161Timestamps=[STAMP, STAMP]),
    "with_loose_base64_in_the_timestamp": lambda d: stamps(d).update(
        rfc3161Timestamps=[{"signedTimestamp": _loose(b64(b"some"))}]
    ),
    "with_an_empty_timestamp": lambda d: stamps(d).update(rfc3161Timestamps=[{"signedTimestamp": ""}]),
    "with_another_kind_of_timestamp": lambda d: stamps(d).update(rfc3161Timestamps=[{**STAMP, "note": "x"}]),
    "without_log_entry": lambda d: stuff(d).update(tlogEntries=[]),
    "with_two_log_entries": lambda d: stuff(d)["tlogEntries"].append(entry(d)),
    "with_a_further_member_in_the_entry": lambda d: entry(d).update(note="x"),
    "with_loose_base64_in_the_promise": lambda d: entry(d)["inclusionPromise"].update(signedEntryTimestamp=_loose(b64(b"some"))),
    "without_promise": lambda d: entry(d).pop("inclusionPromise"),
    "without_proof": lambda d: entry(d).pop("inclusionProof"),
    "without_body": lambda d: entry(d).pop("canonicalizedBody"),
    "with_loose_base64_in_the_body": lambda d: entry(d).update(canonicalizedBody=_loose(b64(b"body"))),
    "of_rekor_2": lambda d: entry(d)["kindVersion"].update(version="0.0.2"),
    "of_another_kind": lambda d: entry(d)["kindVersion"].update(kind="intoto"),
    "with_a_time_before_1970": lambda d: entry(d).update(integratedTime="-1"),
    "with_a_time_that_is_no_text": lambda d: entry(d).update(integratedTime=1790000000),
    "with_a_time_of_twenty_digits": lambda d: entry(d).update(integratedTime="9" * 20),
    "with_a_zero_before_the_index": lambda d: entry(d).update(logIndex="01"),
    "without_index": lambda d: entry(d).update(logIndex=""),
    "with_a_log_of_31_bytes": lambda d: entry(d)["logId"].update(keyId=b64(bytes(31))),
    "with_a_log_in_hex": lambda d: entry(d)["logId"].update(keyId="ab" * 32),
    "with_loose_base64_of_the_log": lambda d: entry(d)["logId"].update(keyId=_loose(b64(bytes(32)))),
    "without_checkpoint": lambda d: proof(d).pop("checkpoint"),
    "with_a_hash_of_33_bytes": lambda d: proof(d).update(hashes=[b64(bytes(33))]),
    "with_a_root_of_31_bytes": lambda d: proof(d).update(rootHash=b64(bytes(31))),
    "with_an_index_in_the_proof_in_hex": lambda d: proof(d).update(logIndex="0x1"),
    "with_an_empty_hash": lambda d: proof(d).update(hashes=[""]),
    "with_null_for_a_hash": lambda d: proof(d).update(hashes=[None]),
    "with_a_negative_tree": lambda d: proof(d).update(treeSize="-2"),
    "with_more_than_64_kibibytes": lambda d: stuff(d)["certificate"].update(rawBytes=b64(bytes(48 * 1024))),
}
NOTES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "without_signature": lambda text: text.partition("\N{EM DASH}")[0],
    "without_its_blank_line": lambda text: text.replace("\n\n", "\n"),
    "with_two_blank_lines": lambda text: text.replace("\n\n", "\n\n\n"),
    "without_its_last_line_end": lambda text: text[:-1],
    "with_a_blank_line_at_its_end": lambda text: text + "\n",
    "without_origin": lambda text: text.partition("\n")[1] + text.partition("\n")[2],
    "with_a_size_in_words": lambda text: text.replace("\n2\n", "\ntwo\n"),
    "with_a_root_of_31_bytes": lambda text: text.replace(text.split("\n")[2], b64(bytes(31))),
    "with_a_hyphen_for_the_dash": lambda text: text.replace("\N{EM DASH}", "-"),
    "with_an_en_dash": lambda text: text.replace("\N{EM DASH}", "\N{EN DASH}"),
    "with_a_quotation_mark": lambda text: text.replace("log.invalid - 7", 'log "7"'),
    "with_a_backslash": lambda text: text.replace("log.invalid - 7", "log\\7"),
    "with_a_tab": lambda text: text.replace(" - ", "\t"),
    "with_a_letter_beyond_ascii": lambda text: text.replace("log.invalid - 7", "l\u00f6g"),
    "with_an_unnamed_signature": lambda text: text.replace("\N{EM DASH} log.invalid ", "\N{EM DASH}  "),
    "with_loose_base64": lambda text: text.replace(b64(b"some signature"), _loose(b64(b"some signature"))),
}
TEXTS: dict[str, Rewrite] = {
    "empty": lambda _: b"",
    "of_one_line_end": lambda _: b"\n",
    "without_line_end": lambda data: data[:-1],
    "with_two_line_ends": lambda data: data + b"\n",
    "with_crlf": lambda data: data[:-1] + b"\r\n",
    "with_a_byte_behind_it": lambda data: data + b"x",
    "with_a_nul_behind_it": lambda data: data[:-1] + b"\0",
    "with_a_nul_in_it": lambda data: instead(data, b'"hashes"', b'"hashes\0"'),
    "with_a_mark_before_it": lambda data: b"\xef\xbb\xbf" + data,
    "twice": lambda data: data + data,
    "with_a_blank": lambda data: instead(data, b'"tlogEntries":', b'"tlogEntries": '),
    "turned_round": lambda data: (
        json.dumps(_turned(json.loads(data)), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    ),
    "indented": lambda data: json.dumps(json.loads(data), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n",
    "in_ascii": lambda data: json.dumps(json.loads(data), separators=(",", ":"), sort_keys=True).encode() + b"\n",
    "with_an_escaped_slash": lambda data: instead(data, b"application/vnd.dev", b"application\\/vnd.dev"),
    "with_an_escaped_letter": lambda data: instead(
        data, b'"hashedrekord"' if b"hashedrekord" in data else b'"dsse"', b'"\\u0064sse"'
    ),
    "with_a_member_twice": lambda data: instead(data, b'"logId":', b'"integratedTime":"1","logId":'),
    "with_members_swapped": lambda data: instead(data, b'"logIndex":"1","rootHash":', b'"rootHash":"","logIndex":"1","was":'),
}
LIES: dict[str, Rewrite] = {
    **{f"is_{lie}": partial(_changed, change) for lie, change in STRANGE.items()},
    **{f"has_a_checkpoint_{lie}": partial(_changed, partial(_noted, change)) for lie, change in NOTES.items()},
    **{f"is_{lie}": rewrite for lie, rewrite in TEXTS.items()},
}

for _file, _what in ((SUMS_KEYLESS, "sums_keyless"), (MANIFEST_KEYLESS, "manifest_keyless")):
    for _lie, _rewrite in LIES.items():
        kit_lie(
            "C10",
            5,
            exactly(_file),
            name=f"{_what}_{_lie}",
            only="folder" if _file == SUMS_KEYLESS else "tarball",
            kin=f"keyless_{_lie}",
        )(partial(_rewritten, _file, _rewrite))


# -- what they are about


def _about(name: str, made: Callable[[Kit], Json], _: Kit) -> Kit:
    truth = identified_kit()
    truth.files[name] = line(made(truth))
    return truth


def _with(document: Json, change: Change) -> Json:
    change(document)
    return document


for _lie, _file, _made in (
    ("sums_keyless_of_another_list", SUMS_KEYLESS, lambda _: sums_keyless(other_kit().sums)),
    ("sums_keyless_of_the_manifest", SUMS_KEYLESS, lambda truth: sums_keyless(truth.files[MANIFEST])),
    ("sums_keyless_is_the_other_file", SUMS_KEYLESS, lambda truth: manifest_keyless(truth.files[MANIFEST])),
    (
        "sums_keyless_by_another_hash",
        SUMS_KEYLESS,
        lambda truth: _with(
            sums_keyless(truth.sums),
            lambda d: d["messageSignature"].update(
                messageDigest={"algorithm": "SHA2_512", "digest": b64(hashlib.sha512(truth.sums).digest())}
            ),
        ),
    ),
    (
        "sums_keyless_with_loose_base64_of_the_digest",
        SUMS_KEYLESS,
        lambda truth: _with(
            sums_keyless(truth.sums),
            lambda d: d["messageSignature"]["messageDigest"].update(
                digest=_loose(b64(hashlib.sha256(truth.sums).digest())),
            ),
        ),
    ),
    ("manifest_keyless_of_another_manifest", MANIFEST_KEYLESS, lambda _: manifest_keyless(other_kit().files[MANIFEST])),
    ("manifest_keyless_of_the_list", MANIFEST_KEYLESS, lambda truth: manifest_keyless(truth.sums)),
    ("manifest_keyless_without_the_line_end", MANIFEST_KEYLESS, lambda truth: manifest_keyless(truth.files[MANIFEST][:-1])),
    ("manifest_keyless_of_nothing", MANIFEST_KEYLESS, lambda _: manifest_keyless(b"")),
    (
        "manifest_keyless_of_another_type",
        MANIFEST_KEYLESS,
        lambda truth: _with(
            manifest_keyless(truth.files[MANIFEST]), lambda d: d["dsseEnvelope"].update(payloadType="text/plain")
        ),
    ),
    (
        "manifest_keyless_with_two_signatures",
        MANIFEST_KEYLESS,
        lambda truth: _with(
            manifest_keyless(truth.files[MANIFEST]), lambda d: d["dsseEnvelope"]["signatures"].append({"sig": "QUJD"})
        ),
    ),
    (
        "manifest_keyless_without_signature",
        MANIFEST_KEYLESS,
        lambda truth: _with(manifest_keyless(truth.files[MANIFEST]), lambda d: d["dsseEnvelope"].update(signatures=[])),
    ),
    (
        "manifest_keyless_with_a_keyid",
        MANIFEST_KEYLESS,
        lambda truth: _with(
            manifest_keyless(truth.files[MANIFEST]), lambda d: d["dsseEnvelope"]["signatures"][0].update(keyid="")
        ),
    ),
):
    kit_lie("C6", 5, exactly(_file), name=_lie)(partial(_about, _file, _made))


@kit_lie("C6", 5, exactly(SUMS_KEYLESS))
def both_keyless_files_of_another_kit(_: Kit) -> Kit:
    truth, other = identified_kit(), other_kit().identify()
    truth.files |= {name: other.files[name] for name in KEYLESS}
    return truth


# -- whether they are there


def _stripped(names: tuple[str, ...], trust: str, truth: Kit) -> None:
    truth.state_with(lambda statement: statement["predicate"].update(trust=trust)).identify()
    for name in names:
        del truth.files[name]


for _lie, _names, _trust in (
    ("sums_keyless_missing", (SUMS_KEYLESS,), "keyless"),
    ("manifest_keyless_missing", (MANIFEST_KEYLESS,), "keyless"),
    ("trust_keyless_without_keyless_files", KEYLESS, "keyless"),
    ("sums_keyless_alone_missing_under_trust_key", (SUMS_KEYLESS,), "key"),
    ("manifest_keyless_alone_missing_under_trust_dev", (MANIFEST_KEYLESS,), "dev"),
):
    kit_lie("C8", 5, *(exactly(name) for name in _names), name=_lie)(partial(_stripped, _names, _trust))


def _listed(name: str, _: Kit) -> Kit:
    truth = identified_kit()
    digest = hashlib.sha256(truth.files[name]).hexdigest()
    lines = sorted([*truth.lines, f"{digest}  {name}".encode()], key=lambda row: row[66:])
    return truth.list_as(b"".join(row + b"\n" for row in lines)).identify()


for _name in KEYLESS:
    kit_lie("C3", 6, exactly(SUMS), name=f"list_names_{_name.partition('.')[0]}_keyless", kin="list_names_keyless")(
        partial(_listed, _name)
    )


@kit_lie("C2", 6, exactly(f"{SUMS_KEYLESS}.bak"))
def third_keyless_file(_: Kit) -> Kit:
    truth = identified_kit()
    truth.files[f"{SUMS_KEYLESS}.bak"] = truth.files[SUMS_KEYLESS]
    return truth

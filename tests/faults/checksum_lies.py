"""Lies about the list and what it lists: rows A2 and C1 to C5, C3 in depth.

Each lie about the list's own form is told twice: signed by the right key (exit 6, the line is named) and not signed (exit 5).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults.forge import (
    ENVELOPE,
    INSTALL,
    MANIFEST,
    PAYLOAD,
    PROVENANCE,
    README,
    SBOM,
    SIG,
    SPDX,
    STEPS,
    SUMS,
    Kit,
    cosigned_name,
    kit,
    other_kit,
    sha256,
)
from tests.faults.keys import MAIN, SECOND, STRANGER
from tests.faults.registry import folder_lie, instead, kit_lie

LINE = r"line \d+"
SIGNATURE = r"signature|signed|verif"
LISTED = (README, STEPS, INSTALL, SBOM, PROVENANCE, SPDX)


def exactly(text: str) -> str:
    """A pattern for the text itself."""
    return re.escape(text)


# -- C1, C2: what happens to single files


def _flip(place: float, bit: int, data: bytes) -> bytes:
    at = int((len(data) - 1) * place)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _edit(name: str, change: Callable[[bytes], bytes], truth: Kit) -> None:
    truth.files[name] = change(truth.files[name])


def _remove(name: str, truth: Kit) -> None:
    del truth.files[name]


def _take_from_other_kit(name: str, truth: Kit) -> None:
    truth.files[name] = other_kit().files[name]


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "with_a_byte_appended": lambda data: data + b"\0",
    "with_a_newline_appended": lambda data: data + b"\n",
    "without_its_last_byte": lambda data: data[:-1],
    "with_its_first_bit_flipped": partial(_flip, 0, 0),
    "with_a_middle_bit_flipped": partial(_flip, 0.5, 3),
    "with_its_last_bit_flipped": partial(_flip, 1, 7),
}


def _file_lies(name: str, code: int) -> None:
    slug = name.replace("/", "_").replace(".", "_").replace("-", "_").lower()
    reason = exactly(name) if code == 6 else rf"{exactly(name)}|{SIGNATURE}|subject|payload"
    for told, change in EDITS.items():
        kit_lie("C1", code, reason, name=f"{slug}_{told}")(partial(_edit, name, change))
    kit_lie("C2", code, exactly(name), name=f"{slug}_removed")(partial(_remove, name))
    kit_lie("C6", code, reason, name=f"{slug}_of_another_kit")(partial(_take_from_other_kit, name))


for _name in LISTED:
    _file_lies(_name, 6)
for _name in ENVELOPE:
    _file_lies(_name, 5)


@kit_lie("C2", 6, exactly(README), exactly(STEPS))
def two_files_swapped(truth: Kit) -> None:
    truth.files[README], truth.files[STEPS] = truth.files[STEPS], truth.files[README]


@kit_lie("C2", 6, exactly(PROVENANCE), exactly(SPDX))
def two_attestations_swapped(truth: Kit) -> None:
    truth.files[PROVENANCE], truth.files[SPDX] = truth.files[SPDX], truth.files[PROVENANCE]


@kit_lie("C2", 5)
def list_and_manifest_swapped(truth: Kit) -> None:
    truth.files[SUMS], truth.files[MANIFEST] = truth.files[MANIFEST], truth.files[SUMS]


@kit_lie("C2", 6, exactly(README), "LICENSE")
def file_renamed(truth: Kit) -> None:
    truth.files["LICENSE"] = truth.files.pop(README)


@kit_lie("C2", 6, exactly(STEPS), exactly("runbook/steps.MD"))
def file_renamed_in_case(truth: Kit) -> None:
    truth.files["runbook/steps.MD"] = truth.files.pop(STEPS)


@kit_lie("C2", 6, exactly(STEPS), exactly("runbook2/steps.md"))
def folder_renamed(truth: Kit) -> None:
    truth.files["runbook2/steps.md"] = truth.files.pop(STEPS)


@kit_lie("C2", 5, exactly(SIG))
def signature_file_renamed(truth: Kit) -> None:
    truth.files["SHA256SUMS.asc"] = truth.files.pop(SIG)


@kit_lie("C2", 5, exactly(SUMS))
def list_renamed_in_case(truth: Kit) -> None:
    truth.files["sha256sums"] = truth.files.pop(SUMS)


@kit_lie("C2", 5, exactly(MANIFEST))
def manifest_moved_into_a_folder(truth: Kit) -> None:
    truth.files["runbook/manifest.json"] = truth.files.pop(MANIFEST)


for _lie, _name in {
    "at_the_root": "LICENSE",
    "in_a_folder": "runbook/more.md",
    "in_a_new_folder": "extra/file",
    "deep_down": "a/b/c/d/e/file",
    "beside_the_attestations": "attestations/extra.dsse.json",
    "that_looks_like_a_list": "SHA256SUMS.txt",
    "that_looks_like_an_old_list": "SHA256SUMS.sig.old",
    "that_looks_like_a_manifest": "manifest.json.bak",
    "that_looks_like_a_keyless_bundle": "manifest.keyless.sigstore.json.old",
    "that_looks_like_a_list_bundle": "SHA256SUMS.keyless.sigstore",
    "that_looks_like_a_keyless_bundle_in_a_folder": "runbook/manifest.keyless.sigstore.json",
    "that_looks_like_a_co_signer": "manifest.0123456789abcde.dsse.json",
    "that_looks_like_a_co_signer_in_upper_case": "manifest.0123456789ABCDEF.dsse.json",
    "that_looks_like_a_co_signer_of_17_digits": "manifest.0123456789abcdef0.dsse.json",
    "that_looks_like_a_co_signer_in_a_folder": "runbook/manifest.0123456789abcdef.dsse.json",
    "that_looks_like_a_list_in_a_folder": "runbook/SHA256SUMS",
    "that_looks_like_an_option": "-n",
    "with_the_listed_name_as_its_end": "extra/README.md",
    "with_a_listed_name_as_its_beginning": "README.md.orig",
}.items():

    def _add(name: str, truth: Kit) -> None:
        truth.files[name] = b"Not listed.\n"

    kit_lie("C2", 6, exactly(_name), name=f"file_added_{_lie}")(partial(_add, _name))


@kit_lie("C2", 6, "README.md2", exactly("READMEXmd"))
def files_added_that_a_pattern_of_a_listed_name_would_match(truth: Kit) -> None:
    truth.files["READMEXmd"] = truth.files["README.md2"] = truth.files[README]


@kit_lie("C2", 6, "LICENSE")
def empty_file_added(truth: Kit) -> None:
    truth.files["LICENSE"] = b""


@kit_lie("C2", 6, exactly(README), exactly(STEPS), exactly(SBOM), "LICENSE", exactly("a/b"))
def five_faults_are_all_named(truth: Kit) -> None:
    truth.files[README] += b"!"
    truth.files[STEPS] = b""
    del truth.files[SBOM]
    truth.files["LICENSE"] = truth.files["a/b"] = b"Not listed.\n"


@kit_lie("C2", 6, exactly(INSTALL), "LICENSE", LINE)
def faults_of_form_content_and_inventory_are_all_named(truth: Kit) -> None:
    truth.files["LICENSE"] = b"Not listed.\n"
    truth.list_as(truth.listing(lambda name: name != "LICENSE") + b"# a comment\n")
    truth.files[INSTALL] += b"!"


@kit_lie("C2", 6, *(exactly(name) for name in (*PAYLOAD, PROVENANCE, SPDX)))
def every_listed_file_removed(truth: Kit) -> None:
    for name in LISTED:
        del truth.files[name]


# -- C4, C5: lists that do not list


@kit_lie("C4", 6, exactly(README))
def list_lacks_a_file(truth: Kit) -> None:
    truth.list_as(truth.listing(lambda name: name != README))


@kit_lie("C4", 6, exactly(STEPS), exactly(SBOM))
def list_has_one_line(truth: Kit) -> None:
    truth.list_as(truth.listing(lambda name: name == README))


@kit_lie("C4", 6, exactly(README), exactly(SBOM))
def list_has_attestations_only(truth: Kit) -> None:
    truth.list_as(truth.listing(lambda name: name.startswith("attestations/")))


@kit_lie("C4", 6, exactly(PROVENANCE), exactly(SPDX))
def list_lacks_the_attestations(truth: Kit) -> None:
    truth.list_as(truth.listing(lambda name: not name.startswith("attestations/")))


@kit_lie("C4", 6, exactly(STEPS))
def list_is_of_another_folder(truth: Kit) -> None:
    truth.list_as(truth.sums.replace(b"  ", b"  kit/"))


@kit_lie("C4", 6, "LICENSE")
def listed_file_never_was(truth: Kit) -> None:
    truth.files["LICENSE"] = b"MIT\n"
    truth.relist()
    del truth.files["LICENSE"]


@kit_lie("C4", 6, "LICENSE")
def listed_empty_file_is_missing(truth: Kit) -> None:
    truth.files["LICENSE"] = b""
    truth.relist()
    del truth.files["LICENSE"]


@kit_lie("C4", 6, "runbook")
def folder_listed_as_file(truth: Kit) -> None:
    truth.list_as(with_line(truth.sums, f"{sha256(b'')}  runbook".encode()))


@kit_lie("C1", 6, exactly(README))
def listed_digest_is_of_another_file(truth: Kit) -> None:
    text = truth.sums
    truth.list_as(instead(text, sha256(truth.files[README]).encode(), sha256(truth.files[STEPS]).encode()))


@kit_lie("C1", 6, exactly(README))
def listed_digest_is_of_nothing(truth: Kit) -> None:
    truth.list_as(instead(truth.sums, sha256(truth.files[README]).encode(), sha256(b"").encode()))


@kit_lie("C5", 5, SIGNATURE)
def list_remade_and_not_signed(truth: Kit) -> None:
    truth.files[README] += b"And this.\n"
    truth.files[SUMS] = truth.listing(lambda _: True)


@kit_lie("C5", 5, SIGNATURE)
def list_remade_with_manifest_and_not_signed(truth: Kit) -> None:
    old = truth.files[SIG]
    truth.files[README] += b"And this.\n"
    truth.attest()
    truth.files[SIG] = old


@kit_lie("C5", 5, SIGNATURE)
def list_remade_with_bundle_and_old_signature(truth: Kit) -> None:
    truth.files[README] += b"And this.\n"
    raw = truth.key.sign(truth.sums)
    truth.attest()
    truth.list_signed_by(raw)


@kit_lie("C5", 5, SIGNATURE + "|key", STRANGER.named)
def kit_remade_and_signed_by_a_stranger(truth: Kit) -> Kit:
    truth.files[README] += b"And this.\n"
    truth.signers, truth.given = (STRANGER,), (MAIN,)
    return truth.attest()


# -- C3: the grammar of the list


def row(name: str, text: bytes) -> bytes:
    """The line of a file, without its LF."""
    return next(line for line in text.splitlines() if line.endswith(b"  " + name.encode()))


def by_name(line: bytes) -> bytes:
    """What the list is sorted by."""
    return line[66:]


def with_line(text: bytes, line: bytes) -> bytes:
    """The list with one more line where it belongs."""
    lines = [*text.splitlines(keepends=True), line + b"\n"]
    lines.sort(key=by_name)
    return b"".join(lines)


def changed_row(name: str, change: Callable[[bytes], bytes], text: bytes) -> bytes:
    """The list with the line of one file changed."""
    return instead(text, row(name, text), change(row(name, text)))


def listed_too(name: bytes, digest: str, text: bytes) -> bytes:
    """The list with a further name."""
    return with_line(text, digest.encode() + b"  " + name)


def without_end(text: bytes) -> bytes:
    """The list without its last LF."""
    return text.removesuffix(b"\n")


def _bsd(line: bytes) -> bytes:
    return b"SHA256 (%b) = %b" % (line[66:], line[:64])


def _hashed_with(algorithm: str) -> Callable[[bytes], bytes]:
    return partial(changed_row, README, lambda line: hashlib.new(algorithm, kit().files[README]).hexdigest().encode() + line[64:])


def _sorted_without_case(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    lines.sort(key=lambda line: by_name(line).lower())
    return b"".join(lines)


def _swapped(text: bytes) -> bytes:
    first, second, *rest = text.splitlines(keepends=True)
    return b"".join([second, first, *rest])


Grammar = Callable[[bytes], bytes]
PER_LINE: dict[str, Grammar] = {
    "with_comment_first": lambda text: b"# the list\n" + text,
    "with_comment_last": lambda text: text + b"# README.md\n",
    "with_comment_that_names_the_file": partial(changed_row, README, lambda line: b"# " + line),
    "with_comment_after_the_name": partial(changed_row, README, lambda line: line + b"  # checked"),
    "with_semicolon_comment": lambda text: b"; the list\n" + text,
    "with_crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "with_crlf_in_one_line": partial(changed_row, STEPS, lambda line: line + b"\r"),
    "with_carriage_return_for_newline": lambda text: instead(text, b"\n", b"\r"),
    "with_blank_line_first": lambda text: b"\n" + text,
    "with_blank_line_in_it": lambda text: instead(text, b"\n", b"\n\n"),
    "with_blank_line_last": lambda text: text + b"\n",
    "with_line_of_spaces": lambda text: text + b"   \n",
    "with_backslash_before_the_hash": partial(changed_row, README, lambda line: b"\\" + line),
    "with_escaped_newline": lambda text: text + b"\\" + sha256(b"").encode() + b"  zz\\nzz\n",
    "with_backslash_in_the_name": partial(changed_row, STEPS, lambda line: line.replace(b"/", b"\\")),
    "with_uppercase_hash": partial(changed_row, README, lambda line: line[:64].upper() + line[64:]),
    "with_one_uppercase_digit": partial(
        changed_row, README, lambda line: re.sub(rb"[a-f]", lambda m: m[0].upper(), line, count=1)
    ),
    "with_binary_mark": partial(changed_row, README, lambda line: instead(line, b"  ", b" *")),
    "with_binary_mark_everywhere": lambda text: text.replace(b"  ", b" *"),
    "with_hash_of_63_digits": partial(changed_row, README, lambda line: line[1:]),
    "with_hash_of_65_digits": partial(changed_row, README, lambda line: b"0" + line),
    "with_no_hash": partial(changed_row, README, lambda line: line[64:]),
    "with_name_alone": partial(changed_row, README, lambda line: line[66:]),
    "with_hash_alone": partial(changed_row, README, lambda line: line[:64]),
    "with_hash_and_spaces_alone": partial(changed_row, README, lambda line: line[:66]),
    "with_sha512": _hashed_with("sha512"),
    "with_sha1": _hashed_with("sha1"),
    "with_md5": _hashed_with("md5"),
    "with_sha224": _hashed_with("sha224"),
    "with_algorithm_prefix": partial(changed_row, README, lambda line: b"sha256:" + line),
    "with_base64_hash": partial(changed_row, README, lambda line: b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" + line[64:]),
    "with_a_digit_beyond_hex": partial(changed_row, README, lambda line: b"g" + line[1:]),
    "with_fullwidth_digits": partial(changed_row, README, lambda line: "\uff10".encode() * 64 + line[64:]),
    "with_leading_space": partial(changed_row, README, lambda line: b" " + line),
    "with_trailing_space": partial(changed_row, README, lambda line: line + b" "),
    "with_one_space": partial(changed_row, README, lambda line: instead(line, b"  ", b" ")),
    "with_three_spaces": partial(changed_row, README, lambda line: instead(line, b"  ", b"   ")),
    "with_tab": partial(changed_row, README, lambda line: instead(line, b"  ", b"\t")),
    "with_tab_and_space": partial(changed_row, README, lambda line: instead(line, b"  ", b" \t")),
    "with_no_break_space": partial(changed_row, README, lambda line: instead(line, b"  ", "\u00a0 ".encode())),
    "with_line_doubled": lambda text: instead(text, row(README, text) + b"\n", (row(README, text) + b"\n") * 2),
    "with_wrong_hash_before_the_right_one": lambda text: instead(
        text, row(README, text), b"f" * 64 + b"  README.md\n" + row(README, text)
    ),
    "with_wrong_hash_after_the_right_one": lambda text: instead(
        text, row(README, text) + b"\n", row(README, text) + b"\n" + b"f" * 64 + b"  README.md\n"
    ),
    "with_line_doubled_at_the_end": lambda text: text + row(README, text) + b"\n",
    "unsorted": _swapped,
    "in_reverse_order": lambda text: b"".join(reversed(text.splitlines(keepends=True))),
    "sorted_without_case": _sorted_without_case,
    "sorted_by_hash": lambda text: b"".join(sorted(text.splitlines(keepends=True))),
    "in_bsd_style": lambda text: b"".join(_bsd(line) + b"\n" for line in text.splitlines()),
    "with_one_line_in_bsd_style": partial(changed_row, README, _bsd),
    "with_openssl_style": partial(changed_row, README, lambda line: b"SHA2-256(%b)= %b" % (line[66:], line[:64])),
    "with_nul_after_the_name": partial(changed_row, README, lambda line: line + b"\0"),
    "with_nul_in_the_name": partial(changed_row, README, lambda line: instead(line, b"README", b"READ\0ME")),
    "with_form_feed": partial(changed_row, README, lambda line: line + b"\f"),
    "with_vertical_tab": partial(changed_row, README, lambda line: line + b"\v"),
    "with_line_separator": lambda text: instead(text, b"\n", "\u2028".encode()),
    "with_next_line": lambda text: instead(text, b"\n", "\u0085".encode()),
    "with_form_feed_for_newline": lambda text: instead(text, b"\n", b"\f"),
    "with_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "in_utf16": lambda text: text.decode().encode("utf-16"),
    "with_dot_slash": partial(changed_row, README, lambda line: instead(line, b"README", b"./README")),
    "with_dot_part": partial(changed_row, STEPS, lambda line: instead(line, b"/", b"/./")),
    "with_two_slashes": partial(changed_row, STEPS, lambda line: instead(line, b"/", b"//")),
    "with_slash_at_end": partial(changed_row, STEPS, lambda line: line + b"/"),
    "with_parent_part": partial(changed_row, STEPS, lambda line: instead(line, b"runbook/", b"runbook/../runbook/")),
    "with_name_of_one_dot": partial(listed_too, b".", sha256(b"")),
    "with_space_in_name": partial(listed_too, b"run book", sha256(b"")),
    "with_non_ascii_name": partial(listed_too, "caf\u00e9".encode(), sha256(b"")),
    "with_name_that_is_not_utf8": partial(listed_too, b"caf\xff", sha256(b"")),
    "with_escape_sequence": partial(listed_too, b"no\x1b[2Jtes", sha256(b"")),
    "with_glob": partial(listed_too, b"runbook/*", sha256(b"")),
    "with_command": partial(listed_too, b"$(touch lnm-lie)", sha256(b"")),
    "with_device_name": partial(listed_too, b"aux.md", sha256(b"")),
    "with_hidden_name": partial(listed_too, b".hidden", sha256(b"")),
    "with_trailing_dot": partial(listed_too, b"notes.", sha256(b"")),
    "with_part_of_256_characters": partial(listed_too, b"n" * 256, sha256(b"")),
    "with_name_of_1025_characters": partial(listed_too, b"/".join([b"n" * 204] * 5) + b"n", sha256(b"")),
    "with_name_of_33_parts": partial(listed_too, b"/".join([b"d"] * 33), sha256(b"")),
    "with_line_of_a_mebibyte": lambda text: text + b"0" * 2**20 + b"\n",
    "that_lists_the_list": partial(listed_too, b"SHA256SUMS", sha256(kit().sums)),
    "that_lists_the_manifest": partial(listed_too, b"manifest.json", sha256(kit().files[MANIFEST])),
    "that_lists_the_signature": partial(listed_too, b"SHA256SUMS.sig", sha256(kit().files[SIG])),
    "with_pgp_armour": lambda text: b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + text,
    "with_text_after_it": lambda text: text + b"end\n",
    "with_two_final_newlines": lambda text: text + b"\n",
}
WHOLE: dict[str, Grammar] = {
    "with_sha3": _hashed_with("sha3_256"),
    "with_only_carriage_returns": lambda text: text.replace(b"\n", b"\r"),
    "with_nul_for_newline": lambda text: text.replace(b"\n", b"\0"),
    "with_zero_bytes_after_it": lambda text: text + bytes(512),
    "without_final_newline": without_end,
    "with_case_collision": partial(listed_too, b"readme.md", sha256(b"")),
    "with_folder_case_collision": partial(listed_too, b"RUNBOOK/other.md", sha256(b"")),
    "with_file_that_is_a_folder": partial(listed_too, b"README.md/file", sha256(b"")),
    "empty": lambda _: b"",
    "of_one_newline": lambda _: b"\n",
    "of_one_comment": lambda _: b"# nothing to check\n",
    "of_one_nul": lambda _: b"\0",
    "that_is_json": lambda _: b"{}\n",
    "truncated_in_a_line": lambda text: text[: len(text) - 20],
    "truncated_in_a_hash": lambda text: text[: text.rindex(b"\n", 0, -1) + 30],
}


def _relisted(change: Grammar, truth: Kit) -> None:
    truth.list_as(_really(change, truth.sums))


def _list_changed(change: Grammar, truth: Kit) -> None:
    truth.files[SUMS] = _really(change, truth.sums)


def _really(change: Grammar, text: bytes) -> bytes:
    if (changed := change(text)) == text:
        raise ValueError("the list did not change: the lie would be the truth")
    return changed


for _table, _reason in ((PER_LINE, LINE), (WHOLE, SUMS)):
    for _number, (_lie, _change) in enumerate(_table.items()):
        kit_lie("C3", 6, _reason, name=f"list_{_lie}")(partial(_relisted, _change))
        kit_lie("C3", 5, SIGNATURE, name=f"list_{_lie}_not_signed", only="folder", kin=f"not_signed_{_number // 8}")(
            partial(_list_changed, _change)
        )


@kit_lie("C3", 6, LINE)
def list_that_lists_a_co_signer(_: Kit) -> Kit:
    truth = kit(MAIN, SECOND)
    name = cosigned_name(SECOND)
    return truth.list_as(listed_too(name.encode(), sha256(truth.files[name]), truth.sums))


@kit_lie("C3", 6, *(rf"line {number}\b" for number in range(1, 7)))
def list_with_six_bad_lines_names_all(truth: Kit) -> None:
    truth.list_as(truth.sums.replace(b"  ", b" *"))


# -- A2: names that leave the kit, in a list with a valid signature


def _listed_path(name: str, data: bytes, truth: Kit) -> None:
    truth.list_as(with_line(truth.sums, f"{sha256(data)}  {name}".encode()))


for _lie, _name in {
    "parent": "../outside",
    "parent_in_a_folder": "runbook/../../outside",
    "parent_alone": "..",
    "parent_of_a_listed_file": "runbook/../README.md",
    "absolute": "/etc/passwd",
    "absolute_and_parent": "/../../etc/passwd",
    "two_slashes": "//etc/passwd",
    "root_of_the_file_system": "/",
    "backslash_parent": "..\\outside",
    "drive_letter": "C:/outside",
    "home": "~/.ssh/authorized_keys",
    "own_folder": "kit/../kit/README.md",
    "device": "/dev/null",
    "standard_input": "-/../outside",
}.items():
    kit_lie("A2", 6, LINE, name=f"signed_list_has_{_lie}")(partial(_listed_path, _name, b""))


@folder_lie("A2", 6, LINE)
def signed_list_has_a_file_that_really_lies_outside(root: Path) -> None:
    truth = kit()
    (root.parent / "outside").write_bytes(b"Here I am.\n")
    _listed_path("../outside", b"Here I am.\n", truth)
    for name in ENVELOPE:
        (root / name).write_bytes(truth.files[name])


@folder_lie("A2", 6, LINE)
def signed_list_has_an_absolute_file_that_really_is_there(root: Path) -> None:
    truth = kit()
    _listed_path("/etc/passwd", Path("/etc/passwd").read_bytes(), truth)
    for name in ENVELOPE:
        (root / name).write_bytes(truth.files[name])

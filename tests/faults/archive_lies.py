"""Lies of the container: rows A1 to A12. Wherever it can be, a reader that looks away would find a good kit behind the lie."""

from __future__ import annotations

import bz2
import lzma
import os
import socket
import struct
import zlib
from functools import partial
from itertools import chain
from pathlib import Path

from tests.faults import names
from tests.faults.forge import INSTALL, MANIFEST, PROVENANCE, README, SBOM, STEPS, SUMS, VERSION, Kit, kit
from tests.faults.rawtar import (
    BLOCK,
    END,
    GNU,
    Member,
    archive,
    deflated,
    gnu_long_name,
    gzipped,
    gzipped_often,
    packed,
    pax,
    pax_path,
    record,
    with_pax_paths,
    wrong_checksum,
)
from tests.faults.registry import folder_lie, kit_lie, tarball_lie

ROOT = f"concelier-lnm-{VERSION}"
NAME = r"\bname|path|\.\.|part"
LINK = r"\blink|symlink|hardlink|hard link"
TYPE = r"\btype\b|neither file nor folder|\blink|sparse|device|fifo|special|contiguous"
MODE = r"\bmode\b|set-?[ug]?id|writable|sticky"
TRUNCATED = r"truncat|ends? (too )?early|\bend\b|cut (off|short)|incomplete|unexpected end"
BUDGET = r"budget|too (big|large|many|long)|\blimit|more than|over 6|MiB|at most"
MIB = 2**20


# -- A1: names that leave the folder


def _renamed(name: str, truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(name=name))


for _lie, _name in {
    "parent_traversal": f"{ROOT}/runbook/../README.md",
    "parent_traversal_deep": f"{ROOT}/runbook/../runbook/../README.md",
    "parent_traversal_out_and_in": f"../{ROOT}/README.md",
    "parent_traversal_out_and_in_again": f"{ROOT}/../{ROOT}/README.md",
    "parent_traversal_outside": f"{ROOT}/../../lnm-lie",
    "parent_traversal_at_end": f"{ROOT}/runbook/..",
    "absolute_name": f"/{ROOT}/README.md",
    "absolute_name_outside": "/tmp/lnm-absolute-lie",  # noqa: S108
    "two_slashes_first": f"//{ROOT}/README.md",
    "dot_part": f"{ROOT}/./README.md",
    "dot_part_first": f"./{ROOT}/README.md",
    "empty_part": f"{ROOT}//README.md",
    "name_with_backslash": f"{ROOT}\\README.md",
    "name_with_backslash_traversal": f"{ROOT}/runbook\\..\\README.md",
    "name_with_drive_letter": f"C:/{ROOT}/README.md",
    "file_name_ends_with_slash": f"{ROOT}/README.md/",
    "file_name_is_empty": "",
    "file_name_is_the_root": f"{ROOT}/",
}.items():
    tarball_lie("A1", 6, rf"{NAME}|below|root|absolute|outside", name=f"tar_{_lie}")(partial(_renamed, _name))


@tarball_lie("A1", 6, NAME)
def tar_prefix_traversal(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(name=README, prefix=f"{ROOT}/runbook/.."))


@tarball_lie("A1", 6, rf"{NAME}|absolute|below")
def tar_prefix_absolute(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(name=README, prefix=f"/{ROOT}"))


@tarball_lie("A1", 6, r"prefix|magic|GNU")
def tar_prefix_under_gnu_magic(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(name=README, prefix=ROOT, magic=GNU))


@tarball_lie("A1", 6, r"prefix|magic|GNU")
def tar_prefix_under_gnu_magic_beside_the_name(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(prefix="evil", magic=GNU))


@tarball_lie("A1", 6, NAME)
def tar_pax_path_traversal(truth: Kit) -> list[Member]:
    return truth.with_member(README, pax_path(f"{ROOT}/runbook/../README.md"), truth.member(README))


@tarball_lie("A1", 6, rf"{NAME}|absolute|below")
def tar_pax_path_absolute(truth: Kit) -> list[Member]:
    return truth.with_member(README, pax_path("/tmp/lnm-absolute-lie"), truth.member(README))  # noqa: S108


@tarball_lie("A1", 6, NAME)
def tar_gnu_long_name_traversal(truth: Kit) -> list[Member]:
    return truth.with_member(README, gnu_long_name(f"{ROOT}/runbook/../README.md"), truth.member(README))


@tarball_lie("A1", 6, rf"{NAME}|absolute|below")
def tar_gnu_long_name_absolute(truth: Kit) -> list[Member]:
    return truth.with_member(README, gnu_long_name("/tmp/lnm-absolute-lie"), truth.member(README))  # noqa: S108


@tarball_lie("A1", 6, NAME)
def tar_folder_traversal(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}/../lnm-lie/", kind=b"5", mode=0o755)]


@tarball_lie("A1", 6, NAME)
def tar_folder_name_ends_with_two_slashes(truth: Kit) -> list[Member]:
    return [member.but(name=f"{ROOT}/runbook//") if member.name == f"{ROOT}/runbook/" else member for member in truth.members()]


# -- A3, A4, A5: links


def _link(kind: bytes, target: str, truth: Kit) -> list[Member]:
    truth.files["runbook/link"] = truth.files[README]
    truth.relist()
    return truth.with_member("runbook/link", Member(f"{ROOT}/runbook/link", kind=kind, mode=0o644, link=target))


for _lie, _target in {
    "to_a_file_inside": "../README.md",
    "relative_escape": "../../../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "to_parent": "..",
    "to_root": "/",
    "to_itself": "link",
    "to_nothing": "nothing",
    "with_empty_target": "",
}.items():
    tarball_lie("A3", 6, LINK, name=f"tar_symlink_{_lie}")(partial(_link, b"2", _target))

for _lie, _target in {
    "to_a_file_inside": f"{ROOT}/README.md",
    "to_parent": f"{ROOT}/../../etc/passwd",
    "absolute": "/etc/passwd",
    "to_itself": f"{ROOT}/runbook/link",
    "with_empty_target": "",
}.items():
    tarball_lie("A5", 6, LINK, name=f"tar_hardlink_{_lie}")(partial(_link, b"1", _target))


@tarball_lie("A3", 6, LINK)
def tar_symlink_is_the_root(truth: Kit) -> list[Member]:
    return [Member(ROOT, kind=b"2", mode=0o755, link="."), *truth.members()[1:]]


@tarball_lie("A3", 6, LINK)
def tar_symlink_with_data(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(kind=b"2", link=STEPS))


@tarball_lie("A4", 6, LINK)
def tar_file_written_through_symlink(truth: Kit) -> list[Member]:
    link = Member(f"{ROOT}/runbook", kind=b"2", mode=0o755, link="runner")
    return [link if member.name == f"{ROOT}/runbook/" else member for member in truth.members()]


@tarball_lie("A4", 6, LINK)
def tar_file_written_through_symlink_outside(truth: Kit) -> list[Member]:
    link = Member(f"{ROOT}/runbook", kind=b"2", mode=0o755, link="../..")
    return [link if member.name == f"{ROOT}/runbook/" else member for member in truth.members()]


@tarball_lie("A4", 6, LINK)
def tar_file_replaces_its_symlink(truth: Kit) -> list[Member]:
    return truth.with_member(README, Member(f"{ROOT}/{README}", kind=b"2", link="/tmp/lnm-absolute-lie"), truth.member(README))  # noqa: S108


@tarball_lie("A5", 6, LINK)
def tar_hardlink_to_deeper_symlink(truth: Kit) -> list[Member]:
    deeper = Member(f"{ROOT}/runbook/deeper", kind=b"2", link="/etc/passwd")
    return [*truth.members(), deeper, Member(f"{ROOT}/hard", kind=b"1", link=f"{ROOT}/runbook/deeper")]


@tarball_lie("A5", 6, LINK)
def tar_hardlink_with_data(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(kind=b"1", link=f"{ROOT}/{STEPS}"))


# -- A6: types, pax and GNU records


def _typed(kind: bytes, truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(kind=kind))


for _lie, _kind in {
    "char_device": b"3",
    "block_device": b"4",
    "fifo": b"6",
    "contiguous": b"7",
    "reserved_8": b"8",
    "sparse_gnu": b"S",
    "dump_folder": b"D",
    "multi_volume": b"M",
    "volume_label": b"V",
    "old_long_name": b"N",
    "solaris_pax": b"X",
    "solaris_acl": b"A",
    "inode": b"I",
    "socket": b"s",
    "unknown_letter": b"Z",
    "space": b" ",
    "newline": b"\n",
    "byte_ff": b"\xff",
}.items():
    tarball_lie("A6", 6, TYPE, name=f"tar_{_lie}")(partial(_typed, _kind))


@tarball_lie("A6", 6, TYPE)
def tar_empty_char_device_beside_the_kit(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}/null", kind=b"3")]


@tarball_lie("A6", 6, TYPE)
def tar_volume_label_first(truth: Kit) -> list[Member]:
    return [Member("label", kind=b"V", magic=GNU), *truth.members()]


@tarball_lie("A6", 6, TYPE)
def tar_gnu_long_link(truth: Kit) -> list[Member]:
    return truth.with_member(README, gnu_long_name("/etc/passwd", kind=b"K"), truth.member(README))


@tarball_lie("A6", 6, r"\btype\b|global|pax|\bg\b")
def tar_pax_global_header(truth: Kit) -> list[Member]:
    return [pax(record("comment", "harmless"), kind=b"g"), *truth.members()]


@tarball_lie("A6", 6, r"\btype\b|global|pax|\bg\b")
def tar_pax_global_path(truth: Kit) -> list[Member]:
    return [pax(record("path", f"{ROOT}/{README}"), kind=b"g"), *truth.members()]


@tarball_lie("A6", 6, r"\btype\b|global|pax|\bg\b")
def tar_pax_global_header_last(truth: Kit) -> list[Member]:
    return [*truth.members(), pax(record("mtime", "1"), kind=b"g")]


def _with_record(text: bytes, truth: Kit) -> list[Member]:
    return truth.with_member(README, pax(text), truth.member(README))


_SIZE = b"%d" % len(kit().files[README])
_PATH = f"{ROOT}/{README}"

for _lie, _text in {
    "size_override": record("size", b"3"),
    "size_right": record("size", _SIZE),
    "linkpath": record("linkpath", "/etc/passwd"),
    "sparse_0_0": record("GNU.sparse.size", _SIZE) + record("GNU.sparse.numblocks", "1"),
    "sparse_0_1": record("GNU.sparse.map", b"0," + _SIZE),
    "sparse_name": record("GNU.sparse.name", f"{ROOT}/LICENSE"),
    "sparse_1_0": record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.realsize", _SIZE),
    "comment": record("comment", "harmless"),
    "charset": record("hdrcharset", "BINARY"),
    "uid": record("uid", "0"),
    "uname": record("uname", "root"),
    "device": record("SCHILY.devmajor", "1"),
    "type": record("LIBARCHIVE.symlinktype", "dir"),
    "xattr": record("SCHILY.xattr.security.capability", b"\x01\0\0\2"),
    "acl": record("SCHILY.acl.access", "user::rwx"),
    "key_with_space": record(" path", _PATH),
    "key_in_upper_case": record("PATH", _PATH),
    "empty_key": record("", _PATH),
    "path_twice": record("path", _PATH) * 2,
    "path_twice_the_second_other": record("path", _PATH) + record("path", f"{ROOT}/LICENSE"),
    "path_empty": record("path", ""),
    "path_with_slash_at_end": record("path", f"{_PATH}/"),
    "path_with_nul": record("path", f"{_PATH}\0evil"),
    "path_with_newline": record("path", f"{_PATH}\n"),
    "path_with_backslash": record("path", _PATH.replace("/", "\\")),
    "path_not_utf8": record("path", f"{ROOT}/".encode() + b"\xff"),
    "path_case_collision": record("path", f"{ROOT}/RUNBOOK"),
    "path_device_name": record("path", f"{ROOT}/aux.md"),
    "length_too_small": b"9" + record("path", _PATH)[2:],
    "length_too_big": b"99" + record("path", _PATH)[2:],
    "length_zero": b"0 path=" + _PATH.encode() + b"\n",
    "length_negative": b"-1 path=" + _PATH.encode() + b"\n",
    "length_missing": b"path=" + _PATH.encode() + b"\n",
    "length_hex": b"0x27 path=" + _PATH.encode() + b"\n",
    "length_huge": b"9" * 400 + b" path=x\n",
    "length_only": b"12",
    "no_equals_sign": b"8 path\n\n\n",
    "no_newline": record("path", _PATH)[:-1] + b" ",
    "text_after_it": record("path", _PATH) + b"evil",
    "nul_after_it": record("path", _PATH) + b"\0",
    "over_4k": record("path", _PATH) + record("mtime", "0" * 4096),
    "of_4097_bytes": record("mtime", "0" * (4097 - len("4097 mtime=\n"))),
    "empty": b"",
}.items():
    tarball_lie("A6", 6, r"pax|record|extended|\bkey\b|\bname|path|size|sparse|\btype\b|below", name=f"tar_pax_{_lie}")(
        partial(_with_record, _text)
    )


@tarball_lie("A6", 6, r"two|twice|second|another|more than one|at most one|record|pax")
def tar_two_pax_records(truth: Kit) -> list[Member]:
    return truth.with_member(README, pax(record("mtime", "1")), pax_path(_PATH), truth.member(README))


@tarball_lie("A6", 6, r"two|twice|second|another|more than one|at most one|record|pax")
def tar_pax_record_and_gnu_long_name(truth: Kit) -> list[Member]:
    return truth.with_member(README, pax(record("mtime", "1")), gnu_long_name(_PATH), truth.member(README))


@tarball_lie("A6", 6, r"two|twice|second|another|more than one|at most one|record|pax")
def tar_gnu_long_name_and_pax_record(truth: Kit) -> list[Member]:
    return truth.with_member(README, gnu_long_name(_PATH), pax_path(f"{ROOT}/LICENSE"), truth.member(README))


@tarball_lie("A6", 6, r"two|twice|second|another|more than one|at most one|record|long name")
def tar_two_gnu_long_names(truth: Kit) -> list[Member]:
    return truth.with_member(README, gnu_long_name(f"{ROOT}/LICENSE"), gnu_long_name(_PATH), truth.member(README))


@tarball_lie("A6", 6, rf"record|pax|member|{TRUNCATED}")
def tar_pax_record_for_nobody(truth: Kit) -> list[Member]:
    return [*truth.members(), pax_path(f"{ROOT}/LICENSE")]


@tarball_lie("A6", 6, rf"record|long name|member|{TRUNCATED}")
def tar_gnu_long_name_for_nobody(truth: Kit) -> list[Member]:
    return [*truth.members(), gnu_long_name(f"{ROOT}/LICENSE")]


def _long_name(text: bytes, truth: Kit) -> list[Member]:
    return truth.with_member(README, Member("././@LongLink", text, b"L", magic=GNU), truth.member(README))


for _lie, _text in {
    "without_nul": _PATH.encode(),
    "with_two_nuls": _PATH.encode() + b"\0\0",
    "with_text_after_nul": _PATH.encode() + b"\0evil\0",
    "empty": b"",
    "of_one_nul": b"\0",
    "over_4k": f"{ROOT}/".encode() + b"d/" * 2500 + b"f\0",
    "with_newline": _PATH.encode() + b"\n\0",
}.items():
    tarball_lie("A6", 6, r"long|\bname|record|NUL", name=f"tar_gnu_long_name_{_lie}")(partial(_long_name, _text))


@tarball_lie("A6", 6, r"SHA256SUMS|sha256|digest|differ", README, INSTALL)
def tar_pax_path_swaps_two_files(truth: Kit) -> list[Member]:
    swapped = {README: INSTALL, INSTALL: README}
    return list(
        chain.from_iterable(
            [pax_path(f"{ROOT}/{swapped[name]}"), member]
            if (name := member.name.removeprefix(f"{ROOT}/")) in swapped
            else [member]
            for member in truth.members()
        )
    )


@tarball_lie("A6", 6, r"SHA256SUMS|sha256|digest|differ", README, INSTALL)
def tar_gnu_long_name_swaps_two_files(truth: Kit) -> list[Member]:
    swapped = {README: INSTALL, INSTALL: README}
    return list(
        chain.from_iterable(
            [gnu_long_name(f"{ROOT}/{swapped[name]}"), member]
            if (name := member.name.removeprefix(f"{ROOT}/")) in swapped
            else [member]
            for member in truth.members()
        )
    )


def _lying(name: str, value: bytes, truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).lying(**{name: value}))


for _lie, _field, _value in (
    ("magic_missing", "magic", bytes(8)),
    ("magic_of_other_version", "magic", b"ustar\x0001"),
    ("magic_without_version", "magic", b"ustar\0\0\0"),
    ("magic_half_gnu", "magic", b"ustar 00"),
    ("magic_gnu_without_nul", "magic", b"ustar   "),
    ("magic_in_upper_case", "magic", b"USTAR\x0000"),
    ("size_base_256", "size", b"\x80" + (32).to_bytes(11)),
    ("size_base_256_huge", "size", b"\x80" + (2**70).to_bytes(11)),
    ("size_negative", "size", b"\xff" * 12),
    ("size_minus_one", "size", b"-0000000001\0"),
    ("size_plus", "size", b"+0000000040\0"),
    ("size_of_8_and_9", "size", b"00000000089\0"),
    ("size_hex", "size", b"0x20\0"),
    ("size_of_letters", "size", b"thirty two\0"),
    ("size_with_underscore", "size", b"0000000_040\0"),
    ("size_with_text_after_nul", "size", b"40\x00777777777"),
    ("mode_base_256", "mode", b"\x80" + (0o644).to_bytes(7)),
    ("mode_of_letters", "mode", b"rw-r--r\0"),
    ("mode_negative", "mode", b"-000644\0"),
    ("mode_of_8_and_9", "mode", b"0000689\0"),
):
    tarball_lie("A6", 6, r"magic|octal|number|field|size|mode|header|format|" + TRUNCATED, name=f"tar_{_lie}")(
        partial(_lying, _field, _value)
    )

for _lie, _difference in {"off_by_one": 1, "off_by_minus_one": -1, "off_by_256": 256, "of_zero": -(2**12)}.items():

    def _summed(difference: int, truth: Kit) -> list[Member]:
        return truth.with_member(README, wrong_checksum(truth.member(README), difference))

    tarball_lie("A6", 6, r"checksum|header", name=f"tar_header_checksum_{_lie}")(partial(_summed, _difference))


@tarball_lie("A6", 6, r"\blink")
def tar_file_with_link_name(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(link=STEPS))


@tarball_lie("A6", 6, r"header|\blink")
def tar_folder_with_link_name(truth: Kit) -> list[Member]:
    return [member.but(link=README) if member.name == f"{ROOT}/runbook/" else member for member in truth.members()]


@tarball_lie("A6", 6, r"header|zeros")
def tar_header_with_bytes_at_its_end(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).lying(rest=b"tar\0"))


@tarball_lie("A6", 6, r"NUL|header|\bname")
def tar_name_with_text_after_nul(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(name=f"{_PATH}\0evil"))


@tarball_lie("A6", 6, r"below|\bname|root")
def tar_file_of_type_nul_whose_name_ends_with_slash(truth: Kit) -> list[Member]:
    """Version 7 tar wrote folders so."""
    return [*truth.members(), Member(f"{ROOT}/empty/", kind=b"\0", mode=0o755)]


@tarball_lie("A6", 6, r"between|padding|zeros")
def tar_data_in_padding(truth: Kit) -> bytes:
    first, *rest = truth.with_member(README, truth.member(README))[::-1]
    return gzipped(first.blocks()[:-1] + b"!" + archive(rest))


@tarball_lie("A6", 6, r"checksum|octal|header")
def tar_header_checksum_empty(truth: Kit) -> list[Member]:
    return _lying("chksum", b" " * 8, truth)


@tarball_lie("A6", 6, r"size|folder")
def tar_folder_with_data(truth: Kit) -> list[Member]:
    return [member.but(data=b"hidden") if member.name == f"{ROOT}/runbook/" else member for member in truth.members()]


@tarball_lie("A6", 6, r"size|folder")
def tar_folder_with_size_and_no_data(truth: Kit) -> list[Member]:
    return [member.lying(size=b"%011o\0" % BLOCK) if member.name == f"{ROOT}/runbook/" else member for member in truth.members()]


# -- A7: modes


def _moded(name: str, mode: int, truth: Kit) -> list[Member]:
    return [member.but(mode=mode) if member.name == f"{ROOT}/{name}" else member for member in truth.members()]


for _lie, _mode in {
    "setuid": 0o4755,
    "setgid": 0o2755,
    "sticky": 0o1755,
    "setuid_without_x": 0o4644,
    "world_writable": 0o666,
    "world_writable_and_executable": 0o777,
    "group_writable": 0o664,
    "mode_0600": 0o600,
    "mode_0640": 0o640,
    "mode_0700": 0o700,
    "mode_0444": 0o444,
    "mode_0555": 0o555,
    "mode_0": 0,
    "mode_with_file_type": 0o100644,
    "mode_with_high_bit": 0o1000644,
}.items():
    tarball_lie("A7", 6, MODE, name=f"tar_{_lie}")(partial(_moded, INSTALL, _mode))

for _lie, _mode in {
    "setuid": 0o4755,
    "setgid": 0o2755,
    "sticky": 0o1755,
    "world_writable": 0o777,
    "world_writable_and_sticky": 0o1777,
    "group_writable": 0o775,
    "mode_0700": 0o700,
    "mode_0644": 0o644,
    "mode_with_file_type": 0o40755,
}.items():
    tarball_lie("A7", 6, MODE, name=f"tar_folder_{_lie}")(partial(_moded, "runbook/", _mode))
    tarball_lie("A7", 6, MODE, name=f"tar_root_{_lie}")(partial(_moded, "", _mode))


# -- A9: names that are not what they seem


def _named(name: str, truth: Kit) -> Kit:
    truth.files[name] = b"Listed and signed.\n"
    return truth.relist()


for _lie, _name in names.BAD.items():
    kit_lie("A9", 6, r"\bname|path|part|character", name=f"name_{_lie}")(partial(_named, _name))


def _pax_named(name: str, truth: Kit) -> list[Member]:
    truth.files[name] = b"Listed and signed.\n"
    truth.relist()
    return with_pax_paths(truth.members())


for _lie, _name in names.BAD_LONG.items():
    tarball_lie("A9", 6, r"\bname|path|part|character|long", name=f"name_{_lie}")(partial(_pax_named, _name))

for _lie, (_name, _other) in names.COLLISIONS.items():
    kit_lie("A9", 6, r"case|equal|same|collision|collide|clash|differ only|\bname", name=f"name_{_lie}")(partial(_named, _name))


def _twice(name: str, truth: Kit) -> list[Member]:
    return [*truth.members(), next(member for member in truth.members() if member.name == f"{ROOT}/{name}")]


TWICE = r"twice|two|duplicate|again|already|second"

for _lie, _name in {"file": README, "envelope_file": SUMS, "folder": "runbook/", "root": ""}.items():
    tarball_lie("A9", 6, TWICE, name=f"tar_{_lie}_twice")(partial(_twice, _name))


@tarball_lie("A9", 6, TWICE)
def tar_file_twice_the_first_is_wrong(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(data=b"evil"), truth.member(README))


@tarball_lie("A9", 6, TWICE)
def tar_file_twice_the_second_is_wrong(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README), truth.member(README).but(data=b"evil"))


@tarball_lie("A9", 6, TWICE)
def tar_file_twice_once_by_pax_path(truth: Kit) -> list[Member]:
    return [*truth.members(), pax_path(_PATH), Member("short", truth.files[README])]


@tarball_lie("A9", 6, TWICE)
def tar_file_twice_once_by_prefix(truth: Kit) -> list[Member]:
    return [*truth.members(), truth.member(README).but(name=README, prefix=ROOT)]


@tarball_lie("A9", 6, TWICE)
def tar_folder_twice_with_and_without_slash(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}/runbook", kind=b"5", mode=0o755)]


ALSO = r"folder|file|twice|also|both"


@tarball_lie("A9", 6, ALSO)
def tar_file_is_also_folder(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}/README.md/notes", b"Below a file.\n")]


@tarball_lie("A9", 6, ALSO)
def tar_file_is_also_folder_member(truth: Kit) -> list[Member]:
    return [*truth.members(), truth.folder(README)]


@tarball_lie("A9", 6, ALSO)
def tar_folder_is_also_file(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}/runbook", b"A file.\n")]


@tarball_lie("A9", 6, ALSO)
def tar_file_before_its_folder(truth: Kit) -> list[Member]:
    return [Member(f"{ROOT}/runbook", b"A file.\n"), *truth.members()]


@tarball_lie("A9", 6, ALSO)
def tar_root_is_also_file(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(ROOT, b"A file.\n")]


# -- the root folder

ROOTED = r"root|folder|below|outside|\bname"


@tarball_lie("A1", 6, ROOTED)
def tar_two_roots(truth: Kit) -> list[Member]:
    return [*truth.members(), Member("concelier-lnm-2026.9.2/README.md", truth.files[README])]


@tarball_lie("A1", 6, ROOTED)
def tar_two_roots_equal_but_for_case(truth: Kit) -> list[Member]:
    return truth.with_member(README, truth.member(README).but(name=f"{ROOT.upper()}/README.md"))


@tarball_lie("A1", 6, ROOTED)
def tar_second_root_that_begins_like_the_first(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}0/README.md", truth.files[README])]


@tarball_lie("A1", 6, ROOTED)
def tar_no_root(truth: Kit) -> list[Member]:
    return [member.but(name=member.name.removeprefix(f"{ROOT}/")) for member in truth.members()[1:]]


@tarball_lie("A1", 6, ROOTED)
def tar_root_beside_a_file(truth: Kit) -> list[Member]:
    return [*truth.members(), Member("LICENSE", b"Beside the root.\n")]


@tarball_lie("A1", 6, ROOTED)
def tar_root_beside_a_folder(truth: Kit) -> list[Member]:
    return [*truth.members(), Member("empty/", kind=b"5", mode=0o755)]


@tarball_lie("A1", 5, "SHA256SUMS")
def tar_second_root_one_level_down(truth: Kit) -> list[Member]:
    return [member.but(name=f"{ROOT}/{member.name}") for member in truth.members()]


def _rooted(root: str, truth: Kit) -> list[Member]:
    truth.root = root
    return truth.members()


for _lie, _root in {
    "of_another_form": "kit",
    "of_the_tarball_name": f"lnm-offline-kit-{VERSION}",
    "without_version": "concelier-lnm-",
    "in_upper_case": ROOT.upper(),
}.items():
    tarball_lie("A1", 6, ROOTED, name=f"tar_root_{_lie}")(partial(_rooted, _root))


@tarball_lie("A1", 6, r"empty|folder")
def tar_empty_folder(truth: Kit) -> list[Member]:
    return [*truth.members(), truth.folder("empty")]


@tarball_lie("A1", 6, r"empty|folder")
def tar_empty_folder_in_a_folder(truth: Kit) -> list[Member]:
    return [*truth.members(), truth.folder("runbook/empty")]


# -- A10: budgets


def _zeros(mebibytes: int, name: str = "runbook/zeros", size: int = 0, *, with_crc: bool = True) -> bytes:
    """A tarball with a file of zeros that is listed and signed, were it not so big."""
    truth = kit()
    member = Member(f"{ROOT}/{name}").lying(size=b"%011o\0" % (mebibytes * MIB))
    rest = archive([member for member in truth.members() if member.name != f"{ROOT}/{name}"], b"")
    return gzipped_often([(rest + member.header(), 1), (bytes(MIB), mebibytes), (END, 1)], size=size, with_crc=with_crc)


@tarball_lie("A10", 6, BUDGET)
def gzip_bomb(_: Kit) -> bytes:
    return _zeros(400)


@tarball_lie("A10", 6, BUDGET)
def gzip_bomb_with_false_isize(_: Kit) -> bytes:
    return _zeros(400, size=4096 - 400 * MIB)


@tarball_lie("A10", 6, BUDGET)
def gzip_bomb_of_4_gib(_: Kit) -> bytes:
    return _zeros(4100, with_crc=False)


@tarball_lie("A10", 6, BUDGET)
def gzip_bomb_in_the_trailer(truth: Kit) -> bytes:
    return gzipped_often([(archive(truth.members()), 1), (bytes(MIB), 400)])


@tarball_lie("A10", 6, rf"{BUDGET}|gzip|unreadable|not a|magic|header")
def gzip_bomb_without_tar(_: Kit) -> bytes:
    return gzipped_often([(b"\xff" * MIB, 400)])


@tarball_lie("A10", 6, BUDGET, MANIFEST)
def tar_manifest_over_64_mib(_: Kit) -> bytes:
    return _zeros(65, MANIFEST)


@tarball_lie("A10", 6, BUDGET, SUMS)
def tar_list_over_64_mib(_: Kit) -> bytes:
    return _zeros(65, SUMS)


@tarball_lie("A10", 6, BUDGET, PROVENANCE)
def tar_attestation_over_64_mib(_: Kit) -> bytes:
    return _zeros(65, PROVENANCE)


@tarball_lie("A10", 6, BUDGET)
def tar_many_tiny_members(truth: Kit) -> list[Member]:
    wanted = 100_001 - len(truth.members())
    return [*truth.members(), *(Member(f"{ROOT}/t/{number}") for number in range(wanted))]


@tarball_lie("A10", 6, BUDGET + r"|pax|record|\btype\b")
def tar_huge_pax_header(truth: Kit) -> list[Member]:
    return truth.with_member(README, pax(record("path", f"{ROOT}/" + "d/" * 4_000_000 + "f")), truth.member(README))


@tarball_lie("A10", 6, BUDGET + r"|long name|record|\bname")
def tar_huge_gnu_long_name(truth: Kit) -> list[Member]:
    return truth.with_member(README, gnu_long_name(f"{ROOT}/" + "d/" * 4_000_000 + "f"), truth.member(README))


@tarball_lie("A10", 6, BUDGET + "|" + TRUNCATED)
def tar_size_of_8_gib_and_no_data(truth: Kit) -> list[Member]:
    return [*truth.members(), Member(f"{ROOT}/big").lying(size=b"77777777777\0")]


@tarball_lie("A10", 6, BUDGET + r"|part|deep|\bname")
def tar_deep_path(truth: Kit) -> list[Member]:
    return [*truth.members(), pax_path(f"{ROOT}/" + "d/" * 400 + "f"), Member("short")]


def _sparse(name: str, root: Path) -> None:
    os.truncate(root / name, 65 * MIB)


for _lie, _name in {"manifest": MANIFEST, "list": SUMS, "attestation": PROVENANCE}.items():
    folder_lie("A10", 6, BUDGET, _name, name=f"folder_{_lie}_over_64_mib")(partial(_sparse, _name))


# -- A12: truncated and otherwise broken archives


def _tar(truth: Kit) -> bytes:
    return archive(truth.members())


@tarball_lie("A12", 6, TRUNCATED)
def tar_missing_end_blocks(truth: Kit) -> bytes:
    return gzipped(_tar(truth)[: -len(END)])


@tarball_lie("A12", 6, TRUNCATED)
def tar_one_end_block(truth: Kit) -> bytes:
    return gzipped(_tar(truth)[:-BLOCK])


@tarball_lie("A12", 6, TRUNCATED)
def tar_half_an_end_block(truth: Kit) -> bytes:
    return gzipped(_tar(truth)[: -BLOCK - BLOCK // 2])


@tarball_lie("A12", 6, TRUNCATED)
def tar_truncated_in_header(truth: Kit) -> bytes:
    return gzipped(archive(truth.members()[:-1], truth.members()[-1].header()[:200]))


@tarball_lie("A12", 6, TRUNCATED)
def tar_truncated_after_header(truth: Kit) -> bytes:
    return gzipped(archive(truth.members()[:-1], truth.members()[-1].header()))


@tarball_lie("A12", 6, TRUNCATED)
def tar_truncated_in_data(truth: Kit) -> bytes:
    return gzipped(archive(truth.members()[:-1], truth.members()[-1].blocks()[: BLOCK + 20]))


@tarball_lie("A12", 6, TRUNCATED)
def tar_truncated_in_padding(truth: Kit) -> bytes:
    return gzipped(archive(truth.members(), b"")[:-10])


@tarball_lie("A12", 6, TRUNCATED)
def tar_truncated_in_pax_record(truth: Kit) -> bytes:
    return gzipped(archive(truth.members(), pax_path(_PATH).blocks()[: BLOCK + 8]))


@tarball_lie("A12", 6, TRUNCATED + r"|zero|checksum|header|magic")
def tar_one_zero_block_between_members(truth: Kit) -> bytes:
    first, *rest = truth.members()
    return gzipped(first.blocks() + bytes(BLOCK) + archive(rest))


AFTER = r"after|trailing|follow|\bend\b|more than one|second"


@tarball_lie("A12", 6, AFTER)
def tar_data_after_end(truth: Kit) -> bytes:
    return gzipped(_tar(truth) + b"hidden".ljust(BLOCK, b"\0"))


@tarball_lie("A12", 6, AFTER)
def tar_byte_after_many_zeros(truth: Kit) -> bytes:
    return gzipped(_tar(truth) + bytes(20 * BLOCK - 1) + b"\1")


@tarball_lie("A12", 6, AFTER)
def tar_second_archive_after_end(truth: Kit) -> bytes:
    return gzipped(_tar(truth) * 2)


@tarball_lie("A12", 6, AFTER)
def tar_member_after_end(truth: Kit) -> bytes:
    return gzipped(_tar(truth) + archive([Member(f"{ROOT}/LICENSE", b"hidden")]))


@tarball_lie("A12", 6, AFTER)
def tar_member_between_the_end_blocks(truth: Kit) -> bytes:
    return gzipped(archive(truth.members(), bytes(BLOCK)) + archive([Member(f"{ROOT}/LICENSE", b"hidden")]))


GZIP = r"gzip|tarball|archive|not a|unreadable|truncat"

for _lie, _cut in {"by_one_byte": 1, "in_isize": 3, "in_crc": 6, "before_crc": 8, "in_last_block": 10, "in_data": 300}.items():

    def _cut_off(cut: int, truth: Kit) -> bytes:
        return truth.tarball()[:-cut]

    tarball_lie("A12", 6, TRUNCATED, name=f"gzip_truncated_{_lie}")(partial(_cut_off, _cut))

for _lie, _kept in {
    "to_nothing": 0,
    "to_one_byte": 1,
    "to_the_magic": 2,
    "in_header": 9,
    "after_header": 10,
    "after_a_byte": 11,
}.items():

    def _kept_only(kept: int, truth: Kit) -> bytes:
        return truth.tarball()[:kept]

    tarball_lie("A12", 6, rf"{GZIP}|{TRUNCATED}|empty", name=f"gzip_truncated_{_lie}")(partial(_kept_only, _kept))


@tarball_lie("A12", 6, r"crc|checksum|gzip")
def gzip_crc_wrong(truth: Kit) -> bytes:
    return gzipped(_tar(truth), crc=1)


@tarball_lie("A12", 6, r"isize|length|size|gzip")
def gzip_isize_wrong(truth: Kit) -> bytes:
    return gzipped(_tar(truth), size=1)


@tarball_lie("A12", 6, r"isize|length|size|gzip")
def gzip_isize_zero(truth: Kit) -> bytes:
    return gzipped(_tar(truth), size=-len(_tar(truth)))


@tarball_lie("A12", 6, r"gzip|deflate|data|corrupt|unreadable")
def gzip_data_corrupt(truth: Kit) -> bytes:
    tarball = bytearray(truth.tarball())
    tarball[10] = 0x07  # a block of the reserved type, RFC 1951 §3.2.3
    return bytes(tarball)


for _lie, _header in {
    "of_other_method": b"\x1f\x8b\x07\0\0\0\0\0\0\xff",
    "with_reserved_flag": b"\x1f\x8b\x08\x20\0\0\0\0\0\xff",
    "with_high_flag": b"\x1f\x8b\x08\x80\0\0\0\0\0\xff",
    "with_other_magic": b"\x1f\x8c\x08\0\0\0\0\0\0\xff",
    "with_old_magic": b"\x1f\x9e\x08\0\0\0\0\0\0\xff",
}.items():

    def _headed(header: bytes, truth: Kit) -> bytes:
        return gzipped(_tar(truth), header=header)

    tarball_lie("A12", 6, GZIP, name=f"gzip_header_{_lie}")(partial(_headed, _header))


@tarball_lie("A12", 6, rf"{GZIP}|{TRUNCATED}")
def gzip_header_name_without_end(_: Kit) -> bytes:
    return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 5000


for _lie, _after in {
    "second_member": gzipped(bytes(512)),
    "second_empty_member": gzipped(b""),
    "second_kit": kit().tarball(),
    "trailing_zeros": bytes(512),
    "trailing_zero": b"\0",
    "trailing_newline": b"\n",
    "trailing_garbage": b"garbage",
    "trailing_gzip_magic": b"\x1f\x8b",
}.items():

    def _followed(after: bytes, truth: Kit) -> bytes:
        return truth.tarball() + after

    tarball_lie("A12", 6, rf"{AFTER}|gzip|member|garbage", name=f"gzip_{_lie}")(partial(_followed, _after))


@tarball_lie("A12", 6, r"member|gzip|after|trailing|truncat")
def gzip_tar_over_two_members(truth: Kit) -> bytes:
    tar = _tar(truth)
    return gzipped(tar[:1000]) + gzipped(tar[1000:])


@tarball_lie("A12", 6, r"member|gzip|after|trailing|truncat")
def gzip_empty_member_first(truth: Kit) -> bytes:
    return gzipped(b"") + truth.tarball()


@tarball_lie("A12", 6, r"member|gzip|after|first|truncat")
def gzip_empty_member_first_with_a_long_header(truth: Kit) -> bytes:
    header = b"\x1f\x8b\x08\x0c\0\0\0\0\0\xff" + struct.pack("<H", 60_000) + bytes(60_000) + b"n" * 20_000 + b"\0"
    return gzipped(b"", header=header) + truth.tarball()


@tarball_lie("A12", 6, r"member|gzip|after|first|truncat")
def gzip_three_empty_members_first(truth: Kit) -> bytes:
    return gzipped(b"") * 3 + truth.tarball()


@tarball_lie("A12", 6, r"member|gzip|after|first|truncat")
def gzip_empty_member_of_many_blocks_first(truth: Kit) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    blocks = b"".join(engine.compress(b"") + engine.flush(zlib.Z_FULL_FLUSH) for _ in range(9))
    return blocks + engine.flush() + truth.tarball()


@tarball_lie("A12", 6, GZIP)
def zero_bytes_before_gzip(truth: Kit) -> bytes:
    return b"\0" + truth.tarball()


@tarball_lie("A12", 6, GZIP)
def not_compressed(truth: Kit) -> bytes:
    return _tar(truth)


@tarball_lie("A12", 6, rf"{GZIP}|magic|header")
def compressed_twice(truth: Kit) -> bytes:
    return gzipped(truth.tarball())


@tarball_lie("A12", 6, GZIP)
def bzip2_instead_of_gzip(truth: Kit) -> bytes:
    return bz2.compress(_tar(truth))


@tarball_lie("A12", 6, GZIP)
def xz_instead_of_gzip(truth: Kit) -> bytes:
    return lzma.compress(_tar(truth))


@tarball_lie("A12", 6, GZIP)
def zlib_instead_of_gzip(truth: Kit) -> bytes:
    return zlib.compress(_tar(truth))


@tarball_lie("A12", 6, GZIP)
def zip_instead_of_gzip(truth: Kit) -> bytes:
    """Gzip(1) unpacks a zip's first member."""
    tar = _tar(truth)
    packed_tar = deflated(tar)
    sizes = struct.pack("<III", zlib.crc32(tar), len(packed_tar), len(tar))
    return b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", 1, 0) + b"k" + packed_tar


@tarball_lie("A12", 6, GZIP)
def lzw_instead_of_gzip(truth: Kit) -> bytes:
    """Gzip(1) unpacks what compress(1) wrote: 9 bits a byte here, with the table cleared before it needs 10."""
    stream, clear = bytearray(b"\x1f\x9d\x90"), 256
    tar = _tar(truth)
    for at in range(0, len(tar), 247):
        codes = [*tar[at : at + 247], clear]  # 248 codes: 31 groups of 8, hence no padding at the clear
        number = sum(code << 9 * place for place, code in enumerate(codes))
        stream += number.to_bytes((9 * len(codes) + 7) // 8, "little")
    return bytes(stream)


@tarball_lie("A12", 6, GZIP)
def tarball_is_text(_: Kit) -> bytes:
    return b"This is no tarball.\n"


@tarball_lie("A12", 6, rf"{TRUNCATED}|{GZIP}|empty|SHA256SUMS|root|member")
def gzip_of_nothing(_: Kit) -> bytes:
    return gzipped(b"")


@tarball_lie("A12", 6, r"tar|magic|checksum|header|archive|octal|number")
def gzip_of_text(_: Kit) -> bytes:
    return gzipped(b"This is no tar archive.\n" * 100)


@tarball_lie("A12", 6, r"empty|root|member|no file|without a file|nothing")
def tar_of_nothing(_: Kit) -> bytes:
    return packed([])


@tarball_lie("A12", 6, r"empty|no file|without a file|nothing")
def tar_of_the_root_folder_alone(truth: Kit) -> list[Member]:
    return truth.members()[:1]


@tarball_lie("A12", 6, r"empty|no file|without a file|nothing")
def tar_of_folders_alone(truth: Kit) -> list[Member]:
    return [member for member in truth.members() if member.kind == b"5"]


# -- folders


@folder_lie("A3", 6, LINK, README)
def folder_symlink_file(root: Path) -> None:
    (root / README).rename(root.parent / "outside")
    (root / README).symlink_to("../outside")


@folder_lie("A3", 6, LINK, README)
def folder_symlink_absolute(root: Path) -> None:
    (root / README).rename(root.parent / "outside")
    (root / README).symlink_to(root.parent / "outside")


@folder_lie("A3", 6, LINK, SUMS)
def folder_symlink_envelope_file(root: Path) -> None:
    (root / SUMS).rename(root.parent / "outside")
    (root / SUMS).symlink_to("../outside")


@folder_lie("A3", 6, LINK)
def folder_symlink_dir(root: Path) -> None:
    (root / "runbook").rename(root.parent / "outside")
    (root / "runbook").symlink_to("../outside")


@folder_lie("A3", 6, LINK)
def folder_symlink_unlisted(root: Path) -> None:
    (root / "LICENSE").symlink_to(README)


@folder_lie("A3", 6, LINK)
def folder_symlink_to_nothing(root: Path) -> None:
    (root / "LICENSE").symlink_to("nothing")


@folder_lie("A3", 6, LINK)
def folder_symlink_to_parent(root: Path) -> None:
    (root / "runbook" / "up").symlink_to("..")


@folder_lie("A6", 6, TYPE + "|regular")
def folder_fifo(root: Path) -> None:
    os.mkfifo(root / "runbook" / "pipe", 0o644)


@folder_lie("A6", 6, TYPE + "|regular", README)
def folder_fifo_in_the_place_of_a_file(root: Path) -> None:
    (root / README).unlink()
    os.mkfifo(root / README, 0o644)


@folder_lie("A6", 6, TYPE + "|regular", SUMS)
def folder_fifo_in_the_place_of_the_list(root: Path) -> None:
    (root / SUMS).unlink()
    os.mkfifo(root / SUMS, 0o644)


@folder_lie("A6", 6, TYPE + "|socket|regular")
def folder_socket(root: Path) -> None:
    here = Path.cwd()
    os.chdir(root)  # a socket's path has 107 characters at most
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket")
    os.chdir(here)
    (root / "socket").chmod(0o644)


@folder_lie("A6", 5, SUMS)
def folder_in_the_place_of_the_list(root: Path) -> None:
    (root / SUMS).unlink()
    (root / SUMS).mkdir(0o755)
    (root / SUMS / "file").write_bytes(b"")


def _changed(name: str, mode: int, root: Path) -> None:
    (root / name).chmod(mode)


for _lie, _mode in {
    "setuid": 0o4755,
    "setgid": 0o2755,
    "sticky": 0o1755,
    "setuid_without_x": 0o4644,
    "world_writable": 0o666,
    "world_writable_alone": 0o642,
}.items():
    folder_lie("A7", 6, MODE, name=f"folder_{_lie}")(partial(_changed, INSTALL, _mode))

for _lie, _mode in {
    "setuid": 0o4755,
    "setgid": 0o2755,
    "sticky": 0o1755,
    "world_writable": 0o777,
    "world_writable_and_sticky": 0o1777,
}.items():
    folder_lie("A7", 6, MODE, name=f"folder_inside_{_lie}")(partial(_changed, "runbook", _mode))
    folder_lie("A7", 6, MODE, name=f"folder_root_{_lie}")(partial(_changed, "", _mode))


@folder_lie("C2", 6, r"empty|folder")
def folder_extra_empty_dir(root: Path) -> None:
    (root / "empty").mkdir(0o755)


@folder_lie("C2", 6, r"empty|folder")
def folder_extra_empty_dirs(root: Path) -> None:
    (root / "runbook" / "a" / "b").mkdir(0o755, parents=True)


@folder_lie("C2", 6, r"empty|folder|\bname")
def folder_extra_empty_hidden_dir(root: Path) -> None:
    (root / ".git").mkdir(0o755)


@folder_lie("C2", 6, "notes")
def folder_extra_file(root: Path) -> None:
    (root / "runbook" / "notes").write_bytes(b"")


@folder_lie("A9", 6, r"\bname|hidden")
def folder_extra_hidden_file(root: Path) -> None:
    (root / ".DS_Store").write_bytes(b"")


@folder_lie("A12", 6, SBOM)
def folder_file_truncated(root: Path) -> None:
    os.truncate(root / SBOM, 10)

"""The gzip and tar reader of verify_kit.py: it accepts what other tools write, and nothing that could be read in two ways."""

from __future__ import annotations

import gzip
import io
import os
import random
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.tiny_kit import END, LAW, ROOT, header, kit, load, lying, member, zipped

vk = load()
LONG = "long/" + "/".join(["n" * 60] * 3)  # too long for the name field, not for name and prefix
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def read(data: bytes) -> Any:
    """Stage 1 on the bytes of a tarball."""
    return vk.read_tarball(io.BytesIO(data), len(data))


def refusal(data: bytes) -> Any:
    """The one failure that stage 1 ends with."""
    with pytest.raises(vk.Refused) as refused:
        read(data)
    (failure,) = refused.value.failures
    assert failure.kind.exit_code == 6
    return failure


def contents(data: bytes) -> dict[str, str]:
    """The files of a tarball and their hashes."""
    found = read(data)
    return dict(found.digests(found.names))


def hashes(files: dict[str, bytes]) -> dict[str, str]:
    """What is wanted of them."""
    return {name: vk.sha256_hex(data) for name, data in files.items()}


def in_root(name: str) -> str:
    """The path in the archive."""
    return f"{ROOT}/{name}"


# -- what other tools write


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_archives_of_tarfile_are_read_in_any_order(form: int, seed: int) -> None:
    made = kit()
    made.files[LONG] = b"long"
    names = [*made.files, "", "migrations/", "migrations/21-101/", "sbom/"]
    random.Random(seed).shuffle(names)  # noqa: S311 - an order, no secret

    found = read(zipped(made.tar(form, names)))

    assert dict(found.digests(found.names)) == hashes(made.files)
    assert found.version == "2026.9.1"
    assert found.kept == {name: made.files[name] for name in made.files if vk.is_kept(name, len(made.files[name]))}


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "oldgnu", "posix"])
@pytest.mark.parametrize("order", ["--sort=name", "--sort=none"])
def test_archives_of_gnu_tar_are_read(tmp_path: Path, form: str, order: str) -> None:
    made = kit()
    made.files[LONG] = b"long"
    made.write_folder(tmp_path / ROOT)
    for folder in [tmp_path / ROOT, *(path for path in (tmp_path / ROOT).rglob("*") if path.is_dir())]:
        folder.chmod(0o755)

    command = ["tar", "--create", f"--format={form}", order, "--file", "-", ROOT]
    data = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout

    assert contents(zipped(data)) == hashes(made.files)


@pytest.mark.parametrize("level", range(10))
def test_gzip_of_any_level_is_read(level: int) -> None:
    made = kit()

    assert contents(gzip.compress(made.tar(), level)) == hashes(made.files)


def test_gzip_header_may_hold_a_name_and_a_time(tmp_path: Path) -> None:
    made = kit()
    (tmp_path / "kit.tar").write_bytes(made.tar())
    subprocess.run(["gzip", "--name", str(tmp_path / "kit.tar")], check=True)

    assert contents((tmp_path / "kit.tar.gz").read_bytes()) == hashes(made.files)


def test_large_file_goes_by_in_pieces() -> None:
    data = os.urandom(5 * vk.CHUNK + 17)

    assert contents(zipped(member(in_root("a"), data) + END)) == hashes({"a": data})


GOOD = {
    "type_nul": member(in_root("a"), b"x", kind=b"\0"),
    "executable": member(in_root("a"), b"x", mode=0o755),
    "name_in_prefix": member("a", b"x", prefix=ROOT.encode()),
    "name_of_100_bytes": member(in_root("n" * (99 - len(ROOT))), b"x"),
    "numbers_end_with_a_space": lying(in_root("a"), b"x", mode=b"000644 \0", size=b"00000000001 "),
    "folder_with_slash": header(in_root("d/"), kind=b"5", mode=0o755) + member(in_root("d/a"), b"x"),
    "folder_without_slash": header(in_root("d"), kind=b"5", mode=0o755) + member(in_root("d/a"), b"x"),
    "folder_after_its_file": member(in_root("d/a"), b"x") + header(in_root("d/"), kind=b"5", mode=0o755),
    "root_folder": header(ROOT, kind=b"5", mode=0o755) + member(in_root("a"), b"x"),
    "root_folder_with_slash": header(ROOT + "/", kind=b"5", mode=0o755) + member(in_root("a"), b"x"),
    "pax_path": member("x", b"36 path=concelier-lnm-2026.9.1/path\n", kind=b"x") + member("other", b"x"),
    "pax_times_alone": member("x", b"12 mtime=10\n12 atime=10\n12 ctime=10\n", kind=b"x") + member(in_root("a"), b"x"),
    "long_name": member("L", in_root("long").encode() + b"\0", kind=b"L", magic=b"ustar  \0") + member("other", b"x"),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("end", [END, END + bytes(9216), END + b"\0"], ids=["end", "padded", "one_zero_more"])
def test_archive_is_read(data: bytes, end: bytes) -> None:
    assert list(contents(zipped(data + end)).values()) == [vk.sha256_hex(b"x")]


# -- headers that are refused

A = in_root("a")
HEADERS = {
    "magic_missing": (member(A, magic=bytes(8)), "magic"),
    "magic_v7": (member(A, magic=b"\0" * 6 + b"00"), "magic"),
    "magic_other_version": (member(A, magic=b"ustar\x0001"), "magic"),
    "magic_half_gnu": (member(A, magic=b"ustar 00"), "magic"),
    "checksum_wrong": (member(A, chksum=b"000001\0 "), "checksum"),
    "checksum_empty": (member(A, chksum=bytes(8)), "octal"),
    "checksum_not_octal": (member(A, chksum=b"00900\0  "), "octal"),
    "mode_empty": (lying(A, mode=b""), "octal"),
    "mode_not_octal": (lying(A, mode=b"0000648\0"), "octal"),
    "mode_with_leading_space": (lying(A, mode=b" 000644\0"), "octal"),
    "mode_with_sign": (lying(A, mode=b"+000644\0"), "octal"),
    "mode_without_end": (lying(A, mode=b"00000644"), "octal"),
    "mode_with_two_numbers": (lying(A, mode=b"644 755\0"), "octal"),
    "size_base_256": (lying(A, size=b"\x80" + bytes(11)), "octal"),
    "size_negative": (lying(A, size=b"\xff" * 12), "octal"),
    "size_hex": (lying(A, size=b"0x0\0"), "octal"),
    "size_empty": (lying(A, size=b"\0"), "octal"),
    "size_without_end": (lying(A, size=b"0" * 12), "octal"),
    "prefix_under_gnu_magic": (member(A, magic=b"ustar  \0", prefix=b"x"), "prefix"),
    "filling": (member(A, filling=b"x"), "filling"),
    "filling_of_star": (member(A, filling=b"\0" * 8 + b"tar\0"), "filling"),
    "bytes_after_the_name": (member(A, name=A.encode() + b"\0x"), "NUL"),
    "bytes_after_the_prefix": (member("a", prefix=ROOT.encode() + b"\0x"), "NUL"),
    "link_target_of_a_file": (member(A, link=b"b"), "link"),
    "link_target_of_a_folder": (member(A, kind=b"5", mode=0o755, link=b"b"), "link"),
    **{
        f"type_{kind!r}": (member(A, kind=kind), "type")
        for kind in (b"1", b"2", b"3", b"4", b"6", b"7", b"g", b"K", b"S", b"X", b" ")
    },
    **{
        f"mode_{mode:o}": (member(A, mode=mode), "mode")
        for mode in (0, 0o444, 0o600, 0o645, 0o666, 0o777, 0o1644, 0o2755, 0o4755)
    },
    "mode_with_type_bits": (member(A, mode=0o100644), "mode"),
    "folder_mode_0700": (member(A, kind=b"5", mode=0o700), "mode"),
    "folder_mode_0644": (member(A, kind=b"5", mode=0o644), "mode"),
    "folder_with_size": (header(A, 1, kind=b"5", mode=0o755) + bytes(512), "size"),
    "folder_with_two_slashes": (member(A + "//", kind=b"5", mode=0o755), "part"),
    "file_with_slash": (member(A + "/"), "part"),
    "file_is_the_root": (member(ROOT), "root"),
    "file_is_the_root_with_slash": (member(ROOT + "/"), "part"),
    "name_empty": (member(""), "root"),
    "name_absolute": (member("/" + A), "root"),
    "name_with_dot": (member("./" + A), "root"),
    "name_traversal": (member(in_root("b/../a")), "part"),
    "name_not_ascii": (member(in_root("caf\u00e9")), "part"),
    "name_with_backslash": (member(in_root("b\\a")), "part"),
    "other_root": (member("concelier-lnm-2026.13.1/a"), "root"),
    "root_without_version": (member("concelier-lnm/a"), "root"),
    "root_with_zero": (member("concelier-lnm-2026.09.1/a"), "root"),
    "root_with_line_end": (member("concelier-lnm-2026.9.1\n/a"), "root"),
    "two_roots": (member(A) + member("concelier-lnm-2026.9.2/a"), "root"),
    "file_twice": (member(A) + member(A), "twice"),
    "folder_twice": (2 * header(A, kind=b"5", mode=0o755), "twice"),
    "root_twice": (2 * header(ROOT, kind=b"5", mode=0o755), "twice"),
    "file_then_folder": (member(A) + header(A, kind=b"5", mode=0o755), "twice"),
    "folder_then_file": (header(A, kind=b"5", mode=0o755) + member(A), "twice"),
    "case": (member(A) + member(in_root("A")), "case"),
    "empty_folder": (member(A) + header(in_root("d"), kind=b"5", mode=0o755), "empty"),
    "nothing": (b"", "no file"),
    "folders_alone": (header(ROOT, kind=b"5", mode=0o755), "no file"),
    "bytes_between_members": (header(A, 1) + b"xy" + bytes(510), "between"),
}


@pytest.mark.parametrize(("data", "word"), HEADERS.values(), ids=HEADERS)
def test_header_is_refused(data: bytes, word: str) -> None:
    assert word in refusal(zipped(data + END)).line()


PATH = b"path=concelier-lnm-2026.9.1/a"


def record(body: bytes, size: int | None = None) -> bytes:
    """A pax record of less than 100 bytes, its length right or as said."""
    text = b" " + body + b"\n"
    return b"%d" % (len(text) + 2 if size is None else size) + text


PAX = {
    "size": record(b"size=00000000"),
    "linkpath": record(b"linkpath=aaaa"),
    "sparse": record(b"GNU.sparse.major=1"),
    "uname": record(b"uname=rootroot"),
    "empty_key": record(b"=aaaaaaaaaa"),
    "no_key": record(b"aaaaaaaaaa"),
    "path_twice": 2 * record(PATH),
    "mtime_twice": 2 * record(b"mtime=1000"),
    "path_empty": b"8 path=\n",
    "path_elsewhere": record(b"path=/etc/passwd"),
    "path_with_nul": record(PATH + b"\0"),
    "path_with_line_end": record(PATH + b"\n"),
    "path_not_ascii": record(PATH + b"\xff"),
    "too_short": record(PATH, 20),
    "too_long": record(PATH, 99),
    "zero": record(PATH, 0),
    "one": record(PATH, 1),
    "leading_zero": b"0" + record(PATH),
    "negative": record(PATH, -5),
    "huge": record(PATH, 10**30),
    "no_length": b" " + PATH + b"\n",
    "no_line_end": record(PATH)[:-1] + b" ",
    "text_after_it": record(PATH) + b"x",
    "nul_after_it": record(PATH) + b"\0",
    "empty": b"",
}


@pytest.mark.parametrize("data", PAX.values(), ids=PAX)
def test_pax_record_is_refused(data: bytes) -> None:
    assert "refused" in refusal(zipped(member("x", data, kind=b"x") + member(A) + END)).line()


LONG_NAMES = {
    "empty": b"",
    "nul_alone": b"\0",
    "without_nul": A.encode(),
    "two_nuls": A.encode() + b"\0\0",
    "text_after_nul": A.encode() + b"\0x\0",
    "not_ascii": A.encode() + b"\xff\0",
    "elsewhere": b"/etc/passwd\0",
}


@pytest.mark.parametrize("data", LONG_NAMES.values(), ids=LONG_NAMES)
def test_long_name_is_refused(data: bytes) -> None:
    assert "refused" in refusal(zipped(member("L", data, kind=b"L") + member(A) + END)).line()


PAX_RECORD = member("x", record(b"mtime=1000"), kind=b"x")
LONG_RECORD = member("L", A.encode() + b"\0", kind=b"L")


@pytest.mark.parametrize("first", [PAX_RECORD, LONG_RECORD], ids=["x", "L"])
@pytest.mark.parametrize("second", [PAX_RECORD, LONG_RECORD], ids=["x", "L"])
def test_second_record_before_a_member_is_refused(first: bytes, second: bytes) -> None:
    assert "two name records" in refusal(zipped(first + second + member(A) + END)).line()


@pytest.mark.parametrize("last", [PAX_RECORD, LONG_RECORD], ids=["x", "L"])
def test_record_with_no_member_after_it_is_refused(last: bytes) -> None:
    assert "no member" in refusal(zipped(member(in_root("b")) + last + END)).line()


def test_record_of_4096_bytes_is_the_longest() -> None:
    fits = b"4096 mtime=" + b"1" * (4096 - 12) + b"\n"

    assert contents(zipped(member("x", fits, kind=b"x") + member(A) + END)) == hashes({"a": b""})
    assert "4097 bytes" in refusal(zipped(header("x", 4097, kind=b"x") + END)).line()


# -- the ends


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (b"", "truncated"),
        (bytes(512), "truncated"),
        (bytes(1023), "truncated"),
        (bytes(512) + member(A), "two at the end"),
        (END + b"x", "after the end"),
        (END + bytes(2**21) + b"x", "after the end"),
        (END + member(in_root("b")) + END, "after the end"),
    ],
)
def test_archive_without_its_two_zero_blocks_and_zeros_is_refused(end: bytes, word: str) -> None:
    assert word in refusal(zipped(member(A) + end)).line()


def test_archive_truncated_at_any_byte_is_refused_as_truncated() -> None:
    data = zipped(member(A, b"x" * 600) + END)

    for length in range(len(data)):
        assert "truncated" in refusal(data[:length]).line()


def test_tar_truncated_at_any_byte_is_refused_as_truncated() -> None:
    data = member(A, b"x" * 600) + END

    for length in range(len(data)):
        assert "truncated" in refusal(zipped(data[:length])).line()


def test_archive_with_any_bit_flipped_is_refused_or_the_same() -> None:
    """What may differ: the gzip header's flag for text, its time, extra flags and system, and the idle bits of a stored block."""
    data = gzip.compress(member(A, b"some text") + END, 0, mtime=0)
    wanted = hashes({"a": b"some text"})
    accepted = set()

    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = contents(bytes(changed))
        except vk.Refused:
            continue
        assert found == wanted
        accepted.add(bit // 8)

    assert accepted <= set(range(3, 11))


@pytest.mark.parametrize(
    "after", [b"\0", bytes(512), b"x", b"\n", b"\x1f\x8b", zipped(b""), zipped(bytes(512)), zipped(END)], ids=range(8)
)
def test_anything_after_the_gzip_member_is_refused(after: bytes) -> None:
    assert "after the end of the gzip data" in refusal(zipped(member(A) + END) + after).line()


def test_byte_after_a_member_that_ends_with_a_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped(member(A) + END)
    monkeypatch.setattr(vk, "READ", len(data))

    assert "after the end of the gzip data" in refusal(data + b"\0").line()


@pytest.mark.parametrize(
    "data",
    [
        zlib.compress(END),
        END,
        b"BZh9" + bytes(20),
        b"\x1f\x8b\x07" + bytes(20),
        b"\x1f\x8b\x08\xe0" + bytes(20),
        zipped(END)[:-8] + b"\1" + zipped(END)[-7:],
        zipped(END)[:-1] + b"\1",
    ],
    ids=["zlib", "plain", "bzip2", "method_7", "reserved_flags", "crc", "isize"],
)
def test_data_that_are_no_whole_gzip_member_are_refused(data: bytes) -> None:
    assert "gzip" in refusal(data).line()


def test_two_members_with_one_archive_are_refused() -> None:
    data = member(A, b"x" * 5000) + END

    assert refusal(zipped(data[:700]) + zipped(data[700:])).kind.exit_code == 6


# -- budgets


def test_what_unpacks_to_more_than_its_budget_is_refused() -> None:
    data = zipped(header(A, 200 * vk.MIB) + bytes(200 * vk.MIB))

    assert "unpacks to more than" in refusal(data).line()


def test_what_unpacks_to_its_budget_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = member(A, bytes(10_000)) + END
    monkeypatch.setattr(vk, "DECOMPRESSED_RATIO", 0)

    monkeypatch.setattr(vk, "DECOMPRESSED_FLOOR", len(data))
    assert contents(zipped(data)) == hashes({"a": bytes(10_000)})

    monkeypatch.setattr(vk, "DECOMPRESSED_FLOOR", len(data) - 1)
    assert "unpacks to more than" in refusal(zipped(data)).line()


def test_members_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "MAX_MEMBERS", 3)
    three = header(ROOT, kind=b"5", mode=0o755) + member(A) + member(in_root("b"))

    assert len(contents(zipped(three + END))) == 2
    assert "more than 3 members" in refusal(zipped(three + member(in_root("c")) + END)).line()


@pytest.mark.parametrize(
    "name", ["SHA256SUMS", "manifest.0123456789abcdef.dsse.json", "attestations/x", "attestations/spdx.dsse.json"]
)
def test_envelope_and_attestations_have_a_budget_before_they_are_read(name: str) -> None:
    assert "67108865 bytes" in refusal(zipped(header(in_root(name), vk.MAX_ENVELOPE_FILE + 1) + END)).line()


def test_files_held_in_memory_have_a_budget_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "MAX_KEPT", 10)
    five = member(in_root("SHA256SUMS"), b"12345") + member(in_root("manifest.json"), b"12345") + member(A, b"123456")

    assert len(contents(zipped(five + END))) == 3
    assert "one signed file too many" in refusal(zipped(five + member(in_root("manifest.dsse.json"), b"1") + END)).line()


# -- laws


NAMES = st.lists(st.text("abc-", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@LAW
@given(
    files=st.dictionaries(NAMES, st.binary(max_size=2000), min_size=1, max_size=8), form=st.sampled_from(list(FORMATS.values()))
)
def test_what_tarfile_wrote_is_what_is_read(files: dict[str, bytes], form: int) -> None:
    made = kit()
    made.files = files
    data = zipped(made.tar(form))

    if any(other.startswith(f"{name}/") for name in files for other in files):
        assert "both a file and a folder" in refusal_of_any(data)
    else:
        assert contents(data) == hashes(files)


def refusal_of_any(data: bytes) -> str:
    """All that is told."""
    with pytest.raises(vk.Refused) as refused:
        read(data)
    return "\n".join(failure.line() for failure in refused.value.failures)


@LAW
@given(data=st.binary(max_size=2000), cut=st.integers(1, 7))
def test_stream_gives_the_bytes_however_they_come(data: bytes, cut: int) -> None:
    stream = vk.Stream(data[at : at + cut] for at in range(0, len(data), cut))
    half = len(data) // 2

    assert b"".join(stream.pieces(half)) == data[:half]
    assert b"".join(stream.pieces(len(data) - half)) == data[half:]
    assert stream.some(1) == b""

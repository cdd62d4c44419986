"""Edges of verify_kit.py's reader of archives and folders, each function called by itself; each was shown by a mutant that survived (docs/mutation.md)."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

from tests.verify.tiny_kit import END, ROOT, header, load, member, zipped

vk = load()


def stream(*chunks: bytes) -> Any:
    """What comes out of the gzip data, in such chunks."""
    return vk.Stream(iter(chunks))


def refused(function: Any, *arguments: Any) -> str:
    """The sentence of a refusal."""
    with pytest.raises(vk.Refused) as caught:
        function(*arguments)
    return str(caught.value)


def taken(source: Any, size: int) -> bytes:
    """The data of a member, in one piece."""
    return b"".join(source.data(size))


def test_the_data_of_a_member_may_come_in_any_pieces() -> None:
    for chunks in ((b"ab", b"cd", bytes(300), bytes(208)), (b"abcd" + bytes(508),), (b"abcd", bytes(508))):
        assert taken(stream(*chunks, b"next"), 4) == b"abcd"
    for filling in (b"X" + bytes(507), bytes(507) + b"X", bytes(300) + b"\n" + bytes(207)):
        said = "refused: kit: bytes between two members, only zeros may stand there"
        assert refused(taken, stream(b"abcd", filling), 4) == said
    assert (
        refused(taken, stream(b"abc"), 4)
        == "refused: kit: truncated: the data of the tar archive end early, wanted a whole archive"
    )


def test_a_file_that_is_kept_is_kept_whole() -> None:
    tarball = vk.Tarball()

    for name in ("manifest.json", "runner/a"):
        assert tarball.read(name, 4, stream(b"a", b"bcd", bytes(508))) == vk.sha256_hex(b"abcd")

    assert (tarball.kept, tarball.kept_bytes) == ({"manifest.json": b"abcd"}, 4)
    assert tarball.read("manifest.dsse.json", 2, stream(b"ab", bytes(510))) == vk.sha256_hex(b"ab")
    assert tarball.kept_bytes == 6


def test_after_the_end_of_an_archive_everything_is_read() -> None:
    vk.check_end(stream(bytes(512), bytes(10), bytes(vk.CHUNK), bytes(1)))

    for after in ((b"x",), (bytes(512), b"x"), (bytes(10), bytes(vk.CHUNK), b"\0x")):
        assert refused(vk.check_end, stream(bytes(512), *after)) == (
            "refused: kit: bytes after the end of the tar archive, only zeros may follow"
        )
    assert refused(vk.check_end, stream(bytes(511) + b"x")) == (
        "refused: kit: one zero block and something after it, wanted two at the end of the archive"
    )


def test_more_members_than_are_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "MAX_MEMBERS", 2)
    tarball = vk.Tarball()
    tarball.take(vk.Header(b"5", 0o755, 0, ROOT), stream())
    tarball.take(vk.Header(b"0", 0o644, 0, f"{ROOT}/a"), stream())

    one_more = vk.Header(b"0", 0o644, 0, f"{ROOT}/b")
    assert refused(tarball.take, one_more, stream()) == "refused: kit: more than 2 members, wanted fewer"


def test_a_name_keeps_all_but_the_nuls_behind_it() -> None:
    assert vk.text_field(b"X\0\0") == "X"
    assert vk.text_field(b"a\xff\\\0") == "a\\xff\\"
    assert (
        refused(vk.text_field, b"a\0b\0")
        == 'refused: kit: a tar header with bytes after a NUL, "a\\x00b", wanted NULs alone there'
    )


def test_each_field_of_a_header_is_told() -> None:
    good = bytearray(header(f"{ROOT}/a"))

    def changed(start: int, data: bytes) -> bytes:
        """A header with other bytes in one place, and the right checksum unless that is the place."""
        block = bytearray(good)
        block[start : start + len(data)] = data
        if start != 148:
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)

    wanted = "wanted octal digits and a NUL"
    for start, name, data in ((148, "checksum", b"0000009\0"), (100, "mode", b"000064x\0"), (124, "size", b"0000000000 1")):
        shown = data.decode("ascii").replace("\0", "\\x00")
        assert refused(vk.read_header, changed(start, data)) == f'refused: kit: a tar header with the {name} "{shown}", {wanted}'
    assert refused(vk.read_header, changed(148, b"000001\0 ")) == (
        "refused: kit: a tar header with a wrong checksum, wanted a whole archive"
    )
    bytes_there = "refused: kit: a tar header with bytes in its prefix or filling, wanted NULs there under its magic"
    assert refused(vk.read_header, changed(500, b"X")) == bytes_there
    assert refused(vk.read_header, changed(157, b"t")) == (
        f"refused: {ROOT}/a: a file or folder with a link's target, links are not allowed"
    )
    assert vk.read_header(changed(345, b"p")).path == f"p/{ROOT}/a"
    assert vk.read_header(bytes(good)) == vk.Header(b"0", 0o644, 0, f"{ROOT}/a")


def test_the_records_of_a_long_name_may_come_in_pieces() -> None:
    name = f"{ROOT}/" + "n" * 200
    record = member("././@LongLink", name.encode() + b"\0", kind=b"L", magic=b"ustar  \0")
    data = record + header("x") + END

    (found,) = vk.read_headers(stream(*(data[at : at + 100] for at in range(0, len(data), 100))))

    assert found.path == name


# -- gzip


class Metered(io.BytesIO):
    """A file that notes how much is read of it at once."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int | None] = []

    def read(self, size: int | None = -1) -> bytes:
        self.asked.append(size)
        return super().read(size)


def test_an_archive_is_read_and_inflated_in_pieces_that_fit_the_memory() -> None:
    data = os.urandom(vk.READ) + bytes(3 * vk.CHUNK + 5)
    archive = Metered(gzip.compress(data))

    chunks = list(vk.inflate(archive, len(data)))

    assert b"".join(chunks) == data
    assert max(map(len, chunks)) == vk.CHUNK
    assert archive.asked == [vk.READ, vk.READ, 1]


def inflated(data: bytes, limit: int) -> bytes:
    """All that comes out."""
    return b"".join(vk.inflate(io.BytesIO(data), limit))


def test_what_is_wrong_with_gzip_data_is_told() -> None:
    good, long = gzip.compress(b"0123456789"), gzip.compress(bytes(3 * vk.CHUNK))
    assert inflated(good, 10) == b"0123456789"
    assert len(inflated(long, 3 * vk.CHUNK)) == 3 * vk.CHUNK

    wanted = "at most 64 MiB and 100 times its size are allowed"
    assert refused(inflated, good, 9) == f"refused: kit: it unpacks to more than 9 bytes, {wanted}"
    most = 3 * vk.CHUNK - 1
    assert refused(inflated, long, most) == f"refused: kit: it unpacks to more than {most} bytes, {wanted}"
    broken = "refused: kit: damaged or truncated gzip data (Error -3 while decompressing data: incorrect header check), wanted one gzip member"
    assert refused(inflated, b"no gzip at all", 10) == broken
    for cut in (good[:-1], b""):
        assert refused(inflated, cut, 10) == "refused: kit: truncated: the gzip data end early, wanted a whole archive"
    for more in (b"x", good):
        assert refused(inflated, good + more, 99) == (
            "refused: kit: bytes after the end of the gzip data, nothing may follow its one member"
        )
    assert refused(inflated, gzip.compress(os.urandom(vk.READ)) + b"x" * vk.READ, vk.READ).startswith("refused: kit: bytes after")


def test_an_archive_may_unpack_to_a_hundred_times_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "DECOMPRESSED_FLOOR", 0)
    dense, thin = (zipped(member(f"{ROOT}/a", data) + END) for data in (os.urandom(3000), bytes(1 << 20)))

    found = vk.read_tarball(io.BytesIO(dense), len(dense))

    assert (found.version, found.names) == ("2026.9.1", {"a"})
    assert refused(vk.read_tarball, io.BytesIO(thin), len(thin)).startswith(
        f"refused: kit: it unpacks to more than {100 * len(thin)} bytes, "
    )


# -- the folder


def test_a_file_is_hashed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "CHUNK", 7)
    monkeypatch.setattr(vk, "LARGE_FILE", 20)
    for size in (0, 6, 7, 8, 20, 21):
        (tmp_path / f"of-{size}").write_bytes(b"x" * size)
    folder = vk.Folder(str(tmp_path))

    assert folder.digests({*folder.files}) == {
        f"of-{size}": hashlib.sha256(b"x" * size).hexdigest() for size in (0, 6, 7, 8, 20, 21)
    }


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = vk.Folder(str(tmp_path))
    folder.folders["gone"] = os.lstat(tmp_path)

    assert folder.enter("gone") == []
    said = "cannot be read (No such file or directory)"
    assert folder.failures == [vk.Failure(vk.Kind.CONTAINER, "gone", said, "wanted a folder that holds still")]


def test_a_folder_that_was_exchanged_while_it_was_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    folder = vk.Folder(str(tmp_path))
    folder.folders[""] = os.lstat(tmp_path / "other")

    assert folder.enter("") == ["other"]
    said = "cannot be read (it was exchanged while the kit was read)"
    assert folder.failures == [vk.Failure(vk.Kind.CONTAINER, "kit", said, "wanted a folder that holds still")]
    with pytest.raises(OSError, match=r"^it was exchanged while the kit was read$"):
        vk.check_same_file(os.lstat(tmp_path), os.lstat(tmp_path / "other"))


def test_what_anybody_may_write_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "a b").touch()
    tmp_path.chmod(0o777)

    (failure,) = vk.Folder(str(tmp_path)).failures

    assert (failure.file, failure.kind) == ("kit", vk.Kind.CONTAINER)


def test_more_files_and_folders_than_are_allowed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "MAX_MEMBERS", 2)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").touch()
    assert set(vk.Folder(str(tmp_path)).files) == {"a/b"}

    (tmp_path / "a/c").touch()
    assert refused(vk.Folder, str(tmp_path)) == "refused: kit: more than 2 files and folders, wanted fewer"

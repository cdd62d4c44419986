"""scripts/tarball.py: bytes that depend on names, contents and the epoch alone, and an archive that GNU tar reads."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from scripts import tarball
from scripts.errors import InputError

EPOCH = 1764547200
LONG = "d" * 60 + "/" + "n" * 120
NAMES = (
    "README.md",
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
    "manifest.json",
    "manifest.dsse.json",
    "manifest.sigstore.json",
    "SHA256SUMS.keyless.sigstore.json",
    "manifest.keyless.sigstore.json",
    "attestations/x.dsse.json",
    "a/b/c",
    "a/b.txt",
    "a-b",
    "B",
    "verify.sh",
    LONG,
)
SYSFS = ("/sys/devices/system/cpu/online", "/sys/class/net/lo/mtu", "/sys/kernel/mm/transparent_hugepage/enabled")
SHRINKS = next(filter(Path.exists, map(Path, SYSFS)), Path("/sys"))  # stat says 4,096 bytes, there are fewer
GROWS = Path("/proc/version")  # procfs: stat says 0 bytes, there are more


@pytest.fixture
def tree(tmp_path: Path) -> tuple[Path, ...]:
    for name in NAMES:
        (tmp_path / "kit" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kit" / name).write_bytes(name.encode() * 300)
    (tmp_path / "kit/empty").write_bytes(b"")
    return tuple(tmp_path / "kit" / name for name in (*NAMES, "empty"))


def packed(tree: tuple[Path, ...], base: Path, epoch: int = EPOCH) -> bytes:
    out = io.BytesIO()
    tarball.write(out, tree=tree, root="kit-1", base=base, epoch=epoch, executable=("verify.sh",))
    return out.getvalue()


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getmembers()


def test_the_order_of_the_files_does_not_matter(tree: tuple[Path, ...], tmp_path: Path) -> None:
    shuffled = list(tree)
    random.Random(1).shuffle(shuffled)  # noqa: S311 - an order, no secret
    assert packed(tuple(shuffled), tmp_path / "kit") == packed(tree, tmp_path / "kit")


def test_times_modes_zone_and_umask_do_not_matter(
    tree: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = packed(tree, tmp_path / "kit")
    for number, path in enumerate(tree):
        os.utime(path, (number, 4_000_000_000 + number))
        path.chmod(0o600 + number % 8)
    monkeypatch.setenv("TZ", "Pacific/Apia")
    time.tzset()
    umask = os.umask(0o077)
    try:
        assert packed(tree, tmp_path / "kit") == before
    finally:
        os.umask(umask)
        monkeypatch.undo()
        time.tzset()


def test_the_folder_it_lies_in_does_not_matter(tree: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "kit").rename(tmp_path / "moved")
    moved = tuple(tmp_path / "moved" / path.relative_to(tmp_path / "kit") for path in tree)
    after = packed(moved, tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "kit")
    assert packed(tree, tmp_path / "kit") == after


def test_the_epoch_is_the_time_of_every_member_and_of_nothing_else(tree: tuple[Path, ...], tmp_path: Path) -> None:
    for epoch in (0, EPOCH, 8**11 - 1):
        data = packed(tree, tmp_path / "kit", epoch)
        assert {member.mtime for member in members(data)} == {epoch}
        assert data[4:8] == bytes(4)  # RFC 1952: MTIME 0 = no time stamp


def test_the_gzip_header_names_nothing_and_one_member_is_all(tree: tuple[Path, ...], tmp_path: Path) -> None:
    data = packed(tree, tmp_path / "kit")
    assert data[:4] == b"\x1f\x8b\x08\x00"  # deflate, no flags: no name, no comment
    content = gzip.decompress(data)
    assert struct.unpack("<I", data[-4:])[0] == len(content)
    assert content.endswith(bytes(1024))
    assert len(content) % 512 == 0


def test_the_root_and_the_envelope_come_first(tree: tuple[Path, ...], tmp_path: Path) -> None:
    names = [member.name for member in members(packed(tree, tmp_path / "kit"))]
    assert names[:9] == ["kit-1", *(f"kit-1/{name}" for name in tarball.ENVELOPE)]
    assert len(names) == len(set(names))


def test_every_folder_comes_before_what_is_in_it(tree: tuple[Path, ...], tmp_path: Path) -> None:
    seen = set()
    for member in members(packed(tree, tmp_path / "kit")):
        parent = member.name.rpartition("/")[0]
        assert not parent or parent in seen
        if member.isdir():
            seen.add(member.name)
    assert seen == {"kit-1", "kit-1/a", "kit-1/a/b", "kit-1/attestations", f"kit-1/{'d' * 60}"}


def test_members_are_files_and_folders_of_nobody_with_the_modes_of_a_kit(tree: tuple[Path, ...], tmp_path: Path) -> None:
    for member in members(packed(tree, tmp_path / "kit")):
        assert member.isreg() or member.isdir()
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mode == (0o755 if member.isdir() or member.name == "kit-1/verify.sh" else 0o644)


def test_gnu_tar_unpacks_what_went_in(tree: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "kit.tar.gz").write_bytes(packed(tree, tmp_path / "kit"))
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / "kit.tar.gz", "-C", tmp_path / "out"], check=True)
    for path in tree:
        assert (tmp_path / "out/kit-1" / path.relative_to(tmp_path / "kit")).read_bytes() == path.read_bytes()


def test_gnu_tar_lists_what_python_lists(tree: tuple[Path, ...], tmp_path: Path) -> None:
    data = packed(tree, tmp_path / "kit")
    (tmp_path / "kit.tar.gz").write_bytes(data)
    command = ["tar", "--utc", "--numeric-owner", "--full-time", "-tvzf", str(tmp_path / "kit.tar.gz")]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stderr == ""
    lines = [line.split() for line in said.stdout.splitlines()]
    assert [line[5].rstrip("/") for line in lines] == [member.name for member in members(data)]
    assert {(line[1], line[3], line[4]) for line in lines} == {("0/0", "2025-12-01", "00:00:00")}
    assert {line[0] for line in lines} == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}


def test_a_long_name_takes_one_pax_record_and_the_others_none(tree: tuple[Path, ...], tmp_path: Path) -> None:
    found = {member.name: member.pax_headers for member in members(packed(tree, tmp_path / "kit"))}
    assert found.pop(f"kit-1/{LONG}") == {"path": f"kit-1/{LONG}"}
    assert not any(found.values())


@pytest.mark.skipif(not GROWS.exists(), reason="no procfs")
def test_a_file_that_grows_while_it_is_packed_is_named() -> None:
    with pytest.raises(InputError, match="/proc/version: grew while it was packed"):
        packed((GROWS,), GROWS.parent)


@pytest.mark.skipif(not SHRINKS.is_file(), reason="no sysfs")
def test_a_file_that_shrinks_while_it_is_packed_is_named() -> None:
    with pytest.raises(InputError, match=f"{SHRINKS}: shrank while it was packed"):
        packed((SHRINKS,), SHRINKS.parent)

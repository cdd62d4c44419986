"""The folder reader of verify_kit.py: what is not to be there, and what is exchanged while it is read."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.verify.tiny_kit import kit, load

vk = load()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A valid kit."""
    folder = tmp_path / "kit"
    folder.mkdir(mode=0o755)
    return kit().write_folder(folder)


def said(root: Path) -> str:
    """What stage 1 tells; empty if nothing."""
    try:
        vk.read_kit(str(root))
    except vk.Refused as refused:
        return "\n".join(failure.line() for failure in refused.failures if failure.kind.exit_code == 6)
    return ""


def test_folder_is_read(root: Path) -> None:
    made = kit()

    found = vk.read_kit(str(root))

    assert found.names == set(made.files)
    assert set(found.kept) == {name for name in made.files if vk.is_kept(name, len(made.files[name]))}
    assert found.version is None
    assert found.digests(found.names) == {name: vk.sha256_hex((root / name).read_bytes()) for name in made.files}


def test_folder_may_be_given_by_a_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)

    assert said(root.parent / "link") == ""
    assert said(Path(f"{root.parent}/link/")) == ""


@pytest.mark.parametrize("mode", [0o644, 0o444, 0o600, 0o755, 0o660, 0o777 & ~0o002])
def test_other_modes_of_files_are_accepted(root: Path, mode: int) -> None:
    (root / "blob").chmod(mode)

    assert said(root) == ""


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o644)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))
    path.chmod(0o644)


def link_in_the_place_of(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "link_to_a_file": (lambda root: (root / "l").symlink_to("blob"), "l: a link"),
    "link_to_a_folder": (lambda root: (root / "l").symlink_to("sbom"), "l: a link"),
    "link_to_nothing": (lambda root: (root / "l").symlink_to("nothing"), "l: a link"),
    "link_for_a_file": (lambda root: link_in_the_place_of(root / "blob"), "blob: a link"),
    "link_for_a_folder": (lambda root: link_in_the_place_of(root / "sbom"), "sbom: a link"),
    "link_for_the_list": (lambda root: link_in_the_place_of(root / "SHA256SUMS"), "SHA256SUMS: a link"),
    "fifo": (lambda root: fifo(root / "sbom" / "f"), "sbom/f: a special file"),
    "fifo_for_the_list": (lambda root: fifo(root / "SHA256SUMS"), "SHA256SUMS: a special file"),
    "socket": (lambda root: unix_socket(root / "s"), "s: a special file"),
    "setuid": (lambda root: (root / "blob").chmod(0o4755), "blob: mode 4755"),
    "setgid": (lambda root: (root / "blob").chmod(0o2755), "blob: mode 2755"),
    "sticky": (lambda root: (root / "blob").chmod(0o1755), "blob: mode 1755"),
    "world_writable": (lambda root: (root / "blob").chmod(0o666), "blob: mode 0666"),
    "world_writable_folder": (lambda root: (root / "sbom").chmod(0o777), "sbom: mode 0777"),
    "setgid_root": (lambda root: root.chmod(0o2755), "kit: mode 2755"),
    "sticky_root": (lambda root: root.chmod(0o1777), "kit: mode 1777"),
    "empty_folder": (lambda root: (root / "e").mkdir(0o755), "e: an empty folder"),
    "empty_folders": (lambda root: (root / "e" / "f").mkdir(0o755, parents=True), "e/f: an empty folder"),
    "hidden_file": (lambda root: (root / ".hidden").write_bytes(b""), ".hidden: its name"),
    "hidden_folder": (lambda root: (root / ".git").mkdir(0o755), ".git: its name"),
    "not_utf8": (lambda root: Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_bytes(b""), "caf\\udce9: its name"),
    "line_end": (lambda root: (root / "a\nverified: b").write_bytes(b""), "a\\nverified: b: its name"),
    "case": (lambda root: (root / "BLOB").write_bytes(b""), "blob: its name has blob, which is BLOB but for case"),
}


@pytest.mark.parametrize(("change", "word"), CHANGES.values(), ids=CHANGES)
def test_folder_with_a_thing_that_is_not_to_be_there_is_refused(root: Path, change: Callable[[Path], object], word: str) -> None:
    umask = os.umask(0o022)
    change(root)
    os.umask(umask)

    assert f"refused: {word}" in said(root)


def test_all_things_that_are_not_to_be_there_are_told_in_order(root: Path) -> None:
    for name in ("z", "a", "m"):
        (root / name).symlink_to("blob")

    assert [line.split(":")[1] for line in said(root).splitlines()] == [" a", " m", " z"]


def test_empty_folder_is_no_kit(tmp_path: Path) -> None:
    assert "an empty folder" in said(tmp_path)


def test_members_have_a_budget(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(list(root.rglob("*")))

    monkeypatch.setattr(vk, "MAX_MEMBERS", count)
    assert said(root) == ""

    monkeypatch.setattr(vk, "MAX_MEMBERS", count - 1)
    assert "more than" in said(root)


def test_envelope_and_attestations_have_a_budget(root: Path) -> None:
    os.truncate(root / "manifest.json", vk.MAX_ENVELOPE_FILE + 1)

    assert "manifest.json: 67108865 bytes" in said(root)


def test_large_files_are_hashed_like_small_ones(root: Path) -> None:
    names = [f"large{number}" for number in range(5)]
    for number, name in enumerate(names):
        with (root / name).open("wb") as file:
            file.truncate(vk.LARGE_FILE + number)

    found = vk.read_kit(str(root)).digests({*names, "blob"})

    assert found["blob"] == vk.sha256_hex((root / "blob").read_bytes())
    assert [found[name] for name in names] == [vk.sha256_hex(bytes(vk.LARGE_FILE + number)) for number in range(5)]


# -- exchanged while it is read


def exchange_by_file(root: Path) -> None:
    (root / "new").write_bytes((root / "blob").read_bytes())
    (root / "new").rename(root / "blob")


def exchange_by_link(root: Path) -> None:
    (root / "blob").rename(root / "other")
    (root / "blob").symlink_to("other")


def exchange_by_fifo(root: Path) -> None:
    fifo(root / "blob")


def exchange_by_folder(root: Path) -> None:
    (root / "blob").unlink()
    (root / "blob").mkdir()


def exchange_by_nothing(root: Path) -> None:
    (root / "blob").unlink()


EXCHANGES = [exchange_by_file, exchange_by_link, exchange_by_fifo, exchange_by_folder, exchange_by_nothing]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_file_that_was_exchanged_after_the_walk_is_refused(root: Path, exchange: Callable[[Path], None]) -> None:
    seen = vk.read_kit(str(root))

    exchange(root)

    failure = seen.digests({"blob"})["blob"]
    assert failure.kind.exit_code == 6
    assert failure.line().startswith("refused: blob: cannot be read (")


def test_envelope_file_that_was_exchanged_after_the_walk_is_refused(root: Path) -> None:
    seen = vk.Folder(str(root))

    (root / "manifest.json").unlink()
    (root / "manifest.json").symlink_to("blob")

    with pytest.raises(vk.Refused) as refused:
        seen.read_kept()
    assert refused.value.exit_code == 6
    assert refused.value.failures[0].file == "manifest.json"


def test_envelope_file_that_grew_after_the_walk_is_not_the_signed_one(root: Path) -> None:
    seen = vk.Folder(str(root))
    before = (root / "manifest.json").read_bytes()

    (root / "manifest.json").write_bytes(before + b"grown")

    assert seen.read_kept()["manifest.json"] == before + b"g"


def test_folder_that_was_exchanged_during_the_walk_is_refused(root: Path) -> None:
    seen = vk.Folder(str(root))
    (root / "sbom").rename(root / "before")
    (root / "sbom").symlink_to("before")

    seen.enter("sbom")

    with pytest.raises(vk.Refused) as refused:
        seen.check()
    assert "exchanged" in refused.value.failures[0].line()


def test_folder_that_vanished_during_the_walk_is_refused(root: Path) -> None:
    seen = vk.Folder(str(root))
    seen.folders["gone"] = os.lstat(root / "sbom")

    assert seen.enter("gone") == []
    with pytest.raises(vk.Refused):
        seen.check()


# -- what only other systems have


def test_junction_of_windows_is_a_link() -> None:
    info: Any = SimpleNamespace(st_mode=stat.S_IFDIR | 0o755, st_file_attributes=0x410)

    assert vk.entry_fault(info) == ("a link", "only files and folders are allowed")


def test_mode_is_not_looked_at_where_it_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    info: Any = SimpleNamespace(st_mode=stat.S_IFREG | 0o666)

    assert vk.entry_fault(info) is not None
    monkeypatch.setattr(vk.os, "name", "nt")
    assert vk.entry_fault(info) is None


@pytest.mark.parametrize(
    ("name", "size", "kept"),
    [
        ("attestations/lnm-runner-linux-amd64/index.json", 1 << 20, True),
        ("attestations/lnm-runner-linux-arm64/blobs/sha256/0", 1 << 20, True),
        ("attestations/lnm-runner-linux-s390x/index.json", 1, False),
        ("attestations/lnm-runner-linux-amd64", 1, False),
        ("images/lnm-runner-linux-amd64/blobs/sha256/0", 64 << 10, True),
        ("images/lnm-runner-linux-amd64/blobs/sha256/0", (64 << 10) + 1, False),
        ("images/lnm-runner-linux-s390x/blobs/sha256/0", 1, False),
        ("images/lnm-runner-linux-amd64/index.json", 1, False),
    ],
)
def test_of_an_image_statements_and_what_may_be_its_manifest_are_held_in_memory(name: str, size: int, *, kept: bool) -> None:
    assert vk.is_kept(name, size) is kept

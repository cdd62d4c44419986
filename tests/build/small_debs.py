"""Small .debs that are real ones (deb(5)), and a mirror of them that apt takes for Debian's: no network, no dpkg, no root."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from scripts import debian
from scripts.debian import Deb

AR = b"!<arch>\n"
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2020 Somebody
License: Expat
"""


def file(name: str, data: bytes = b"x\n", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    """A member that is a file."""
    info = tarfile.TarInfo(f"./{name}")
    info.mode, info.size, info.mtime = mode, len(data), 1_000_000_000
    return info, data


def other(name: str, kind: bytes, target: str = "", mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    """A member that is a folder, a link or something worse."""
    info = tarfile.TarInfo(f"./{name}")
    info.type, info.linkname, info.mode, info.mtime = kind, target, mode, 1_000_000_000
    return info, b""


def packed(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar.xz."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:xz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return held.getvalue()


def make(
    folder: Path,
    package: str,
    members: Iterable[tuple[tarfile.TarInfo, bytes]] = (),
    *,
    version: str = "1.0-1",
    architecture: str = "amd64",
    fields: Mapping[str, str] | None = None,
    text: str = COPYRIGHT,
) -> Deb:
    """Writes a package with these members, its copyright file, and md5sums, into a folder; says what a lock says of it."""
    whole = [*members, *([file(f"usr/share/doc/{package}/copyright", text.encode())] if text else [])]
    told = {"Package": package, "Version": version, "Architecture": architecture, "Maintainer": "A Body <a@example.org>"}
    control = "".join(f"{key}: {value}\n" for key, value in {**told, **(fields or {}), "Description": "small"}.items())
    sums = "".join(
        f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {info.name.removeprefix('./')}\n"
        for info, data in whole
        if info.isreg()
    )
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": packed([file("control", control.encode()), file("md5sums", sums.encode())]),
        "data.tar.xz": packed(whole),
    }
    deb = Deb(package, version, architecture, "")
    with (folder / deb.filename).open("wb") as out:
        out.write(AR)
        for name, data in parts.items():
            out.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2))
    return dataclasses.replace(deb, sha256=hashlib.sha256((folder / deb.filename).read_bytes()).hexdigest())


def lock(folder: Path, debs: Iterable[Deb], name: str = debian.EFFECTIVE) -> Path:
    """Writes a lock of them into a folder."""
    (folder / name).write_bytes(debian.render(debs))
    return folder / name


class Mirror:
    """A folder that apt takes for Debian's suite bookworm, or another suite of somebody else."""

    def __init__(self, folder: Path, codename: str = "bookworm", origin: str = "Debian") -> None:
        """Makes an empty one."""
        self.folder, self.codename, self.origin = folder, codename, origin
        folder.mkdir()

    def offer(self, *debs: Deb) -> None:
        """Lists these packages, whose files are in the folder, as what there is for amd64."""
        index = "".join(
            f"Package: {deb.package}\nVersion: {deb.version}\nArchitecture: {deb.architecture}\nFilename: ./{deb.filename}\n"
            f"Size: {(self.folder / deb.filename).stat().st_size}\nSHA256: {deb.sha256}\nDescription: small\n\n"
            for deb in debs
        ).encode()
        (self.folder / "Packages").write_bytes(index)
        listed = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
        head = f"Origin: {self.origin}\nSuite: {self.codename}\nCodename: {self.codename}\n"
        dated = "Date: Sun, 01 Nov 2026 00:00:00 UTC\nArchitectures: amd64\n"
        (self.folder / "Release").write_text(f"{head}{dated}SHA256:\n{listed}", encoding="ascii")


def apt_looks_at(mirrors: Iterable[Mirror], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has apt know these sources and no others, by the file that it reads before those of the machine (apt.conf(5))."""
    sources = folder / "sources.list"
    sources.write_text("".join(f"deb [trusted=yes] file:{mirror.folder} ./\n" for mirror in mirrors), encoding="ascii")
    (folder / "apt.conf").write_text(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "/dev/null";\n', encoding="ascii")
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))

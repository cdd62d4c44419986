"""The table of lies: what each is called, which row of the attack list it belongs to, and how it must be refused.

Three kinds. A *kit lie* changes the files of a valid kit and is told as a folder and as a tarball. A *tarball lie* gives the tar
members or the bytes of the tarball. A *folder lie* changes a valid kit's folder on disk.
`python -m tests.faults.tell NAME FOLDER` writes one to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.forge import Kit, kit
from tests.faults.keys import HasPem
from tests.faults.rawtar import Member, packed

TARBALL, FOLDER = "tarball", "folder"
Told = tuple[Path, tuple[HasPem, ...]]
"""Where the kit lies, and the keys to give."""


@dataclass(frozen=True)
class Lie:
    """One lie in one container."""

    name: str
    row: str
    """The row of the attack list, `A1` … `C19`."""
    exit: int
    reasons: tuple[str, ...]
    """Patterns, in any case; standard error must hold each."""
    container: str
    write: Callable[[Path], Told]
    """Writes the kit into a folder."""
    kin: str
    """Lies of one kin are the same lie in another container, or in another file of the same form."""


LIES: list[Lie] = []
KNOWN: set[tuple[str, str]] = set()
"""Name and container of each."""


def in_turn() -> list[Lie]:
    """One lie of each kin: the first of the first kin, the second of the next, and so on."""
    kins: dict[str, list[Lie]] = {}
    for lie in LIES:
        kins.setdefault(lie.kin, []).append(lie)
    return [lies[number % len(lies)] for number, lies in enumerate(kins.values())]


KitLie = Callable[[Kit], Kit | None]
TarballLie = Callable[[Kit], bytes | list[Member]]
FolderLie = Callable[[Path], object]


def add(lie: Lie) -> None:
    """Enters a lie; a name stands once for each container."""
    if (lie.name, lie.container) in KNOWN:
        raise ValueError(f"{lie.name}: two lies of this name")
    KNOWN.add((lie.name, lie.container))
    LIES.append(lie)


def kit_lie(row: str, code: int, *reasons: str, name: str = "", only: str = "", kin: str = "") -> Callable[[KitLie], KitLie]:
    """Enters a lie about the files of a kit: the function changes a valid kit, or gives another."""

    def enter(tell: KitLie) -> KitLie:
        def folder(place: Path) -> Told:
            told = tell(truth := kit()) or truth
            return told.write_folder(place), told.keys

        def tarball(place: Path) -> Told:
            told = tell(truth := kit()) or truth
            return told.write_tarball(place), told.keys

        for container, write in ((FOLDER, folder), (TARBALL, tarball)):
            if only in ("", container):
                called = name or tell.__name__
                add(Lie(called, row, code, reasons, container, write, kin or called))
        return tell

    return enter


def tarball_lie(row: str, code: int, *reasons: str, name: str = "") -> Callable[[TarballLie], TarballLie]:
    """Enters a lie about a tarball: the function makes its members, or its bytes, from a valid kit."""

    def enter(tell: TarballLie) -> TarballLie:
        def write(place: Path) -> Told:
            told = tell(truth := kit())
            path = place / "kit.tar.gz"
            path.write_bytes(told if isinstance(told, bytes) else packed(told))
            return path, truth.keys

        called = name or tell.__name__
        add(Lie(called, row, code, reasons, TARBALL, write, called))
        return tell

    return enter


def folder_lie(row: str, code: int, *reasons: str, name: str = "") -> Callable[[FolderLie], FolderLie]:
    """Enters a lie about a folder: the function changes a valid kit's folder on disk."""

    def enter(tell: FolderLie) -> FolderLie:
        def write(place: Path) -> Told:
            truth = kit()
            root = truth.write_folder(place)
            tell(root)
            return root, truth.keys

        called = name or tell.__name__
        add(Lie(called, row, code, reasons, FOLDER, write, called))
        return tell

    return enter


def instead(text: bytes, old: bytes, new: bytes) -> bytes:
    """Replaces what must be there once or more, the first time it stands there."""
    if old not in text:
        raise ValueError(f"{old!r} is not in the text: the lie would be the truth")
    return text.replace(old, new, 1)

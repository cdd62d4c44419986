"""Lies about every file of a kit: one byte changed, removed, renamed, there twice, swapped with the next. Nothing is signed again.

The truth lies in a folder; a lie is told in a copy of hard links, in which only what it changes has bytes of its own. A further
signature may be removed: a kit need not have one, unless a policy demands it (`stripped`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.checksum_lies import SIGNATURE, exactly
from tests.faults.controls import Control
from tests.faults.forge import SUMS, is_cosigned, is_envelope
from tests.faults.keys import HasPem
from tests.faults.registry import FOLDER, Lie, Told
from tests.faults.verifiers import POLICY


@dataclass(frozen=True)
class Truth:
    """An unpacked kit that is as it should be, and the keys to give."""

    title: str
    """A word for the names of its lies."""
    folder: Path
    keys: tuple[HasPem, ...]

    @property
    def names(self) -> list[str]:
        """Every file of it, sorted."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def copied(self, place: Path) -> Path:
        """A copy that may be changed by replacing files, never by writing into them."""
        return Path(shutil.copytree(self.folder, place / "kit", copy_function=link_or_copy))


def link_or_copy(source: str, target: str) -> str:
    """A hard link, or a copy where the folders lie on two file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def replace(path: Path, data: bytes) -> None:
    """Other bytes under the same name, and the same mode."""
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(data)
    path.chmod(mode)


def change(root: Path, name: str) -> None:
    """One bit in the middle; in an empty file, one byte."""
    data = (root / name).read_bytes()
    at = len(data) // 2
    replace(root / name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else b"\0")


def remove(root: Path, name: str) -> None:
    """The file, and the folders above that are empty now."""
    (root / name).unlink()
    for folder in (root / name).relative_to(root).parents[:-1]:
        if not any((root / folder).iterdir()):
            (root / folder).rmdir()


def rename(root: Path, name: str) -> None:
    """Another name in the same folder."""
    (root / name).rename(root / f"{name}.old")


def double(root: Path, name: str) -> None:
    """The same bytes once more, under a name that is not listed."""
    shutil.copy2(root / name, root / f"{name}.copy")


def swap(root: Path, name: str, other: str) -> None:
    """Two files have each other's bytes."""
    one, two = (root / name).read_bytes(), (root / other).read_bytes()
    replace(root / name, two)
    replace(root / other, one)


Change = Callable[[Path, str], None]
"""Breaks a file of a kit."""
CHANGES: dict[str, tuple[str, Change]] = {
    "changed": ("C1", change),
    "removed": ("C2", remove),
    "renamed": ("C2", rename),
    "doubled": ("C2", double),
}
"""By the row of the attack list."""


def next_other(truth: Truth, name: str) -> str:
    """The next file whose bytes are others; after the last comes the first."""
    names = truth.names
    at = names.index(name) + 1
    data = (truth.folder / name).read_bytes()
    return next(other for other in names[at:] + names[:at] if (truth.folder / other).read_bytes() != data)


def file_lies(truth: Truth) -> Iterator[Lie | Control]:
    """All lies about all files of a kit, and controls about those that it may be without."""
    for name in truth.names:
        other = next_other(truth, name)
        for title, (row, break_it) in CHANGES.items():
            if title == "removed" and is_cosigned(name):
                yield Control(f"{name} removed, no policy", FOLDER, partial(tell, truth, name, break_it))
            else:
                yield lie(truth, row, title, name, break_it, (name,))
        yield lie(truth, "C2", f"swapped with {other}", name, partial(swap, other=other), (name, other))


def lie(truth: Truth, row: str, title: str, name: str, break_it: Change, touched: tuple[str, ...]) -> Lie:
    """One lie about the files that it touches; with `title` "doubled" that is the new one."""
    told = {"doubled": (f"{name}.copy",), "renamed": (name, f"{name}.old")}.get(title, touched)
    told = told[1:] if title == "renamed" and is_cosigned(name) else told
    code, reasons = verdict(told, is_absent=title in {"removed", "renamed"})
    kin = f"{truth.title}: every file {title.partition(' with ')[0]}"
    return Lie(f"{name} {title}", row, code, reasons, FOLDER, partial(tell, truth, name, break_it), kin)


def verdict(names: tuple[str, ...], *, is_absent: bool) -> tuple[int, tuple[str, ...]]:
    """Exit code and reasons by the order of the stages: the list and what is absent of E, then listed files, then the manifest."""
    signed, listed = [list(filter(is_envelope, names)), [name for name in names if not is_envelope(name)]]
    if signed and (is_absent or not listed or any(name.startswith(SUMS) for name in signed)):
        return 5, ("|".join([*map(exactly, signed), SIGNATURE, "subject|payload"]),)
    return 6, tuple(map(exactly, listed))


def stripped(truth: Truth, policy: bytes) -> Iterator[Lie]:
    """Each further signature removed before a policy that demands it."""
    for name in filter(is_cosigned, truth.names):
        reasons = ("the policy wants 2 signers, the kit has 1",)
        kin = f"{truth.title}: a signature stripped"
        yield Lie(f"{name} removed, policy", "C8", 5, reasons, FOLDER, partial(tell, truth, name, remove, policy=policy), kin)


def tell(truth: Truth, name: str, break_it: Change, place: Path, policy: bytes = b"") -> Told:
    """Breaks a copy, and writes a policy beside it where there is one."""
    root = truth.copied(place)
    break_it(root, name)
    if policy:
        (place / POLICY).write_bytes(policy)
    return root, truth.keys

"""Compares two builds and finds the task that made the difference. Pure but for `look`.

A task that read the same inputs with the same code, settings and tools, and wrote other bytes, is to blame; tasks that
read what it wrote differ because of it. The records in artifacts/.build/records (scripts/artefact.py) tell.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import canonical, files

DIST = Path("artifacts/lnm")
RECORDS = Path("artifacts/.build/records")
PUBLIC = "signing-key.pub"
OTHER_BYTES = "made other bytes of"
ENVELOPE_AND_STATEMENTS = re.compile(r"(attestations/|SHA256SUMS|manifest\.)")
OF_ANY_PYTHON = re.compile(r"lnm-21-10[123]-[^/]*\.tar\.gz(\.sig|\.sigstore\.json)?|signing-key\.pub|verify\.sh|verify_kit\.py")
WHY_NOT_ALL = "payload, rootHash, delivery bundles; not the statements, which tell the Python's version, nor what holds them"

Record = Mapping[str, Any]
Records = Mapping[str, Record]
"""By the task's name."""


@dataclass(frozen=True)
class Seen:
    """What a build made."""

    tree: Path
    outputs: Mapping[str, str]
    """`{path below artifacts/lnm: sha256 and mode}`."""
    records: Records
    root_hash: str

    def sha256(self, name: str) -> str:
        """The SHA-256 of a file, by its path below artifacts/lnm."""
        return self.outputs[name].split()[0]


@dataclass(frozen=True)
class Blame:
    """A task to blame, and how."""

    task: str
    how: str
    file: str
    """The output that differs, from the top of the tree."""


def look(tree: Path) -> Seen:
    """Reads what a build left in a tree.

    Raises: KitError for a record or a list that cannot be read.
    """
    dist = tree / DIST
    found = sorted(path for path in dist.rglob("*") if path.is_symlink() or not path.is_dir())
    outputs = {path.relative_to(dist).as_posix(): fingerprint(path) for path in found}
    read = [canonical.read(files.read_bytes(path), path.name) for path in sorted((tree / RECORDS).rglob("*.json"))]
    sums = next(iter(sorted(dist.glob("*/SHA256SUMS"))), None)
    root_hash = root_hash_of(sums.read_bytes()) if sums else ""
    return Seen(tree, outputs, {record["task"]: record for record in read}, root_hash)


def fingerprint(path: Path) -> str:
    """A file's SHA-256 and mode; a link is what it points to."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    return f"{files.sha256_of(path)} {stat.S_IMODE(path.stat().st_mode):o}"


def root_hash_of(sums: bytes) -> str:
    """A kit's rootHash, from its SHA256SUMS (decisions §8)."""
    return hashlib.sha256(b"".join(line for line in sums.splitlines(keepends=True) if b"  attestations/" not in line)).hexdigest()


def is_payload(name: str) -> bool:
    """True for a file of P, by its path below artifacts/lnm."""
    folder, _, inner = name.partition("/")
    return folder.startswith("concelier-lnm-") and bool(inner) and not ENVELOPE_AND_STATEMENTS.match(inner)


def is_of_any_python(name: str) -> bool:
    """True for a file that is the same under every Python."""
    return is_payload(name) or bool(OF_ANY_PYTHON.fullmatch(name))


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of what differs, or is in one alone."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def compared(one: Seen, other: Seen, *, same_python: bool) -> list[str]:
    """The files that differ of those that may not."""
    return [name for name in differing(one.outputs, other.outputs) if same_python or is_of_any_python(name)]


def in_order(records: Records) -> list[str]:
    """The tasks so that each stands behind those whose outputs it reads; by name where that leaves a choice."""
    makers = {name: task for task, record in records.items() for name in record["outputs"]}
    waiting = {task: {makers[name] for name in record["inputs"] if name in makers} - {task} for task, record in records.items()}
    order: list[str] = []
    while waiting:
        ready = sorted(task for task, before in waiting.items() if not before & set(waiting)) or sorted(waiting)
        order += ready
        waiting = {task: before for task, before in waiting.items() if task not in ready}
    return order


def culprits(one: Records, other: Records, *, same_python: bool = True) -> list[Blame]:
    """The tasks to blame, in the order of flow; a task that only read other inputs is not among them."""
    found = (blame(task, one.get(task), other.get(task), same_python=same_python) for task in in_order({**other, **one}))
    return [blamed for blamed in found if blamed]


def blame(task: str, one: Record | None, other: Record | None, *, same_python: bool) -> Blame | None:
    """What is to be said against one task."""
    if one is None or other is None:
        return Blame(task, "was made in one build alone, so dodo.py listed others:", first((one or other or {})["outputs"]))
    if one["inputs"] != other["inputs"]:
        return None
    if same_python and one["tools"] != other["tools"]:
        return Blame(task, "ran with other tools and made", first(one["outputs"]))
    if one["settings"] != other["settings"] or one["code"] != other["code"]:
        return Blame(task, "got other settings from dodo.py and made other bytes of", first(one["outputs"]))
    changed = differing(one["outputs"], other["outputs"])
    return Blame(task, OTHER_BYTES, changed[0]) if changed else None


def maker_of(name: str, records: Records) -> Blame:
    """The task that made a file that differs where no record does: in its mode, or after it was recorded."""
    path = (DIST / name).as_posix()
    task = next((task for task, record in records.items() if path in record["outputs"]), "no task")
    return Blame(task, "left another file, or another mode, at", path)


def blamed(one: Seen, other: Seen, *, same_python: bool) -> list[Blame]:
    """The tasks to blame where something differs that may not: at least one."""
    names = compared(one, other, same_python=same_python)
    if not names and one.root_hash != other.root_hash:
        return [Blame("checksums:SHA256SUMS", "gave another rootHash in", "SHA256SUMS")]
    found = culprits(one.records, other.records, same_python=same_python) if names else []
    return found or [maker_of(name, {**other.records, **one.records}) for name in names[:1]]


def first(names: Iterable[str]) -> str:
    """The first of some names."""
    return min(names)

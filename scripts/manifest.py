"""Makes `manifest.json`: the signed statement that a verifier and an operator read first.

Format: docs/kit-format.md («The files of E»); predicate type of facts 4.1. It says what the kit is, what it holds,
and what it does not hold and why.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

from scripts import checksums, files, oci, statement
from scripts.errors import InputError

PREDICATE = "https://stella-ops.org/attestations/offline-update/1"
MIGRATION_ID = re.compile(rb'^ID(?:: Final)? = "([A-Za-z0-9_]+)"$', re.MULTILINE)
DELIVERIES = ("21-101", "21-102", "21-103")
ABSENT = {
    "21-102": "the backfill is not in this version; nothing of it is applied",
    "21-103": "the move of raw payloads to an object store is not in this version",
    "monitoring": "alert rules and dashboard are not in this version",
    "runbook": "its page is not in this version; migrations/21-101/README.md says how to apply it",
    "seeds": "placeholder: no object-store seeds are in this version",
}
PARTS = ("monitoring", "runbook", "seeds")
WHOLE_WITH = {"runbook": "runbook/runbook.md"}
"""The file without which a part is absent; one that is not named here is so in this version."""
WITHOUT_IMAGE = "install the runner from runner/wheelhouse instead"


def digest(sums: dict[str, str], delivery: str) -> str:
    """The migration digest (decisions §3): SHA-256 of the lines of a delivery's folder, its README.md apart."""
    folder = f"migrations/{delivery}/"
    return folder_digest({name: sha256 for name, sha256 in sums.items() if name != f"{folder}README.md"}, folder)


def folder_digest(sums: dict[str, str], folder: str) -> str:
    """SHA-256 of the lines of SHA256SUMS that are below a folder."""
    return checksums.root_hash(checksums.render({name: sums[name] for name in sums if name.startswith(folder)}))


def migration_id(source: bytes, name: str) -> str:
    """The migration's id, read from its text; migrations are never run to build.

    Raises: InputError.
    """
    found = MIGRATION_ID.findall(source)
    if len(found) != 1:
        raise InputError(f'{name}: found {len(found)} lines «ID = "…"», wanted one', hint="see migrations/21-101/migration.py")
    return str(found[0].decode("ascii"))


def deliveries(sums: dict[str, str], migrations: dict[str, bytes]) -> list[dict[str, str]]:
    """One row a delivery: `ready` when the kit holds its migration, else `absent` with the reason."""
    rows = []
    for delivery in DELIVERIES:
        name = f"migrations/{delivery}/migration.py"
        if name in sums:
            identity = migration_id(migrations[name], name)
            rows.append({"digest": digest(sums, delivery), "id": delivery, "migration": identity, "status": "ready"})
        else:
            rows.append({"id": delivery, "reason": ABSENT[delivery], "status": "absent"})
    return rows


def parts(sums: dict[str, str], images: tuple[Path, ...], absent: dict[str, str]) -> list[dict[str, str]]:
    """One row for each image, ready with the digest of its manifest or absent with the reason, and for each other part."""
    rows = [{"digest": oci.read_index(path.parent)[0]["digest"], "id": path.parent.name, "status": "ready"} for path in images]
    rows += [{"id": name, "reason": f"{why}; {WITHOUT_IMAGE}", "status": "absent"} for name, why in absent.items()]
    rows += [part(sums, name) for name in PARTS]
    return sorted(rows, key=lambda row: row["id"])


def part(sums: dict[str, str], name: str) -> dict[str, str]:
    """A part that is a folder: `ready`, with the digest of that, when the kit holds the file that it stands on."""
    if WHOLE_WITH.get(name) in sums:
        return {"digest": folder_digest(sums, f"{name}/"), "id": name, "status": "ready"}
    return {"id": name, "reason": ABSENT[name], "status": "absent"}


def write(
    out: BinaryIO,
    *,
    sums: Path,
    payload: Path,
    migrations: tuple[Path, ...],
    images: tuple[Path, ...],
    base: Path,
    release: dict[str, Any],
    trust: str,
    absent: dict[str, str],
) -> None:
    """Writes the manifest over a finished SHA256SUMS."""
    data = files.read_bytes(sums)
    listed = checksums.parse(data, sums.name)
    sources = {path.relative_to(base).as_posix(): files.read_bytes(path) for path in migrations}
    predicate = {
        "channel": release["channel"],
        "created_at": release["created_at"],
        "deliveries": deliveries(listed, sources),
        "parts": parts(listed, images, absent),
        "rootHash": checksums.root_hash(files.read_bytes(payload)),
        "source": release["source"],
        "trust": trust,
        "version": release["version"],
    }
    subjects = [("SHA256SUMS", checksums.root_hash(data)), *listed.items()]
    out.write(statement.render(subjects, PREDICATE, predicate))

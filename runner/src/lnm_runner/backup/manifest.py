"""backup-manifest.json: what a backup holds, of which database, and the hash of each of its files. Canonical (RFC 8785, one LF).

`{schema, database, cluster, kit, at, tool, compress, server: {version}, operationTime: {t, i}, collections, others,
fingerprint}`; a row of `collections` is `{name, type, count, bytes, sha256, stored, metadata, indexes, apart}`: `sha256` is the
fingerprint of
its documents in the order of `_id`, `stored` and `metadata` are files `{file, bytes, sha256}` (`stored` with `content`, the
SHA-256 of what it holds, uncompressed), `apart` counts what there is apart from the switches of now, or is null. `others` are
files that the tool has written beside. `fingerprint` is `{database, collections}` of all that a restore brings back.

Only its form is judged here; checking.py holds it against the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner.backfill.identity import canonical
from lnm_runner.backup import compression, layout
from lnm_runner.errors import BackupError
from lnm_runner.mongo import Database

SCHEMA: Final = "stellaops.lnm.backup/1"
LARGEST: Final = 64 << 20  # bytes; 100,000 collections have about that
AGAIN: Final = "make a backup anew: move this one away, then lnm runbook backup --execute"
HASH: Final = r"sha256:[0-9a-f]{64}"
FORMS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "at": str,
    "cluster": str,
    "collections": list,
    "compress": str,
    "database": str,
    "fingerprint": dict,
    "kit": str,
    "operationTime": dict,
    "others": list,
    "schema": str,
    "server": dict,
    "tool": str,
}
"""`{member: its type}` of the whole."""
ROW: Final[Mapping[str, type | tuple[type, ...]]] = {
    "apart": (dict, type(None)),
    "bytes": int,
    "count": int,
    "indexes": list,
    "metadata": dict,
    "name": str,
    "sha256": str,
    "stored": (dict, type(None)),
    "type": str,
}
"""The same of a row of `collections`."""
FILE: Final = {"bytes": int, "file": str, "sha256": str}
NUMBERS: Final = {"bytes": int, "count": int, "sha256": str}


@dataclass(frozen=True)
class Manifest:
    """A manifest, as it was read or made."""

    value: Mapping[str, Any]

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The collections, sorted by name."""
        found: Sequence[Mapping[str, Any]] = self.value["collections"]
        return found

    @property
    def database(self) -> str:
        """Whose backup it is."""
        return str(self.value["database"])

    @property
    def compress(self) -> str:
        """How its files are compressed."""
        return str(self.value["compress"])

    @property
    def fingerprint(self) -> str:
        """`sha256:<hex>` of all that a restore brings back."""
        return str(self.value["fingerprint"]["database"])

    @property
    def files(self) -> list[Mapping[str, Any]]:
        """All files `{file, bytes, sha256}`."""
        found = [row[part] for row in self.rows for part in ("stored", "metadata") if row[part]]
        return [*found, *self.value["others"]]

    @property
    def stored_bytes(self) -> int:
        """How much room its files take."""
        return sum(file["bytes"] for file in self.files)

    @property
    def data(self) -> bytes:
        """Its one form."""
        return canonical(dict(self.value)) + b"\n"

    @property
    def sha256(self) -> str:
        """`sha256:<hex>` of the file."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


def read(folder: Path, wanted: str = "") -> Manifest:
    """Reads the manifest of a backup; `wanted` is the hash that the journal has of it, where it has one.

    Raises: NotFoundError; BackupError for one that is cut off, edited, or another than the journal's.
    """
    with layout.told(f"{folder.name}/{layout.MANIFEST}"), (folder / layout.MANIFEST).open("rb") as file:
        data = file.read(LARGEST + 1)
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if wanted and found != wanted:
        raise broken(f"its sha256 is {found[:19]}…, the journal says {wanted[:19]}…: it is another backup, or was edited")
    try:
        made = Manifest(json.loads(data))
        if made.data != data:
            raise broken("it is not in its one form: it was edited, or is cut off")
        require_form(made.value)
    except (ValueError, TypeError, KeyError, RecursionError) as err:
        raise broken(f"it is no manifest of a backup, or is cut off ({type(err).__name__})") from err
    return made


def broken(why: str) -> BackupError:
    """The error of a manifest."""
    return BackupError(f"{layout.MANIFEST}: {why}", hint=AGAIN)


def require_form(value: Mapping[str, Any]) -> None:
    """Refuses what has not the members of a manifest.

    Raises: BackupError.
    """
    if value.get("schema") != SCHEMA:
        raise broken(f"schema is {str(value.get('schema'))[:60]!r}, wanted {SCHEMA!r}")
    require_members("the manifest", value, FORMS)
    require_members("fingerprint", value["fingerprint"], {"collections": int, "database": str})
    for other in value["others"]:
        require_members("others", other, FILE)
    if value["compress"] not in compression.SUFFIXES:
        raise broken(f"compress is {value['compress'][:60]!r}, wanted one of {', '.join(compression.SUFFIXES)}")
    for number, row in enumerate(value["collections"], 1):
        require_members(f"collection {number}", row, ROW)
        require_members(f"collection {number}, metadata", row["metadata"], FILE)
        if row["stored"] is not None:
            require_members(f"collection {number}, stored", row["stored"], {**FILE, "content": str})
        if row["apart"] is not None:
            require_members(f"collection {number}, apart", row["apart"], NUMBERS)
    names = [row["name"] for row in value["collections"]]
    if names != sorted(set(names)):
        raise broken("the collections are not sorted by name, each once")


def require_members(place: str, value: Mapping[str, Any], forms: Mapping[str, type | tuple[type, ...]]) -> None:
    """Refuses other members than these, or other types.

    Raises: BackupError.
    """
    if set(value) != set(forms):
        raise broken(f"{place}: has the members {', '.join(sorted(value))[:200]}, wanted {', '.join(sorted(forms))}")
    for name, form in forms.items():
        if not isinstance(value[name], form):
            raise broken(f"{place}: {name} is a {type(value[name]).__name__}")


def cluster_of(database: Database) -> str:
    """`sha256:<hex>` of what a database is called by its cluster: the replica set's name, or a router's hosts, and its own."""
    hello = database.client.admin.command("hello")
    hosts = ",".join(sorted(f"{host}:{port}" for host, port in database.client.nodes))
    known = f"{hello.get('setName') or hosts}/{database.name}"
    return f"sha256:{hashlib.sha256(known.encode()).hexdigest()}"

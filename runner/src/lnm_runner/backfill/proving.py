"""Proves documents against a report, and finds where a report, the rows that it was made of, and the database differ. Read-only.

A proof is a leaf and its audit path (RFC 6962, section 2.1.1): whoever has the report's hash can follow it with a few hashes and
no database. The input's leaf is proved as well where the work file of the run is still there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId

from lnm_runner.backfill import identity, leaves, merkle, report, runs, workfile
from lnm_runner.backfill.inventory import RAW
from lnm_runner.backfill.leaves import Leaf
from lnm_runner.errors import InputError, NotFoundError
from lnm_runner.mongo import Database

LARGEST_REPORT = 256 * 1024 * 1024


@dataclass(frozen=True)
class Proof:
    """That a leaf is in a tree."""

    tree: str
    """inventory, or the collection."""
    index: int
    size: int
    leaf: bytes
    """Its hash."""
    said: Any
    """What the leaf says; None for an input, whose leaf is kept as a hash alone."""
    path: tuple[bytes, ...]
    root: str
    """What the report says."""

    @property
    def holds(self) -> bool:
        """True where the path leads from the leaf to the root."""
        return merkle.proves_hash(self.leaf, self.index, self.size, self.path, bytes.fromhex(self.root.removeprefix("sha256:")))

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "tree": self.tree,
            "index": self.index,
            "size": self.size,
            "leafHash": self.leaf.hex(),
            "leaf": self.said,
            "path": [step.hex() for step in self.path],
            "root": self.root,
            "holds": self.holds,
        }


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """A report, and its bytes.

    Raises: NotFoundError, InputError for what is none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_REPORT)
    except OSError as err:
        raise NotFoundError(f"{path}: {err.strerror}", hint="lnm backfill writes it; --report names another one") from err
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise InputError(
            f"{path}: it is no JSON", hint="it was edited or cut: restore it, or let lnm backfill write it anew"
        ) from err
    if not isinstance(found, dict) or found.get("schema") != report.SCHEMA or not isinstance(found.get("runId"), str):
        raise InputError(f"{path}: it is no report of a backfill", hint=f"wanted schema {report.SCHEMA}")
    return found, data


def run_of(database: Database, said: Mapping[str, Any]) -> dict[str, Any]:
    """The run of a report.

    Raises: NotFoundError.
    """
    row = database[runs.RUNS].find_one({"_id": said["runId"]})
    if row is None or row["state"] == runs.ROLLED_BACK:
        state = "rolled back" if row else "not known here"
        raise NotFoundError(f"the run {said['runId']} of the report is {state}", hint="is it the report of this database?")
    return row


# ---- one document


def proofs(database: Database, folder: Path, said: Mapping[str, Any], wanted: str) -> list[Proof]:
    """The proofs about one document: the `_id` of an output, or that of a document of the input.

    Raises: NotFoundError.
    """
    found = list(of_outputs(database, said, wanted)) if ObjectId.is_valid(wanted) else []
    found += of_input(database, folder, said, wanted)
    if not found:
        raise NotFoundError(
            f"nothing of the run {said['runId']} is called {wanted[:80]!r}",
            hint=f"wanted the _id of an observation, a linkset, an event or a tombstone, or of a document of {RAW}",
        )
    return found


def of_outputs(database: Database, said: Mapping[str, Any], wanted: str) -> Iterator[Proof]:
    """The leaf of what was written."""
    for collection in itertools.chain.from_iterable(report.OUTPUTS.values()):
        found = list(places(database, said["runId"], collection, ObjectId(wanted)))
        if found:
            index, leaf = found[0]
            tree = said["outputs"][collection]
            hashes = (
                merkle.leaf_hash(report.leaf_bytes(one)) for one in report.stage_leaves(database, said["runId"], collection)
            )
            data = report.leaf_bytes(leaf)
            steps = tuple(merkle.path(hashes, index, tree["leaves"]))
            yield Proof(collection, index, tree["leaves"], merkle.leaf_hash(data), json.loads(data), steps, tree["root"])


def places(database: Database, run: str, collection: str, wanted: ObjectId) -> Iterator[tuple[int, Leaf]]:
    """Where the leaves of an id are."""
    every = enumerate(report.stage_leaves(database, run, collection))
    return ((index, leaf) for index, leaf in every if leaf.id == wanted)


def of_input(database: Database, folder: Path, said: Mapping[str, Any], wanted: str) -> Iterator[Proof]:
    """The leaf of what was read, and the observation that was made of it."""
    if not workfile.exists(folder):
        return
    with workfile.opened(folder) as work:
        if workfile.recall(work)["runId"] != said["runId"]:
            return
        names = ("n", "leaf", "tenant", "source", "advisory", "sha256")
        row = work.execute(f"SELECT {', '.join(names)} FROM raw WHERE raw_id = ?", (workfile.packed(wanted),)).fetchone()  # noqa: S608
        if row is None:
            return
        size, root = said["inventory"]["documents"] + said["inventory"]["legacy"], said["inventory"]["root"]
        query = "SELECT leaf FROM raw UNION ALL SELECT leaf FROM legacy"  # each in the order of its n, which is its rowid
        hashes = (bytes(leaf) for (leaf,) in work.execute(query))
        yield Proof("inventory", row[0], size, bytes(row[1]), None, tuple(merkle.path(hashes, row[0], size)), root)
    if row[2] is not None:
        yield from of_outputs(database, said, str(identity.observation_id(*row[2:])))


def stands(database: Database, proof: Proof) -> str:
    """What is in the database of what a proof is about: `as written`, `changed`, `gone`; empty for an input."""
    if proof.said is None:
        return ""
    stored = leaves.hashes(database, proof.tree, [ObjectId(proof.said[0])]).get(ObjectId(proof.said[0]))
    if stored is None:
        return "gone"
    return "as written" if f"sha256:{stored.hex()}" == proof.said[2] else "changed"


# ---- all of it


def differences(database: Database, said: Mapping[str, Any], row: Mapping[str, Any], data: bytes) -> Iterator[str]:
    """Where a report is not what its run's rows say, and where the database is not what they say."""
    if identity.canonical(dict(said)) != data:
        yield "the report is not in its canonical form: it was edited"
    made = report.made(database, row)
    yield from (f"report: {where}" for where in unequal(json.loads(identity.canonical(made)), dict(said), ""))
    digest = f"sha256:{identity.sha256(data)}"
    if row.get("report") not in {None, digest}:
        yield f"report: its hash is {digest}, the run has recorded {row['report']}"
    for stage, collections in report.OUTPUTS.items():
        for one in report.rows(database, row["_id"], stage):
            yield from changed(database, one, collections)


def changed(database: Database, row: Mapping[str, Any], collections: tuple[str, ...]) -> Iterator[str]:
    """The documents of a row that are not as they were written."""
    for collection in collections:
        wanted = {leaf.id: leaf.after for leaf in leaves.leaves_of(row, collection)}
        stored = leaves.hashes(database, collection, wanted) if wanted else {}
        for identity_of, after in wanted.items():
            if stored.get(identity_of) != after:
                yield f"{collection}: {identity_of} is {'changed' if identity_of in stored else 'gone'}"


def unequal(made: Any, said: Any, place: str) -> Iterator[str]:
    """Where two values differ, by their place; a block of a tree by its leaves."""
    if isinstance(made, dict) and isinstance(said, dict):
        for name in sorted({*made, *said}):
            yield from unequal(made.get(name), said.get(name), f"{place}.{name}" if place else name)
    elif isinstance(made, list) and isinstance(said, list) and len(made) == len(said):
        for n, pair in enumerate(zip(made, said, strict=True)):
            yield from unequal(*pair, f"{place}[{n}]")
    elif made != said:
        yield f"{place}: it says {shown(said)}, the run {shown(made)}{leaves_in(place)}"


def shown(value: Any) -> str:
    """A value, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of a terminal


def leaves_in(place: str) -> str:
    """Which leaves a block is about."""
    head, _, number = place.rstrip("]").rpartition("blocks[")
    return (
        f" (leaves {int(number) * merkle.BLOCK:,} to {(int(number) + 1) * merkle.BLOCK - 1:,})"
        if head and number.isdigit()
        else ""
    )

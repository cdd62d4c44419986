"""`lnm-backfill-report.json`: what a run has made of what, in numbers and hashes, the same on every machine (decisions §4).

It is canonical JSON (RFC 8785) and holds no time, rate, batch size or attempt. It is made of the rows in `lnm_checkpoints`, in
the order of stage, partition and batch. A leaf of an output is `[_id, sha256 before, sha256 after]` over BSON bytes, null where
there was none. `blocks` are the roots of 4,096 leaves each: where two reports differ, they say where.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lnm_runner.backfill import events, identity, leaves, linksets, merkle, observations, tombstones
from lnm_runner.backfill.batches import ERRORS
from lnm_runner.backfill.leaves import CHECKPOINTS, Leaf
from lnm_runner.backfill.making import STAGES
from lnm_runner.errors import RetryableError
from lnm_runner.mongo import Database

SCHEMA = "stellaops.lnm.backfill-report/1"
NAME = "lnm-backfill-report.json"
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "observations": (observations.COLLECTION, events.OF_OBSERVATIONS),
    "linksets": (linksets.COLLECTION, events.OF_LINKSETS),
    "tombstones": (tombstones.COLLECTION,),
}
"""What each stage writes."""
ROWS = 100
"""Of `lnm_checkpoints`, that are held at once."""
MOST_ERRORS = 1_000
"""So many are named; all of them are in the collection, and in the root."""


def rows(database: Database, run: str, stage: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a stage, in order."""
    return iter(database[CHECKPOINTS].find({"runId": run, "stage": stage}, batch_size=ROWS).sort("_id", 1))


def leaf_bytes(leaf: Leaf) -> bytes:
    """A leaf of the tree: canonical JSON, which hexadecimal digits need no encoder for."""
    before = "null" if leaf.before is None else f'"sha256:{leaf.before.hex()}"'
    return f'["{leaf.id.binary.hex()}",{before},"sha256:{leaf.after.hex()}"]'.encode("ascii")


def stage_leaves(database: Database, run: str, collection: str) -> Iterator[Leaf]:
    """All leaves of a collection."""
    stage = next(stage for stage, collections in OUTPUTS.items() if collection in collections)
    for row in rows(database, run, stage):
        yield from leaves.leaves_of(row, collection)


def of_tree(tree: merkle.Tree) -> dict[str, Any]:
    """A tree, in a report."""
    blocks = [*tree.blocks, *filter(None, [tree.last_block()])]
    return {"leaves": tree.size, "root": f"sha256:{tree.root().hex()}", "blocks": [block.hex() for block in blocks]}


def made(database: Database, run: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a run that has come to its end."""
    outputs: dict[str, Any] = {}
    counts, touched = Counter[tuple[str, str, str]](), []
    for stage in STAGES:
        trees = {collection: merkle.Tree() for collection in OUTPUTS[stage]}
        for row in rows(database, run["_id"], stage):
            for collection, tree in trees.items():
                for leaf in leaves.leaves_of(row, collection):
                    tree.add(leaf_bytes(leaf))
            counts.update({(tenant, stage, word): many for tenant, word, many in row["tallies"]})
            touched += [{**one, "id": str(one["id"])} for one in row["touched"]]
        outputs |= {collection: of_tree(tree) for collection, tree in trees.items()}
    return {
        "schema": SCHEMA,
        "runId": run["_id"],
        "migration": run["migration"],
        "migrationDigest": run["migrationDigest"],
        "transformation": run["transformation"],
        "inventory": run["inventory"],
        "outputs": outputs,
        "counts": nested(counts),
        "errors": errors(database, run["_id"]),
        "touched": touched,
    }


def nested(counts: Mapping[tuple[str, str, str], int]) -> dict[str, dict[str, dict[str, int]]]:
    """`{tenant: {stage: {word: how many}}}`; inputs that have no tenant stand under the empty one."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (tenant, stage, word), many in counts.items():
        found.setdefault(tenant, {}).setdefault(stage, {})[word] = many
    return found


def errors(database: Database, run: str) -> dict[str, Any]:
    """The inputs of which nothing was made."""
    tree, codes, first = merkle.Tree(), Counter[str](), []
    for row in database[ERRORS].find({"runId": run, "stage": {"$in": list(STAGES)}}).sort("_id", 1):
        said = {"stage": row["stage"], "key": row["key"], "code": row["code"], "reason": row["reason"]}
        tree.add(identity.canonical(list(said.values())))
        codes[row["code"]] += 1
        if tree.size <= MOST_ERRORS:
            first.append(said)
    return {**of_tree(tree), "byCode": dict(codes), "first": first}


def digest_of(report: Mapping[str, Any]) -> str:
    """Its hash, `sha256:` and hex."""
    return identity.canonical_sha256(report)


def written(folder: Path, report: Mapping[str, Any]) -> str:
    """Writes it, and its hash beside it; returns the hash.

    Raises: RetryableError where the disk does not take it.
    """
    data = identity.canonical(report)
    digest = hashlib.sha256(data).hexdigest()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in ((NAME, data), (f"{NAME}.sha256", f"{digest}  {NAME}\n".encode())):
            part = folder / f"{name}.part"
            part.write_bytes(content)
            part.replace(folder / name)
    except OSError as err:
        hint = "make room, or let LNM_STATE_DIR name another folder, then run the same command again; the database is complete"
        raise RetryableError(f"the report cannot be written below {folder}: {err.strerror}", hint=hint) from err
    return f"sha256:{digest}"

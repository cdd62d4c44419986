"""`lnm prove`: one document's migration against the report, by a few hashes; without --id the whole report. Read-only.

Exit 2 where something differs; it is named, not only noticed. Exit 4 where there is no such document, report or run.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from lnm_runner import mongo
from lnm_runner.backfill import proving, report
from lnm_runner.backfill.identity import sha256
from lnm_runner.commands import Result
from lnm_runner.commands.backfill import folder_of
from lnm_runner.errors import InputError
from lnm_runner.mongo import Database, Topology
from lnm_runner.options import Options

MOST_SHOWN = 20


def run(options: Options) -> Result:
    """Proves.

    Raises: RunnerError.
    """
    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER, Topology.STANDALONE)
        folder = folder_of(server.database, options)
        path = options.report or folder / report.NAME
        if options.identity:
            return of_one(server.database, options, path, folder)
        return of_all(server.database, path)


def of_one(database: Database, options: Options, path: Path, folder: Path) -> Result:
    """One document."""
    said, data = proving.read(path)
    proving.run_of(database, said)
    digest = f"sha256:{sha256(data)}"
    found = proving.proofs(database, folder, said, options.identity)
    states = [proving.stands(database, proof) for proof in found]
    holds = all(proof.holds and state in {"", "as written"} for proof, state in zip(found, states, strict=True))
    lines = [f"report {digest}, run {said['runId']}"]
    for proof, state in zip(found, states, strict=True):
        word = "is proved by" if proof.holds else "is NOT in the tree of the report, by"
        what = f"{proof.said[0]} of {proof.tree}" if proof.said else f"{options.identity} of the inventory"
        lines.append(
            f"{what}: leaf {proof.index:,} of {proof.size:,} {word} {len(proof.path)} hashes{f'; {state}' * bool(state)}"
        )
    lines.append("it holds" if holds else "it does NOT hold")
    proofs = [{**proof.as_json(), "stored": state} for proof, state in zip(found, states, strict=True)]
    data_of = {"database": database.name, "run": said["runId"], "reportSha256": digest, "holds": holds, "proofs": proofs}
    return Result(data_of, lines, 0 if holds else InputError.exit_code)


def of_all(database: Database, path: Path) -> Result:
    """The whole report."""
    said, data = proving.read(path)
    row = proving.run_of(database, said)
    digest = f"sha256:{sha256(data)}"
    every = proving.differences(database, said, row, data)
    found = list(itertools.islice(every, MOST_SHOWN))
    more = sum(1 for _ in every)
    leaves = sum(tree["leaves"] for tree in report.made(database, row)["outputs"].values())
    lines = [
        f"report {digest}, run {said['runId']}",
        *found,
        *([f"and {more:,} more"] if more else []),
        f"{leaves:,} documents compared: {'all as the report says' if not found else 'it does NOT hold'}",
    ]
    data_of = {
        "database": database.name,
        "run": said["runId"],
        "reportSha256": digest,
        "holds": not found,
        "documents": leaves,
        "differences": found,
        "more": more,
    }
    return Result(data_of, lines, InputError.exit_code if found else 0)

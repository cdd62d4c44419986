"""`lnm seed-demo [FILE.ndjson.gz …]`: fills an empty database with what the product would have stored before the migration.

Without --execute it says what it would write. It is no migration: it needs no kit and takes no lease.
"""

from __future__ import annotations

from lnm_runner import mongo, privileges
from lnm_runner.commands import Result
from lnm_runner.demo import seeding
from lnm_runner.demo.seeding import Counts, Demo
from lnm_runner.errors import InputError
from lnm_runner.mongo import Topology
from lnm_runner.options import Options

STAGE = "seed-demo"
MOST_TENANTS, MOST_DOCUMENTS = 100, 10_000_000


def run(options: Options) -> Result:
    """Fills the database, or says what it would be filled with.

    Raises: RunnerError.
    """
    if not 1 <= options.tenants <= MOST_TENANTS:
        raise InputError(f"--tenants: wanted a number between 1 and {MOST_TENANTS}", hint="--tenants 2")
    if options.documents is not None and not 1 <= options.documents <= MOST_DOCUMENTS:
        raise InputError(f"--documents: wanted a number between 1 and {MOST_DOCUMENTS}", hint="--documents 100000")
    demo = seeding.demo(options.files, options.tenants, options.documents)
    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER, Topology.STANDALONE)
        if options.execute:
            privileges.require(server, STAGE)
            counts = seeding.write(server.database, demo, options.progress)
        else:
            seeding.require_empty(server.database)
            counts = seeding.count(demo, options.progress)
        return result(server.database.name, demo, counts, executed=options.execute)


def result(database: str, demo: Demo, counts: Counts, *, executed: bool) -> Result:
    """What was written, or would be."""
    source = ", ".join(demo.corpus.files) or "the invented corpus"
    found = counts.as_json()
    lines = [f"{source}, as the product would have stored it before the migration, in the database {database}:"]
    for name, of in found["collections"].items():
        lines.append(f"  {name}: {of['documents']:,} documents, {of['bytes']:,} bytes")
    lines += [f"  {each['tenant']}: {each['raw']:,} raw documents, {each['legacy']:,} merged ones" for each in found["tenants"]]
    formats = ", ".join(f"{number:,} {name}" for name, number in found["formats"].items())
    lines += [
        f"  formats: {formats}; {counts.revisions:,} supersede another; {found['gridFs']['files']:,} payloads are in GridFS"
    ]
    special = found["legacy"]
    lines += [
        f"  of the merged ones {special['withoutRaw']:,} have no raw one behind them, {special['duplicates']:,} repeat another"
    ]
    lines.append("next: lnm preflight, then lnm plan" if executed else "Nothing was written; add --execute to do it.")
    return Result({"database": database, "corpus": list(demo.corpus.files), "executed": executed, **found}, lines)

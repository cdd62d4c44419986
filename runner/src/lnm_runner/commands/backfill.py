"""`lnm backfill`: 21-102. Without --execute it counts, tries a sample, and forecasts; with it the run is done, or gone on with.

A run that was stopped, by whatever, goes on where it was by the same command; one that is done is not done again, and writes
nothing.
"""

from __future__ import annotations

from typing import Any

from lnm_runner import history, ledger, migrations, mongo, privileges
from lnm_runner.backfill import dry_run, pace, report, whole
from lnm_runner.commands import Result
from lnm_runner.commands.apply import details
from lnm_runner.errors import InputError, StoppedError
from lnm_runner.kit import open_kit
from lnm_runner.mongo import Database, Topology
from lnm_runner.options import BACKFILL as DELIVERY
from lnm_runner.options import Options
from lnm_runner.place import folder_name

MOST_WORKERS = 64


def run(options: Options) -> Result:
    """Does the backfill.

    Raises: RunnerError.
    """
    require_sensible(options)
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    (migration,) = migrations.chosen(kit, DELIVERY)
    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER, *(() if options.execute else (Topology.STANDALONE,)))
        history.require(ledger.story(server.database), migrations.known(kit), DELIVERY, options.again, resume=options.resume)
        whole.require_forward(server.database, migration, options)
        if not options.execute:
            found = dry_run.look(server, options)
            last = [*filter(None, [kit.warning]), "Nothing was written; add --execute to do it."]
            return Result({"database": server.database.name, "executed": False, **found.data}, [*found.lines, *last])
        privileges.require(server, DELIVERY)
        job = whole.Job(
            server.database,
            migration,
            details(kit, migration, options, ledger.settings(server.database, options)),
            {
                "batchSize": options.batch_size,
                "stopOnError": options.stop_on_error,
                "maxErrors": options.max_errors,
                "maxLagSeconds": options.max_lag_s,
            },
            options.workers,
            folder_of(server.database, options),
            options,
        )
        outcome = whole.carry_out(job)
    return done(outcome, job, kit.warning)


def require_sensible(options: Options) -> None:
    """Refuses numbers that make no sense.

    Raises: InputError.
    """
    for name, value, low, high in (
        ("--batch-size", options.batch_size, 1, pace.LARGEST_BATCH),
        ("--max-errors", options.max_errors, 0, 2**31),
        ("--max-lag", options.max_lag_s, 1, pace.LONGEST_LAG_S),
        ("--workers", options.workers, 1, MOST_WORKERS),
    ):
        if value is not None and not low <= value <= high:
            raise InputError(f"{name}: wanted a number between {low} and {high:g}", hint="lnm backfill --help")


def folder_of(database: Database, options: Options) -> Any:
    """Where the work file and the report of a database are: one folder for each database of each cluster."""
    return options.state_folder / "backfill" / folder_name(database)


def done(outcome: whole.Outcome, job: whole.Job, warning: str) -> Result:
    """What was done."""
    made, failed = outcome.report, outcome.report["errors"]["leaves"]
    outputs = {name: tree["leaves"] for name, tree in made["outputs"].items()}
    head = f"run {outcome.run['_id']}: " + (
        "done" if outcome.is_new else "it was done before from the same input: nothing was written"
    )
    lines = [
        head,
        *(f"  {name}: {count:,}" for name, count in outputs.items()),
        f"  not backfilled: {failed:,}"
        + (f" ({', '.join(f'{code} {n}' for code, n in made['errors']['byCode'].items())})" if failed else ""),
        f"  touched by others meanwhile: {len(made['touched'])}",
        f"  come since the inventory, and left to the next run: {outcome.late:,}",
        f"report: {job.folder / report.NAME}",
        f"report hash: {outcome.sha256}",
    ]
    if failed:
        first = made["errors"]["first"][:3]
        lines += [f"  {' '.join(one['key'])}: {one['code']} {one['reason']}" for one in first]
        lines.append("next: all of them: db.lnm_backfill_errors.find(); mend them, lnm rollback 21-102 --execute, and begin anew")
    lines += filter(None, [warning, f"next: lnm validate; back: {job.options.going('rollback', DELIVERY)}"])
    data = {
        "database": job.database.name,
        "executed": True,
        "writes": outcome.is_new,
        "run": outcome.run["_id"],
        "inventory": {name: made["inventory"][name] for name in ("documents", "legacy", "root")},
        "outputs": outputs,
        "errors": {"count": failed, "byCode": made["errors"]["byCode"], "first": made["errors"]["first"][:10]},
        "touched": len(made["touched"]),
        "late": outcome.late,
        "report": str(job.folder / report.NAME),
        "reportSha256": outcome.sha256,
    }
    return Result(data, lines, StoppedError.exit_code if failed or made["touched"] else 0)

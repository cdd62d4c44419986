"""The stages that are done by commands which were there before: preflight, apply, backfill, validate, rollback.

Each calls its command, which verifies the kit and connects for itself; what differs from calling it by hand is that the stage has
a place in an order, and that fingerprints are taken: of the product's collections after 21-101, and again when 21-102 was taken
back, which must be the same (decisions §5).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lnm_runner import chain, ledger, migrations, privileges
from lnm_runner import fingerprint as fingerprints
from lnm_runner.backfill import runlog
from lnm_runner.commands import Result, apply, backfill, preflight, rollback, validate
from lnm_runner.errors import PlanError, PublishedError, StageError, StateError, StoppedError
from lnm_runner.fingerprint import Fingerprint
from lnm_runner.kit.held import told
from lnm_runner.options import BACKFILL, Options
from lnm_runner.outbox import switch
from lnm_runner.runbook.meter import Meter
from lnm_runner.runbook.stage import Context, Done
from lnm_runner.validation.equations import FAILS

SCHEMA: Final = "21-101"
FINGERPRINT: Final = "runbook fingerprint"
"""What `roles` calls that which reading every document needs."""
KEPT: Final = "fingerprint-after-21-101.json"
"""In the runbook's folder: what the backfill is taken back to."""
EVENTS: Final = ("advisory_observation_events", "advisory_linkset_events")
MOST_NAMED: Final = 20


def check_preflight(context: Context) -> Sequence[str]:
    """Says of which deliveries it looks."""
    return [f"it looks for {', '.join(one.delivery for one in migrations.chosen(context.kit, None))}"]


def run_preflight(context: Context) -> Done:
    """Makes every check.

    Raises: PreflightError.
    """
    found = preflight.run(replace(context.options, delivery=None))
    return Done(found.lines, {"checks": len(found.data["checks"]), "warnings": found.data["warnings"]})


def check_apply_21_101(context: Context) -> Sequence[str]:
    """What applying would do; and whether this user may do all of it, and read everything afterwards."""
    require(context, SCHEMA, FINGERPRINT)
    return planned(apply.run(replace(context.options, delivery=SCHEMA, execute=False)))


def run_apply_21_101(context: Context) -> Done:
    """Applies 21-101, and takes the fingerprint that a rollback of 21-102 has to lead back to."""
    result = apply.run(going(context, SCHEMA))
    context.options.progress.line("taking the fingerprint: every document is read")
    found = fingerprint(context)
    keep(context, found)
    said = result.data
    evidence = {
        "migration": said["migration"],
        "digest": said["migrationDigest"],
        "actions": len(said["actions"]),
        "writes": said["writes"],
        "fingerprint": found.sha256,
        "ledgerMs": said.get("durationMs", 0),
    }
    return Done([*result.lines, f"fingerprint of the product's collections: {found.sha256}"], evidence)


def check_backfill_21_102(context: Context) -> Sequence[str]:
    """Counts, tries a sample, and forecasts.

    Raises: StageError while events may be published: nothing of it is validated yet.
    """
    require(context, BACKFILL)
    require_silent(context)
    return planned(backfill.run(replace(context.options, execute=False)))


def run_backfill_21_102(context: Context) -> Done:
    """Does the backfill.

    Raises: StoppedError where not every document could be backfilled.
    """
    folder = backfill.folder_of(context.server.database, context.options)
    meter = Meter(inner=context.options.progress, follower=runlog.Follower(folder), keep=context.sample)
    result = backfill.run(replace(going(context, BACKFILL), progress=meter))
    meter.read()
    said = result.data
    outputs, failed = said["outputs"], said["errors"]["count"]
    whole = Meter()  # also what an attempt has measured that was killed
    whole.take(runlog.of_run(folder, said["run"]))
    context.sample({"errors": failed, "lagMs": whole.max_lag_ms})
    require_clean(context, result, f"{failed} documents could not be backfilled, {said['touched']} were touched by others")
    evidence = {
        "migration": migrations.chosen(context.kit, BACKFILL)[0].id,
        "run": said["run"],
        "reportHash": said["reportSha256"],
        "observations": outputs["advisory_observations"],
        "linksets": outputs["advisory_linksets"],
        "events": sum(outputs[name] for name in EVENTS),
        "tombstones": outputs["advisory_linkset_tombstones"],
        "documents": said["inventory"]["documents"],
        "legacy": said["inventory"]["legacy"],
        "errors": failed,
        "late": said["late"],
        "touched": said["touched"],
        "maxLagMs": whole.max_lag_ms,
        "lagSamples": len(whole.lags),
        "pauses": whole.pauses,
    }
    return Done(result.lines, evidence)


def check_validate(context: Context) -> Sequence[str]:
    """Says how much it looks at."""
    require(context, "validate")
    return [f"it hashes {'every document' if context.options.is_full else 'a sample; --full: every document'}"]


def run_validate(context: Context) -> Done:
    """Proves the equations.

    Raises: EquationError.
    """
    result = validate.run(context.options)
    found = result.data["equations"]
    evidence = {
        "equations": len(found),
        "failed": sum(one["verdict"] == FAILS for one in found),
        "names": [one["equation"] for one in found],
        "documents": result.data["documents"],
        "full": result.data["full"],
    }
    return Done(result.lines, evidence)


def check_rollback_21_102(context: Context) -> Sequence[str]:
    """What it would take back; and whether it is known what it has to lead back to.

    Raises: StageError while events may be published that it would remove.
    """
    require(context, f"rollback {BACKFILL}", FINGERPRINT)
    before = recall(context)
    try:
        found = planned(rollback.run(replace(context.options, delivery=BACKFILL, execute=False)))
    except PublishedError as err:  # `run` is refused, too, and its line in the journal says so
        found = [f"it will be refused: {err.message}"]
    else:
        require_silent(context)
    return [*found, f"afterwards the product's collections must have the fingerprint {before.sha256} again"]


def run_rollback_21_102(context: Context) -> Done:
    """Takes the backfill back, and proves that everything is as it was before.

    Raises: PublishedError; StoppedError for documents that were left; PlanError where the database is another one than before.
    """
    result = rollback.run(replace(context.options, delivery=BACKFILL))
    said = result.data
    left = len(said.get("touched", ()))
    require_clean(context, result, f"{left} documents were left, as somebody has changed them")
    before, after = recall(context), fingerprint(context)
    evidence = {
        "removed": sum(said.get("removed", {}).values()),
        "restored": said.get("restored", 0),
        "touched": left,
        "fingerprint": after.sha256,
        "equalsBefore": True,
    }
    if after.sha256 != before.sha256:
        raise differs(fingerprints.differences(before, after))
    return Done([*result.lines, f"everything is as it was before the backfill: fingerprint {after.sha256}"], evidence)


def require_silent(context: Context) -> None:
    """Refuses while the outbox is switched on: a publisher could tell of what is half made, or about to be removed.

    Raises: StageError.
    """
    if not switch.is_silent(context.server.database):
        raise StageError(
            "the outbox is switched on, or its hook has not ended: what is not validated could be published, or what is about to "
            "be removed",
            hint=f"first: {context.options.command('outbox', 'disable', '--execute')}",
        )


def differs(found: Iterable[str]) -> PlanError:
    """The rollback has gone to its end, and the database is not the one of before."""
    said = list(found)
    more = f", and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
    return PlanError(
        f"the backfill is taken back, and the database is not what it was before it: {'; '.join(said[:MOST_NAMED])}{more}",
        hint="find out who has written meanwhile; the whole way back is the backup: lnm runbook restore --execute",
        facts={"differences": said},
    )


def require(context: Context, *stages: str) -> None:
    """Refuses a user who may not do all of it.

    Raises: PrivilegeError.
    """
    for stage in stages:
        privileges.require(context.server, stage)


def planned(result: Result) -> list[str]:
    """The lines of a plan, less the one that speaks of --execute."""
    return [line for line in result.lines if not line.startswith("Nothing was written")]


def going(context: Context, delivery: str) -> Options:
    """The options of a command that does a delivery; what a killed runner has left in the ledger is gone on with."""
    (migration,) = migrations.chosen(context.kit, delivery)
    left = ledger.entry(context.server.database, migration.id).state == "applying"
    return replace(context.options, delivery=delivery, resume=context.options.resume and left)


def require_clean(context: Context, result: Result, said: str) -> None:
    """Refuses a command that came to its end and has to be seen to; what it said is told first.

    Raises: StoppedError.
    """
    if not result.exit_code:
        return
    for line in result.lines:
        context.options.progress.line(line)
    err = StoppedError(said, hint="look: lnm doctor, and db.lnm_backfill_errors.find()", facts=dict(result.data))
    err.exit_code = result.exit_code
    raise err


def fingerprint(context: Context) -> Fingerprint:
    """Of the product's collections."""
    return fingerprints.database(context.server.database)


def keep(context: Context, found: Fingerprint) -> None:
    """Keeps a fingerprint with all that it is made of, so that a difference can be named later.

    Raises: RunnerError.
    """
    part = context.folder / f"{KEPT}.part"
    with told(KEPT):
        with part.open("wb") as out:
            part.chmod(0o600)
            out.write(chain.rendered(found.as_json()))
            out.flush()
            os.fsync(out.fileno())  # it must be there where the journal says that the stage is done
        part.replace(context.folder / KEPT)


def recall(context: Context) -> Fingerprint:
    """The fingerprint that 21-101 has left.

    Raises: StageError where there is none; StateError where it is not the one that the journal knows.
    """
    known: Mapping[str, Any] = context.done.get("apply-21-101", {})
    if "fingerprint" not in known:
        raise StageError(
            "no fingerprint of the time before the backfill is known: apply-21-101 was never done by this journal",
            hint="without the proof: lnm rollback 21-102 --execute",
        )
    try:
        found = fingerprints.from_json(json.loads((context.folder / KEPT).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as err:
        hint = "without the proof: lnm rollback 21-102 --execute"
        raise StateError(f"{KEPT}: cannot be read ({type(err).__name__})", hint=hint) from err
    if found.sha256 != known["fingerprint"]:
        hint = "somebody has changed the file; without the proof: lnm rollback 21-102 --execute"
        raise StateError(f"{KEPT}: has the fingerprint {found.sha256}, the journal knows {known['fingerprint']}", hint=hint)
    return found

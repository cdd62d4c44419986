"""The runbook (decisions §10): every stage, in its order, with what an operator at three in the morning must know of it.

What a stage does is in work.py (the commands that were there before), saving.py (backup and restore) and flow.py (freeze and
outbox). The order, and what may be repeated or skipped, is judged by engine.py and journal.py. A stage of a delivery that the kit
does not hold is told as absent, and passed over; for those of 21-103 there is no code yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from lnm_runner import migrations
from lnm_runner.errors import InputError, StageError
from lnm_runner.kit import VerifiedKit
from lnm_runner.runbook import flow, saving, work
from lnm_runner.runbook.journal import MAY_BE_SKIPPED, REPEATABLE
from lnm_runner.runbook.stage import Context, Done, Stage


def unwritten(context: Context) -> Sequence[str]:
    """Refuses what no kit has held so far.

    Raises: StageError.
    """
    raise StageError(
        f"this runner ({context.kit.manifest.version}) knows nothing of delivery 21-103",
        hint="install the runner from runner/ of the kit that holds it; nothing was changed",
    )


def undone(context: Context) -> Done:
    """The same, where it would be done."""
    return Done(unwritten(context), {})


def row(name: str, module: ModuleType | None, does: str, back: str, **more: Any) -> Stage:
    """A stage whose functions are `check_NAME` and `run_NAME` of a module; where there is none, nothing is known of it."""
    word = name.replace("-", "_")
    check: Callable[[Context], Sequence[str]] = getattr(module, f"check_{word}") if module else unwritten
    run: Callable[[Context], Done] = getattr(module, f"run_{word}") if module else undone
    changes, may_be_skipped = name not in REPEATABLE, name in MAY_BE_SKIPPED
    return Stage(name, does, back, check, run, changes=changes, may_be_skipped=may_be_skipped, **more)


ROLLBACK, RESTORE = "lnm runbook rollback-21-102 --execute", "lnm runbook restore --execute"
UNFREEZE: Final = "lnm runbook unfreeze --execute"
NOTHING_YET: Final = "Nothing was changed, so there is nothing to take back."

STAGES: Final[tuple[Stage, ...]] = (
    row(
        "preflight",
        work,
        "Looks whether the server, its users and its disks are what every delivery of this kit needs; changes nothing.",
        NOTHING_YET,
    ),
    row(
        "freeze",
        flow,
        "Stops all writes of ordinary users in the whole cluster, tells the application by a marker, and tries a write that "
        "must fail.",
        f"Let users write again: {UNFREEZE}.",
        undo="unfreeze",
    ),
    row(
        "backup",
        saving,
        "Copies the whole database into a folder, with a manifest of counts and hashes; the database is only read.",
        "Nothing in the database was changed; the folder may be removed, and users write again after the unfreeze.",
    ),
    row(
        "prove-backup",
        saving,
        "Restores the backup into a scratch database, compares it with what is stored, and drops the scratch database.",
        "Nothing in the product's database was changed; a scratch database that is left over is dropped by the next proof.",
    ),
    row(
        "apply-21-101",
        work,
        "Makes the collections, validators, indexes and expiries of link-not-merge; no document is changed.",
        f"Put the backup back: {RESTORE}.",
        undo="restore",
        delivery="21-101",
    ),
    row(
        "backfill-21-102",
        work,
        "Makes observations, linksets, events and tombstones of all that is stored; nothing that was there is changed.",
        f"Remove what it made, document by document: {ROLLBACK}; or put the backup back: {RESTORE}.",
        undo="rollback-21-102",
        delivery="21-102",
    ),
    row(
        "validate",
        work,
        "Proves by equations that what the backfill has left fits together; changes nothing.",
        f"It changes nothing; where an equation fails, take the backfill back: {ROLLBACK}.",
        delivery="21-102",
    ),
    row(
        "enable-outbox",
        flow,
        "Switches the publishers on: from here on others are told of what was made, and that cannot be untold.",
        f"Switch them off: lnm outbox disable --execute; once anything was published only the backup leads back: {RESTORE}.",
        undo="restore",
    ),
    row(
        "unfreeze",
        flow,
        "Lets ordinary users write again, and tries a write that must succeed.",
        "Stop the writes again: lnm runbook freeze --reason WHY --execute; a restore then loses what users have written since.",
        undo="freeze",
    ),
    row(
        "watch",
        flow,
        "Follows lag, errors and the outboxes until all has been calm for a while, and says so; changes nothing.",
        f"It changes nothing; where it stops: lnm outbox disable --execute, then {ROLLBACK}, which refuses what was published.",
    ),
    row(
        "freeze-payloads",
        None,
        "Stops all writes to the stored payloads, so that they can be moved.",
        "Let payloads be written again: lnm runbook unfreeze-payloads --execute.",
        undo="unfreeze-payloads",
        window=2,
        delivery="21-103",
    ),
    row(
        "apply-21-103",
        None,
        "Copies the payloads into the object store and switches reading over; the stored payloads stay.",
        "Switch reading back: lnm runbook rollback-21-103 --execute.",
        undo="rollback-21-103",
        window=2,
        delivery="21-103",
    ),
    row(
        "verify-cas",
        None,
        "Reads every object back and compares its hash; changes nothing.",
        "It changes nothing; where an object differs, switch reading back: lnm runbook rollback-21-103 --execute.",
        window=2,
        delivery="21-103",
    ),
    row(
        "unfreeze-payloads",
        None,
        "Lets payloads be written again.",
        "Stop the writes again: lnm runbook freeze-payloads --execute.",
        undo="freeze-payloads",
        window=2,
        delivery="21-103",
    ),
    row(
        "rollback-21-103",
        None,
        "Switches the reading of payloads back to the database; the objects stay.",
        "Go forward again: lnm runbook apply-21-103 --execute.",
        window=0,
        delivery="21-103",
    ),
    row(
        "rollback-21-102",
        work,
        "Removes what the backfill made and nobody has changed since; refuses once an event of it was published.",
        "Go forward again: lnm runbook backfill-21-102 --execute.",
        window=0,
        delivery="21-102",
    ),
    row(
        "restore",
        saving,
        "Puts the whole database back to what it was when the backup was made; what was written since is lost.",
        "Go forward again: lnm runbook apply-21-101 --execute; the backup stays.",
        window=0,
    ),
)
NAMES: Final = tuple(stage.name for stage in STAGES)


def named(name: str) -> Stage:
    """A stage by its name.

    Raises: InputError.
    """
    found = next((stage for stage in STAGES if stage.name == name), None)
    if found is None:
        raise InputError("no stage of that name", hint=f"one of {', '.join(NAMES)}")
    return found


def absent(kit: VerifiedKit) -> list[str]:
    """The stages whose delivery this kit does not hold."""
    ready = {name for name, part in migrations.deliveries(kit).items() if part.status == "ready"}
    return [stage.name for stage in STAGES if stage.delivery and stage.delivery not in ready]

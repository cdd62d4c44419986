"""The checks of `preflight` that are about this runner's kit, about other runners, and about what they have left. Read-only."""

from __future__ import annotations

from lnm_runner import history, lease, ledger, migrations
from lnm_runner.errors import GapError, LedgerError
from lnm_runner.preflight.look import Finding, Look, Status

DOCTOR = "lnm doctor says more, and prints the command that goes on"


def free(look: Look) -> Finding:
    """Whether another runner is at work."""
    try:
        holder = lease.holder(look.database)
    except LedgerError as err:
        return Finding(Status.FAIL, err.message, err.hint)
    if holder is None:
        return Finding(Status.OK, "no runner has ever worked here")
    if holder["isHeld"]:
        return Finding(Status.FAIL, f"another runner is at work: {lease.described(holder)}", "wait until it has ended")
    return Finding(Status.OK, f"it is free; the last to hold it was {lease.described(holder)}")


def story(look: Look) -> Finding:
    """Whether the ledger tells of the migrations of this kit, and of none that was left half-way."""
    try:
        told = ledger.story(look.database)
    except LedgerError as err:
        return Finding(Status.FAIL, "; ".join(each.message for each in (err, *err.others)), err.hint)
    broken = [name for name, row in told.rows.items() if not ledger.is_well_formed(row)]
    if broken:
        return Finding(Status.FAIL, f"{', '.join(broken)}: none that a runner wrote", DOCTOR)
    known = migrations.known(look.kit)
    try:
        history.require(told, known, look.options.delivery, look.options.again)
    except LedgerError as err:
        found = (err, *err.others)
        is_early = all(isinstance(each, GapError) for each in found)  # what comes first may be applied yet
        return Finding(Status.WARN if is_early else Status.FAIL, "; ".join(each.message for each in found), err.hint)
    halfway = [name for name in told.rows if told.state(name) in {"applying", "failed"}]
    if halfway:
        return Finding(Status.FAIL, f"{', '.join(halfway)} was left half-way", DOCTOR)
    applied = [part.delivery for part in known if told.state(part.migration) == "applied"]
    return Finding(Status.OK, f"of this kit, {', '.join(applied)} is applied" if applied else "nothing of this kit is applied")


def kit(look: Look) -> Finding:
    """Whose word the kit is."""
    said = f"version {look.kit.manifest.version}, channel {look.kit.manifest.channel}, signed by sha256:{look.kit.signer}"
    if look.kit.manifest.trust == "dev":
        return Finding(Status.WARN, f"{said}, a development key", "for production, ask for a kit that the publisher's key signed")
    return Finding(Status.OK, said)

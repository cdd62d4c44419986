"""`lnm kit import KIT`: lets a kit in and makes it the active one; without --execute it says what it would do, no more."""

from __future__ import annotations

from collections.abc import Sequence

from lnm_runner.commands import Result
from lnm_runner.kit import defects, importing, mending, state, store
from lnm_runner.kit.admission import Imported
from lnm_runner.kit.importing import Request
from lnm_runner.kit.journal import Journal
from lnm_runner.options import Options

HEX_SHOWN = 12


def run(options: Options) -> Result:
    """Imports a kit, or says what importing would do.

    Raises: RunnerError with the exit code of what was refused.
    """
    request = Request(options.kit_path, options.trust, options.state_folder, options.force_reason)
    if not options.execute:
        seen = state.look(request.folder)
        defects.check(seen)
        return told(importing.rehearse(request, seen.standing), seen.journal, (), is_executed=False)
    with mending.locked(request.folder) as found:
        done = importing.execute(request, found)
        return told(done, found.journal, found.mended, is_executed=True)


def told(done: Imported, journal: Journal, mended: Sequence[str], *, is_executed: bool) -> Result:
    """What was done, or would be."""
    known, verified = done.known, done.verified
    outcome = "already-active" if done.is_active_already else "imported" if is_executed else "would-import"
    newest = max((entry.at for entry in journal.entries), default="")
    clock = store.backwards(newest)
    warnings = [*verified.notes, *([clock] if clock else [])]
    data = {
        "executed": is_executed,
        "outcome": outcome,
        "version": known.version,
        "rootHash": known.root_hash,
        "channel": verified.report.manifest.channel,
        "trust": verified.report.manifest.trust,
        "signers": sorted(known.signers),
        "folder": f"{state.KITS}/{known.name}",
        "forcedBelow": done.forced_below,
        "policy": verified.policy.sha256 if verified.policy else "",
        "journal": {"count": len(journal.entries), "head": journal.head},
        "mended": list(mended),
        "warnings": warnings,
    }
    lines = [
        *(f"mended: {one}" for one in mended),
        *verified.lines(),
        *(f"warning: {one}" for one in warnings if one not in verified.lines()),
        *verdict(done, outcome),
        head(journal),
    ]
    return Result(data, lines)


def verdict(done: Imported, outcome: str) -> list[str]:
    """The last sentences."""
    known = done.known
    forced = [f"forced: version {done.forced_below} was active here, which is newer"] if done.forced_below else []
    said = {
        "already-active": f"{known.name} is active already: nothing was done",
        "imported": f"{known.name} is imported and active: {state.KITS}/{known.name} below the state folder",
        "would-import": f"{known.name} would be imported and made active; nothing was written: add --execute",
    }
    return [*forced, said[outcome]]


def head(journal: Journal) -> str:
    """The head of the journal, to be written down."""
    if not journal.entries:
        return "journal: none yet"
    return f"journal: {len(journal.entries)} lines, head {journal.head[:HEX_SHOWN]}: write both down, outside of this machine"

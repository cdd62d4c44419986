"""`lnm kit import`: a kit is copied, verified, unpacked, verified again, and only then made the active one.

What is judged is never what lies where the operator has it: a tarball is read once, through one descriptor, into
kits/.incoming, and from then on that copy is verified and unpacked.

Killed at any moment, it leaves the kit active that was active; the next command that changes the state folder removes the rest
(mending.py). The order on the disk: folder of the kit, line `imported`, receipt, kits/active, line `activated`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lnm_runner.chain import now
from lnm_runner.errors import ChecksumError, RunnerError, StateError
from lnm_runner.kit import Trust, Verified, journal, quarantine, state, verify
from lnm_runner.kit.admission import Imported, check_policy, decide
from lnm_runner.kit.copying import TARBALL, copy_folder, copy_tarball, opened
from lnm_runner.kit.held import READ, Held, told
from lnm_runner.kit.standing import Known, Standing
from lnm_runner.kit.store import Store
from lnm_runner.kit.unpacking import unpack

UNPACKED: Final = "kit"
REPLACED: Final = "replaced"
QUARANTINED: Final = (5, 6, 7, 8)
"""Exit codes that speak of the kit."""
MOST_SAID: Final = 500  # characters of a refusal that are written down
MOST_REASONS: Final = 20  # of one refusal


@dataclass(frozen=True)
class Request:
    """What the operator wants."""

    kit: Path
    trust: Trust
    folder: Path
    """The state folder."""
    reason: str = ""
    """Why an older kit is to be activated; empty where it is not."""


def rehearse(request: Request, now: Standing) -> Imported:
    """What an import would do; verifies the kit where it lies, and writes nothing.

    Raises: RunnerError for whatever would refuse it.
    """
    check_policy(request.trust, now)
    return decide(verify(request.kit, request.trust), now, request.reason)


def execute(request: Request, store: Store) -> Imported:
    """Imports a kit and makes it the active one.

    Raises: RunnerError; the kit that was active is so still.
    """
    check_policy(request.trust, store.standing)
    with store.kits.made(state.INCOMING) as incoming:
        try:
            return let_in(request, store, incoming)
        finally:
            with contextlib.suppress(RunnerError):  # what cannot be removed now is removed by the next command
                store.kits.remove(state.INCOMING)


def let_in(request: Request, store: Store, incoming: Held) -> Imported:
    """The import, in a folder of its own."""
    path = request.folder.resolve() / state.KITS / state.INCOMING
    with opened(request.kit) as source:
        sha256 = "" if source is None else copy_tarball(source, incoming)
    copy = path / TARBALL if sha256 else request.kit
    try:
        decided = decide(verify(copy, request.trust), store.standing, request.reason)
        if decided.is_active_already and is_whole(request, decided.known):
            return decided
        lay_out(request, incoming, path, decided, is_tarball=bool(sha256))
    except StateError:
        raise
    except RunnerError as err:
        if err.exit_code in QUARANTINED:
            note_refusal(request, store, incoming, sha256, err)
        raise
    settle(request, store, incoming, decided)
    return replace(decided, is_active_already=False)


def lay_out(request: Request, incoming: Held, path: Path, decided: Imported, *, is_tarball: bool) -> None:
    """Unpacks the copy that was verified, or copies the folder, and verifies what lies on the disk then.

    Raises: RunnerError.
    """
    with incoming.made(UNPACKED) as target:
        if is_tarball:
            with archive_in(incoming) as archive:
                compare(unpack(archive, target), decided.verified)
        else:
            copy_folder(os.path.realpath(request.kit), target)
        check_laid_out(request, path, decided, lambda: incoming.is_at(path) and target.is_at(path / UNPACKED))


def check_laid_out(request: Request, path: Path, decided: Imported, is_in_place: Callable[[], bool]) -> None:
    """Verifies what lies where the kit was unpacked; `is_in_place` says whether that is still the folder that is held.

    Raises: StateError where it is not, whatever lies there; RunnerError.
    """
    if not is_in_place():
        raise exchanged()
    try:
        again = verify(path / UNPACKED, request.trust).report.manifest
    except RunnerError:
        if not is_in_place():
            raise exchanged() from None
        raise
    if again.root_hash != decided.known.root_hash or not is_in_place():
        raise exchanged()


def archive_in(incoming: Held) -> io.FileIO:
    """The copy, opened in the folder that is held.

    Raises: RunnerError.
    """
    with told(f"{incoming.told_as}/{TARBALL}"):
        return io.FileIO(TARBALL, "rb", opener=lambda name, _: os.open(name, READ, dir_fd=incoming.handle))


def compare(digests: Mapping[str, str], verified: Verified) -> None:
    """What was unpacked is what was signed, by its bytes and not by its path.

    Raises: ChecksumError.
    """
    wrong = [name for name, sha256 in verified.report.sums.items() if digests.get(name) != sha256]
    if wrong:
        raise ChecksumError(
            f"{wrong[0]}: other bytes were unpacked than were verified", hint="look who writes into kits/.incoming"
        )


def exchanged() -> StateError:
    """Somebody else works in the state folder."""
    what = f"{state.KITS}/{state.INCOMING}: was exchanged while the kit was unpacked"
    return StateError(what, hint="look who else can write into the state folder; the kit that was active is so still")


def settle(request: Request, store: Store, incoming: Held, decided: Imported) -> None:
    """Puts the unpacked kit in its place and makes it the active one."""
    known = decided.known
    if decided.forced_below:
        why = {"highest": decided.forced_below, "reason": request.reason}
        store.append(journal.FORCED, {"version": known.version, "rootHash": known.root_hash, **why})
    with incoming.made(UNPACKED) as target:
        if known.name in store.kits.names():
            store.kits.move(known.name, incoming, REPLACED)
        incoming.move(UNPACKED, store.kits, known.name)
        if not store.kits.holds(known.name, target):
            raise exchanged()
    policy = request.trust.policy.sha256 if request.trust.policy else ""
    facts = {"version": known.version, "rootHash": known.root_hash, "policy": policy, "signers": sorted(known.signers)}
    store.append(journal.IMPORTED, facts)
    let_in_as = store.standing.kits[known.root_hash]
    store.write_receipt(let_in_as)
    store.activate(let_in_as)


def is_whole(request: Request, known: Known) -> bool:
    """Whether the kit that is active lies there as it was signed."""
    try:
        found = verify(request.folder / state.KITS / known.name, request.trust)
    except RunnerError:
        return False
    return found.report.manifest.root_hash == known.root_hash


def note_refusal(request: Request, store: Store, incoming: Held, sha256: str, err: RunnerError) -> None:
    """Writes down that a kit was refused, and keeps a tarball; that this fails does not hide the refusal."""
    why = portable(request, err)
    with contextlib.suppress(RunnerError):
        store.append(journal.REFUSED, {"file": sha256, "exit": err.exit_code, "why": why})
    if not sha256:
        return
    policy = request.trust.policy.sha256 if request.trust.policy else ""
    reasons = [portable(request, other) for other in (err, *err.others)]
    reason = {"at": now(), "exit": err.exit_code, "failures": reasons[:MOST_REASONS], "file": sha256, "policy": policy}
    with contextlib.suppress(RunnerError, OSError):
        size = os.stat(TARBALL, dir_fd=incoming.handle, follow_symlinks=False).st_size
        quarantine.keep(store.root, incoming, TARBALL, size, reason)


def portable(request: Request, err: RunnerError) -> str:
    """What an error says, less this machine's paths."""
    text = err.message
    policy = request.trust.policy.path if request.trust.policy else None
    named = [
        request.folder.resolve(),
        request.folder,
        request.kit.resolve(),
        request.kit,
        *([policy, policy.parent] if policy else []),
    ]
    for path in named:
        if path.is_absolute() and path.name:
            text = text.replace(str(path), path.name)
    return text[:MOST_SAID]

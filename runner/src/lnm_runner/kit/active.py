"""The active kit: what commands work with that are given no --kit. They verify it like any other."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from lnm_runner.errors import NotFoundError, StateError
from lnm_runner.kit import defects, state
from lnm_runner.kit.standing import Known

SUMS: Final = "SHA256SUMS"
ATTESTATIONS: Final = b"  attestations/"


def folder(path: Path) -> Path | None:
    """The folder of the active kit of a state folder; None where none is active.

    Raises: StateError where the state folder is not as it was left, or the kit there is another one.
    """
    seen = state.look(path)
    defects.check(seen)
    known = seen.active_kit
    if known is None:
        return None
    found = path / state.KITS / known.name
    check(found, known)
    return found


def check(found: Path, known: Known) -> None:
    """Whether SHA256SUMS, unverified as yet, is that of the kit that was let in.

    Raises: StateError; NotFoundError where it is gone.
    """
    if found.is_symlink():
        raise StateError(f"{found}: is a link, and lnm makes none", hint="look who has put it there, then import the kit again")
    try:
        lines = (found / SUMS).read_bytes().splitlines(keepends=True)
    except OSError as err:
        what = f"{found}: the active kit cannot be read: {err.strerror}"
        raise NotFoundError(what, hint="import it again: lnm kit import KIT.tar.gz --execute") from err
    root_hash = hashlib.sha256(b"".join(line for line in lines if ATTESTATIONS not in line)).hexdigest()
    if root_hash != known.root_hash:
        what = f"{found}: has the rootHash {root_hash[:12]}…, and the active kit is {known.root_hash[:12]}…"
        raise StateError(what, hint="import it again: lnm kit import KIT.tar.gz --execute")

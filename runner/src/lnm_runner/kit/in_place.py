"""Whether the policy of the state folder is the one by which this machine judges, before any command follows it.

Else whoever deletes that one file would be believed by every command that is given `--kit` and a key, and whoever edits it by all
of them: a site would be led to the weaker mode without a word. The journal knows which policy was installed (defects.py, rule 6).
Where the journal itself cannot be believed, a policy that lies there is followed as it is, and none is not taken for «there was
never any». An operator who knows better names a policy by --policy.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lnm_runner.errors import StateError, gathered
from lnm_runner.kit import defects, state
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.held import state_folder
from lnm_runner.kit.state import Seen

HINT: Final = (
    "who has written into the state folder? lnm trust status tells more. Put the right policy back, or name it: --policy FILE; "
    "or lnm trust recover --force-reason WHY --execute"
)
CUT_OFF: Final = "a rotation was cut off, and the policy that counts now is not in its place yet"
UNFINISHED: Final = "the same lnm trust rotate … --execute once more finishes it, and so does any lnm kit import … --execute"


def check(folder: Path) -> None:
    """Raises StateError where the policy of a state folder must not be followed, or must not be done without.

    InputError where the folder cannot be read, or anybody may write into it.
    """
    there = [name for name in (trust_policy.FILE, state.TRUST, state.KITS) if os.path.lexists(folder / name)]
    if there == [trust_policy.FILE]:  # put there by hand, perhaps as a link; nothing is known of it
        with state_folder(folder, make=False) or contextlib.nullcontext():
            return
    if not there:
        return
    seen = state.look(folder)
    if defects.is_half_way(seen):
        raise StateError(f"{trust_policy.FILE}: {CUT_OFF}", hint=UNFINISHED)
    found = list(wrong(seen))
    if found:
        raise gathered([StateError(f"no policy can be followed: {defect}", hint=HINT) for defect in found])


def wrong(seen: Seen) -> Iterator[str]:
    """What is wrong about the policy, as far as can be told."""
    if seen.journal.entries and not seen.journal.defect:
        yield from defects.wrong_policy(seen)
    elif not seen.policy:
        yield from defects.defects(seen)

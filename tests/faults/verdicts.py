"""What must hold of every refusal and of every acceptance, whichever verifier spoke."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.faults.verifiers import Outcome

FIRST_LINE = 700  # characters; a name of the kit in it is shown in at most 200


def complaints(outcome: Outcome, code: int, reasons: Sequence[str], hidden: str) -> list[str]:
    """What is wrong with a refusal; `hidden` is the kit's path, in which a reason must not be looked for."""
    said = outcome.stderr.replace(hidden, "KIT")
    first = said.partition("\n")[0]
    found = [f"lacks the reason {reason!r}" for reason in reasons if not re.search(reason, said, re.IGNORECASE)]
    if outcome.exit != code:
        found.append(f"exit {outcome.exit}, wanted {code}")
    if re.search(r"^verified|^OK$", outcome.stdout + "\n" + outcome.stderr, re.MULTILINE | re.IGNORECASE):
        found.append("says «verified»")
    if "Traceback" in outcome.stdout + outcome.stderr:
        found.append("a traceback")
    if not first.strip() or len(first) > FIRST_LINE:
        found.append(f"the first line has {len(first)} characters")
    if not re.fullmatch(r"[ -~\n]*", outcome.stdout + outcome.stderr):
        found.append("something other than printable ASCII is on the terminal")
    return found


def accepted(outcome: Outcome) -> bool:
    """Whether a verifier said yes: by its exit code, by its last line, and without a complaint."""
    return outcome.exit == 0 and outcome.stdout.strip().splitlines()[-1:] != [] and said_verified(outcome)


def said_verified(outcome: Outcome) -> bool:
    """Whether the verdict line is on standard output."""
    return re.search(r"^verified", outcome.stdout, re.MULTILINE) is not None

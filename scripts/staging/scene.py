"""What a rehearsal works with: the database as second eyes see it, `lnm`, what was seen before; and the error of a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.errors import KitError
from scripts.staging.eyes import Picture, Store, differences
from scripts.staging.program import Answer

User = Callable[[str], Mapping[str, str]]
"""`user(name)`: the variables by which `lnm` is that user."""


EVENTS = "events.ndjson"
"""What the reference publisher writes."""


class RehearsalError(KitError):
    """A stage did not end as it must, or is not seen to have done what it says."""

    exit_code = 2


@dataclass
class Scene:
    """One rehearsal on one database."""

    lnm: Callable[..., Answer]
    user: User
    database: Store
    """As somebody who may read all of it."""
    state: Path
    """LNM_STATE_DIR."""
    out: Path
    """Where it leaves what is to be kept."""
    product: Store | None = None
    """The same database as the product has it: an ordinary user; None where there is none (an operator's own staging)."""
    calm_s: int = 3
    others_write: bool = False
    """True while somebody else may write too, so that pictures cannot be compared."""
    pictures: dict[str, Picture] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Whether there is a journal."""
        return any(self.state.glob(f"runbook/{self.database.name}-*/journal.jsonl"))

    @property
    def folder(self) -> Path:
        """The runbook's folder of this database.

        Raises: RehearsalError where there is not exactly one.
        """
        found = sorted(self.state.glob(f"runbook/{self.database.name}-*/journal.jsonl"))
        if len(found) != 1:
            raise RehearsalError(f"wanted one journal of {self.database.name} in LNM_STATE_DIR, found {len(found)}")
        return found[0].parent

    def journal(self) -> list[dict[str, Any]]:
        """The lines of the journal."""
        return [json.loads(line) for line in (self.folder / "journal.jsonl").read_bytes().splitlines()]

    def left(self, name: str) -> bytes:
        """A file that `lnm` has left where it was told to.

        Raises: RehearsalError where it is not there.
        """
        try:
            return (self.out / name).read_bytes()
        except OSError as err:
            raise RehearsalError(f"{name}: was not written ({err.strerror})") from err

    def said(self, stage: str, state: str = "done") -> Mapping[str, Any]:
        """What the journal's last line in a state says of a stage.

        Raises: RehearsalError where it has none.
        """
        found = [line["evidence"] for line in self.journal() if (line["stage"], line["state"]) == (stage, state)]
        if not found:
            raise RehearsalError(f"{stage}: no line of the journal says {state}")
        evidence: Mapping[str, Any] = found[-1]
        return evidence

    def require_same(self, name: str, now: Picture, words: str) -> str:
        """Compares with an earlier picture, of which the first of a name is kept; says whether that could be done.

        Raises: RehearsalError.
        """
        if self.others_write:
            return "the product may write, so nothing is compared"
        if found := differences(self.pictures.setdefault(name, now), now):
            raise RehearsalError(f"{words}, and is not: {'; '.join(found)}")
        return "nothing has changed"


def require(*, holds: bool, words: str) -> None:
    """Raises: RehearsalError with the words where something does not hold."""
    if not holds:
        raise RehearsalError(words)

"""The table of equations, and what becomes of them (decisions §6).

Rules: (1) before the runs have ended nothing else is looked at; (2) then every equation is, whatever the others find; (3) each
says every defect of its kind, with how many there are and up to five examples; (4) what cannot be judged here, as on a replica
set the balance of shards, is told and neither holds nor fails. Read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lnm_runner.validation import cluster, forms, graves, hashes, joins, proof
from lnm_runner.validation.findings import Finding, Stored

HOLDS, FAILS, TOLD = "holds", "fails", "told"


@dataclass(frozen=True)
class Equation:
    """One row of the table."""

    name: str
    says: str
    """What must be so."""
    run: Callable[[Stored], Finding]


@dataclass(frozen=True)
class Checked:
    """An equation, and what came of it."""

    name: str
    says: str
    finding: Finding

    @property
    def verdict(self) -> str:
        """holds, fails or told."""
        if self.finding.defects:
            return FAILS
        return HOLDS if self.finding.is_judged else TOLD

    def as_json(self) -> dict[str, Any]:
        """The equation, for a program."""
        return {
            "equation": self.name,
            "says": self.says,
            "verdict": self.verdict,
            "found": self.finding.said,
            "defects": [
                {"found": one.found, "wanted": one.wanted, "examples": list(one.examples)} for one in self.finding.defects
            ],
            **self.finding.facts,
        }

    def line(self) -> str:
        """The equation in words."""
        return f"{self.verdict:<8}{self.name}: {self.finding.said}"


ENDED = ("runs", "every run that stands has ended, and the ledger says so")
EQUATIONS = (
    Equation("inventory", "each key of the inventory has become an observation, or is among the errors", proof.inventory),
    Equation("linksets", "each observation that nothing supersedes is in a linkset, a superseded one in none", joins.linked),
    Equation("observations", "what linksets and raw documents tell of is there", joins.present),
    Equation("events", "each observation and each linkset has its event, and no event is of anything else", joins.announced),
    Equation("revisions", "each supersedesId resolves, and each observationId tells the length of its chain", joins.revisions),
    Equation("hashes", "what is stored is what was written, and its ids and hashes follow from it", hashes.same),
    Equation("derived fields", "no document has one at the top", forms.underived),
    Equation("types", "every value has the BSON type that it must have", forms.typed),
    Equation("schema", "indexes, expiry, validators and shard keys are as 21-101 declares", cluster.declared),
    Equation("tombstones", "each merged document has its tombstone, which leads where its content is", graves.buried),
    Equation("report", "the report, made anew, has the hash that the run ended with", proof.reported),
    Equation("balance", "shards own about as many documents as each other", cluster.balanced),
)


def checked(stored: Stored) -> Iterator[Checked]:
    """Looks at every equation but the first."""
    for equation in EQUATIONS:
        yield Checked(equation.name, equation.says, equation.run(stored))

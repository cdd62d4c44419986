"""Compares what evidence states with the journal in it: the chain, the plan, the kit, and all that follows from the lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lnm_runner import chain
from lnm_runner.errors import EvidenceError, gathered
from lnm_runner.evidence import derivation, statement
from lnm_runner.evidence.rules import Given, defect
from lnm_runner.kit import VerifiedKit
from lnm_runner.kit.toml_table import shown
from lnm_runner.runbook import journal, plan, stages


def chained(predicate: Mapping[str, Any]) -> Sequence[journal.Entry]:
    """The lines of the journal, whose chain is whole.

    Raises: EvidenceError naming the first line that is wrong, and each stage that is stated to be done and has no such line.
    """
    lines = predicate["journal"]
    if not isinstance(lines, list) or not lines or not all(isinstance(line, dict) for line in lines):
        raise defect("chain", "", "the journal is no list of lines")
    read = journal.of_values(lines)
    if read.defect:
        number = len(read.entries)
        named = known(lines[number].get("stage")) if number < len(lines) else ""
        broken = defect("chain", named, f"journal, {read.defect}", line=number + 1)
        raise gathered([broken, *missing(predicate["stages"], lines)])
    return read.entries


def missing(rows: Any, lines: Sequence[Mapping[str, Any]]) -> Iterator[EvidenceError]:
    """The stages that are stated to be done, and have no line that says so."""
    done = {known(line.get("stage")) for line in lines if line.get("state") == journal.DONE}
    for row in rows if isinstance(rows, list) else []:
        name = known(row.get("name")) if isinstance(row, dict) and row.get("state") == journal.DONE else ""
        if name and name not in done:
            yield defect("chain", name, "is stated to be done, and no line of the journal says so")


def known(name: Any) -> str:
    """The name of a stage that there is; empty for anything else."""
    return name if isinstance(name, str) and name in stages.NAMES else ""


def misstated(predicate: Mapping[str, Any], given: Given, kit: VerifiedKit) -> Iterator[EvidenceError]:
    """What is stated otherwise than the journal has it."""
    begun = given.entries[0]
    if plan.digest(begun.evidence) != begun.plan:
        yield defect(
            "plan", "", f"the journal's plan is {begun.plan}, and what its first line says makes {plan.digest(begun.evidence)}"
        )
    rehearsed = begun.evidence["kit"]
    if rehearsed["rootHash"] != f"sha256:{kit.manifest.root_hash}" or rehearsed["version"] != kit.manifest.version:
        what = f"the journal is of the kit {rehearsed['version']}, rootHash {rehearsed['rootHash']}"
        yield defect("kit", "", f"{what}, and this kit is {kit.manifest.version}, rootHash sha256:{kit.manifest.root_hash}")
    for member in (name for name in statement.DERIVED if name != "stages"):
        wanted = given.derived[member]
        if not same(predicate[member], wanted):
            yield defect(
                "stated", "", f"{member} is stated as {shown(predicate[member])}, and the journal makes it {shown(wanted)}"
            )
    if predicate["score"] is not None:
        yield defect("stated", "", "it has a score, as a run in production has")
    yield from rows_misstated(predicate["stages"], given)
    for member, wanted in derivation.rates(derivation.left_by(given.derived["stages"])).items():
        if predicate["forecast"][member] != wanted:
            yield defect("stated", "", f"forecast.{member} is not what the journal makes it, {wanted}")


def same(found: Any, wanted: Any) -> bool:
    """Whether two values have the same JSON: 1 is not true there."""
    return chain.rendered({"": found}) == chain.rendered({"": wanted})


def rows_misstated(rows: Any, given: Given) -> Iterator[EvidenceError]:
    """The stages that are stated otherwise than the journal has them."""
    wanted = given.derived["stages"]
    if same(rows, wanted):
        return
    stated = {known(row.get("name")): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
    wrong = [row["name"] for row in wanted if not same(stated.get(row["name"]), row)]
    for name in wrong:
        yield defect(
            "stated", name, "is stated otherwise than the journal has it" if name in stated else "is missing from what is stated"
        )
    if not wrong:
        yield defect("stated", "", "the stages are stated in another order than the runbook's, or some that it does not have")

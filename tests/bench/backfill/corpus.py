"""`python -m tests.bench.backfill.corpus [--write]`: what the real advisories become, counted by the report of a run, as Markdown.

The advisories lie beside the checkout and are no part of it; how they are stored before the migration (revisions, GridFS, merged
documents) is `lnm seed-demo`'s, for one tenant. `--write` puts the table into docs/backfill.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.backfill import site
from tests.bench.measure import FailedError, run
from tests.conftest import ROOT

PAGE = ROOT / "docs/backfill.md"
BEGIN, END = "<!-- corpus -->", "<!-- /corpus -->"
DATABASE = "corpus"
GROUPS = (
    # stage           words           what they count, and of what share is told
    ("observations", "format", "format", "advisory_observations"),
    ("linksets", "observations", "observations in it", "advisory_linksets"),
    ("linksets", "confidence", "confidence, from", "advisory_linksets"),
    ("linksets", "conflict", "conflict", "advisory_linksets"),
    ("tombstones", "reason", "reason", "advisory_linkset_tombstones"),
)


def summed(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, Counter[str]]:
    """`{stage: {word: how many}}` over all tenants, of a report's counts."""
    found: dict[str, Counter[str]] = {}
    for stages in counts.values():
        for stage, words in stages.items():
            found.setdefault(stage, Counter()).update(words)
    return found


def rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    """`(what, which, how many, of how many)`; nothing where there is none to divide by."""
    counts = summed(report["counts"])
    inventory, outputs = report["inventory"], report["outputs"]
    observed = counts.get("observations", Counter())
    yield "raw documents", "", inventory["documents"], 0
    yield "merged documents", "", inventory["legacy"], 0
    yield "observations", "", outputs["advisory_observations"]["leaves"], inventory["documents"]
    for word, said in (("revision", "that replace one"), ("withdrawn", "withdrawn"), ("duplicate", "twins, not made again")):
        yield "observations", said, observed[word], inventory["documents"]
    yield "linksets", "", outputs["advisory_linksets"]["leaves"], 0
    yield "tombstones", "", outputs["advisory_linkset_tombstones"]["leaves"], inventory["legacy"]
    for stage, group, said, collection in GROUPS:
        words = counts.get(stage, Counter())
        for word in sorted(each for each in words if each.startswith(f"{group}:")):
            yield f"{stage}, by {said}", shown(word.partition(":")[2]), words[word], outputs[collection]["leaves"]
    yield "not backfilled", "", report["errors"]["leaves"], inventory["documents"] + inventory["legacy"]
    for code, many in sorted(report["errors"]["byCode"].items()):
        yield "not backfilled", code, many, report["errors"]["leaves"]


def shown(word: str) -> str:
    """A word for a reader: bounds without zeros before them."""
    return word.lstrip("0") if word.isdecimal() else word


def table(report: Mapping[str, Any]) -> str:
    """All of it."""
    lines = ["| what | which | how many | share |", "| --- | --- | ---: | ---: |"]
    for what, which, many, of in rows(report):
        share = f"{many / of:.1%}" if of else ""
        lines.append(f"| {what} | {which} | {many:,} | {share} |")
    return "\n".join(lines) + "\n"


def replaced(page: str, made: str) -> str:
    """A page with another table between its markers.

    Raises: ValueError where it has none.
    """
    head, found, rest = page.partition(BEGIN)
    _, also_found, tail = rest.partition(END)
    if not found or not also_found:
        raise ValueError(f"no table stands between «{BEGIN}» and «{END}»")
    return f"{head}{BEGIN}\n\n{made}\n{END}{tail}"


def measured(program: Path | None) -> dict[str, Any]:
    """The report of a run over each advisory once, for one tenant.

    Raises: FailedError.
    """
    with site.opened(program) as place:
        place.seed(DATABASE, None, tenants=1)
        run(place.backfill(DATABASE, 2))
        return dict(place.report(DATABASE)[0])


def main(arguments: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backfill.corpus", description="What the real advisories become.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/backfill.md")
    parser.add_argument("--program", type=Path, help="an installed lnm of this kit; else it is installed for this")
    asked = parser.parse_args(arguments)
    lacking = [*site.missing(), *([] if site.files() else ["the real advisories (../shared/advisories)"])]
    if lacking:
        print(f"not here: {', '.join(lacking)}", file=sys.stderr)
        return 4
    try:
        made = table(measured(asked.program))
    except FailedError as err:
        print(f"failed: {err}", file=sys.stderr)
        return 1
    if asked.write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

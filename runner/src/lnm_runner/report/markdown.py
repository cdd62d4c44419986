"""`report.md`: the facts of the report for a change board, as Markdown (CommonMark, with the tables of GitHub's).

Every text is escaped: no markup, HTML or link of it comes to life (CommonMark 2.4: a backslash before any ASCII punctuation).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lnm_runner.report import charts, facts, gates
from lnm_runner.report.charts import Chart
from lnm_runner.report.facts import Facts
from lnm_runner.report.gates import HIGHEST_LAG_MS
from lnm_runner.report.reading import Json
from lnm_runner.report.tables import CODE, NUMBER, Table
from lnm_runner.report.words import shown

LIVE = re.compile(r"([\\`*_\[\]<>|~$&#@!{}^]|:(?=//)|(?<=[Ww]{3})\.)")
"""What could begin markup, a table's cell, an entity, or a link that a reader makes by itself."""
CODE_SPAN = re.compile(r"[A-Za-z0-9.:_/-]+")
SECOND_MS = 1000


def render(predicate: Json, samples: Sequence[Mapping[str, Any]]) -> bytes:
    """The file; the same input gives the same bytes."""
    return ("\n".join(lines(facts.read(predicate, samples))) + "\n").encode()


def lines(found: Facts) -> Iterator[str]:
    """Its lines."""
    yield f"# {escaped(found.title)}"
    yield ""
    yield f"**{gates.WORDS[found.verdict]}**"
    yield ""
    yield escaped(found.sentence)
    for table in found.tables:
        yield from section(table)
        if table.name == "gates":
            yield from measured(found)
    yield from ("", "## What was not checked", "")
    yield from (f"- {line}" for line in found.not_checked)


def section(table: Table) -> Iterator[str]:
    """A table with its title and sentence."""
    yield from ("", f"## {table.title}")
    if table.lead:
        yield from ("", table.lead)
    if table.rows:
        yield ""
        yield row(table.columns)
        yield row(["---:" if table.kinds.get(column) == NUMBER else "---" for column in table.columns])
        for cells in table.rows:
            yield row([cell(value, table.kinds.get(column)) for column, value in zip(table.columns, cells, strict=True)])


def row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def cell(value: str, kind: str | None) -> str:
    """One cell; a code span, in which nothing is escaped, only around what needs it not."""
    return f"`{value}`" if kind == CODE and CODE_SPAN.fullmatch(value) else escaped(value)


def escaped(value: str) -> str:
    """A text without any life of its own."""
    return LIVE.sub(r"\\\1", shown(value))


def measured(found: Facts) -> Iterator[str]:
    """What the charts show, in words."""
    yield from ("", "## Over time", "", "Drawn in report.html, of the samples.", "")
    for title, series, unit, divisor in (
        ("throughput of the backfill", found.throughput, "documents/s", 1),
        ("replication lag", found.lag, "seconds", SECOND_MS),
        ("backlog of the outbox", found.backlog, "rows", 1),
    ):
        said = (
            "no sample was taken" if series is None else charts.described(Chart(title, title, unit, series, divisor)).rstrip(".")
        )
        limit = f"; the limit is {HIGHEST_LAG_MS // SECOND_MS} seconds" if title == "replication lag" else ""
        yield f"- {title}: {escaped(said)}{limit}"

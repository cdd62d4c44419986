"""`report.html`: one file that holds all it shows. No script, no address of anything, and a policy that would forbid both (CSP).

It stays below 1 MB whatever comes in: texts are cut to `words.LONGEST`, tables to `tables.MOST_ROWS`, series to
`series.STRETCHES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lnm_runner.report import charts, facts, gates, style, tables
from lnm_runner.report.charts import Chart
from lnm_runner.report.facts import Facts
from lnm_runner.report.gates import HIGHEST_LAG_MS, Verdict
from lnm_runner.report.known import STAGES
from lnm_runner.report.markup import Markup, joined, tag
from lnm_runner.report.reading import Json
from lnm_runner.report.series import Series
from lnm_runner.report.tables import Table

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
CLASSES: Mapping[Verdict, str] = {Verdict.GO: "go", Verdict.CONDITION: "condition", Verdict.NO_GO: "no-go"}
MARKS: Mapping[str, str] = {
    **{verdict.value: name for verdict, name in CLASSES.items()},
    "done": "go",
    "refused": "condition",
    "skipped": "condition",
    "interrupted": "condition",
    "failed": "no-go",
    "started": "no-go",
}
"""The class of a mark, by its word; any other is without colour."""
SECOND_MS = 1000
IS_NO_EVIDENCE = (
    "Made by lnm runbook report, of the runbook's journal and of samples. This page is no evidence: what is signed is "
    "rehearsal-evidence.dsse.json. All times are UTC."
)
SIDE_BY_SIDE = 2
"""Columns of a table that need not be as wide as the page."""


def render(predicate: Json, samples: Sequence[Mapping[str, Any]]) -> bytes:
    """The file; the same input gives the same bytes."""
    found = facts.read(predicate, samples)
    page = tag("html", head(found), tag("body", header(found), tag("main", *sections(found)), footer()), lang="en")
    return f"<!doctype html>\n{page}\n".encode()


def head(found: Facts) -> Markup:
    """What is not shown; the policy comes before anything that it is about."""
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{gates.WORDS[found.verdict]} · {found.title}"),
        tag("style", Markup(style.sheet())),
    )


def header(found: Facts) -> Markup:
    """Title and verdict."""
    word = gates.WORDS[found.verdict]
    sentence = found.sentence.removeprefix(word.split(",")[0]).lstrip(":, ")
    banner = tag(
        "div",
        tag("strong", word),
        tag("p", sentence[:1].upper() + sentence[1:]),
        class_=f"verdict {CLASSES[found.verdict]}",
        role="status",
    )
    return tag("header", tag("h1", found.title), banner)


def sections(found: Facts) -> Iterator[Markup]:
    """The tables, with the charts behind the gates, and at the end what nobody has checked."""
    for table in found.tables:
        yield section(table)
        if table.name == "gates":
            yield from drawings(found)
    yield tag("h2", "What was not checked", id="not-checked")
    yield tag("ul", *(tag("li", code_spans(line)) for line in found.not_checked))


def code_spans(text: str) -> Markup:
    """A sentence of ours, with what stands between backticks as code."""
    parts = text.split("`")
    return joined(tag("code", part) if number % 2 else part for number, part in enumerate(parts))


def section(table: Table) -> Markup:
    """A table with its title and sentence."""
    parts = [tag("h2", table.title, id=table.name)]
    if table.lead:
        parts.append(tag("p", code_spans(table.lead), class_="lead"))
    if table.rows:
        names = tag("tr", *(tag("th", name, scope="col", class_=look(table, name)) for name in table.columns))
        is_short = len(table.columns) <= SIDE_BY_SIDE and tables.NUMBER in table.kinds.values()
        shape = "narrow" if is_short else "wide"
        parts.append(tag("table", tag("thead", names), tag("tbody", *(line(table, row) for row in table.rows)), class_=shape))
    return tag("section", *parts)


def look(table: Table, column: str) -> str | None:
    """The class of a column's cells."""
    return {tables.NUMBER: "number", tables.STATE: "short"}.get(table.kinds.get(column, ""))


def line(table: Table, row: Sequence[str]) -> Markup:
    """A row of a table; each cell knows its column, for where there is no room for a head."""
    cells = []
    for number, (column, value) in enumerate(zip(table.columns, row, strict=True)):
        kind = table.kinds.get(column)
        shown = tag("code", value) if kind == tables.CODE and value else mark(value) if kind == tables.STATE and value else value
        cells.append(tag("td", shown, class_=look(table, column), data_label=column if number else None))
    return tag("tr", *cells)


def mark(value: str) -> Markup:
    """A state or a verdict: its word says it, and a colour helps."""
    return tag("span", value, class_=f"mark {MARKS.get(value, 'plain-mark')}")


def drawings(found: Facts) -> Iterator[Markup]:
    """The charts; in the place of one without samples there is a sentence."""
    figures: list[Markup] = []
    if found.bars:
        drawn = charts.timeline(found.bars, list(STAGES))
        figures.append(figure("When which stage was at work", drawn, charts.legend()))
    limit = HIGHEST_LAG_MS / SECOND_MS
    for name, title, series, more in (
        ("throughput", "Throughput of the backfill", found.throughput, {"unit": "documents/s"}),
        ("lag", "Replication lag", found.lag,
         {"unit": "seconds", "divisor": SECOND_MS, "limit": limit, "limit_words": f"limit: {limit:.0f} s"}),
        ("backlog", "Backlog of the outbox", found.backlog, {"unit": "rows"}),
    ):  # fmt: skip
        figures.append(measured(name, title, series, more))
    yield tag("h2", "Over time", id="charts")
    yield tag("div", *figures, class_="charts")


def measured(name: str, title: str, series: Series | None, more: Mapping[str, Any]) -> Markup:
    """The chart of a series, or that there is none."""
    if series is None:
        return figure(title, tag("p", "No sample was taken: nothing is known of it.", class_="lead"))
    chart = Chart(name, title, series=series, **more)
    return figure(title, charts.drawn(chart), tag("figcaption", charts.described(chart)))


def figure(title: str, *inside: str) -> Markup:
    """A chart with its title."""
    return tag("figure", tag("h3", title), *inside)


def footer() -> Markup:
    """What this file is."""
    return tag("footer", tag("p", IS_NO_EVIDENCE))

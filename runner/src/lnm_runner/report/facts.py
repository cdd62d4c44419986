"""What there is to say of a runbook, in tables and a verdict, by the predicate of the evidence and the samples. Pure.

The predicate may be one of a journal that is not at its end; what it lacks is said to be unknown. Both forms of the report,
HTML and Markdown, are these facts and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lnm_runner.report import gates, reading, series, tables, timeline
from lnm_runner.report.gates import PRODUCTION, STAGING, Gate, Verdict
from lnm_runner.report.reading import Json
from lnm_runner.report.series import Series
from lnm_runner.report.tables import Table
from lnm_runner.report.timeline import Bar
from lnm_runner.report.words import number, plain, several

NOT_CHECKED = (
    "Who signed the evidence: `lnm runbook STAGE --env production` verifies that signature, this page does not.",
    "The samples behind the charts: they are this machine's own notes, and no part of what is signed.",
    "Whether the site of the rehearsal is as large, as fast and as busy as production: the forecast assumes its rates.",
    "The product itself: nothing here opens the application, or reads through it.",
    "What others wrote while writes were allowed, before the freeze and after the unfreeze.",
)


@dataclass(frozen=True)
class Facts:
    """All that a report says."""

    title: str
    verdict: Verdict
    sentence: str
    """The verdict in one sentence, with its reasons."""
    gates: tuple[Gate, ...]
    tables: tuple[Table, ...]
    bars: tuple[Bar, ...]
    throughput: Series | None
    lag: Series | None
    backlog: Series | None
    not_checked: tuple[str, ...]


def read(predicate: Json, samples: Sequence[Mapping[str, Any]]) -> Facts:
    """The facts."""
    judged = tuple(gates.judged(predicate))
    timed = series.timed(samples)
    lag = series.of(timed, "lagMs", holes=True)
    if lag is not None and lag.unknown:
        judged = (*judged, gates.unknown_lag(lag.unknown, lag.samples))
    verdict = gates.verdict(judged)
    return Facts(
        title(predicate),
        verdict,
        sentence(verdict, judged, reading.text(predicate, "environment")),
        judged,
        tuple(tables.made(predicate, judged)),
        tuple(timeline.bars(predicate)),
        series.rate(timed, "documents"),
        lag,
        series.of(timed, "backlog"),
        NOT_CHECKED,
    )


def title(predicate: Json) -> str:
    """What this is."""
    environment = reading.text(predicate, "environment")
    kind = {STAGING: "rehearsal in staging", PRODUCTION: "production"}.get(environment, f"environment {plain(environment)}")
    return f"Link-Not-Merge {plain(reading.text(predicate, 'kit', 'version'))}: {kind}"


def sentence(verdict: Verdict, judged: Sequence[Gate], environment: str) -> str:
    """The verdict in one sentence."""
    what = "production may begin by this rehearsal" if environment == STAGING else "what was done here may stand"
    failed = [gate for gate in judged if gate.verdict is Verdict.NO_GO]
    told = [gate for gate in judged if gate.verdict is Verdict.CONDITION]
    passed = sum(gate.verdict is Verdict.GO for gate in judged)
    if verdict is Verdict.NO_GO:
        return f"NO-GO: {number(len(failed))} of {number(len(judged))} gates do not hold: {several([g.name for g in failed])}."
    if verdict is Verdict.CONDITION:
        reasons = "; ".join(f"{gate.name}: {gate.found}" for gate in told)
        return f"GO, if these conditions are accepted: {reasons}. The other {number(passed)} gates hold."
    return f"GO: all {number(passed)} gates hold, so {what}."

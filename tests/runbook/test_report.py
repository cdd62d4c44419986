"""The report's facts: what is judged how, what is drawn, and that nothing unknown counts as good."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from lnm_runner import chain
from lnm_runner.report import axes, charts, facts, html, markdown, palette, series, words
from lnm_runner.report.gates import Verdict
from lnm_runner.report.markup import Markup, tag
from lnm_runner.report.timeline import KILLED
from lnm_runner.validation.equations import ENDED, EQUATIONS

from tests.runbook import predicates
from tests.runbook.predicates import OTHER, at, of

Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> facts.Facts:
    predicate = predicates.rehearsal()
    change(predicate)
    return facts.read(predicate, predicates.samples())


def evidence(stage: str, **members: Any) -> Change:
    return lambda predicate: of(predicate, stage)["evidence"].update(members)


def in_the_journal(stage: str, **members: Any) -> Change:
    """Each `done` line of a stage says it, and all are chained anew."""

    def change(predicate: dict[str, Any]) -> None:
        previous = chain.START
        for line in predicate["journal"]:
            if (line["stage"], line["state"]) == (stage, "done"):
                line["evidence"].update(members)
            line["previous"] = previous
            previous = hashlib.sha256(chain.rendered(line)).hexdigest()

    return change


def state(stage: str, word: str, **members: Any) -> Change:
    return lambda predicate: of(predicate, stage).update(state=word, evidence=members)


def member(name: str, value: Any) -> Change:
    return lambda predicate: predicate.update({name: value})


def without(name: str) -> Change:
    return lambda predicate: predicate.pop(name)


# ---- the verdict


def test_a_rehearsal_of_which_every_gate_holds_is_go() -> None:
    found = facts.read(predicates.rehearsal(), predicates.samples())
    assert found.verdict is Verdict.GO
    assert found.sentence == "GO: all 15 gates hold, so production may begin by this rehearsal."


PROOFS = predicates.rehearsal()["proofs"]
BROKEN: dict[str, tuple[str, Change]] = {
    "a stage failed": ("stages", state("validate", "failed", type="EquationError", exit=2)),
    "a stage was killed": ("stages", state("watch", "started")),
    "a stage that every kit has is called absent": ("stages", state("backup", "absent")),
    "a stage is not told of": ("stages", lambda predicate: predicate["stages"].remove(of(predicate, "unfreeze"))),
    "one that may not be skipped was": ("skipped stages", state("backup", "skipped", reason="the disk is too small")),
    "one was skipped without a reason": ("skipped stages", state("freeze", "skipped", reason="")),
    "the proof is of another backup": ("backup", evidence("prove-backup", fingerprint=OTHER)),
    "the proof was not equal": ("backup", evidence("prove-backup", equal=False)),
    "the rollback was not equal": (
        "rollback of 21-102",
        member("proofs", {**PROOFS, "rollback-21-102": {"before": OTHER, "after": predicates.MADE}}),
    ),
    "a restore was begun and not ended": ("ways back", state("restore", "failed", type="BackupError", exit=6)),
    "a rollback was killed": ("ways back", state("rollback-21-102", "started")),
    "the database was empty": ("rules of production", in_the_journal("backfill-21-102", documents=0)),
    "the journal was edited": ("rules of production", lambda predicate: predicate["journal"][9]["evidence"].update(probe="none")),
    "nobody went back": ("rollback of 21-102", without("proofs")),
    "the restore was not rehearsed": ("restore", member("proofs", {**PROOFS, "restore": {}})),
    "rollback was possible after publishing": ("rollback after publishing", member("proofs", {**PROOFS, "rollback-refused": False})),
    "an equation failed": ("equations", evidence("validate", failed=1)),
    "there was no equation": ("equations", evidence("validate", equations=0)),
    "a document failed": ("backfill", evidence("backfill-21-102", errors=1)),
    "somebody else wrote": ("backfill", evidence("backfill-21-102", touched=1)),
    "a document may have failed": ("backfill", evidence("backfill-21-102", errors=None)),
    "lag above the limit": ("lag", member("lag", {"maxMs": 60_001, "samples": 9})),
    "lag unknown": ("lag", member("lag", {"maxMs": None, "samples": 9})),
    "lag never measured": ("lag", member("lag", {"maxMs": 0, "samples": 0})),
    "a backlog above the limit": ("outbox", evidence("watch", backlog=501)),
    "a backlog unknown": ("outbox", evidence("watch", backlog=None)),
    "an error while watching": ("watch", evidence("watch", errors=1)),
    "a key of no known kind": ("evidence", member("trust", "sure")),
    "trust of no known kind": ("kit", member("kit", {"trust": "sure"})),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_gate_that_does_not_hold_is_no_go_and_the_sentence_names_it(case: str) -> None:
    gate, change = BROKEN[case]
    found = changed(change)
    assert found.verdict is Verdict.NO_GO
    assert gate in {row.name for row in found.gates if row.verdict is Verdict.NO_GO}
    assert re.match(rf"NO-GO: \d+ of 15 gates do not hold: .*\b{gate}\b", found.sentence)


CONDITIONS: dict[str, tuple[str, Change]] = {
    "a stage was skipped for a reason": ("skipped stages", state("freeze", "skipped", reason="the product is switched off")),
    "a development key signed": ("kit", member("kit", {"trust": "dev"})),
    "a development key will sign": ("evidence", member("trust", "dev")),
    "nothing is signed yet": ("evidence", member("trust", "unsigned")),
    "nobody says who will sign": ("evidence", without("trust")),
    "nobody could lag": ("lag", member("server", {"members": 1})),
    "rows wait": ("outbox", evidence("watch", backlog=500)),
    "nobody watched": ("watch", state("watch", "skipped", reason="watched by others")),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_what_a_person_has_to_accept_is_a_condition_and_not_go(case: str) -> None:
    gate, change = CONDITIONS[case]
    found = changed(change)
    assert found.verdict is Verdict.CONDITION
    assert f"{gate}: " in found.sentence
    assert found.sentence.startswith("GO, if these conditions are accepted: ")


def test_lag_at_the_limit_holds() -> None:
    assert changed(member("lag", {"maxMs": 60_000, "samples": 1})).verdict is Verdict.GO


def test_a_sample_without_lag_is_a_condition_and_all_of_them_no_go() -> None:
    taken = predicates.samples(is_lag_lost=True)
    assert facts.read(predicates.rehearsal(), taken).verdict is Verdict.CONDITION
    lost = [{**sample, "lagMs": None} for sample in taken]
    assert facts.read(predicates.rehearsal(), lost).verdict is Verdict.NO_GO


def test_production_need_not_go_back_to_show_that_it_can() -> None:
    found = changed(lambda predicate: predicate.update(environment="production", proofs={}))
    assert found.verdict is Verdict.GO
    assert "may stand" in found.sentence
    assert [row[-1] for table in found.tables if table.name == "proofs" for row in table.rows] == ["not gone", "not gone"]


@pytest.mark.parametrize(
    "predicate", [{}, {"journal": [{"state": "begun"}], "stages": [], "kit": None}], ids=["nothing", "begun"]
)
def test_of_a_journal_that_has_just_begun_all_is_unknown_and_no_go(predicate: dict[str, Any]) -> None:
    found = facts.read(predicate, [])
    assert found.verdict is Verdict.NO_GO
    assert b"No sample was taken" in html.render(predicate, [])
    assert b"not begun" in markdown.render(predicate, [])


def test_a_failed_stage_says_how_it_failed_and_absent_deliveries_name_their_stages() -> None:
    found = changed(state("validate", "failed", type="EquationError", exit=2))
    tables = {table.name: table for table in found.tables}
    assert next(row for row in tables["stages"].rows if row[0] == "validate")[-1] == "EquationError, exit 2"
    assert [row[0] for row in tables["absent"].rows] == ["21-103"]
    assert "apply-21-103" in tables["absent"].rows[0][1]


def test_conflicts_and_errors_are_told_by_kind() -> None:
    found = changed(evidence("backfill-21-102", errors=2, errorCodes={"ERR_AOC_001": 2}))
    rows = {row[0]: row[1] for table in found.tables if table.name == "backfill" for row in table.rows}
    assert rows["error ERR_AOC_001"] == "2"
    assert rows["linksets with the conflict metadata-gap"] == "5"


def test_every_equation_that_validate_checks_is_told_with_what_it_says() -> None:
    names = [ENDED[0], *(equation.name for equation in EQUATIONS)]
    found = changed(evidence("validate", names=names))
    rows = next(table.rows for table in found.tables if table.name == "equations")
    assert [row[0] for row in rows] == names
    assert "unknown" not in {row[1] for row in rows}


def test_production_is_scored_against_its_forecast() -> None:
    one = {"predicted": 60_000, "real": 90_000, "percent": 150}
    score = {"documents": {"predicted": 9, "real": 9, "percent": 100}, "stages": [{"stage": "backup", **one}], "windowMs": one}
    found = changed(member("score", score))
    assert next(table.rows for table in found.tables if table.name == "score") == (
        ("documents", "9", "9", "100"),
        ("without writes", "60 s", "90 s", "150"),
        ("backup", "60 s", "90 s", "150"),
    )


def test_html_and_markdown_say_the_same() -> None:
    predicate, taken = predicates.rehearsal(), predicates.samples()
    found = facts.read(predicate, taken)
    page, text = html.render(predicate, taken).decode(), markdown.render(predicate, taken).decode()
    for table in found.tables:
        for cell in itertools.chain(*table.rows):
            assert tag("td", cell)[4:-5] in page
            assert cell in text or markdown.escaped(cell) in text


# ---- what is drawn


def test_an_attempt_whose_end_nobody_saw_is_hatched() -> None:
    lines = [("started", 0), ("started", 9), ("done", 12)]
    predicate = {"journal": [{"at": at(second), "stage": "backup", "state": word} for word, second in lines]}
    killed, done = facts.read(predicate, []).bars
    assert (killed.state, killed.begin_ms, done.state, done.end_ms - done.begin_ms) == (KILLED, killed.end_ms, "done", 3_000)
    assert 'class="bar open" fill="url(#timeline-hatch)"' in charts.timeline([killed, done], ["backup"])


def lags(*values: int | None, every_s: float = 1, stage: str = "watch") -> list[dict[str, Any]]:
    return [{"at": at(number * every_s), "stage": stage, "lagMs": value, "backlog": 0} for number, value in enumerate(values)]


def test_an_unknown_lag_is_a_hatched_hole_and_never_a_zero() -> None:
    found = series.of(series.timed(lags(5, 7, None, None, 9, 4)), "lagMs", holes=True)
    assert found
    assert [[point.high for point in line] for line in found.lines] == [[5, 7], [9, 4]]
    assert found.unknown == 2
    ((begin, end),) = found.holes
    assert end - begin == 3_000
    drawn = charts.drawn(charts.Chart("lag", "Lag", "seconds", found, 1000, 60, "limit: 60 s"))
    assert drawn.count('fill="url(#lag-hatch)"') == 1
    assert "unknown in 2 of them, which is hatched" in drawn


def test_a_sample_that_was_taken_before_there_was_anything_to_measure_is_none() -> None:
    silent = {"stage": "watch", "lagMs": None, "documents": None}
    early, lost = ([{**silent, "at": at(second)} for second in when] for when in ((-9, -8), (2, 6, 10)))
    found = series.of(series.timed([*early, *lags(5), *lost]), "lagMs", holes=True)
    assert found
    assert (found.samples, found.unknown, found.begin_ms) == (4, 3, words.moment_ms(at(0)))


def test_no_line_is_drawn_through_a_silence_or_from_stage_to_stage() -> None:
    silent = series.of(series.timed([*lags(1, 2), *({**row, "at": at(60)} for row in lags(3))]), "lagMs", holes=True)
    other = series.of(
        series.timed([*lags(1, 2), *({**row, "at": at(2)} for row in lags(3, stage="backup"))]), "lagMs", holes=True
    )
    assert silent
    assert other
    assert [len(line) for line in silent.lines] == [len(line) for line in other.lines] == [2, 1]


def test_throughput_is_what_a_counter_grew_by_and_one_that_begins_anew_grows_by_nothing() -> None:
    counted = [(0, 100), (2, 300), (3, 350), (4, 10), (5, 60)]
    found = series.rate(
        series.timed([{"at": at(second), "stage": "b", "documents": count} for second, count in counted]), "documents"
    )
    assert found
    assert [[point.high for point in line] for line in found.lines] == [[100, 50], [50]]


def test_two_hundred_thousand_samples_are_thinned_and_the_one_that_matters_is_kept() -> None:
    usual = [
        {"at": at(second), "stage": "watch", "lagMs": 20, "documents": second, "backlog": second} for second in range(10_000)
    ]
    page = html.render(predicates.rehearsal(), [*usual * 20, {**usual[6_543], "lagMs": 77_000}])
    assert len(page) < 120_000
    assert b"200,001 samples; highest 77 seconds" in page


def test_a_thinned_stretch_of_which_a_part_is_unknown_is_drawn_and_hatched() -> None:
    found = series.of(series.timed(lags(*[5] * 3000, None, *[5] * 3000)), "lagMs", holes=True)
    assert found
    assert len(found.holes) == 1
    assert (found.unknown, found.highest) == (1, 5)


@pytest.mark.parametrize(
    ("span_ms", "labels"),
    [
        (400, ["0", "100 ms", "200 ms", "300 ms", "400 ms"]),
        (60_000, ["0", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]),
        (400_000, ["0", "2 min", "4 min", "6 min"]),
        (3 * axes.DAY, ["0", "12 h", "24 h", "36 h", "48 h", "60 h", "72 h"]),
    ],
)
def test_time_is_told_in_one_unit(span_ms: int, labels: list[str]) -> None:
    assert [label for _, label in axes.time_ticks(span_ms, 6)] == labels


@pytest.mark.parametrize("highest", [0, 0.3, 1, 7, 60, 66, 999, 15_000, 2**63])
def test_a_scale_ends_above_the_highest_value_and_has_few_steps(highest: float) -> None:
    top, step = axes.round_up(highest)
    assert top >= highest
    assert 2 <= len(axes.values(top, step)) <= 6


# ---- colours and words


def luminance(colour: str) -> float:
    """WCAG 2.2, «relative luminance»."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("which", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("pair", "least"), [*((pair, 4.5) for pair in palette.TEXT), *((pair, 3.0) for pair in palette.GRAPHICS)], ids=str
)
def test_what_is_written_and_drawn_can_be_told_from_its_ground(pair: tuple[str, str], least: float, which: int) -> None:
    darker, lighter = sorted(luminance(palette.COLOURS[name][which]) for name in pair)
    assert (lighter + 0.05) / (darker + 0.05) >= least


def test_a_text_is_never_markup_and_markup_is_never_escaped_twice() -> None:
    assert tag("b", "<i>", tag("i", "&"), title='"') == '<b title="&quot;">&lt;i&gt;<i>&amp;</i></b>'
    assert isinstance(tag("b"), Markup)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a\nb\x00\u202e", "a«U+000A»b«U+0000»«U+202E»"),
        (None, "unknown"),
        (True, "yes"),
        (12_345, "12,345"),
        ("x" * 301, "x" * 300 + "…"),
        ([str(number) for number in range(22)], ", ".join(str(number) for number in range(20)) + " and 2 more"),
    ],
)
def test_any_value_is_one_line_without_anything_invisible(value: Any, said: str) -> None:
    assert words.plain(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (81_234_567, "81.2 MB"), (10**30, "1000.0 PB")]
)
def test_bytes_in_words(value: int, said: str) -> None:
    assert words.amount(value) == said

"""The journal of a runbook: which lines may follow which, where a stage stands by them, and that no lie about it passes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lnm_runner import chain
from lnm_runner.errors import StageError
from lnm_runner.options import Options, Runbook
from lnm_runner.runbook import journal, order, overview, plan, stages
from lnm_runner.runbook.journal import ABSENT, DONE, FAILED, INTERRUPTED, LIFTED, OPEN, REFUSED, SKIPPED, STARTED

from tests.runner.runbooks import BEGUN, PLAN, appended, bytes_of, done, read, states

WINDOW = ("preflight", "freeze", "backup", "prove-backup", "apply-21-101", "backfill-21-102", "validate", "enable-outbox",
          "unfreeze", "watch")  # fmt: skip
ENDINGS = (DONE, FAILED, INTERRUPTED, REFUSED)
REACHED: dict[str, list[tuple[str, str]]] = {
    OPEN: [],
    STARTED: [("freeze", STARTED)],
    **{state: [("freeze", STARTED), ("freeze", state)] for state in ENDINGS},
    SKIPPED: [("freeze", SKIPPED)],
    LIFTED: done("freeze", "unfreeze"),
}
"""How a stage comes to stand so."""
ALLOWED = {
    OPEN: {STARTED, SKIPPED},
    STARTED: {STARTED, *ENDINGS},
    FAILED: {STARTED, SKIPPED},
    INTERRUPTED: {STARTED, SKIPPED},
    REFUSED: {STARTED},
    SKIPPED: {STARTED},
    LIFTED: {STARTED, SKIPPED},
    DONE: {STARTED},  # a freeze: somebody may have lifted it by hand
}


@pytest.mark.parametrize(("before", "state"), list(itertools.product(REACHED, (STARTED, *ENDINGS, SKIPPED, ABSENT))))
def test_a_stage_goes_from_one_state_to_another_only_where_the_table_has_an_arrow(before: str, state: str) -> None:
    found = journal.read(appended(bytes_of(*REACHED[before]), ("freeze", state)))

    assert bool(found.defect) == (state not in ALLOWED[before]), found.defect
    assert not found.defect or "freeze" in found.defect


@pytest.mark.parametrize("name", stages.NAMES)
def test_only_a_stage_that_only_looks_or_a_freeze_may_be_begun_again_once_it_is_done(name: str) -> None:
    if name in BEGUN["absent"]:
        assert "the first line says otherwise" in read((name, STARTED)).defect
        return

    again = read(*done(name), (name, STARTED)).defect

    assert again == "" if not stages.named(name).changes or name == "freeze" else "cannot be started" in again


@pytest.mark.parametrize(
    ("way", "opened"),
    [
        ("rollback-21-102", {"backfill-21-102", "validate", "enable-outbox"}),
        ("restore", {"apply-21-101", "backfill-21-102", "validate", "enable-outbox"}),
    ],
)
def test_a_way_back_opens_what_it_takes_back_once_it_is_done(way: str, opened: set[str]) -> None:
    before = states(read(*done(*WINDOW[:8])).entries)
    half = states(read(*done(*WINDOW[:8]), (way, STARTED)).entries)
    after = states(read(*done(*WINDOW[:8], way)).entries)

    assert {name for name in before if before[name] != half[name]} == {way}
    assert {name for name in before if before[name] != after[name]} == {way, *opened}
    assert all(after[name] == OPEN for name in opened)


def test_a_way_back_can_be_gone_again_once_something_was_done_forward() -> None:
    lines = done(*WINDOW[:7], "rollback-21-102")

    assert "rollback-21-102 was done" in read(*lines, ("rollback-21-102", STARTED)).defect
    assert read(*lines, *done("backfill-21-102", "rollback-21-102")).defect == ""


def test_the_unfreeze_lifts_the_freeze_and_a_new_freeze_wants_a_new_backup() -> None:
    lifted = states(read(*done(*WINDOW)).entries)
    anew = states(read(*done(*WINDOW), ("freeze", STARTED)).entries)

    assert (lifted["freeze"], lifted["unfreeze"], lifted["backup"]) == (LIFTED, DONE, DONE)
    assert [anew[name] for name in ("freeze", "backup", "prove-backup", "unfreeze", "watch")] == [STARTED, OPEN, OPEN, OPEN, OPEN]
    assert anew["backfill-21-102"] == DONE


REASONS = {
    "too short": ("freeze", "because", "fewer than 10 characters"),
    "blanks": ("freeze", " " * 40, "fewer than 10 characters"),
    "used before": ("unfreeze", "Agreed  with the owner", "line 8 has used this reason before"),
    "never": ("backup", "there is another one", "backup may never be skipped"),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_stage_is_skipped_for_a_reason_that_is_good_for_once(case: str) -> None:
    """X5."""
    stage, reason, wanted = REASONS[case]
    found = read()
    agreed = {"stage": "freeze", "state": SKIPPED, "evidence": {"durationMs": 0, "reason": "agreed with the Owner"}, "plan": PLAN}
    if case == "used before":
        found = journal.KIND.with_line(found, journal.line(found, "2026-11-30T03:00:00Z", agreed))

    assert len(found.entries) == len(BEGUN["absent"]) + 1 + (case == "used before")
    assert wanted.replace("line 8", f"line {len(found.entries)}") in journal.refused_reason(stage, reason, found.entries)


def without(data: bytes, number: int) -> bytes:
    """A journal less a line."""
    lines = data.splitlines(keepends=True)
    return b"".join(lines[: number - 1] + lines[number:])


def swapped(data: bytes, number: int) -> bytes:
    """A journal, two of whose lines are exchanged."""
    lines = data.splitlines(keepends=True)
    lines[number - 1], lines[number] = lines[number], lines[number - 1]
    return b"".join(lines)


def edited(data: bytes, number: int) -> bytes:
    """A journal, one of whose lines says another duration, in the one form."""
    lines = data.splitlines(keepends=True)
    value = json.loads(lines[number - 1])
    lines[number - 1] = chain.rendered({**value, "at": "2026-11-30T09:00:00Z"})
    return b"".join(lines)


def doubled(data: bytes, number: int) -> bytes:
    """A journal, one of whose lines is there twice."""
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:number], lines[number - 1], *lines[number:]])


LIES: dict[str, tuple[Callable[[bytes, int], bytes], int]] = {
    "removed": (without, 0),
    "exchanged": (swapped, 0),
    "edited": (edited, 1),
    "doubled": (doubled, 1),
}
"""What is done to a line, and how many lines behind it that is seen."""


@pytest.mark.parametrize("case", LIES)
def test_a_line_that_was_changed_is_seen_at_its_place(case: str) -> None:
    """X10."""
    lie, behind = LIES[case]
    data = bytes_of(*done(*WINDOW))

    for number in range(1, data.count(b"\n") - 1):
        found = journal.read(lie(data, number))
        assert found.defect.startswith(f"line {number + behind}: "), (number, found.defect)
        assert len(found.entries) == number + behind - 1


def test_a_line_about_another_plan_is_refused() -> None:
    other = {**BEGUN, "environment": "production"}
    known = read(*done("preflight"))
    members = {"stage": "freeze", "state": STARTED, "evidence": {}, "plan": plan.digest(other)}

    assert plan.digest(other) != PLAN
    assert (
        "another plan" in journal.read(bytes_of(*done("preflight")) + journal.line(known, "2026-11-30T03:00:00Z", members)).defect
    )


@pytest.mark.parametrize("member", [*plan.ABOUT, "rootHash"])
def test_the_plan_changes_with_each_thing_that_it_is_about(member: str) -> None:
    value = BEGUN["kit"] if member == "rootHash" else BEGUN
    found = value[member]
    other = {**value, member: [*found, "more"] if isinstance(found, list) else found.replace(found[-1], "9")}
    begun = {**BEGUN, "kit": other} if member == "rootHash" else other

    assert plan.digest(begun) != PLAN
    assert len(list(plan.differences(BEGUN, begun))) == 1
    assert plan.digest({**BEGUN, "nonce": "9" * 32, "operator": "somebody", "reason": "a reason", "before": "3" * 64}) == PLAN


FLOATS = {"float": 0.5, "deep": {"a": [{"b": 1.0}]}, "no number": float("inf")}


@pytest.mark.parametrize("case", FLOATS)
def test_evidence_holds_no_float(case: str) -> None:
    known = read(("preflight", STARTED))
    value = {"stage": "preflight", "state": DONE, "evidence": {"durationMs": 1, "more": FLOATS[case]}, "plan": PLAN}

    assert not journal.is_right(value)
    with pytest.raises(ValueError, match=r"form|JSON"):
        journal.KIND.with_line(known, journal.line(known, "2026-11-30T03:00:00Z", value))


@st.composite
def walks(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Lines that may follow one another."""
    lines: list[tuple[str, str]] = []
    entries = read().entries
    names = [name for name in stages.NAMES if name not in BEGUN["absent"]]
    for _ in range(draw(st.integers(0, 15))):
        stage = draw(st.sampled_from(names))
        stands = journal.state_of(stage, entries)
        may = [state for state in (STARTED, *ENDINGS, SKIPPED) if journal.may_follow(stage, stands, state)]
        may = [state for state in may if state != SKIPPED or stage in journal.MAY_BE_SKIPPED]
        if may:
            lines.append((stage, draw(st.sampled_from(may))))
            entries = read(*lines).entries
    return lines


@given(walks())
@settings(max_examples=40, deadline=None)
def test_a_walk_along_the_arrows_is_a_journal_and_both_ways_of_reading_it_agree(lines: list[tuple[str, str]]) -> None:
    found = read(*lines)

    assert found.defect == ""
    assert len(found.entries) == 1 + len(BEGUN["absent"]) + len(lines)
    assert states(found.entries) == {name: journal.state_of(name, found.entries) for name in stages.NAMES}
    assert journal.of_values([entry.as_json() for entry in found.entries]) == found
    order.following(found.entries)


@given(walks().filter(bool), st.data())
@settings(max_examples=25, deadline=None)
def test_no_bit_of_a_journal_can_be_changed_without_its_being_seen(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    whole = bytes_of(*lines)
    last = whole.splitlines(keepends=True)[-1]
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    known = journal.read(whole)

    found = journal.read(bytes(changed))

    is_seen = bool(found.defect) or found.whole != len(changed)
    is_at_the_end = place >= len(whole) - len(last)  # what head.json is for
    assert is_seen or (is_at_the_end and list(chain.wrong_head(found, chain.head_of(known), "head", "journal")))


ORDER: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "the first": ([], "preflight", ""),
    "too early": (done("preflight"), "backup", "first: lnm runbook freeze --execute"),
    "after a skip": ([*done("preflight"), ("freeze", SKIPPED)], "backup", ""),
    "after a failure": (
        [*done(*WINDOW[:3]), ("prove-backup", STARTED), ("prove-backup", FAILED)],
        "apply-21-101",
        "first: lnm runbook prove",
    ),
    "after a kill": (
        [*done(*WINDOW[:5]), ("backfill-21-102", STARTED)],
        "validate",
        "first: lnm runbook backfill-21-102 --execute",
    ),
    "over a rollback that was not ended": (
        [*done(*WINDOW[:7]), ("rollback-21-102", STARTED)],
        "enable-outbox",
        "end it first: lnm runbook rollback-21-102 --execute",
    ),
    "over one that a restore came after": (
        [*done(*WINDOW[:7]), ("rollback-21-102", STARTED), ("rollback-21-102", FAILED), *done("restore")],
        "apply-21-101",
        "",
    ),
    "after a refused rollback": ([*done(*WINDOW[:9]), ("rollback-21-102", STARTED), ("rollback-21-102", REFUSED)], "watch", ""),
    "behind the unfreeze": (done(*WINDOW[:9]), "watch", ""),
    "another window without a freeze": (
        done(*WINDOW, "rollback-21-102"),
        "backfill-21-102",
        "first: lnm runbook freeze --execute",
    ),
    "a look behind the unfreeze": (done(*WINDOW[:9]), "validate", ""),
    "an end before anything was made": (done(*WINDOW[:5]), "unfreeze", ""),
    "an end after all of it was taken back": (done(*WINDOW[:7], "rollback-21-102"), "unfreeze", ""),
    "an end over what was made": (done(*WINDOW[:6]), "unfreeze", "first: lnm runbook validate --execute"),
    "an end of a freeze that was left on": ([], "unfreeze", ""),
    "back from nowhere": (done(*WINDOW[:5]), "rollback-21-102", "look: lnm runbook status"),
    "back by a backup that was not proved": (done(*WINDOW[:3]), "restore", "look: lnm runbook status"),
    "back twice": (done(*WINDOW[:7], "restore"), "restore", ""),
}
"""Lines, the stage that is wanted, and how the hint of its refusal begins; empty: it may begin."""


@pytest.mark.parametrize("case", ORDER)
def test_a_stage_begins_in_its_order_alone(case: str) -> None:
    """X4."""
    lines, wanted, hint = ORDER[case]
    found = read(*lines)
    assert found.defect == ""

    def ask() -> None:
        order.require(stages.named(wanted), journal.standing(found.entries), found.entries, Options())

    if not hint:
        ask()
        return
    with pytest.raises(StageError) as caught:
        ask()
    assert caught.value.hint.startswith(hint)


def test_a_chain_of_commands_that_is_entered_anew_freezes_no_cluster_whose_window_is_through() -> None:
    through, reopened = read(*done(*WINDOW)), read(*done(*WINDOW, "rollback-21-102"))

    def is_over(name: str, found: journal.Journal, reason: str = "") -> bool:
        return order.is_over(stages.named(name), journal.standing(found.entries), Options(runbook=Runbook(reason=reason)))

    assert {name: is_over(name, through) for name in WINDOW} == {name: stages.named(name).changes for name in WINDOW}
    assert not is_over("freeze", through, "another window, agreed with the owner")
    assert not is_over("freeze", reopened)
    assert order.following(through.entries) is None
    assert getattr(order.following(reopened.entries), "name", "") == "freeze"


def test_whoever_begins_anew_is_told_what_stays_in_the_database() -> None:
    """Attack X3: the next backup would be of a half-migrated database, unsaid."""
    before = done("preflight", "freeze", "backup", "prove-backup")
    assert list(overview.stays(read(*before).entries)) == []
    (told,) = overview.stays(read(*before, *done("apply-21-101"), ("backfill-21-102", journal.STARTED)).entries)
    assert told.startswith("what apply-21-101, backfill-21-102 has made stays in the database")
    back = done("apply-21-101", "restore")
    assert list(overview.stays(read(*before, *back).entries)) == []

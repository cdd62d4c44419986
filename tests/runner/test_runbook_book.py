"""The journal of a runbook on the disk: torn, cut, edited, forked, full, and held by another command."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from lnm_runner import chain
from lnm_runner.errors import LockedError, RunnerError, StateError
from lnm_runner.kit.held import Held
from lnm_runner.runbook import book, journal
from lnm_runner.runbook.book import Book

from tests.conftest import ROOT, WHEEL
from tests.runner.runbooks import BEGUN, PLAN, bytes_of, done

NAME = "concelier-0badcafe"
STAGES = ("preflight", "freeze", "backup", "prove-backup")


def journal_of(state: Path) -> Path:
    """The file."""
    return state / "runbook" / NAME / "journal.jsonl"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a runbook that has come as far as `STAGES`, written by the runner."""
    with book.opened(tmp_path / "state", NAME, "test") as kept:
        kept.append("", journal.BEGUN, BEGUN, PLAN)
        for name in BEGUN["absent"]:
            kept.append(name, journal.ABSENT, {}, PLAN)
        for name, word in done(*STAGES):
            kept.append(name, word, {"durationMs": 7} if word == journal.DONE else {}, PLAN)
    return tmp_path / "state"


def go_on(state: Path) -> Book:
    """Opens it, and adds a line."""
    with book.opened(state, NAME, "test") as kept:
        kept.append("apply-21-101", journal.STARTED, {}, PLAN)
        return kept


def test_what_is_written_is_what_is_read_and_nobody_else_may_read_it(state: Path) -> None:
    seen = book.look(state, NAME)

    assert list(book.defects(seen)) == []
    assert journal_of(state).read_bytes().replace(seen.journal.entries[0].at.encode(), b"") != b""
    assert [entry.state for entry in seen.journal.entries][-2:] == [journal.STARTED, journal.DONE]
    assert len(seen.journal.entries) == len(journal.read(bytes_of(*done(*STAGES))).entries)
    assert {oct(path.stat().st_mode & 0o777) for path in journal_of(state).parent.iterdir()} == {"0o600"}
    assert oct(journal_of(state).parent.stat().st_mode & 0o777) == "0o700"


def test_looking_makes_no_folder(tmp_path: Path) -> None:
    assert book.look(tmp_path / "state", NAME) == book.NOTHING
    assert list(tmp_path.iterdir()) == []


def test_who_has_opened_a_folder_that_is_put_aside_meanwhile_writes_into_none(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`begin` renames the folder between another command's opening it and its lock."""
    locked, aside = book.lock, state / "runbook" / f"{NAME}.kept"
    before = journal_of(state).read_bytes()

    def later(held: Held, stage: str) -> AbstractContextManager[None]:
        journal_of(state).parent.rename(aside)
        return locked(held, stage)

    monkeypatch.setattr(book, "lock", later)
    with pytest.raises(LockedError):
        go_on(state)
    assert (aside / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_last_line_that_was_torn_is_cut_off_and_told(state: Path, kept: int) -> None:
    whole = journal_of(state).read_bytes()
    with book.opened(state, NAME, "test") as longer:
        longer.append("apply-21-101", journal.STARTED, {}, PLAN)
    line = journal_of(state).read_bytes().removeprefix(whole)
    journal_of(state).write_bytes(whole + line[:kept])
    (journal_of(state).parent / "head.json").write_bytes(chain.head_of(journal.read(whole)))

    mended = go_on(state)

    number = len(mended.journal.entries)
    assert mended.mended == [f"line {number} of the journal was not written to its end, and was cut off"]
    assert list(book.defects(book.look(state, NAME))) == []


def test_a_line_that_was_written_right_before_a_kill_counts_although_the_head_does_not_know_it(state: Path) -> None:
    head = journal_of(state).parent / "head.json"
    before = head.read_bytes()
    go_on(state)
    head.write_bytes(before)

    with book.opened(state, NAME, "test") as kept:
        assert kept.journal.entries[-1].stage == "apply-21-101"
        assert kept.mended == []

    assert json.loads(head.read_bytes())["count"] == len(kept.journal.entries)


def edit(state: Path, number: int) -> None:
    """Changes a line, counted from the end, in its one form."""
    lines = journal_of(state).read_bytes().splitlines(keepends=True)
    value = json.loads(lines[-number])
    lines[-number] = chain.rendered({**value, "evidence": {**value["evidence"], "durationMs": 1}})
    journal_of(state).write_bytes(b"".join(lines))


def remove(state: Path, number: int) -> None:
    """Takes a line away, counted from the end."""
    lines = journal_of(state).read_bytes().splitlines(keepends=True)
    del lines[-number]
    journal_of(state).write_bytes(b"".join(lines))


def fork(state: Path) -> None:
    """Replaces the last two lines by others that fit to what is before them."""
    *lines, _, _ = journal_of(state).read_bytes().splitlines(keepends=True)
    before = journal.read(b"".join(lines))
    for word, evidence in ((journal.STARTED, {}), (journal.DONE, {"durationMs": 1})):
        members = {"stage": "prove-backup", "state": word, "evidence": evidence, "plan": PLAN}
        line = journal.line(before, "2026-11-30T03:00:00Z", members)
        before, lines = journal.KIND.with_line(before, line), [*lines, line]
    journal_of(state).write_bytes(b"".join(lines))


LIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (lambda it: edit(it, 3), r"line 13: .* that one was changed \(stage prove-backup behind backup\)"),
    "last line edited": (lambda it: edit(it, 1), r"line 14 is not the one that head\.json knows .*stage prove-backup"),
    "removed": (lambda it: remove(it, 4), r"line 11: it was written as line 12.*\(stage backup behind freeze\)"),
    "cut off": (lambda it: remove(it, 1), r"ends after line 13, and head\.json knows line 14: lines were cut off.*prove-backup"),
    "forked": (fork, r"line 14 is not the one that head\.json knows"),
    "emptied": (lambda it: journal_of(it).write_bytes(b""), r"is gone or empty, and head\.json is there"),
    "deleted": (lambda it: journal_of(it).unlink(), r"is gone or empty, and head\.json is there"),
    "head deleted": (
        lambda it: (journal_of(it).parent / "head.json").unlink(),
        r"head\.json: is gone, and the journal has 14 lines",
    ),
    "no journal": (lambda it: journal_of(it).write_bytes(b"{}\n"), r"line 1: it is no entry .*\(stage none\)"),
    "deep": (lambda it: journal_of(it).write_bytes(b"[" * 99_999 + b"\n"), r"line 1: it is no entry .*\(stage unreadable\)"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_journal_that_is_not_as_it_was_left_is_refused_with_line_and_stage_and_not_touched(state: Path, case: str) -> None:
    """X10."""
    lie, wanted = LIES[case]
    lie(state)
    before = {path: path.read_bytes() for path in journal_of(state).parent.iterdir() if path.name != "lock"}

    with pytest.raises(StateError, match=wanted) as caught:
        go_on(state)

    assert (caught.value.exit_code, "lnm runbook begin" in caught.value.hint) == (7, True)
    assert {path: path.read_bytes() for path in journal_of(state).parent.iterdir() if path.name != "lock"} == before


def test_a_second_command_is_told_who_is_at_work(state: Path) -> None:
    command = (
        "import sys; sys.path.append(sys.argv[1]); from pathlib import Path; from lnm_runner.runbook import book\n"
        "try:\n    book.opened(Path(sys.argv[2]), sys.argv[3], 'backup').__enter__()\n"
        "except Exception as err: print(err.exit_code, err.message)"
    )
    with book.opened(state, NAME, "backfill-21-102"):
        told = subprocess.run(
            [sys.executable, "-c", command, str(WHEEL), str(state), NAME], capture_output=True, text=True, check=True
        )

    code, message = told.stdout.split(" ", 1)
    assert int(code) == LockedError.exit_code
    assert f"process {os.getpid()}, backfill-21-102, since 20" in message
    go_on(state)


def test_a_clock_that_is_set_back_puts_no_line_before_another(tmp_path: Path) -> None:
    """T5."""
    if shutil.which("faketime") is None:
        pytest.skip("no faketime: apt install faketime")
    command = "import sys; sys.path.append(sys.argv[1]); from pathlib import Path; from lnm_runner.runbook import book\n"
    command += "from tests.runner.runbooks import BEGUN, PLAN\n"
    command += "with book.opened(Path(sys.argv[2]), sys.argv[3], 'test') as kept: kept.append('', 'begun', BEGUN, PLAN)"
    begin = ["faketime", "2031-01-01 00:00:00", sys.executable, "-c", command, str(WHEEL), str(tmp_path / "state"), NAME]
    subprocess.run(begin, check=True, cwd=ROOT)

    with book.opened(tmp_path / "state", NAME, "test") as kept:
        kept.append("preflight", journal.STARTED, {}, PLAN)

    first, second = (entry.at for entry in kept.journal.entries)
    assert first[:4] in {"2030", "2031"}  # the zone of this host
    assert second == first


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """As a disk that is full, for this process: a write beyond it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 100])
def test_a_line_for_which_there_is_no_room_is_taken_back(state: Path, room: int) -> None:
    before = journal_of(state).read_bytes()

    with pytest.raises(RunnerError, match=r"journal\.jsonl"), no_file_longer_than(len(before) + room):
        go_on(state)

    assert journal_of(state).read_bytes() == before
    go_on(state)


def test_a_line_that_may_not_follow_is_never_written(state: Path) -> None:
    before = journal_of(state).read_bytes()

    with book.opened(state, NAME, "test") as kept, pytest.raises(ValueError, match="cannot be done"):
        kept.append("validate", journal.DONE, {"durationMs": 1}, PLAN)

    assert journal_of(state).read_bytes() == before

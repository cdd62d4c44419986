"""When which stage was at work: a bar for each attempt in the journal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lnm_runner.report import reading, words
from lnm_runner.report.reading import Json

KILLED = "killed"
"""Of an attempt whose end the journal does not tell: it was killed, or is at work still."""
SECOND_MS = 1000


@dataclass(frozen=True)
class Bar:
    """One attempt."""

    stage: str
    state: str
    """How it ended: a state of the journal, or `killed`."""
    begin_ms: int
    end_ms: int


def bars(predicate: Json) -> Iterator[Bar]:
    """Every attempt, in the journal's order; what has no time is left out."""
    begun: tuple[str, int] | None = None
    for line in reading.rows(predicate, "journal"):
        at, stage, state = words.moment_ms(line.get("at")), reading.text(line, "stage"), reading.text(line, "state")
        if at is None or not stage:
            continue
        if begun and (state == "started" or stage != begun[0]):
            yield Bar(begun[0], KILLED, begun[1], begun[1])
            begun = None
        if state == "started":
            begun = (stage, at)
        elif begun and begun[0] == stage:
            yield Bar(stage, state, begun[1], max(begun[1], at))
            begun = None
        elif state != "absent":
            yield Bar(stage, state, at, at)
    if begun:
        yield Bar(begun[0], KILLED, begun[1], begun[1])

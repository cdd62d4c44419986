"""`lnm`, killed (SIGKILL) at a line of the runbook's journal: `python killing.py NUMBER MOMENT WORDS…`, by the Python that it is installed for.

NUMBER counts the lines that this call writes. MOMENT: `before` the line; `torn`, when half of it is written; `line`, when it is on
the disk and head.json does not know it; `after` both.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from lnm_runner import cli
from lnm_runner.kit.held import write_all
from lnm_runner.runbook import book

MOMENTS = ("before", "torn", "line", "after")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(number: int, moment: str) -> None:
    """Counts the lines from here on."""
    append, write_head = book.Book.append, book.Book.write_head
    seen = 0

    def is_now(at: str) -> bool:
        return seen == number and moment == at

    def counted(self: book.Book, *arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if is_now("before"):
            die()
        entry = append(self, *arguments)
        if is_now("after"):
            die()
        return entry

    def torn(file: Any, line: bytes) -> None:
        if is_now("torn"):
            write_all(file, line[: len(line) // 2])
            die()
        write_all(file, line)

    def headless(self: book.Book) -> None:
        if is_now("line"):
            die()
        write_head(self)

    replaced: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
        (book.Book, "append", counted),
        (book.Book, "write_head", headless),
        (book, "write_all", torn),
    )
    for where, name, function in replaced:
        setattr(where, name, function)


if __name__ == "__main__":
    arm(int(sys.argv[1]), sys.argv[2])
    sys.exit(cli.main(sys.argv[3:]))

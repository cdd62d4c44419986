"""Where a command of Python spends its time: the fifteen dearest functions, with nothing in it of the machine's folders.

Thrice: by the time with all that is called, the same of the project's own code alone, and by the time without what is called.
"""

from __future__ import annotations

import dataclasses
import io
import pstats
import re
import sys
from pathlib import Path

from tests.bench.measure import Command, run

MOST = 15
OURS = r"/(scripts|bundle-layout|lnm)/[^/]+\.py|lnm_runner/\S+\.py|dodo\.py"
PLACE = re.compile(r"(?<![^\s(])/\S*/(?=(?:site-packages|python3\.[0-9]+|scripts|bundle-layout|lnm)/)")
OTHER_PLACE = re.compile(r"(?<![^\s(])/\S*/")


def take(command: Command, out: Path) -> Path | None:
    """Runs a command once more under cProfile and writes the table; None for what is not Python's."""
    if command.argv[0] != sys.executable:
        return None
    raw = out.with_suffix(".raw")
    argv = (sys.executable, "-m", "cProfile", "-o", str(raw), *command.argv[1:])
    run(dataclasses.replace(command, argv=argv))
    out.write_text(render(raw), encoding="utf-8")
    raw.unlink()
    return out


def render(raw: Path) -> str:
    """The three tables, most first."""
    text = io.StringIO()
    found = pstats.Stats(str(raw), stream=text)
    found.sort_stats("cumulative").print_stats(MOST)
    found.sort_stats("cumulative").print_stats(OURS, MOST)
    found.sort_stats("tottime").print_stats(MOST)
    lines = [line for line in text.getvalue().splitlines() if not line.endswith(raw.name)]
    return without_places("\n".join(lines)).strip() + "\n"


def without_places(text: str) -> str:
    """Paths from where they are the same on every machine."""
    return OTHER_PLACE.sub("", PLACE.sub("", text))

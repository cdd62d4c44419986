"""`python -m tests.bench.backfill.forecast [--documents N] [--turns N]`: what a dry run says beside what the run takes; WRITE_MS of dry_run.py.

A mongod of its own, N raw documents, and in turns for one worker and for two: the dry run, then the run from the same start. A line
each: what was said, what was taken, their ratio, and the constant with which it would have been said. Both see the same machine, so
that one which is busy makes both longer.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.backfill import site
from tests.bench.backfill.site import KIT, Site
from tests.bench.measure import FailedError, nothing, run

DOCUMENTS, TURNS = 20_000, 3
DATABASE = "forecast"


def said_ms(place: Site, workers: int) -> int:
    """What a dry run says.

    Raises: FailedError.
    """
    command = [str(place.program), "backfill", "--json", "--workers", str(workers), "--batch-size", "500", "--kit", str(KIT)]
    done = subprocess.run(command, env=place.environment(DATABASE), capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"lnm backfill\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return int(json.loads(done.stdout)["forecastMs"])


def compare(place: Site, documents: int, workers: int) -> float:
    """Prints a line; the constant that would have been right.

    Raises: FailedError.
    """
    from lnm_runner.backfill import dry_run  # noqa: PLC0415 - of the wheel that tests/conftest.py names

    command = place.backfill(DATABASE, workers)
    command.before()
    said, took = said_ms(place, workers), run(dataclasses.replace(command, before=nothing)).wall_s * 1000
    right = (took - said) * min(workers, 2) / documents + dry_run.WRITE_MS
    print(f"{workers:7} {said:8,} {took:8,.0f} {took / said:6.2f} {right:8.3f}", flush=True)
    return right


def main(arguments: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.backfill.forecast", description="What a dry run says beside what a run takes."
    )
    parser.add_argument("--documents", type=int, default=DOCUMENTS, metavar="N")
    parser.add_argument("--turns", type=int, default=TURNS, metavar="N")
    parser.add_argument("--program", type=Path, help="an installed lnm of this kit; else it is installed for the bench")
    asked = parser.parse_args(arguments)
    try:
        with site.opened(asked.program) as place:
            place.seed(DATABASE, asked.documents)
            print(f"{'workers':>7} {'said ms':>8} {'took ms':>8} {'ratio':>6} {'WRITE_MS':>8}")
            found = [compare(place, asked.documents, workers) for _ in range(asked.turns) for workers in (1, 2)]
    except FailedError as err:
        print(f"failed: {err}", file=sys.stderr)
        return 1
    print(f"median: {statistics.median(found):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

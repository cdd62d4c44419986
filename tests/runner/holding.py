"""Run by the interpreter that `lnm` was installed for: `lnm`, in one process, which notes what it holds after each partition.

`holding.py FILE PARTITION ARGUMENTS…`: a line of JSON for each partition, `[stage, bytes that Python has allocated]`; so many inputs
are a partition.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from pathlib import Path

from lnm_runner import cli
from lnm_runner.backfill import inventory
from lnm_runner.backfill.worker import Hand


def main(notes: Path, partition: int, arguments: list[str]) -> int:
    """Runs it; its exit code."""
    do = Hand.do

    def noted(self: Hand, stage: str, number: int) -> bool:
        done = do(self, stage, number)
        gc.collect()
        with notes.open("a", encoding="ascii") as file:
            file.write(json.dumps([stage, tracemalloc.get_traced_memory()[0]]) + "\n")
        return done

    Hand.do, inventory.PARTITION = noted, partition  # type: ignore[method-assign]
    tracemalloc.start()
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))

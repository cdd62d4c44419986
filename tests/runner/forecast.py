"""`python -m tests.runner.forecast`: index builds on a real mongod beside what `lnm plan` would have said; the constants of durations.py.

Every line: documents, bytes of padding, indexes, what was said, what it took, and their ratio. It takes its
functions from `runner/src`, so that the figures are those of this tree.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tests.runner import mongod

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((20_000, 200), (100_000, 200), (100_000, 1500))
TURNS = 3
BATCH = 5_000


def document(number: int, padding: int) -> dict[str, Any]:
    """Something like an observation."""
    return {
        "tenantId": f"t{number % 5}",
        "advisoryId": f"CVE-2025-{number}",
        "source": "nvd",
        "provenance": {"sourceArtifactSha": f"{number:064x}", "fetchedAt": number},
        "affected": [{"purl": f"pkg:npm/a{number % 1000}"}],
        "padding": "x" * padding,
    }


def main() -> None:
    """Prints the table."""
    sys.path.insert(0, str(ROOT / "runner/src"))
    from lnm_runner import durations, forecast  # noqa: PLC0415 - after the path
    from lnm_runner.schema import Index  # noqa: PLC0415 - the same

    indexes = (
        Index("a", (("tenantId", 1), ("advisoryId", "hashed"))),
        Index("b", (("tenantId", 1), ("advisoryId", 1), ("source", 1), ("provenance.sourceArtifactSha", 1)), unique=True),
        Index("c", (("tenantId", 1), ("advisoryId", 1), ("provenance.fetchedAt", -1))),
        Index("d", (("tenantId", 1), ("affected.purl", 1))),
    )
    server = mongod.replica_set()
    database = server.client["forecast"]
    print(f"{'documents':>9} {'padding':>7} {'indexes':>7} {'said ms':>8} {'took ms':>8} {'ratio':>6}")
    for documents, padding in SIZES:
        rows = database[f"rows_{documents}_{padding}"]
        for first in range(0, documents, BATCH):
            rows.insert_many(document(number, padding) for number in range(first, first + BATCH))
        for made in (indexes[:1], indexes[1:2], indexes):
            for _ in range(TURNS):
                pace_us = forecast.pace(database, rows.name, made[0])
                said = durations.of_index_builds(documents, len(made), pace_us).ms
                began = time.perf_counter()
                database.command({"createIndexes": rows.name, "indexes": [index.specification() for index in made]})
                took = (time.perf_counter() - began) * 1000
                rows.drop_indexes()
                print(f"{documents:9} {padding:7} {len(made):7} {said:8} {took:8.0f} {took / said:6.2f}")
    server.stop()


if __name__ == "__main__":
    main()

"""A program: prints dodo.py's table, as it is in the current folder, as JSON for graph.py and trees.py.

`{"rows": [[targets, inputs], …], "listed": how many files the kit's SBOM lists}`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[0] = str(Path.cwd())  # not the folder of this program: `scripts` is the tree's

import dodo  # noqa: E402 - only now it is the tree's

if __name__ == "__main__":
    tasks = [row.task() for row in dodo.ARTEFACTS]
    rows = [[task["targets"], sorted(task["file_dep"])] for task in tasks]
    print(json.dumps({"rows": rows, "listed": len(dodo.LISTED_BY_SBOM)}))

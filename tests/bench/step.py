"""A program: `step.py TARGET OUT` runs the step of one row of dodo.py in the current folder, without doit, into another file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path.cwd())  # not the folder of this program: `scripts` is the tree's

import dodo  # noqa: E402 - only now it is the tree's

if __name__ == "__main__":
    target, place = map(Path, sys.argv[1:])
    (row,) = (row for row in dodo.ARTEFACTS if row.target == target)
    with place.open("wb") as out:
        row.step(out, **row.reads, **row.settings, **row.uses)

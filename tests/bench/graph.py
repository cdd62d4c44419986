"""The table of dodo.py as a Makefile and as a build.ninja: the same targets from the same inputs.

They stand in a folder of empty files of the same names, so that nothing there touches a kit, and their one command is `touch`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

Row = tuple[Sequence[str], Sequence[str]]
"""Targets and inputs."""


def makefile(rows: Sequence[Row]) -> str:
    """The last target of a row, its record, is made with the others and stands for them: make's own groups take the square of their size."""
    every = " ".join(target for targets, _ in rows for target in targets)
    rules = "".join(
        f"{record}: {' '.join(inputs)}\n\ttouch {' '.join([record, *others])}\n"
        + (f"{' '.join(others)}: {record} ;\n" if others else "")
        for (*others, record), inputs in rows
    )
    return f"all: {every}\n.PHONY: all\n{rules}"


def ninja(rows: Sequence[Row]) -> str:
    """The syntax is that of ninja's manual, «Ninja file reference»; records first, as make wants them to be the older ones."""
    rules = "".join(
        f"build {' '.join(map(escaped, [record, *others]))}: touch {' '.join(map(escaped, inputs))}\n  number = {number}\n"
        for number, ((*others, record), inputs) in enumerate(rows)
    )
    return f"rule touch\n  command = xargs touch < $number.rsp\n  rspfile = $number.rsp\n  rspfile_content = $out\n{rules}"


def escaped(name: str) -> str:
    """A name as ninja reads it."""
    return re.sub(r"([$: ])", r"$\1", name)


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Makes the folder and lets ninja make its targets, once; from then on make, too, has nothing to do."""
    made = {target for targets, _ in rows for target in targets}
    inputs = {name for _, names in rows for name in names}
    for name in sorted(made | inputs):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in inputs - made:
            path.touch()
    (folder / "Makefile").write_text(makefile(rows), encoding="ascii")
    (folder / "build.ninja").write_text(ninja(rows), encoding="ascii")
    subprocess.run(["ninja", "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["make", "-r", "--question"], cwd=folder, stdout=subprocess.DEVNULL, check=True)

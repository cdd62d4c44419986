"""Kills a command that changes the state folder before each of its changes, and looks what the next one makes of it.

`python -m tests.runner.killed import|rotate FOLDER` prints a JSON list, a row for each point: `at` (what would have been done next),
`active` (the version of the active kit, or of the policy, right after), `defects` then, and `after`: the events of the journal, the
folders in kits/ and the defects once the same command was run to its end. A process that is killed loses nothing that the kernel
has, so nobody waits for the disk here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lnm_runner.kit import policy

from tests.faults import forge
from tests.runner import policies
from tests.runner.machines import Machine, small_kit
from tests.runner.rotations import ROOT_A, ROOT_B, offered, rotate, with_root

POINTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}
ALIKE = {Path(name).name for name in small_kit("2026.9.2").files} - {Path(forge.STEPS).name}
"""Files of the kit: that one of them is written stands for all."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MOST = 500


def is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event comes before a change of the disk."""
    if event == "open" and (arguments[1] is not None or not arguments[2] & WRITES):  # a mode: the same file, opened by os.open
        return False
    return event in POINTS and Path(str(arguments[0])).name not in ALIKE


def killed_at(number: int, command: Callable[[], object], note: Path) -> bool:
    """Runs a command in a child that is killed before its change of this number; false where it comes to its end before."""
    child = os.fork()
    if child == 0:
        arm(number, note)
        command()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def arm(number: int, note: Path) -> None:
    """Counts the changes from here on, and kills this process before one of them."""
    seen = 0
    handle = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if is_change(event, arguments):
            seen += 1
            if seen == number:
                os.write(handle, f"{event} {Path(str(arguments[0])).name}".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def explored(base: Machine, command: Callable[[Machine], object], seen: Callable[[Machine], Any]) -> list[dict[str, Any]]:
    """A row for each point of a command, on a copy of the same machine each time."""
    rows: list[dict[str, Any]] = []
    note = base.folder.parent / "note"
    for number in range(1, MOST):
        copy = base.copy(base.folder.parent / f"copy-{number}")
        if not killed_at(number, partial(command, copy), note):
            return rows
        row = {"at": note.read_text(), "active": seen(copy), "defects": copy.defects}
        command(copy)
        kits = sorted(path.name.partition("-")[0] for path in (copy.state / "kits").iterdir() if path.is_dir())
        rows.append({**row, "after": {"seen": seen(copy), "events": copy.events, "kits": kits, "defects": copy.defects}})
        shutil.rmtree(copy.folder)
    raise AssertionError("it never came to its end")


def importing(folder: Path) -> list[dict[str, Any]]:
    """An import over an older kit."""
    base = Machine(folder / "base")
    base.folder.mkdir()
    base.import_versions("2026.9.1")
    path = base.tarball("2026.9.2")
    return explored(base, lambda copy: copy.let_in(path), lambda copy: copy.active)


def rotating(folder: Path) -> list[dict[str, Any]]:
    """A rotation of the policy and of its trusted root."""
    base = Machine(folder / "base")
    base.folder.mkdir()
    base.install(offered(folder, with_root(policies.BUILDER, trusted=b"{}"), trusted=b"{}"))
    new = offered(folder, with_root(policies.BUILDER, version=2, trusted=b"[]"), trusted=b"[]")

    def again(copy: Machine) -> None:
        """An operator runs it again only while the old one is there."""
        if policy.read(copy.settled / policy.FILE).version == 1:
            rotate(copy, new, ROOT_A, ROOT_B)

    return explored(base, again, lambda copy: policy.read(copy.state / policy.FILE).version)


if __name__ == "__main__":
    setattr(os, "fsync", lambda _: None)  # noqa: B010 - mypy will not have it assigned
    print(json.dumps({"import": importing, "rotate": rotating}[sys.argv[1]](Path(sys.argv[2]))))

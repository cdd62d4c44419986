"""Makes the runner's wheel, the same bytes on every machine.

hatchling (the backend that runner/pyproject.toml names) builds it; its members are then laid down again in the order
of their names, stored and not deflated, because zlib's output differs between Pythons, and with one fixed time,
because a ZIP knows none before 1980 and no time zone. RECORD (PyPA, «Recording installed projects») lists hashes of
contents, so it holds for both.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import BinaryIO

from scripts import child, files
from scripts.errors import InputError, ToolError

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
CREATED_ON_UNIX = 3


def name(version: str) -> str:
    """The wheel's file name (PyPA, binary distribution format)."""
    return f"lnm_runner-{version}-py3-none-any.whl"


def build(project: Path, folder: Path) -> Path:
    """Lets hatchling build the project's wheel into a folder.

    Raises: ToolError with the last lines of what hatchling said.
    """
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = child.run(command, cwd=project)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        hint = files.ROOM if files.is_full(done.stderr) else "mend runner/pyproject.toml or the file it names"
        raise ToolError(f"{project}: hatchling made no wheel: {last}", hint=hint)
    return wheels[0]


def repack(wheel: Path, out: BinaryIO) -> None:
    """Lays the members down again: sorted with the metadata last (as the format asks), stored, without times."""
    with zipfile.ZipFile(wheel) as built, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for member in sorted(built.namelist(), key=lambda item: (".dist-info/" in item, item)):
            info = zipfile.ZipInfo(member, ZIP_TIME)
            info.external_attr = 0o100644 << 16
            info.create_system = CREATED_ON_UNIX
            packed.writestr(info, built.read(member))


def write(out: BinaryIO, *, sources: tuple[Path, ...], project: Path, filename: str) -> None:
    """Writes the wheel; `sources` are all the files that hatchling reads.

    Raises: InputError where the wheel comes out under another name than the version wants.
    """
    if not sources:
        raise InputError(f"{project}: no source files", hint=f"git checkout {project}")
    with files.scratch() as folder:
        wheel = build(project, folder)
        if wheel.name != filename:
            raise InputError(f"{project}: built {wheel.name}, wanted {filename}", hint="VERSION and runner/pyproject.toml differ")
        repack(wheel, out)

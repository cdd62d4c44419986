"""Makes the image's layer of wheels: those of the kit's wheelhouse that fit the base's Python and machine, laid out as pip would.

Wheels are spread by PyPA's `installer` («Binary distribution format», «Entry points specification», RECORD), which writes the
console scripts with the interpreter that the image has. Nothing is compiled to bytecode, which would differ from Python to
Python.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import canonical, files, layer
from scripts.errors import InputError
from scripts.wheelhouse import Wheel

PREFIX = "/usr/local"
INSTALLER = {"INSTALLER": b"lnm-release-kit\n"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Interpreter:
    """The Python that a base has."""

    architecture: str
    """Of GOARCH, as OCI has it."""
    python: str
    """`3.11`"""
    path: str
    site: str
    """The folder where it looks for packages of ours."""


def interpreter(base: Path) -> Interpreter:
    """The Python of a base, from what is known of it (base.json).

    Raises: InputError where that does not say it.
    """
    found: dict[str, Any] = canonical.read(files.read_bytes(base), base.name)
    try:
        return Interpreter(*(str(found[name]) for name in ("architecture", "python", "interpreter", "site")))
    except (KeyError, TypeError) as err:
        raise InputError(f"{base}: says nothing of the Python in the base", hint="doit forget && doit bundle") from err


def fits(wheel: Wheel, found: Interpreter) -> bool:
    """True for a wheel that this Python on this machine can use (compatibility tags, as far as the wheelhouse has them)."""
    tag, _, platforms = wheel.tags
    tags = tag.split(".")
    machine = MACHINES.get(found.architecture, found.architecture)
    return (f"cp{found.python.replace('.', '')}" in tags or "py3" in tags) and any(
        platform == "any" or platform.endswith(f"_{machine}") for platform in platforms
    )


def chosen(wheels: tuple[Path, ...], found: Interpreter) -> tuple[Path, ...]:
    """The wheels of a wheelhouse that go into the image, one of each package.

    Raises: InputError where a package has none, or two.
    """
    fitting: dict[str, list[Path]] = {Wheel(path.name, "").name: [] for path in wheels}
    for path in wheels:
        if fits(Wheel(path.name, ""), found):
            fitting[Wheel(path.name, "").name].append(path)
    bad = [f"{name}: {len(paths)}" for name, paths in fitting.items() if len(paths) != 1]
    if bad:
        python = f"Python {found.python} on {found.architecture}"
        raise InputError(
            f"wheelhouse: wanted one wheel of each package for {python}, found of {'; '.join(bad)}", hint="nox -s lock"
        )
    return tuple(path for (path,) in fitting.values())


def spread(wheels: tuple[Path, ...], found: Interpreter) -> layer.Entries:
    """What lies where, once wheels are installed for an interpreter."""
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.exceptions import InstallerError
    from installer.sources import WheelFile

    schemes = {
        "purelib": found.site,
        "platlib": found.site,
        "scripts": f"{PREFIX}/bin",
        "data": PREFIX,
        "headers": f"{PREFIX}/include/python{found.python}",
    }
    with files.scratch() as folder:
        destination = SchemeDictionaryDestination(schemes, found.path, "posix", destdir=str(folder))
        for wheel in wheels:
            with WheelFile.open(wheel) as source:
                try:
                    install(source, destination, INSTALLER)
                except (InstallerError, FileExistsError, ValueError) as err:
                    message = f"{wheel.name}: cannot be laid out beside the others: {type(err).__name__}"
                    raise InputError(message, hint="is a file in two wheels? nox -s lock") from err
        return {path.relative_to(folder).as_posix(): entry(path) for path in files.below(folder)}


def entry(path: Path) -> layer.Entry:
    """A file that was laid out, whatever the umask was."""
    return layer.file(path.read_bytes(), 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


def write(out: Path, *, base: Path, wheels: tuple[Path, ...], epoch: int) -> None:
    """Writes the layer into the folder `out`."""
    found = interpreter(base)
    layer.write_folder(out, spread(chosen(wheels, found), found), epoch)

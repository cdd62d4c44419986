"""Makes `runner/wheelhouse/`: every wheel that the runner needs, for each supported platform, and their requirements file.

`runner/wheelhouse-extras/` has what its extras need beside them (requirements/wheelhouse-extras.lock); no image has
that. `requirements/wheelhouse.lock` lists them as `<sha256> <file name>` lines; `nox -s lock` writes it. Each wheel is a
target of its own and is fetched by pip from whatever index pip is set up for, by its hash alone. File names: PyPA,
«Binary distribution format».
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scripts import checksums, child, files, store
from scripts.errors import ChecksumError, InputError, ToolError

LOCK = Path("requirements/wheelhouse.lock")
EXTRAS_LOCK = Path("requirements/wheelhouse-extras.lock")
WHEEL_NAME = re.compile(r"[A-Za-z0-9._+]+(-[A-Za-z0-9._+]+){4,5}\.whl")


@dataclass(frozen=True)
class Wheel:
    """One line of the lock."""

    filename: str
    sha256: str

    @property
    def name(self) -> str:
        """The distribution's name, normalised."""
        return self.filename.split("-")[0].lower().replace("_", "-")

    @property
    def version(self) -> str:
        """The distribution's version."""
        return self.filename.split("-")[1]

    @property
    def tags(self) -> tuple[str, str, list[str]]:
        """Interpreter, ABI and platforms; the platforms of a wheel are joined by dots."""
        interpreter, abi, platforms = self.filename.removesuffix(".whl").split("-")[-3:]
        return interpreter, abi, platforms.split(".")

    @property
    def purl(self) -> str:
        """Its package URL (purl-spec, type pypi)."""
        return f"pkg:pypi/{self.name}@{self.version}?file_name={self.filename}"

    @property
    def requirement(self) -> str:
        """The line of a requirements file that only this file satisfies."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


def read_lock(lock: Path = LOCK) -> tuple[Wheel, ...]:
    """The wheels of the lock, sorted by file name.

    Raises: InputError where the lock is missing, empty or not of its form.
    """
    hint = f"git checkout {lock}; or make it anew: nox -s lock"
    if not lock.is_file():
        raise InputError(f"{lock}: no such lock", hint=hint)
    try:
        sums = checksums.parse(files.read_bytes(lock), str(lock))
    except ChecksumError as err:
        raise InputError(err.message, hint=hint) from err
    wheels = tuple(Wheel(filename, sha256) for filename, sha256 in sums.items())
    bad = [wheel.filename for wheel in wheels if not WHEEL_NAME.fullmatch(wheel.filename)]
    if bad or not wheels:
        raise InputError(f"{lock}: no wheel file names: {', '.join(bad) or 'the lock is empty'}", hint=hint)
    return wheels


def pip_options(wheels: Sequence[Wheel]) -> Iterator[str]:
    """The options that make pip choose these files on any machine; they have interpreter and ABI in common."""
    interpreter, abi, _ = wheels[0].tags
    for platform in sorted({platform for wheel in wheels for platform in wheel.tags[2]}):
        yield from ("--platform", platform)
    if interpreter.startswith("cp"):
        yield from ("--implementation", "cp", "--python-version", f"{interpreter[2]}.{interpreter[3:]}", "--abi", abi)


def fetch(wheels: Sequence[Wheel], folder: Path, lock: Path = LOCK) -> Path:
    """Lets one pip fetch wheels of one interpreter, ABI and machine into a folder; returns the folder.

    Raises: ChecksumError where the index has another file under a name; ToolError for any other failure of pip.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(wheel.requirement for wheel in wheels))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    options = ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(requirements)]
    done = child.run([*pip, *options, *pip_options(wheels)])
    missing = [wheel.filename for wheel in wheels if not (folder / wheel.filename).is_file()]
    if done.returncode == 0 and not missing:
        return folder
    names = missing[0] if len(missing) == 1 else f"{missing[0]} and {len(missing) - 1} more" if missing else "the wheels"
    if "DO NOT MATCH THE HASHES" in done.stderr:
        sha256 = ", ".join(f"{wheel.sha256[:12]}…" for wheel in wheels)
        message = f"{names}: the index has a file with another sha256 than {lock} ({sha256})"
        raise ChecksumError(message, hint=f"do not use that index's file; if the lock is wrong: git checkout {lock}")
    last = done.stderr.strip().splitlines()[-1:] or ["pip brought another file"]
    hint = files.ROOM if files.is_full(done.stderr) else "is the index reachable? pip config list"
    raise ToolError(f"{names}: pip could not fetch it: {last[0]}", hint=hint)


def write(out: BinaryIO, *, lock: Path, filename: str, fetched: str, stores: tuple[Path, ...] = ()) -> None:
    """Fetches the wheel of that name, where no folder of `stores` has it (scripts/store.py).

    `fetched` is the hash that the lock had when the table was made.

    Raises: InputError where it has that wheel no more; ChecksumError where it has another one; as `fetch`.
    """
    wheel = next((wheel for wheel in read_lock(lock) if wheel.filename == filename), None)
    if wheel is None:
        raise InputError(f"{lock}: found no {filename}, which it had when the table was made", hint="the same command again")
    with files.scratch() as folder:
        path = store.find(stores, filename, fetched) or fetch([wheel], folder, lock) / filename
        files.verify_sha256(path, fetched, str(lock))
        with path.open("rb") as file:
            files.copy(file, out)


def write_folder(out: Path, *, lock: Path, fetched: Mapping[str, str], stores: tuple[Path, ...] = ()) -> None:
    """Fetches the wheels `{file name: sha256}` into the folder `out`, those that no store has by one pip for each kind.

    Raises: InputError where the lock is another than when the table was made; as `fetch`.
    """
    wheels = read_lock(lock)
    if {wheel.filename: wheel.sha256 for wheel in wheels} != dict(fetched):
        raise InputError(f"{lock}: was changed while the table was made", hint="the same command again")
    with files.scratch() as folder:
        found = {wheel: path for wheel in wheels if (path := store.find(stores, wheel.filename, wheel.sha256))}
        for number, kind in enumerate(kinds(wheel for wheel in wheels if wheel not in found)):
            place = folder / str(number)
            place.mkdir()
            fetch(kind, place, lock)
            found |= {wheel: place / wheel.filename for wheel in kind}
        for wheel, path in found.items():
            files.verify_sha256(path, wheel.sha256, str(lock))
            with path.open("rb") as file, files.replacing(out / wheel.filename) as copy:
                files.copy(file, copy)


def kinds(wheels: Iterable[Wheel]) -> list[list[Wheel]]:
    """Wheels by interpreter, ABI and machine, which one pip can be asked for together."""
    found: dict[tuple[str, str, str], list[Wheel]] = {}
    for wheel in wheels:
        interpreter, abi, platforms = wheel.tags
        machine = next((machine for machine in ("x86_64", "aarch64") if platforms[0].endswith(machine)), platforms[0])
        found.setdefault((interpreter, abi, machine), []).append(wheel)
    return list(found.values())


def requirements(wheels: tuple[Wheel, ...]) -> str:
    """A hash-locked requirements file that these wheels, and nothing else, satisfy."""
    hashes: dict[str, list[str]] = {}
    for wheel in wheels:
        hashes.setdefault(f"{wheel.name}=={wheel.version}", []).append(f"    --hash=sha256:{wheel.sha256}")
    return "".join(f"{name} \\\n" + " \\\n".join(sorted(lines)) + "\n" for name, lines in sorted(hashes.items()))


def write_requirements(out: BinaryIO, *, wheels: tuple[Path, ...]) -> None:
    """Writes `runner/requirements.txt` for the wheels of the kit."""
    out.write(requirements(tuple(Wheel(path.name, files.sha256_of(path)) for path in wheels)).encode("ascii"))

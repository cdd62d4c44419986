"""Makes `runner/wheelhouse/`: every wheel that the runner needs, for each supported platform, and their requirements file.

`requirements/wheelhouse.lock` lists them as `<sha256> <file name>` lines; `nox -s lock` writes it. Each wheel is a
target of its own and is fetched by pip from whatever index pip is set up for, by its hash alone. File names: PyPA,
«Binary distribution format».
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scripts import checksums, child, files, store
from scripts.errors import ChecksumError, InputError, ToolError

LOCK = Path("requirements/wheelhouse.lock")
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


def pip_options(wheel: Wheel) -> Iterator[str]:
    """The options that make pip choose this file on any machine."""
    interpreter, abi, platforms = wheel.tags
    for platform in platforms:
        yield from ("--platform", platform)
    if interpreter.startswith("cp"):
        yield from ("--implementation", "cp", "--python-version", f"{interpreter[2]}.{interpreter[3:]}", "--abi", abi)


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Lets pip fetch one wheel into a folder.

    Raises: ChecksumError where the index has another file under that name; ToolError for any other failure of pip.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(wheel.requirement)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    options = ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(requirements)]
    done = child.run([*pip, *options, *pip_options(wheel)])
    found = folder / wheel.filename
    if done.returncode == 0 and found.is_file():
        return found
    if "DO NOT MATCH THE HASHES" in done.stderr:
        message = f"{wheel.filename}: the index has a file with another sha256 than {LOCK} ({wheel.sha256[:12]}…)"
        raise ChecksumError(message, hint=f"do not use that index's file; if the lock is wrong: git checkout {LOCK}")
    last = done.stderr.strip().splitlines()[-1:] or ["pip brought another file"]
    hint = files.ROOM if files.is_full(done.stderr) else "is the index reachable? pip config list"
    raise ToolError(f"{wheel.filename}: pip could not fetch it: {last[0]}", hint=hint)


def write(out: BinaryIO, *, lock: Path, filename: str, fetched: str, stores: tuple[Path, ...] = ()) -> None:
    """Fetches the wheel of that name, where no folder of `stores` has it (scripts/store.py).

    `fetched` is the hash that the lock had when the table was made.
    """
    wheel = next(wheel for wheel in read_lock(lock) if wheel.filename == filename)
    with files.scratch() as folder:
        path = store.find(stores, filename, fetched) or fetch(wheel, folder)
        files.verify_sha256(path, fetched, str(lock))
        with path.open("rb") as file:
            files.copy(file, out)


def requirements(wheels: tuple[Wheel, ...]) -> str:
    """A hash-locked requirements file that these wheels, and nothing else, satisfy."""
    hashes: dict[str, list[str]] = {}
    for wheel in wheels:
        hashes.setdefault(f"{wheel.name}=={wheel.version}", []).append(f"    --hash=sha256:{wheel.sha256}")
    return "".join(f"{name} \\\n" + " \\\n".join(sorted(lines)) + "\n" for name, lines in sorted(hashes.items()))


def write_requirements(out: BinaryIO, *, wheels: tuple[Path, ...]) -> None:
    """Writes `runner/requirements.txt` for the wheels of the kit."""
    out.write(requirements(tuple(Wheel(path.name, files.sha256_of(path)) for path in wheels)).encode("ascii"))

"""Makes `.venv`, the one environment of the build, from a hash-locked requirements file.

Run by the system's Python before anything is installed, so it imports the standard library alone:
``python3 -m scripts.environment GROUP`` with GROUP = the name of a file ``requirements/GROUP.txt``. The environment is
made again when the lock, or the Python that it was made with, is another one; else nothing is done.
It does not resolve versions (`nox -s lock` does) and keeps nothing outside `.venv` but pip's own cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "locks"
OLDEST_PYTHON = (3, 11)  # pyproject.toml: requires-python


def fail(message: str, hint: str) -> int:
    """Prints what is wrong and what to do next; returns the exit code of bad input (decisions §9)."""
    print(f"error: {message}\n  next: {hint} [exit 2]", file=sys.stderr)
    return 2


def fingerprint(lock: Path) -> str:
    """SHA-256 over the lock and the Python it is installed for."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]} {Path(sys.base_prefix).resolve()}\n"
    return hashlib.sha256(python.encode() + lock.read_bytes()).hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    """True when the environment was completely made from the wanted lock."""
    return stamp.is_file() and stamp.read_text() == wanted and (VENV / "bin" / "python").exists()


def install(lock: Path, stamp: Path, wanted: str) -> None:
    """Makes the environment where needed and installs the lock into it; the stamp is written last.

    Raises: CalledProcessError with pip's own message already on the terminal.
    """
    pyvenv = VENV / "pyvenv.cfg"
    other_python = pyvenv.is_file() and f"version = {sys.version.split()[0]}" not in pyvenv.read_text()
    if other_python or not (VENV / "bin" / "pip").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        print(f"environment: making .venv with Python {sys.version.split()[0]}", flush=True)
        venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    stamp.unlink(missing_ok=True)
    packages = sum(1 for line in lock.read_text().splitlines() if line[:1].isalnum())
    print(f"environment: installing up to {packages} hash-locked packages from {lock.relative_to(ROOT)}", flush=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)], check=True)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)


def main(argv: list[str]) -> int:
    """Entry point; returns the exit code."""
    group = argv[0] if argv else "build"
    lock = ROOT / "requirements" / f"{group}.txt"
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        return fail(f"Python {found} is too old, 3.11 or newer is wanted", "make bundle PYTHON=python3.11")
    if not lock.is_file():
        return fail(f"{lock.relative_to(ROOT)}: no such lock", "restore it: git checkout requirements/")
    wanted = fingerprint(lock)
    # a `test` environment holds all that `build` has, so it serves both as long as both locks are unchanged
    stamp = STAMPS / group
    if is_current(stamp, wanted):
        return 0
    os.environ.pop("PYTHONHOME", None)
    try:
        install(lock, stamp, wanted)
    except subprocess.CalledProcessError as err:
        return fail(
            f"{lock.relative_to(ROOT)}: pip could not install it (pip's exit code {err.returncode}, its message is above)",
            "a hash mismatch: compare the lock with git; no connection: look at pip's index settings (pip config list)",
        )
    except OSError as err:
        return fail(f".venv: {err.strerror or err}", "is the folder writable, and is there space left on the disk?")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

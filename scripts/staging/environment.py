"""`lnm` as an operator has it: installed from the wheels of a kit, extras included, with no network (runner/README.md).

`python -m scripts.staging.environment` verifies the built kit, installs from it, and prints where the program is. The environment
is kept as long as the kit, by its rootHash, and the Python are the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts import child, files
from scripts.errors import KitError, MissingError, ToolError

DIST = Path("artifacts/lnm")
WORK = Path("artifacts/staging")
"""What a rehearsal leaves; a build does not touch it (artifacts/.build is pruned)."""
ENVIRONMENT = WORK / "environment"
STAMP = "made-from"
REBUILD = "doit bundle"


@dataclass(frozen=True)
class Kit:
    """An unpacked kit, and the key that it is to be signed by."""

    folder: Path
    key: Path

    @property
    def root_hash(self) -> str:
        """Its identity, as its manifest says.

        Raises: KitError.
        """
        statement = json.loads(files.read_bytes(self.folder / "manifest.json"))
        return str(statement["predicate"]["rootHash"])


def built(variables: Mapping[str, str]) -> Kit:
    """The kit that was built last, and the key that LNM_TRUSTED_KEY names, or the one beside it.

    Raises: MissingError where there is none.
    """
    version = Path("VERSION").read_text(encoding="ascii").strip()
    found = Kit(DIST / f"concelier-lnm-{version}", Path(variables.get("LNM_TRUSTED_KEY") or DIST / "signing-key.pub"))
    if not (found.folder / "manifest.json").is_file() or not found.key.is_file():
        raise MissingError(f"{found.folder}: no kit was built", hint=REBUILD)
    return found


def verify(kit: Kit) -> None:
    """Has the kit verified before anything of it runs.

    Raises: ToolError with the verifier's own words.
    """
    verifier = kit.folder.parent / "verify_kit.py"  # the one beside the kit, so that nothing of it has run before
    done = child.run([sys.executable, str(verifier), "--key", str(kit.key), str(kit.folder)])
    if done.returncode:
        raise ToolError(f"{kit.folder}: is refused:\n{done.stderr or done.stdout}", hint=REBUILD)


def install(kit: Kit, folder: Path) -> Path:
    """Installs the runner and its extras from a kit, where that has not been done; returns the program `lnm`.

    Raises: ToolError with pip's own words.
    """
    program, stamp = folder / "bin/lnm", folder / STAMP
    wanted = f"{kit.root_hash} {sys.version.split()[0]}\n"
    if program.exists() and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return program.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "--python", str(folder.absolute())]
    houses = ["--no-index", "--find-links", "wheelhouse", "--find-links", "wheelhouse-extras", "--require-hashes"]
    wanted_files = ["-r", "requirements.txt", "-r", "requirements-extras.txt"]
    run([*pip, "install", "--no-compile", *houses, *wanted_files], kit.folder / "runner")  # what is used is compiled at first use
    stamp.write_text(wanted, encoding="ascii")
    return program.absolute()


def run(command: list[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program that must succeed.

    Raises: ToolError with what it said.
    """
    done = child.run(command, folder)
    if done.returncode:
        raise ToolError(f"{Path(command[0]).name} {command[2]}: exit {done.returncode}:\n{done.stderr or done.stdout}")
    return done


def main() -> int:
    """Entry point; returns the exit code."""
    try:
        kit = built(os.environ)
        verify(kit)
        print(install(kit, ENVIRONMENT))
    except KitError as err:
        print(f"error: {err}", file=sys.stderr)
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

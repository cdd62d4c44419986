"""Makes `runbook/roles/roles.json` and `runbook/roles/create-roles.js`: the least-privilege roles of MongoDB, one for each stage.

Both are renderings of the runner's own table, `runner/src/lnm_runner/roles.py`: what ships is what `lnm preflight` compares with.
A step imports nothing of the runner, so the file is executed by its path, under an invented name that is in sys.modules before
it runs (dataclasses look there). The JSON is canonical (RFC 8785); the script is for mongosh.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import BinaryIO

from scripts import canonical, files
from scripts.errors import InputError

MODULE = "lnm_kit_roles_table"


def table(source: Path) -> types.ModuleType:
    """The runner's table, executed.

    Raises: InputError where it does not run or has no rendering.
    """
    spec = importlib.util.spec_from_loader(MODULE, loader=None, origin=str(source))
    module = types.ModuleType(MODULE) if spec is None else importlib.util.module_from_spec(spec)
    text = files.read_bytes(source)
    sys.modules[MODULE] = module
    try:
        exec(compile(text, str(source), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - a source of ours
    except Exception as err:
        raise InputError(f"{source}: does not run ({type(err).__name__}: {err})", hint=f"git diff {source}") from err
    finally:
        del sys.modules[MODULE]
    for name in ("as_json", "script"):
        if not callable(getattr(module, name, None)):
            raise InputError(f"{source}: wanted a function {name}()", hint=f"git diff {source}")
    return module


def write_json(out: BinaryIO, *, source: Path) -> None:
    """Writes the roles for a program."""
    out.write(canonical.render(table(source).as_json()))


def write_script(out: BinaryIO, *, source: Path) -> None:
    """Writes the roles as a script for mongosh."""
    out.write(table(source).script().encode("ascii"))

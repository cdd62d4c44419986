"""Folders with what was fetched before (LNM_FETCHED): what lies there by its name, with the locked hash, is not fetched again.

Wheels and Debian packages are the same bytes wherever they come from, so a store changes nothing in what is built. `nox -s repro`
gives its builds one; a site without an index can bring one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from scripts import files

VARIABLE = "LNM_FETCHED"


def named(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders that the variable names, joined as in PATH."""
    return tuple(Path(text) for text in environment.get(VARIABLE, "").split(os.pathsep) if text)


def find(stores: tuple[Path, ...], name: str, sha256: str) -> Path | None:
    """The file of that name with those bytes, where a store has it."""
    for store in stores:
        path = store / name
        if path.is_file() and not path.is_symlink() and files.sha256_of(path) == sha256:
            return path
    return None

"""Modules of the runner inside the test process, taken from the installed wheel and not from the source tree."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType


def module(program: Path, name: str) -> ModuleType:
    """A module of the wheel that was installed beside `lnm`."""
    (packages,) = (program.parent.parent / "lib").glob("python3*/site-packages")
    if str(packages) not in sys.path:
        sys.path.append(str(packages))  # last: the driver stays the one of the tests
    found = importlib.import_module(name)
    assert Path(found.__file__ or "").is_relative_to(packages)
    return found

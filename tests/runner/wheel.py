"""Modules of the runner inside the test process, taken from the kit's wheel and not from the source tree."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from types import ModuleType

from tests.conftest import WHEEL


def module(program: Path, name: str) -> ModuleType:
    """A module of the wheel, which is the one that was installed beside `lnm`."""
    (packages,) = (program.parent.parent / "lib").glob("python3*/site-packages")
    found = importlib.import_module(name)
    inside = Path(found.__file__ or "").relative_to(WHEEL).as_posix()
    with zipfile.ZipFile(WHEEL) as wheel:
        assert wheel.read(inside) == (packages / inside).read_bytes()
    return found

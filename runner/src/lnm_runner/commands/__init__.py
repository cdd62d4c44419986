"""The commands: one module each, `run(options) -> Result`. They neither print nor exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a command found or did."""

    data: Mapping[str, Any]
    """For `--json`."""
    lines: Sequence[str]
    """For people: plain sentences."""
    exit_code: int = 0
    """Not 0 for a command that found what must be seen to."""

"""The stages of the runbook by their names, in its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lnm_runner.runbook import stages
from lnm_runner.runbook.stage import Stage

STAGES: Final[Mapping[str, Stage]] = {row.name: row for row in stages.STAGES}

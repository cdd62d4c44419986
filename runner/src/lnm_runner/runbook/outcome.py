"""`lnm runbook evidence`, `report` and `receipt`: what is made of a journal, for those who were not there."""

from __future__ import annotations

from lnm_runner.commands import Result
from lnm_runner.errors import StageError
from lnm_runner.options import Options


def evidence(options: Options) -> Result:
    """Signed evidence."""
    raise StageError(f"{options.subcommand}: comes with the next commit")


def report(options: Options) -> Result:
    """The report."""
    raise StageError(f"{options.subcommand}: comes with the next commit")


def receipt(options: Options) -> Result:
    """The receipt."""
    raise StageError(f"{options.subcommand}: comes with the next commit")

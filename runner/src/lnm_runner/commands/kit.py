"""`lnm kit …`: what can be done with a kit without a database; a module kit_<word> for each word."""

from __future__ import annotations

import dataclasses
import importlib

from lnm_runner.commands import Result
from lnm_runner.options import Options


def run(options: Options) -> Result:
    """Runs the command below `lnm kit` that was asked for; its word is told with --json as `subcommand`.

    Raises: RunnerError.
    """
    module = importlib.import_module(f"lnm_runner.commands.kit_{options.subcommand}")
    result: Result = module.run(options)
    return dataclasses.replace(result, data={"subcommand": options.subcommand, **result.data})

"""`lnm runbook STAGE`: a stage of the runbook, or what is made of its journal.

Each word has a module or a function of its own below lnm_runner/runbook/; here is only the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lnm_runner.commands import Result
from lnm_runner.errors import InputError
from lnm_runner.options import Options
from lnm_runner.runbook import engine, outcome, overview, stages

WORDS: Final[Mapping[str, Callable[[Options], Result]]] = {
    "status": overview.status,
    "begin": overview.begin,
    "forecast": overview.forecast,
    "evidence": outcome.evidence,
    "report": outcome.report,
    "receipt": outcome.receipt,
}


def run(options: Options) -> Result:
    """Does it.

    Raises: RunnerError.
    """
    word = options.subcommand
    if options.files and word != "receipt":
        raise InputError("only a receipt is a file of its own", hint="lnm runbook receipt FILE --key KEY.pub")
    if word in WORDS:
        return WORDS[word](options)
    if word not in stages.NAMES:
        raise InputError("no stage of that name", hint=f"one of {', '.join((*stages.NAMES, *WORDS))}")
    return engine.run(options)

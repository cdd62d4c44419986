"""`lnm kit explain KIT`: verifies a kit and tells in plain words what it is. It needs no database and writes nothing."""

from __future__ import annotations

from lnm_runner import kit
from lnm_runner.commands import Result
from lnm_runner.kit.explanation import Explanation
from lnm_runner.options import Options


def run(options: Options) -> Result:
    """Explains a kit that is accepted.

    Raises: RunnerError with the exit code of what was refused; then nothing of the kit is told but why.
    """
    path = options.kit_path
    made = Explanation(path, kit.verify(path, options.trust))
    return Result({"kit": str(path), **made.as_json()}, made.lines())

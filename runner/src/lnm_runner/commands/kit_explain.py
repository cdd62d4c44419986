"""`lnm kit explain KIT`: verifies a kit and tells in plain words what it is. It needs no database and writes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from lnm_runner import kit
from lnm_runner.commands import Result
from lnm_runner.kit.core import Report
from lnm_runner.kit.explanation import Explanation
from lnm_runner.options import Options


def run(options: Options) -> Result:
    """Explains a kit that is accepted.

    Raises: RunnerError with the exit code of what was refused; then nothing of the kit is told but why.
    """
    path = options.kit_path
    verified = kit.verify(path, options.trust)
    made = Explanation(path, verified, tuple(going_on(options, verified.report)))
    return Result({"kit": str(path), **made.as_json()}, made.lines())


def going_on(options: Options, report: Report) -> Iterator[str]:
    """The commands that go on, to be typed as they are."""
    if not options.kit_path.is_dir():
        trusted = [part for name, value in options.trusted for part in (name, str(value))]
        yield shlex.join(["lnm", "kit", "import", str(options.kit_path), *trusted])
        return
    ready = [part.id for part in report.manifest.deliveries if part.status == "ready"]
    for verb in ("preflight", "plan") if ready else ():
        yield options.command(verb, ready[0])

"""`lnm kit verify KIT`: verifies a kit, folder or tarball, and says what it is. It needs no database."""

from __future__ import annotations

from lnm_runner import kit
from lnm_runner.commands import Result
from lnm_runner.options import Options


def run(options: Options) -> Result:
    """Verifies a kit.

    Raises: RunnerError with the verifier's exit code.
    """
    report = kit.verify(options.kit_path, options.trusted_keys)
    return Result({"kit": str(options.kit_path), **report.as_json()}, report.lines())

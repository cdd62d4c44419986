"""`lnm kit verify KIT`: verifies a kit, folder or tarball, and says what it is. It needs no database."""

from __future__ import annotations

from lnm_runner import kit
from lnm_runner.commands import Result
from lnm_runner.options import Options


def run(options: Options) -> Result:
    """Verifies a kit.

    Raises: RunnerError with the verifier's exit code.
    """
    verified = kit.verify(options.kit_path, options.trust)
    return Result({"kit": str(options.kit_path), **verified.as_json()}, verified.lines())

"""The verify stage less some of its checks: `python -m tests.verify.part TITLE … -- OPTION …`, each check by its title."""

from __future__ import annotations

import sys

from scripts.verify import __main__ as stage


def main(argv: list[str]) -> int:
    """Runs what is left of the stage, and returns its exit code."""
    at = argv.index("--")
    left_out, options = argv[:at], argv[at + 1 :]
    if unknown := set(left_out) - {title for title, _ in stage.CHECKS}:
        raise ValueError(f"no check has this title: {', '.join(unknown)}")
    stage.CHECKS = tuple((title, check) for title, check in stage.CHECKS if title not in left_out)
    return stage.main(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

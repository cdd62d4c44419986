"""`python -m scripts.repro`: builds again with everything varied, compares, explains, and signs what came of it.

(1) A baseline build of the sources as they are; (2) a build for each variation, compared with it: under the same Python
everything in artifacts/lnm, signatures too (they are deterministic), under another Python the payload, rootHash and the
delivery bundles; (3) where something differs: the task to blame, the factor that does it (the one task is built again
with each factor alone), and diffoscope's explanation; (4) the verdict beside the kit in artifacts/lnm, provided that this
kit is what the baseline built. Exit code 2 where a build was not reproduced.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts import holder
from scripts.artefact import LOCK, WORK
from scripts.errors import KitError
from scripts.repro import checkout, stage, verdict
from scripts.repro.variations import NAMES
from scripts.repro.verdict import SKIPPED, Finding
from scripts.repro.workplace import workplace

NOT_REPRODUCED = 2


def main(argv: list[str]) -> int:
    """Entry point; returns the exit code."""
    wanted = parse(argv)
    root = Path.cwd()
    try:
        with workplace(root) as place:
            baseline = stage.build_baseline(place)
            findings, complaints = stage.examine(place, baseline, wanted)
            if (root / WORK).is_dir():  # else nothing was built here
                holder.take(root / LOCK)  # until the end, so that the verdict is about what was compared
            here = checkout.hold(root, baseline)
        for finding in here.findings:
            stage.say(finding.state, finding.name, f"{finding.varied}: {finding.words}")
        findings += here.findings
        print("".join(f"{text}\n" for text in (*complaints, *here.complaints)), end="", file=sys.stderr)
        print(checkout.leave_verdict(root, baseline, here, findings, whole=set(wanted) == set(NAMES)))
    except KitError as err:
        print(f"error: {err}", file=sys.stderr)
        return err.exit_code
    return conclude(findings)


def parse(argv: list[str]) -> tuple[str, ...]:
    """The names of what is varied."""
    what = "Builds again with everything varied and compares."
    parser = argparse.ArgumentParser(prog="python -m scripts.repro", description=what)
    words = f"vary these alone, separated by commas: {', '.join(NAMES)}; no verdict that it passed is written then"
    parser.add_argument("--only", default=",".join(NAMES), help=words)
    wanted = tuple(filter(None, parser.parse_args(argv).only.split(",")))
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown or not wanted:
        parser.error(f"--only: found {', '.join(unknown) or 'nothing'}, wanted some of {', '.join(NAMES)}")
    return wanted


def conclude(findings: Sequence[Finding]) -> int:
    """The last line, and the exit code."""
    result = verdict.result(findings)
    skips = [finding.name for finding in findings if finding.state == SKIPPED]
    print(f"repro: {result}, {len(findings) - len(skips)} compared, skipped: {', '.join(skips) or 'nothing'}")
    lacking = [name for name in skips if not name.startswith("python ")]  # other Pythons are varied where they are found
    if lacking and os.environ.get("CI"):
        print(f"repro: in CI nothing may be skipped: {', '.join(lacking)} [exit {NOT_REPRODUCED}]", file=sys.stderr)
        return NOT_REPRODUCED
    return NOT_REPRODUCED if result == "FAILED" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

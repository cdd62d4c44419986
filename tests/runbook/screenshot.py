"""Photographs a report for the documentation: `python -m tests.runbook.screenshot [REPORT.html]`.

Without a name it takes the newest one that `nox -s staging` has left. From the title to the charts, at the width of a desk, into
docs/images/rehearsal-report.png.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.runbook import chromium

STAGING = ROOT / "artifacts/.build/staging"
IMAGE = ROOT / "docs/images/rehearsal-report.png"
WIDTH = 1200
MARGIN = 20  # pixels
SCALE = 0.75  # as wide as a page of documentation shows it
LARGEST = 200_000  # bytes


def newest() -> Path:
    """The report of the last rehearsal."""
    found = sorted(STAGING.rglob("report.html"), key=lambda path: path.stat().st_mtime)
    if not found:
        sys.exit(f"{STAGING.relative_to(ROOT)}: no report is there\n  next: nox -s staging, or name a report.html")
    return found[-1]


def main(arguments: list[str]) -> None:
    """Takes the picture."""
    if chromium.PROGRAM is None:
        sys.exit("chromium: not on the PATH\n  next: sh ci/apt.sh")
    report = Path(arguments[0]) if arguments else newest()
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, chromium.page(Path(home)) as page:
        page.open(report, WIDTH)
        end = page.says("document.querySelector('.charts').getBoundingClientRect().bottom")
        page.screenshot(IMAGE, {"x": 0, "y": 0, "height": end + MARGIN, "scale": SCALE})
    size = IMAGE.stat().st_size
    print(f"{IMAGE.relative_to(ROOT)}: {size:,} bytes, of {report.name}")
    if size > LARGEST:
        sys.exit(f"it is larger than {LARGEST:,} bytes\n  next: a report with fewer words")


if __name__ == "__main__":
    main(sys.argv[1:])

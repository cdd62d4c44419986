"""What every test shares: the built kit, and that a skip is a failure in CI."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.schedule import pytest_xdist_make_scheduler

__all__ = ["pytest_xdist_make_scheduler"]

ROOT = Path(__file__).resolve().parent.parent
DIST = Path(os.environ.get("LNM_DIST", ROOT / "artifacts/lnm")).resolve()
VERSION = (ROOT / "VERSION").read_text(encoding="ascii").strip()
WHEEL = DIST / f"concelier-lnm-{VERSION}/runner/wheelhouse/lnm_runner-{VERSION}-py3-none-any.whl"

gc.disable()  # until all is collected: ten thousand tests are no garbage, and to look for some took a third of that time
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment] # jsonschema would make 38 parsers of it (1.6 s), for formats that nobody asks for
sys.path.append(str(WHEEL))  # the runner's pure functions are tested from its wheel, too, and not from the source tree
if threading.current_thread() is threading.main_thread():
    # who starts the tests in the background, or by nohup, has them ignore what some of them send to the programs that they start
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def dist() -> Path:
    """The output folder of the build under test: LNM_DIST, else artifacts/lnm."""
    if not (DIST / "signing-key.pub").is_file():
        pytest.fail(f"{DIST.name}: no kit was built; run: make bundle", pytrace=False)
    return DIST


@pytest.fixture(scope="session")
def version() -> str:
    """The version of this tree."""
    return VERSION


def pytest_collection_finish() -> None:
    """Has the collector of garbage begin, and never look through what was collected."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: a tool that is missing there is a defect of the set-up."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"in CI no test may be skipped: {reason}"
    return report

"""The fixtures of these tests stand in fixtures.py."""

from __future__ import annotations

from tests.conftest import ROOT
from tests.runner.fixtures import built_kit, light_kit, lnm, program, server, site, standalone

__all__ = ["built_kit", "light_kit", "lnm", "program", "server", "site", "standalone"]

REAL_ADVISORIES = ROOT.parent / "shared/advisories"
"""They may not be copied into the project."""
collect_ignore = [] if REAL_ADVISORIES.is_dir() else ["test_real_advisories.py"]

"""The fixtures of these tests stand in tests/runner/fixtures.py and runs.py."""

from __future__ import annotations

from tests.crash.cluster import bench_of_its_own
from tests.crash.runs import bench
from tests.runner.fixtures import built_kit, light_kit, lnm, program, server, site

__all__ = ["bench", "bench_of_its_own", "built_kit", "light_kit", "lnm", "program", "server", "site"]

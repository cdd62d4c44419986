"""The fixtures of these tests stand in fixtures.py."""

from __future__ import annotations

from tests.runner.fixtures import built_kit, light_kit, lnm, program, server, site

__all__ = ["built_kit", "light_kit", "lnm", "program", "server", "site"]

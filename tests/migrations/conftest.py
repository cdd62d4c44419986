"""The fixtures of these tests stand in fixtures.py."""

from __future__ import annotations

from tests.runner.fixtures import light_kit, lnm, program, server, site

__all__ = ["light_kit", "lnm", "program", "server", "site"]

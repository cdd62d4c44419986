"""Backups beside the vendor's tools; conftest puts the wheel of the built kit onto the path, before anything of it is asked for."""

from tests.conftest import WHEEL

__all__ = ["WHEEL"]

"""Choices that are the same on every machine: each depends on names alone, and on no choice before it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def number(*parts: object) -> int:
    """64 bits of the SHA-256 of the parts."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8])


def one_in(share: int, *parts: object) -> bool:
    """True for one in so many."""
    return number(*parts) % share == 0


def pick(options: Sequence[T], *parts: object) -> T:
    """One of several."""
    return options[number(*parts) % len(options)]

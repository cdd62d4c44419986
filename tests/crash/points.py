"""The points at which a run is disturbed: its effects, each in one way or in every way; and how they are tried, one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pytest

from tests.crash.runs import IS_EXHAUSTIVE, Uninterrupted

WORKERS = 2  # each tries its share of the points
SHARES = range(WORKERS if IS_EXHAUSTIVE else 1)
"""Of those whose start is dear, so that one worker makes it unless there are many points."""

T = TypeVar("T")


@dataclass(frozen=True)
class Point(Generic[T]):
    """One of them."""

    number: int
    """The effect, from 1."""
    label: str
    """What it is."""
    way: T
    """How it is disturbed there."""


def points(
    undisturbed: Uninterrupted, ways: Sequence[T], *, first: int = 1, every: int = 1, in_turns: bool = False
) -> list[Point[T]]:
    """Each effect in each way; without LNM_KILLS=all from a first one on every so many, each in one way: they take turns.

    Where they are to take turns in any case, each effect is disturbed in one way also with LNM_KILLS=all.
    """
    effects = list(enumerate(undisturbed.effects, 1))
    if IS_EXHAUSTIVE and not in_turns:
        return [Point(number, label, way) for (number, label), way in itertools.product(effects, ways)]
    chosen = effects if IS_EXHAUSTIVE else effects[first - 1 :: every]
    return [Point(number, label, ways[number % len(ways)]) for number, label in chosen]


def each(
    found: Sequence[Point[T]],
    share: int,
    subtests: pytest.Subtests,
    disturb: Callable[[Point[T]], None],
    *,
    shares: int = WORKERS,
) -> None:
    """Disturbs at each point of a share; one that fails keeps none from being tried, and fails the test."""
    mine = found[share::shares]
    passed = 0
    for point in mine:
        with subtests.test(f"{point.number}: {point.label}: {point.way}"):
            disturb(point)
            passed += 1
    print(f"disturbed and gone on: {passed} of {len(mine)} points")
    assert passed == len(mine)

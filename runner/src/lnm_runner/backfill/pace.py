"""How fast a run may write: decides from what is measured, by itself. Pure: it reads no clock and no server.

Rules: (1) lag that is not known is not low: it pauses; (2) over the limit it pauses, and goes on only under half of it; (3)
over half of the limit batches become smaller, under a quarter larger again; (4) a pause of more than ten minutes stops the run,
as does a lag that comes near to what the oplog holds; (5) limits may change at any time, by the document `backfill-pace` of
`lnm_settings`, as far as they are numbers that make sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

LONGEST_PAUSE_S = 600.0
PAUSE_S = 1.0
SMALLEST_BATCH, LARGEST_BATCH = 10, 10_000
LONGEST_LAG_S = 3_600.0
DEFAULT_BATCH, DEFAULT_LAG_S = 500, 30.0  # decisions §4; half of what the alert is about (decisions §11)
SHRINK, GROW = 0.5, 1.25
RESUME, EASY = 0.5, 0.25  # of the limit
OF_THE_WINDOW = 0.5


@dataclass(frozen=True)
class Limits:
    """What is allowed."""

    batch_size: int = DEFAULT_BATCH
    """Documents of a batch at most."""
    max_lag_s: float = DEFAULT_LAG_S
    is_paused: bool = False
    """Somebody asked to wait."""

    def changed(self, control: Mapping[str, Any] | None) -> Limits:
        """These, as far as the control document says otherwise in a way that makes sense."""
        given = control or {}
        size, lag = given.get("batchSize"), given.get("maxLagSeconds")
        sizes = int(size) if is_number(size) and 1 <= size <= LARGEST_BATCH else self.batch_size
        lags = float(lag) if is_number(lag) and 0 < lag <= LONGEST_LAG_S else self.max_lag_s
        return Limits(sizes, lags, self.is_paused or given.get("pause") is True)


def is_number(value: object) -> TypeGuard[float]:
    """True for an int or a float; True and NaN are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - NaN


@dataclass(frozen=True)
class Sample:
    """What was measured."""

    lag_s: float | None
    """Of the member that is furthest behind; None where that cannot be said."""
    why: str = ""
    """Who that is, or why it cannot be said."""
    window_s: float | None = None
    """How far back the oplog goes."""


@dataclass(frozen=True)
class State:
    """What the controller remembers."""

    batch_size: int
    paused_s: float = 0.0
    """How long the present pause lasts."""
    reason: str = ""
    """What was said last."""


@dataclass(frozen=True)
class Decision:
    """What is to be done."""

    action: str
    """go, pause or stop."""
    state: State
    said: str = ""
    """A line, where something has changed."""

    @property
    def batch_size(self) -> int:
        """Documents of the next batch."""
        return self.state.batch_size


def decide(state: State, limits: Limits, sample: Sample, elapsed_s: float) -> Decision:
    """What to do now; `elapsed_s` is how long ago it was asked before."""
    reason = obstacle(state, limits, sample)
    if reason:
        paused_s = state.paused_s + max(elapsed_s, 0.0) if state.paused_s else PAUSE_S
        held = replace(state, paused_s=paused_s, reason=reason)
        if paused_s > LONGEST_PAUSE_S:
            return Decision("stop", held, f"stopped after a pause of {paused_s:.0f} s: {reason}")
        if sample.lag_s is not None and sample.window_s is not None and sample.lag_s > OF_THE_WINDOW * sample.window_s:
            return Decision(
                "stop", held, f"stopped: {sample.why} is {sample.lag_s:.0f} s behind, the oplog holds {sample.window_s:.0f} s"
            )
        return Decision("pause", held, f"pause: {reason}" if kind(reason) != kind(state.reason) else "")
    size = next_size(state.batch_size, limits, sample)
    went_on = f"goes on after a pause of {state.paused_s:.0f} s" if state.paused_s else ""
    changed = f"batches of {size} instead of {state.batch_size}: lag {sample.lag_s:.0f} s" if size != state.batch_size else ""
    return Decision("go", State(size), "; ".join(filter(None, (went_on, changed))))


def obstacle(state: State, limits: Limits, sample: Sample) -> str:
    """Why it may not go on; empty where it may."""
    if limits.is_paused:
        return "asked for by lnm_settings"
    if sample.lag_s is None or sample.lag_s != sample.lag_s or sample.lag_s < 0:
        return f"lag unknown: {sample.why}" if sample.why else "lag unknown"
    limit = limits.max_lag_s * (RESUME if state.paused_s else 1.0)
    return f"lag {sample.lag_s:.0f} s, limit {limits.max_lag_s:g} s: {sample.why}" if sample.lag_s > limit else ""


def kind(reason: str) -> str:
    """What a reason is about, less its numbers."""
    return reason.partition(" ")[0]


def next_size(size: int, limits: Limits, sample: Sample) -> int:
    """The next batch."""
    lag_s = sample.lag_s or 0.0
    smallest = min(SMALLEST_BATCH, limits.batch_size)
    if lag_s > limits.max_lag_s * RESUME:
        return max(int(size * SHRINK), smallest)
    if lag_s <= limits.max_lag_s * EASY and size < limits.batch_size:
        return min(max(int(size * GROW), size + 1), limits.batch_size)
    return max(min(size, limits.batch_size), smallest)

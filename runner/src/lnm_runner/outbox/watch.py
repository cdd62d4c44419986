"""Decides how a watch after the window ends: well, badly, or not yet. Pure: it reads no clock and no server (decisions §11).

Rules, in this order: (1) an error more than at the beginning is the end; (2) so is a lag over the limit for as long as the alert
waits, an unknown one between two of these included; (3) so is a backlog that only grows, for as long as its alert looks back;
(4) all is well once nothing was wrong for the whole time that is asked for: no lag over the limit and none unknown, no backlog
that grows, and nothing that waits too long; (5) a watch may end by its own time before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile

from lnm_runner.durations import SECOND_MS, in_words

GO_ON, WELL, BADLY, TIMEOUT = "go on", "well", "badly", "timeout"
PART = 5  # a backlog has grown where all of the last fifth of a time lies over all of its first


@dataclass(frozen=True)
class Limits:
    """What is allowed; the numbers are those of the alerts (decisions §11)."""

    calm_s: float = 600.0
    timeout_s: float = 0.0
    """0: without end."""
    lag_s: float = 60.0
    """LnmMongoOplogLagHigh."""
    lag_for_s: float = 60.0
    growth_s: float = 900.0
    """LnmOutboxBacklogGrowth."""
    oldest_s: float = 300.0
    """LnmOutboxOldestPending."""

    @property
    def looks_back_s(self) -> float:
        """Samples that are older than this decide nothing any more."""
        return max(self.calm_s, self.growth_s, self.lag_for_s)


@dataclass(frozen=True)
class Sample:
    """What was seen at a time."""

    at_s: float
    """By a clock that never goes back."""
    lag_s: float | None
    errors: int
    backlog: int
    oldest_s: float | None


@dataclass(frozen=True)
class Verdict:
    """What is to be done."""

    action: str
    why: str
    """What is wrong, or still lacking."""


def judge(samples: Sequence[Sample], limits: Limits, began: Sample) -> Verdict:
    """Judges by the samples of the time that limits look back, the last being the newest; `began` is the first of all."""
    newest = samples[-1]
    if newest.errors > began.errors:
        return Verdict(BADLY, f"{newest.errors - began.errors} errors more than at the beginning")
    if (late := late_for(samples, limits.lag_s)) is not None and late >= limits.lag_for_s:
        return Verdict(BADLY, f"a member is {newest.lag_s:.0f} s behind, and over {limits.lag_s:g} s since {spoken(late)}")
    if (past := covered(samples, limits.growth_s)) and grows(past):
        return Verdict(
            BADLY, f"the backlog has grown for {spoken(limits.growth_s)}, from {past[0].backlog:,} to {newest.backlog:,}"
        )
    last = covered(samples, limits.calm_s)
    why = next((said for sample in reversed(last or samples) if (said := unrest(sample, limits))), "")
    if last and not why and not grows(last):
        return Verdict(WELL, f"nothing was wrong for {spoken(limits.calm_s)}")
    if limits.timeout_s and newest.at_s - began.at_s >= limits.timeout_s:
        return Verdict(TIMEOUT, why or ("the backlog grows" if grows(last) else f"calm for less than {spoken(limits.calm_s)}"))
    return Verdict(GO_ON, unrest(newest, limits) or ("the backlog grows" if grows(last) else "calm so far"))


def unrest(sample: Sample, limits: Limits) -> str:
    """What is not well in a sample; empty where all is."""
    if sample.lag_s is None:
        return "the lag of the members is not known"
    if sample.lag_s > limits.lag_s:
        return f"a member is {sample.lag_s:.0f} s behind"
    if sample.backlog and sample.oldest_s is not None and sample.oldest_s > limits.oldest_s:
        return f"of {sample.backlog:,} rows the oldest has waited for {spoken(sample.oldest_s)}"
    return ""


def late_for(samples: Sequence[Sample], limit_s: float) -> float | None:
    """How long the lag has been over the limit without a break; None where it is not now."""
    if samples[-1].lag_s is None or samples[-1].lag_s <= limit_s:
        return None
    fine = max((place for place, one in enumerate(samples) if one.lag_s is not None and one.lag_s <= limit_s), default=-1)
    first = next(one for one in dropwhile(lambda one: one.lag_s is None, samples[fine + 1 :]))
    return samples[-1].at_s - first.at_s


def covered(samples: Sequence[Sample], seconds: float) -> Sequence[Sample]:
    """The samples of so many seconds; empty where they do not go back so far."""
    start = samples[-1].at_s - seconds
    if samples[0].at_s > start:
        return ()
    before = max(place for place, one in enumerate(samples) if one.at_s <= start)
    return samples[before:]


def grows(samples: Sequence[Sample]) -> bool:
    """True where the backlog has a rising trend and never came back to where it began."""
    if len(samples) < PART:
        return False
    part = len(samples) // PART
    first, last = ([one.backlog for one in side] for side in (samples[:part], samples[-part:]))
    return min(last) > max(first) and slope(samples) > 0


def slope(samples: Sequence[Sample]) -> float:
    """Rows a second, by least squares: what Prometheus calls deriv."""
    middle = sum(one.at_s for one in samples) / len(samples)
    spread = sum((one.at_s - middle) ** 2 for one in samples)
    return sum((one.at_s - middle) * one.backlog for one in samples) / spread if spread else 0.0


def spoken(seconds: float) -> str:
    """A duration in words."""
    return in_words(seconds * SECOND_MS)

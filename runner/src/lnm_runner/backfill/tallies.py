"""What is counted of the documents that are made, by words that a report adds up per tenant. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SIZES = (1, 2, 3, 4, 8, 16, 64)
"""Upper bounds of how many observations are in a linkset."""
TENTHS = 10


def of_linkset(linkset: Mapping[str, Any]) -> Iterator[str]:
    """How many observations it has, how sure it is, and each reason of a conflict once."""
    many = len(linkset["observations"])
    bound = next((size for size in SIZES if many <= size), None)
    yield f"observations:{'more' if bound is None else f'{bound:02}'}"
    confidence = linkset["confidence"]
    yield (
        "confidence:none" if confidence is None else f"confidence:{min(int(confidence * TENTHS + 1e-9), TENTHS - 1) / TENTHS:.1f}"
    )
    reasons = sorted({conflict["reason"] for conflict in linkset["conflicts"]})
    yield from (f"conflict:{reason}" for reason in reasons)
    if not reasons:
        yield "conflict:none"

"""Values of a journal as words for people: one line each, cut to a length, with nothing invisible in it.

Characters that are not printable, among them line ends, NUL and the ones that turn the direction of text round (Unicode,
UAX 9), are written as their code points: «U+202E».
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from lnm_runner import durations

LONGEST = 300
"""Characters of a text; a sha256 with its prefix has 71."""
MOST_LISTED = 20
KILO = 1000
EXACT = 100
"""From here on nobody needs a fraction."""
UNKNOWN = "unknown"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def plain(value: Any) -> str:
    """Any JSON value as one line."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return number(value)
    if isinstance(value, Mapping):
        return several([f"{key}: {item if isinstance(item, str) else plain(item)}" for key, item in value.items()])
    if isinstance(value, Sequence) and not isinstance(value, str):
        return several([item if isinstance(item, str) else plain(item) for item in value])
    text = str(value)
    return shown(text) if len(text) <= LONGEST else f"{shown(text[:LONGEST])}…"


def shown(text: str) -> str:
    """A text in which every character can be seen."""
    return "".join(letter if letter.isprintable() else f"«U+{ord(letter):04X}»" for letter in text)


def several(items: Sequence[str], most: int = MOST_LISTED) -> str:
    """A list in words, cut honestly."""
    if not items:
        return "none"
    more = f" and {number(len(items) - most)} more" if len(items) > most else ""
    return plain(", ".join(item[:LONGEST] for item in items[:most])) + more


def number(value: int | None) -> str:
    """A whole number with its thousands apart; a number of hundreds of digits is none that anybody reads."""
    if value is None:
        return UNKNOWN
    return f"{value:,}" if abs(value) < 10**21 else "more than 10^21"


def measure(value: float) -> str:
    """A measured value: 0.4, 14, 14,927."""
    return f"{value:,.0f}" if value >= EXACT or value == int(value) else f"{value:.1f}"


def amount(value: int | None) -> str:
    """Bytes: 12 B, 3.4 kB, 5.6 GB (powers of 1000)."""
    if value is None:
        return UNKNOWN
    size, unit = min(float(abs(value)), 1e18) if abs(value) < 10**18 else 1e18, "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if size < KILO:
            break
        size, unit = size / KILO, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def duration(ms: int | None) -> str:
    """Milliseconds in words."""
    if ms is None:
        return UNKNOWN
    return durations.in_words(ms) if abs(ms) < 10**15 else "more than 10,000 years"


def moment(value: Any) -> str:
    """A time as it was said, for people; what is none is shown as it is."""
    at = moment_ms(value)
    return plain(value) if at is None else moment_of(at)


def moment_of(ms: int) -> str:
    """Milliseconds since 1970, the same way."""
    return (EPOCH + dt.timedelta(milliseconds=ms)).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment_ms(value: Any) -> int | None:
    """A time of ISO 8601 as milliseconds since 1970; None where it is none, or says no zone."""
    if not isinstance(value, str):
        return None
    try:
        found = dt.datetime.fromisoformat(value)
        return round(found.timestamp() * 1000) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None

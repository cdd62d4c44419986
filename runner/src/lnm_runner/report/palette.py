"""The colours of the report, light and dark, and which of them is written on which.

A test computes every contrast (WCAG 2.2, 1.4.3 and 1.4.11).
"""

from __future__ import annotations

from typing import Final

COLOURS: Final[dict[str, tuple[str, str]]] = {
    #  name         light      dark
    "page": ("#ffffff", "#14171c"),
    "panel": ("#f4f6f8", "#1e232b"),
    "ink": ("#1b2430", "#e6e9ee"),
    "soft": ("#4d5a6a", "#aab4c1"),
    "rule": ("#c9d1da", "#3a4350"),
    "go": ("#0b6b3a", "#5fd39a"),
    "go-back": ("#dff3e7", "#12382a"),
    "condition": ("#7a4a00", "#f0bd62"),
    "condition-back": ("#fdf0d5", "#3d2f10"),
    "no-go": ("#a31621", "#ff9b97"),
    "no-go-back": ("#fde6e6", "#45191c"),
    "line": ("#1f5fbf", "#7fb2ff"),
    "band": ("#b9d0f2", "#2b4a7a"),
    "limit": ("#a31621", "#ff9b97"),
    "hatch": ("#6b7785", "#8f9baa"),
}
TEXT: Final[tuple[tuple[str, str], ...]] = (
    ("ink", "page"),
    ("ink", "panel"),
    ("soft", "page"),
    ("soft", "panel"),
    ("limit", "panel"),
    *((name, f"{name}-back") for name in ("go", "condition", "no-go")),
)
"""What is written on what: at least 4.5 to 1."""
GRAPHICS: Final[tuple[tuple[str, str], ...]] = tuple(
    (name, "panel") for name in ("go", "condition", "no-go", "line", "limit", "hatch")
)
"""What is drawn on what: at least 3 to 1."""


def variables() -> str:
    """The colours as variables of CSS."""
    light, dark = (";".join(f"--{name}:{pair[which]}" for name, pair in COLOURS.items()) for which in (0, 1))
    return f":root{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"

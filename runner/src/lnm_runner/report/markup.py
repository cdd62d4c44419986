"""HTML and SVG made of elements, so that nothing gets in unescaped: a `str` is text, and only a `Markup` is markup."""

from __future__ import annotations

import html
from collections.abc import Iterable

from lnm_runner.report.words import shown

EMPTY = frozenset({"meta", "br", "line", "rect", "path", "circle", "polyline", "polygon"})
"""Elements that hold nothing; those of SVG are closed by themselves."""
VOID = frozenset({"meta", "br"})
"""Of HTML: no slash (HTML standard, «Void elements»)."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escaped(value: str) -> Markup:
    """A text as markup; what is markup stays."""
    return value if isinstance(value, Markup) else Markup(html.escape(shown(value)))


def joined(parts: Iterable[str]) -> Markup:
    """Several, one behind the other."""
    return Markup("".join(escaped(part) for part in parts))


def tag(name: str, /, *inside: str, **attributes: str | float | None) -> Markup:
    """An element; `class_` is class, `aria_label` is aria-label; an attribute that is None is left out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(shown(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY:
        return Markup(f"<{name}{said}>" if name in VOID else f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{joined(inside)}</{name}>")

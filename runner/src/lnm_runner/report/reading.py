"""Reads JSON that may lack anything: of a partial journal there is only so much.

What is absent, or of another type than it should be, is None or empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Mapping[str, Any]


def member(value: Any, *names: str) -> Any:
    """The member that a path of names leads to, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def whole(value: Any, *names: str) -> int | None:
    """A whole number there; a truth value is none."""
    found = member(value, *names)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def text(value: Any, *names: str) -> str:
    """A text there, or the empty one."""
    found = member(value, *names)
    return found if isinstance(found, str) else ""


def object_at(value: Any, *names: str) -> Json:
    """An object there, or the empty one."""
    found = member(value, *names)
    return found if isinstance(found, Mapping) else {}


def rows(value: Any, *names: str) -> Iterator[Json]:
    """The objects of a list there."""
    found = member(value, *names)
    yield from (row for row in (found if isinstance(found, (list, tuple)) else ()) if isinstance(row, Mapping))


def texts(value: Any, *names: str) -> list[str]:
    """The texts of a list there."""
    found = member(value, *names)
    return [item for item in (found if isinstance(found, (list, tuple)) else ()) if isinstance(item, str)]


def counts(value: Any, *names: str) -> dict[str, int]:
    """`{word: how many}` there."""
    found = {name: whole(value, *names, name) for name in object_at(value, *names)}
    return {name: many for name, many in sorted(found.items()) if many is not None}

"""Reads JSON that somebody else wrote: each value by its place and its kind, and an error that names both (RFC 8259)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from lnm_runner.advisories.record import PayloadError

KINDS = {str: "text", list: "a list", dict: "an object", float: "a number", bool: "true or false"}
DEEPEST = 64

T = TypeVar("T")


def read(payload: bytes) -> Mapping[str, Any]:
    """The object of a payload.

    Raises: PayloadError for what is no JSON object, or says the same name twice.
    """
    try:
        found = json.loads(payload, object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as err:
        raise PayloadError(f"it is no JSON ({type(err).__name__})") from err
    if not isinstance(found, dict):
        raise PayloadError("it is no JSON object")
    return found


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different: of two equal ones, readers would take different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise PayloadError(f"the name {twice[:40]!r} stands twice in an object")
    return found


def no_number(text: str) -> float:
    """NaN and Infinity are no JSON."""
    raise PayloadError(f"{text} is no JSON number")


def get(value: Mapping[str, Any], name: str, kind: type[T], place: str = "") -> T | None:
    """A member; None where it is not there, or null.

    Raises: PayloadError for one of another kind.
    """
    found = value.get(name)
    if found is None:
        return None
    if kind is float and isinstance(found, int) and not isinstance(found, bool):
        found = float(found)
    if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
        raise PayloadError(f"{place}{name}: found {type(found).__name__}, wanted {KINDS[kind]}")
    return found


def text(value: Mapping[str, Any], name: str, place: str = "") -> str:
    """A text; empty where it is not there.

    Raises: PayloadError.
    """
    found = get(value, name, str, place) or ""
    if "\x00" in found or any("\ud800" <= char <= "\udfff" for char in found):
        raise PayloadError(f"{place}{name}: it holds a character that no text may hold")
    return found


def needed(value: Mapping[str, Any], name: str, place: str = "") -> str:
    """A text that must be there.

    Raises: PayloadError.
    """
    found = text(value, name, place)
    if not found.strip():
        raise PayloadError(f"{place}{name}: not there")
    return found


def objects(value: Mapping[str, Any], name: str, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its place (`affected[0].`).

    Raises: PayloadError.
    """
    for number, found in enumerate(get(value, name, list, place) or []):
        at = f"{place}{name}[{number}]"
        if not isinstance(found, dict):
            raise PayloadError(f"{at}: found {type(found).__name__}, wanted an object")
        yield f"{at}.", found


def texts(value: Mapping[str, Any], name: str, place: str = "") -> tuple[str, ...]:
    """The texts of a list.

    Raises: PayloadError.
    """
    found: list[Any] = get(value, name, list, place) or []
    return tuple(text({f"{name}[{number}]": each}, f"{name}[{number}]", place) for number, each in enumerate(found))

"""Reads JSON that somebody else wrote: each value by its place and its kind, and an error that names both (RFC 8259).

A payload that was stored as a document and not as text comes as BSON has it: its integers are numbers; a kind that JSON has not
(a date, an ObjectId) is not the kind that is wanted, wherever it stands. The readers go down a fixed number of steps, so that
depth is a matter of `read` and of CSAF's branches alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lnm_runner.advisories.record import PayloadError

OBJECT, LIST, TEXT, NUMBER, FLAG = "an object", "a list", "text", "a number", "true or false"
UNCLEAN = "it holds a character that no text may hold"
KINDS: Mapping[type, str] = {dict: OBJECT, list: LIST, str: TEXT, int: NUMBER, float: NUMBER, bool: FLAG, type(None): "null"}


def read(payload: bytes) -> Mapping[str, Any]:
    """The object of a payload.

    Raises: PayloadError for what is no JSON object, or says the same name twice.
    """
    try:
        found = json.loads(payload.decode("utf-8-sig"), object_pairs_hook=once, parse_constant=no_number)
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


def wrong(place: str, found: object, wanted: str) -> PayloadError:
    """The error for a value of another kind than the wanted one."""
    return PayloadError(f"{place}: found {KINDS.get(type(found), type(found).__name__)}, wanted {wanted}")


def is_clean(text: str) -> bool:
    """True for a text that MongoDB and every reader of it can hold: no NUL, no half of a surrogate pair."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: Mapping[str, Any], name: str, place: str = "") -> str:
    """A text; empty where it is not there, or null.

    Raises: PayloadError.
    """
    found = value.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise wrong(f"{place}{name}", found, TEXT)
    if not is_clean(found):
        raise PayloadError(f"{place}{name}: {UNCLEAN}")
    return found


def needed(value: Mapping[str, Any], name: str, place: str = "") -> str:
    """A text that must be there.

    Raises: PayloadError.
    """
    found = text(value, name, place)
    if not found.strip():
        raise PayloadError(f"{place}{name}: not there")
    return found


def number(value: Mapping[str, Any], name: str, place: str = "") -> float | None:
    """A number; None where it is not there, or null.

    Raises: PayloadError.
    """
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise wrong(f"{place}{name}", found, NUMBER)
    return found


def flag(value: Mapping[str, Any], name: str, place: str = "") -> bool:
    """Whether something is said to be so; False where it is not there, or null.

    Raises: PayloadError.
    """
    found = value.get(name)
    if found is None:
        return False
    if not isinstance(found, bool):
        raise wrong(f"{place}{name}", found, FLAG)
    return found


def inner(value: Mapping[str, Any], name: str, place: str = "") -> Mapping[str, Any]:
    """An object; empty where it is not there, or null.

    Raises: PayloadError.
    """
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise wrong(f"{place}{name}", found, OBJECT)
    return found


def items(value: Mapping[str, Any], name: str, place: str) -> list[Any]:
    """A list; empty where it is not there, or null.

    Raises: PayloadError.
    """
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise wrong(f"{place}{name}", found, LIST)
    return found


def objects(value: Mapping[str, Any], name: str, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its place (`affected[0].`).

    Raises: PayloadError.
    """
    for index, found in enumerate(items(value, name, place)):
        at = f"{place}{name}[{index}]"
        if not isinstance(found, Mapping):
            raise wrong(at, found, OBJECT)
        yield f"{at}.", found


def texts(value: Mapping[str, Any], name: str, place: str = "") -> tuple[str, ...]:
    """The texts of a list, less those that are empty.

    Raises: PayloadError.
    """
    found = items(value, name, place)
    for index, each in enumerate(found):
        if not isinstance(each, str):
            raise wrong(f"{place}{name}[{index}]", each, TEXT)
    if not is_clean("".join(found)):
        index = next(index for index, each in enumerate(found) if not is_clean(each))
        raise PayloadError(f"{place}{name}[{index}]: {UNCLEAN}")
    return tuple(filter(None, found))

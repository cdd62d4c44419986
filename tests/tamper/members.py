"""Lies about every member of manifest.json: changed, removed, of another type, of another form; signed again and not.

What docs/kit-format.md leaves to the signer is no lie once it is signed again: those are controls, and must be accepted.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.controls import Control
from tests.faults.forge import MANIFEST, Json, Kit, line
from tests.faults.registry import FOLDER, Lie, Told
from tests.faults.statement_lies import MANIFEST_REASON

Way = tuple[str | int, ...]
"""The members and places that lead to a value."""
UNSIGNED, SIGNED = "T10", "C12"
"""Rows of the attack list: edited by hand to pass a check; a signed payload that is not of its form."""
GONE = object()


def ways(value: Json, way: Way = ()) -> Iterator[Way]:
    """Every value in a statement; of the subjects, which are all of one form, the first two and the last."""
    if way:
        yield way
    items: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
        items = [*items[:2], items[-1]] if way == ("subject",) else items
    for step, inner in items:
        yield from ways(inner, (*way, step))


def value_at(statement: Json, way: Way) -> Json:
    """The value there."""
    for step in way:
        statement = statement[step]
    return statement


def edited(statement: Json, way: Way, value: object) -> Json:
    """A copy with another value there, or without it."""
    told = copy.deepcopy(statement)
    holder = value_at(told, way[:-1])
    if value is GONE:
        del holder[way[-1]]
    else:
        holder[way[-1]] = value
    return told


def other(value: Json) -> Json:
    """Another value of the same type."""
    if isinstance(value, str):
        return f"{value}0"
    if isinstance(value, list):
        return [*value, *(value[:1] or ["0"])]
    return {**value, "zzz": "0"} if isinstance(value, dict) else "0" * 40


def of_other_type(value: Json) -> Json:
    """The value as something else."""
    if isinstance(value, str):
        return [value]
    return {} if isinstance(value, list) else "text" if isinstance(value, dict) else 0


def of_other_form(value: Json) -> Json:
    """A value of the same type that nothing in a manifest may have."""
    if isinstance(value, str):
        return f"{value}\n"
    if isinstance(value, list):
        return [*value, None]
    return {**value, "zzz": "0"} if isinstance(value, dict) else ""


EDITS: dict[str, Callable[[Json], Any]] = {
    "changed": other,
    "removed": lambda _: GONE,
    "of another type": of_other_type,
    "of another form": of_other_form,
}


def is_free(way: Way, title: str) -> bool:
    """Whether a signer may do so: leave out a delivery, a part, the note, or the migration of a part."""
    inside = way[1:] if way[0] == "predicate" else ()
    lists = len(inside) == 2 and inside[0] in {"deliveries", "parts"}
    optional = inside == ("source", "note") or (len(inside) == 3 and inside[0] == "parts" and inside[2] == "migration")
    return title == "removed" and (lists or optional)


def member_cases(truth: Callable[[], Kit]) -> Iterator[Lie | Control]:
    """All lies and controls about a kit's manifest; `truth` makes the kit anew."""
    statement = truth().manifest()
    for way in ways(statement):
        for title, edit in EDITS.items():
            told = edited(statement, way, edit(value_at(statement, way)))
            yield from cases(truth, way, title, told)


def cases(truth: Callable[[], Kit], way: Way, title: str, told: Json) -> Iterator[Lie | Control]:
    """One edit, not signed; and signed again, where it is not just another value that a signer may choose."""
    name = f"{MANIFEST} {'.'.join(map(str, way))} {title}"
    kin = f"manifest: every member {title}"
    yield Lie(name, UNSIGNED, 5, (MANIFEST_REASON,), FOLDER, partial(tell, truth, told, signed=False), kin)
    signed = partial(tell, truth, told, signed=True)
    if is_free(way, title):
        yield Control(f"{name}, signed again", FOLDER, signed)
    elif title != "changed":
        yield Lie(f"{name}, signed again", SIGNED, 5, (MANIFEST_REASON,), FOLDER, signed, f"{kin}, signed again")


def tell(truth: Callable[[], Kit], told: Json, place: Path, *, signed: bool) -> Told:
    """Writes the kit with another manifest."""
    kit = truth()
    if signed:
        kit.state_as(line(told))
    else:
        kit.files[MANIFEST] = line(told)
    return kit.write_folder(place), kit.keys

"""An advisory as its feed sends it, and where each format keeps what the product's ingestion reads of it (facts 1.3). Pure."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lnm_runner.demo import chance

Place: TypeAlias = tuple[str | int, ...]
"""The way to a value: names of members, and numbers in lists."""


@dataclass(frozen=True)
class Form:
    """A format of payloads."""

    id: Place
    modified: Place
    published: Place
    text: Place
    """What a revision says otherwise."""
    spec: Place
    version: Place
    """A number of the document; formats without one are told apart by when they were modified."""
    hints: tuple[str, ...]
    """The members that join hints come from."""


FORMS: Mapping[str, Form] = {
    "OSV": Form(
        id=("id",),
        modified=("modified",),
        published=("published",),
        text=("details",),
        spec=("schema_version",),
        version=(),
        hints=("id", "aliases", "affected", "references"),
    ),
    "CSAF": Form(
        id=("document", "tracking", "id"),
        modified=("document", "tracking", "current_release_date"),
        published=("document", "tracking", "initial_release_date"),
        text=("document", "notes", 0, "text"),
        spec=("document", "csaf_version"),
        version=("document", "tracking", "version"),
        hints=("document", "product_tree", "vulnerabilities"),
    ),
    "NVD": Form(
        id=("cve", "id"),
        modified=("cve", "lastModified"),
        published=("cve", "published"),
        text=("cve", "descriptions", 0, "value"),
        spec=(),
        version=(),
        hints=("cve",),
    ),
}
SPEC_VERSIONS = {"OSV": "1.0.0", "CSAF": "2.0", "NVD": "2.0"}
"""Of payloads that do not say theirs; OSV 1.0.0 had no field for it."""

UNDATED = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
"""Where an advisory names no date: the Go database writes the year 1."""
YEARS = range(1970, 9000)
REVISION_EVERY = dt.timedelta(days=30)
TWICE, THRICE = 8, 40
"""One advisory in so many has two revisions, or three."""


@dataclass(frozen=True)
class Advisory:
    """One payload."""

    format: str
    value: Mapping[str, Any]
    payload: bytes
    """The JSON of the value."""
    names: tuple[str, ...]
    """Its id, then its aliases as they are given."""
    place: str
    """Where it came from, for an error."""

    @property
    def id(self) -> str:
        """As the payload itself says."""
        return self.names[0]

    @property
    def form(self) -> Form:
        """Of its format."""
        return FORMS[self.format]

    @property
    def modified(self) -> dt.datetime:
        """When it was last modified, else published, else a constant; in whole milliseconds."""
        found = (date(at(self.value, place)) for place in (self.form.modified, self.form.published))
        return next(filter(None, found), UNDATED)

    @property
    def spec_version(self) -> str:
        """Of its format."""
        return text(self.value, self.form.spec) or SPEC_VERSIONS[self.format]

    @property
    def version(self) -> str:
        """Of the document."""
        return text(self.value, self.form.version) or text(self.value, self.form.modified)


def advisory(form: str, value: Mapping[str, Any], names: tuple[str, ...], place: str) -> Advisory:
    """An advisory whose payload is written here."""
    return Advisory(form, value, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), names, place)


def at(value: Any, place: Place) -> Any:
    """What stands in a place; None where nothing does."""
    for step in place:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def text(value: Any, place: Place) -> str:
    """A text; empty where there is none, or no place for one."""
    found = at(value, place) if place else None
    return found if isinstance(found, str) else ""


def date(found: Any) -> dt.datetime | None:
    """A date as the feeds write it, in UTC where they do not say; None for what is none."""
    try:
        read = dt.datetime.fromisoformat(found)
        utc = read.replace(tzinfo=read.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000) if utc.year in YEARS else None


def changed(value: Any, place: Place, new: Any) -> Any:
    """A copy of a value with something else in one place."""
    step, *rest = place
    if isinstance(step, int):
        return [*value[:step], changed(value[step], tuple(rest), new) if rest else new, *value[step + 1 :]]
    return {**value, step: changed(value[step], tuple(rest), new) if rest else new}


def count(identity: str) -> int:
    """How many revisions an advisory has."""
    return 3 if chance.one_in(THRICE, "revisions", identity) else 2 if chance.one_in(TWICE, "revisions", identity) else 1


def revisions(first: Advisory) -> Iterator[Advisory]:
    """An advisory, and what became of it."""
    yield first
    last = first
    for number in range(2, count(first.id) + 1):
        last = revised(last, number)
        yield last


def revised(before: Advisory, number: int) -> Advisory:
    """The next revision: a later date, and another text."""
    form = before.form
    later = (before.modified + REVISION_EVERY).isoformat(timespec="seconds").replace("+00:00", "Z")
    said = f"{text(before.value, form.text)}\n\nRevision {number}: the description was made clearer.".strip()
    value = changed(changed(before.value, form.modified, later), form.text, said)
    if form.version:
        value = changed(value, form.version, str(number))
    return advisory(before.format, value, before.names, before.place)

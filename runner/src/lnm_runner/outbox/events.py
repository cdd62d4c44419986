"""An event as a publisher says it: one line of canonical JSON (facts 3.4, RFC 8785), from a row of an outbox. Pure.

The row less what is about the row itself: `_id`, `publishedAt`, `backfill`. Ids are text, dates `YYYY-MM-DDTHH:MM:SS[.mmm]Z`; a
whole number that JSON's numbers do not hold exactly, as the ticks of `replayCursor`, is text, too (RFC 7493, section 2.2).
`eventId` is the key by which a reader knows an event that it has had already.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from lnm_runner.backfill import identity
from lnm_runner.errors import InputError

OF_THE_ROW = frozenset({"_id", "publishedAt", "backfill"})
LONGEST_BYTES = 512 * 1024
"""Of a message: the cap of the product's own publisher (facts 3.4)."""


def line(collection: str, row: Mapping[str, Any]) -> bytes:
    """The event of a row, with its line end.

    Raises: InputError for a row of which no event can be made; nothing behind it is published then.
    """
    try:
        if not isinstance(row.get("eventId"), str):
            raise TypeError("eventId")  # noqa: TRY301 - told with all else that is wrong with a row
        said = identity.canonical(in_json({name: value for name, value in row.items() if name not in OF_THE_ROW}))
    except (TypeError, ValueError, RecursionError) as err:
        raise refused(collection, row, f"holds what no event may hold ({type(err).__name__})") from err
    if len(said) >= LONGEST_BYTES:
        raise refused(collection, row, f"makes an event of {len(said):,} bytes, {LONGEST_BYTES:,} are allowed")
    return said + b"\n"


def in_json(value: Any) -> Any:
    """A stored value as JSON has it.

    Raises: TypeError for a kind of value that no event has.
    """
    if isinstance(value, Mapping):
        return {str(name): in_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [in_json(each) for each in value]
    if isinstance(value, dt.datetime):
        return identity.text_of(value)
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < identity.EXACT else str(int(value))
    if isinstance(value, ObjectId):
        return str(value)
    raise TypeError(type(value).__name__)


def refused(collection: str, row: Mapping[str, Any], why: str) -> InputError:
    """The error about a row."""
    return InputError(
        f"{collection}: the row {row.get('_id')} {why}",
        hint=f"look: db.{collection}.find({{_id: {row.get('_id')!r}}}); what stands before it is published, nothing behind it",
        facts={"collection": collection, "id": str(row.get("_id"))},
    )

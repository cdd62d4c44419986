"""What a stage hands on, one at a time: documents to write, or why there are none. Pure.

The stages are `making.py`; `batches.py` writes what they make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson import ObjectId
from bson.errors import BSONError

LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Bytes; the server's limit (MongoDB manual, «BSON Document Size»)."""

MISSING, CHANGED, PAYLOAD, FORMAT, TOO_LARGE, CONFLICT, LEGACY = (
    f"ERR_LNM_{name}" for name in ("MISSING", "CHANGED", "PAYLOAD", "FORMAT", "TOO_LARGE", "CONFLICT", "LEGACY")
)
"""Beside the codes of AOC: the input is gone, or another one since the inventory; its payload is not understood, or of no known
format; what is made of it is too large; somebody else's document stands in its place; a merged document that has no key.
"""

Position = tuple[int, int]


@dataclass(frozen=True)
class Made:
    """A document, as it will be stored."""

    collection: str
    id: ObjectId
    data: bytes
    """BSON."""


@dataclass(frozen=True)
class Failure:
    """Why nothing is made of an input; `key` says which."""

    key: tuple[str, ...]
    code: str
    reason: str


@dataclass(frozen=True)
class Item:
    """What is made of one input."""

    position: Position
    """In the order of the stage."""
    tenant: str
    made: tuple[Made, ...] = ()
    """The first is what it is about; the others go with it."""
    failure: Failure | None = None
    tallies: tuple[str, ...] = ()
    """What is counted of it, per tenant."""
    carry: Mapping[str, Any] | None = None
    """What the next one has to know, if the work goes on elsewhere."""

    @property
    def size(self) -> int:
        """Bytes to write."""
        return sum(len(one.data) for one in self.made)


class DocumentError(Exception):
    """Nothing can be made of an input."""

    def __init__(self, code: str, reason: str) -> None:
        """`reason` is a sentence without the input's content."""
        super().__init__(reason)
        self.code = code
        self.reason = reason


def encoded(collection: str, document: Mapping[str, Any]) -> Made:
    """A document in BSON.

    Raises: DocumentError for one that cannot be stored.
    """
    try:
        data = bson.encode(document)
    except (BSONError, OverflowError, ValueError) as err:
        raise DocumentError(PAYLOAD, f"what is made of it cannot be stored ({type(err).__name__})") from err
    if len(data) > LARGEST_DOCUMENT:
        raise DocumentError(
            TOO_LARGE, f"what is made of it for {collection} has {len(data):,} bytes, MongoDB takes {LARGEST_DOCUMENT:,}"
        )
    return Made(collection, document["_id"], data)

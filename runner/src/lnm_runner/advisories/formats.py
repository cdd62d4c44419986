"""The formats of payloads that have a reader: the table. A new format is a new file and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lnm_runner.advisories import csaf, json_payload, nvd, osv
from lnm_runner.advisories.record import PayloadError, Record

READERS: Mapping[str, Callable[[Mapping[str, Any]], Record]] = {
    "OSV": osv.record,
    "CSAF": csaf.record,
    "NVD": nvd.record,
}
"""`{content.format of advisory_raw, in capitals: its reader}`"""


def read(name: str, payload: bytes | str | Mapping[str, Any]) -> Record:
    """The advisory of a payload: its bytes, or what `content.raw` holds, which is an object or JSON text.

    Raises: PayloadError.
    """
    reader = READERS.get(name.upper())
    if reader is None:
        raise PayloadError(f"content.format: {name[:40]!r} has no reader, wanted one of {', '.join(READERS)}")
    return reader(parsed(payload))


def parsed(payload: object) -> Mapping[str, Any]:
    """The object of a payload, whichever way it was stored.

    Raises: PayloadError.
    """
    if isinstance(payload, str):
        return json_payload.read(payload.encode("utf-8", "surrogatepass"))
    if isinstance(payload, bytes):
        return json_payload.read(payload)
    if not isinstance(payload, Mapping):
        raise json_payload.wrong("content.raw", payload, "an object or its JSON")
    return payload

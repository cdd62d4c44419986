"""The formats of payloads that have a reader: the table. A new format is a new file and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lnm_runner.advisories import csaf, nvd, osv
from lnm_runner.advisories.record import PayloadError, Record

READERS: Mapping[str, Callable[[bytes], Record]] = {
    "OSV": osv.record,
    "CSAF": csaf.record,
    "NVD": nvd.record,
}
"""`{content.format of advisory_raw, in capitals: its reader}`"""


def read(name: str, payload: bytes) -> Record:
    """The advisory of a payload.

    Raises: PayloadError.
    """
    reader = READERS.get(name.upper())
    if reader is None:
        raise PayloadError(f"content.format: {name[:40]!r} has no reader, wanted one of {', '.join(READERS)}")
    return reader(payload)

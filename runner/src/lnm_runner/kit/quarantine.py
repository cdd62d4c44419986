"""quarantine/<sha256 of the file>/: a kit that was refused, kept for whoever looks into it, and why it was refused.

`kit.refused` is the copy that was judged; `reason.json` says when, by which policy and why. The same file is kept once, ten at
most, of which the oldest goes, and none of more than 4 GiB: of such a one only the reason is kept.
"""

from __future__ import annotations

import json
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.errors import RunnerError
from lnm_runner.kit.held import Held
from lnm_runner.kit.state import SMALL

FOLDER: Final = "quarantine"
COPY: Final = "kit.refused"
REASON: Final = "reason.json"
MOST: Final = 10
LARGEST: Final = 4 << 30  # bytes


def keep(root: Held, incoming: Held, name: str, size: int, reason: dict[str, Any]) -> None:
    """Keeps the file `name` of `incoming`, of `size` bytes and with the SHA-256 `reason["file"]`.

    Raises: RunnerError where that cannot be written.
    """
    with root.made(FOLDER) as quarantine:
        sha256 = reason["file"]
        make_room(quarantine, sha256)
        with quarantine.made(sha256) as place:
            if size <= LARGEST and COPY not in place.names():
                incoming.move(name, place, COPY)
            place.replace(REASON, chain.rendered(reason))


def make_room(quarantine: Held, sha256: str) -> None:
    """Removes the oldest ones, so that one more is not too many."""
    others = sorted((name for name in quarantine.names() if name != sha256), key=lambda name: kept_at(quarantine, name))
    for name in others[: max(0, len(others) - MOST + 1)]:
        quarantine.remove(name)


def kept_at(quarantine: Held, name: str) -> str:
    """When one was refused; what has no readable reason is the oldest."""
    try:
        place = quarantine.folder(name)
        if place is None:
            return ""
        with place:
            value = json.loads(place.read(REASON, SMALL) or b"{}")
    except (ValueError, RecursionError, RunnerError):
        return ""
    return str(value.get("at", "")) if isinstance(value, dict) else ""

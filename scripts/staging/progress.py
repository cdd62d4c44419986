"""How far a rehearsal has come, so that one that was stopped goes on: by the lines of the journal, and by what was seen before.

`pictures.json` beside the evidence keeps the pictures of one journal, which its nonce names; those of another are of no use.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from scripts import files
from scripts.staging.eyes import Seen
from scripts.staging.scene import EVENTS, Scene

FILE = "pictures.json"


class Step(Protocol):
    """One step of the order."""

    @property
    def name(self) -> str:
        """The stage, or what else it is."""

    @property
    def ends_as(self) -> str:
        """What the journal says of it then; empty where it says nothing."""


def done(order: Sequence[Step], lines: Iterable[Mapping[str, Any]]) -> int:
    """How many steps of the order the journal says are done, by its lines in their order."""
    told = iter((line["stage"], line["state"]) for line in lines)
    count = 0
    for number, step in enumerate(order, 1):
        if not step.ends_as:
            continue
        if (step.name, step.ends_as) not in told:  # takes from the lines up to the one that says so
            break
        count = number
    return count


def keep(scene: Scene) -> None:
    """Writes down what was seen.

    Raises: KitError.
    """
    pictures = {
        name: {collection: dataclasses.asdict(seen) for collection, seen in picture.items()}
        for name, picture in scene.pictures.items()
    }
    value = {"nonce": nonce(scene), "othersWrite": scene.others_write, "pictures": pictures}
    with files.replacing(scene.out / FILE) as out:
        out.write(json.dumps(value, indent=1).encode())


def recall(scene: Scene) -> None:
    """Remembers what was seen of the same journal; what is left of another rehearsal's events is removed."""
    path = scene.out / FILE
    value: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {"nonce": None}
    if not scene.has_begun or value["nonce"] != nonce(scene):
        (scene.out / EVENTS).unlink(missing_ok=True)
        return
    scene.others_write = value["othersWrite"]
    scene.pictures = {
        name: {collection: Seen(**seen) for collection, seen in picture.items()} for name, picture in value["pictures"].items()
    }


def nonce(scene: Scene) -> str:
    """What names the journal."""
    return str(scene.journal()[0]["evidence"]["nonce"])

"""What the image of each platform is built on: Debian's packages, another OCI layout, or nothing, with the reason.

The choice is made before the table, as it decides which rows there are. A kit without an image says so, and is for the channel
edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import debian, foreign_base
from scripts.errors import InputError

LOCKED = "LNM_LOCKED"
STORE = "LNM_DEBS"
WANTED = "LNM_IMAGE"
NEEDS = f"build on Debian 12, or name another base: {foreign_base.VARIABLE}=FOLDER"


@dataclass(frozen=True)
class Base:
    """What one platform's image is built on."""

    platform: str
    """`linux-amd64`"""
    absent: str = ""
    """Why there is none, and so no image."""
    layout: Path | None = None
    """Another OCI layout, and the digest of its manifest for this platform."""
    digest: str = ""

    @property
    def architecture(self) -> str:
        """As OCI and Debian both call it."""
        return self.platform.partition("-")[2]


def choose(environment: Mapping[str, str], platforms: Sequence[str], channel: str) -> tuple[Base, ...]:
    """The base for each platform.

    Raises: InputError where a release would be without an image, or the layout that is named is none.
    """
    named = environment.get(foreign_base.VARIABLE)
    wanted = environment.get(WANTED) or "build"
    if wanted not in ("build", "none"):
        raise InputError(f"{WANTED}: found {wanted!r}, wanted build or none", hint=f"unset {WANTED}")
    if wanted == "none":
        bases = tuple(Base(platform, absent=f"it was built with {WANTED}=none") for platform in platforms)
    else:
        bases = from_layout(Path(named), platforms) if named else from_debian(debian.lacking(environment), platforms)
    absent = [f"{base.platform}: {base.absent}" for base in bases if base.absent]
    if absent and channel != "edge":
        raise InputError(f"LNM_CHANNEL={channel} needs an image for every platform; {'; '.join(absent)}", hint=NEEDS)
    return bases


def from_layout(layout: Path, platforms: Sequence[str]) -> tuple[Base, ...]:
    """Bases from an OCI layout."""
    found = foreign_base.manifests(layout)
    return tuple(
        Base(platform, layout=layout, digest=found[platform]["digest"])
        if platform in found
        else Base(platform, absent=f"the layout that {foreign_base.VARIABLE} names has no image for it")
        for platform in platforms
    )


def from_debian(lacking: str, platforms: Sequence[str]) -> tuple[Base, ...]:
    """Bases from Debian's packages, where they can be had."""
    return tuple(Base(platform, absent=f"{lacking}; {NEEDS}" if lacking else "") for platform in platforms)


def is_locked(environment: Mapping[str, str], channel: str) -> bool:
    """True where only the very packages of the lock will do.

    Raises: InputError for a value that is none.
    """
    value = environment.get(LOCKED, "")
    if value not in ("", "0", "1"):
        raise InputError(f"{LOCKED}: found {value!r}, wanted 1 or 0", hint=f"unset {LOCKED}")
    return value == "1" or channel != "edge"

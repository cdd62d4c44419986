"""Makes `image-digest.txt`: the digest of each image, as the deployment files name it.

A line for each image, in the order of its names: `sha256:<hex>`, two spaces, the image's folder, LF. The digest is that of the
image's manifest (OCI image-spec 1.1, descriptor.md), which is what a registry and `podman image inspect` tell it by.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from scripts import statement


def render(digests: dict[str, str]) -> bytes:
    """The file of `{image: sha256:<hex>}`."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode("ascii")


def write(out: BinaryIO, *, images: tuple[Path, ...]) -> None:
    """Writes the file from the indexes of the images' layouts.

    Raises: as `statement.image_descriptor`.
    """
    out.write(render({index.parent.name: statement.image_descriptor(index)["digest"] for index in images}))

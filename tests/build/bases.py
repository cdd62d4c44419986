"""Small OCI layouts that an image can be built on: a file in the place of Python, and what dpkg would say of one package."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from scripts import layer, oci

EPOCH = 1764547200
STATUS = b"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nArchitecture: amd64\nMaintainer: A <a@b.c>\n"
LOWER = {"usr/bin/python3.11": layer.file(b"", 0o755), "var/lib/dpkg/status": layer.file(STATUS)}
RUNS = {
    "Env": ["PATH=/usr/bin", "HOME=/root", "LD_PRELOAD=/x.so", "ODD"],
    "User": "root",
    "Entrypoint": ["/bin/sh"],
    "Labels": {"theirs": "yes"},
}

Blobs = dict[str, bytes | Path]


def packed(entries: layer.Entries) -> tuple[bytes, layer.Layer]:
    """A layer's bytes, and what is said of them."""
    out = io.BytesIO()
    made = layer.write(out, entries, EPOCH)
    return out.getvalue(), made


def image(blobs: Blobs, layers: tuple[layer.Entries, ...], architecture: str) -> dict[str, Any]:
    """Adds an image of these layers; its descriptor."""
    made = [packed(entries) for entries in layers]
    rootfs = {"diff_ids": [one.diff_id for _, one in made], "type": "layers"}
    config = oci.render({"architecture": architecture, "config": RUNS, "os": "linux", "rootfs": rootfs})
    manifest = oci.manifest(oci.descriptor(oci.CONFIG, config), [one.descriptor() for _, one in made])
    blobs |= {oci.digest_of(data): data for data in (config, manifest, *(data for data, _ in made))}
    return oci.descriptor(oci.MANIFEST, manifest)


def base(folder: Path, *layers: layer.Entries, architectures: tuple[str, ...] = ("amd64",), nested: bool = False) -> Path:
    """A layout with an image of these layers for each architecture, below an index of its own where `nested`; its folder."""
    blobs: Blobs = {}
    items = [image(blobs, layers or (LOWER,), architecture) for architecture in architectures]
    root = oci.index(items)
    if nested:
        inner = oci.index([*items, {**items[0], "platform": {"architecture": "unknown", "os": "unknown"}}])
        blobs[oci.digest_of(inner)] = inner
        root = oci.index([oci.descriptor(oci.INDEX, inner)])
    oci.write_layout(folder, blobs, root)
    return folder

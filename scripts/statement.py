"""in-toto Statement v1 (in-toto attestation framework, spec/v1/statement.md): subjects and a predicate about them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, checksums, files, oci
from scripts.errors import InputError

TYPE = "https://in-toto.io/Statement/v1"
SPDX = "https://spdx.dev/Document"
SLSA = "https://slsa.dev/provenance/v1"
IMAGE = "stella-ops.org/concelier/lnm-runner"
"""The name of the runner's image; what it is told apart by is its digest, so it has no tag here."""


def render(subjects: Iterable[tuple[str, str]], predicate_type: str, predicate: Any) -> bytes:
    """A statement about `(name, sha256)` subjects, in their order, canonical and with one LF."""
    return canonical.render(
        {
            "_type": TYPE,
            "predicate": predicate,
            "predicateType": predicate_type,
            "subject": [{"digest": {"sha256": sha256}, "name": name} for name, sha256 in subjects],
        }
    )


def kit_subject(name: str, payload: Path) -> tuple[str, str]:
    """The subject of every statement about a kit: its name and rootHash."""
    return name, checksums.root_hash(files.read_bytes(payload))


def write_spdx(out: BinaryIO, *, payload: Path, sbom: Path, kit_name: str) -> None:
    """The kit's SBOM as a statement about the kit."""
    document = canonical.read(files.read_bytes(sbom), sbom.name)
    out.write(render([kit_subject(kit_name, payload)], SPDX, document))


def image_descriptor(image: Path) -> dict[str, Any]:
    """The one descriptor in the index of an image's layout, after a look at the manifest that it leads to.

    Raises: InputError, ChecksumError, MissingError.
    """
    listed = oci.read_index(image.parent)
    if len(listed) != 1 or listed[0].get("mediaType") != oci.MANIFEST:
        raise InputError(f"{image.parent.name}/{image.name}: wanted one image manifest and nothing else", hint=oci.AGAIN)
    oci.read_document(image.parent, listed[0])
    return listed[0]


def image_subject(image: Path) -> tuple[str, str]:
    """The subject of every statement about an image: its name and the SHA-256 of its manifest."""
    return IMAGE, image_descriptor(image)["digest"].removeprefix("sha256:")


def write_image_spdx(out: BinaryIO, *, image: Path, sbom: Path) -> None:
    """An image's SBOM as a statement about the image."""
    document = canonical.read(files.read_bytes(sbom), sbom.name)
    out.write(render([image_subject(image)], SPDX, document))

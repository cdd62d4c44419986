"""in-toto Statement v1 (in-toto attestation framework, spec/v1/statement.md): subjects and a predicate about them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, checksums, files

TYPE = "https://in-toto.io/Statement/v1"
SPDX = "https://spdx.dev/Document"
SLSA = "https://slsa.dev/provenance/v1"


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

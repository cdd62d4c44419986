"""OCI image layouts: descriptors, documents in one byte form, and a folder that holds what its index leads to and nothing else.

Format: OCI image-spec 1.1: image-layout.md, image-index.md, manifest.md, config.md, descriptor.md. Documents are canonical JSON
(RFC 8785) without a final LF, as the digest of a document is over its bytes. A layout's files but `oci-layout` and `index.json`
are named by their content, so no table can tell their names: in a table the index stands for its layout; `whole` tells the rest.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, files
from scripts.errors import ChecksumError, InputError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYOUT_FILE, INDEX_FILE, BLOBS = "oci-layout", "index.json", "blobs/sha256"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
AGAIN = "rm -r that folder, then doit bundle"


def render(document: Mapping[str, Any]) -> bytes:
    """A document's one byte form."""
    return canonical.render(document)[:-1]


def digest_of(data: bytes) -> str:
    """`sha256:<hex>` of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    """What a document says of a blob that it leads to; `more` are further members (annotations, platform, artifactType)."""
    return {"digest": digest_of(data), "mediaType": media_type, "size": len(data), **more}


def manifest(config: Mapping[str, Any], layers: Iterable[Mapping[str, Any]], **more: Any) -> bytes:
    """An image manifest of descriptors; `more` are further members (annotations, artifactType, subject)."""
    return render({"config": config, "layers": list(layers), "mediaType": MANIFEST, "schemaVersion": 2, **more})


def index(manifests: Iterable[Mapping[str, Any]]) -> bytes:
    """An index of descriptors."""
    return render({"manifests": list(manifests), "mediaType": INDEX, "schemaVersion": 2})


def blob(layout: Path, digest: str) -> Path:
    """Where a layout has a blob.

    Raises: InputError where that is no digest.
    """
    match = DIGEST.fullmatch(digest)
    if not match:
        raise InputError(f"{layout.name}: found {digest[:80]!r}, wanted sha256: and 64 hex digits", hint=AGAIN)
    return layout / BLOBS / match[1]


def read_blob(layout: Path, item: Mapping[str, Any]) -> bytes:
    """The bytes that a descriptor leads to.

    Raises: ChecksumError where they are others; MissingError, InputError.
    """
    path = blob(layout, str(item.get("digest")))
    data = files.read_bytes(path)
    if digest_of(data) != item["digest"] or len(data) != item.get("size"):
        raise ChecksumError(f"{layout.name}: {path.name[:12]}… is not the blob that its descriptor tells", hint=AGAIN)
    return data


def read_document(layout: Path, item: Mapping[str, Any]) -> dict[str, Any]:
    """The document that a descriptor leads to.

    Raises: as `read_blob`; InputError where it is no JSON object.
    """
    found = canonical.read(read_blob(layout, item), f"{layout.name}: {item['digest']}")
    if not isinstance(found, dict):
        raise InputError(f"{layout.name}: {item['digest']}: found {type(found).__name__}, wanted an object", hint=AGAIN)
    return found


def read_index(layout: Path) -> list[dict[str, Any]]:
    """The descriptors in a layout's index.

    Raises: MissingError, InputError.
    """
    found = canonical.read(files.read_bytes(layout / INDEX_FILE), f"{layout.name}/{INDEX_FILE}")
    listed = found.get("manifests") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise InputError(f"{layout.name}/{INDEX_FILE}: wanted an object with a list «manifests»", hint=AGAIN)
    return listed


def write_layout(layout: Path, blobs: Mapping[str, bytes | Path], root: bytes) -> None:
    """Lays out blobs, `{digest: bytes or the file that has them}`, and the index; what was there and is of no use goes.

    Blobs come first and are named by their content, then the index, then old blobs go: killed in between, a layout is the old one
    or the new one, with blobs too many.
    """
    for digest, content in blobs.items():
        target = blob(layout, digest)
        if target.is_file() and not target.is_symlink() and f"sha256:{files.sha256_of(target)}" == digest:
            continue
        with files.replacing(target) as out:
            if copied(content, out) != digest:
                raise ChecksumError(f"{layout.name}: {digest}: what should be this blob has other bytes", hint="doit bundle")
    for name, data in ((LAYOUT_FILE, LAYOUT_VERSION), (INDEX_FILE, root)):
        with files.replacing(layout / name) as out:
            out.write(data)
    wanted = {layout / LAYOUT_FILE, layout / INDEX_FILE, *(blob(layout, digest) for digest in blobs)}
    with files.looking():
        for path in sorted(layout.rglob("*"), reverse=True):  # what is in a folder before the folder
            if path.is_dir() and not path.is_symlink():
                if not any(path in kept.parents for kept in wanted):
                    path.rmdir()
            elif path not in wanted:
                path.unlink()


def copied(content: bytes | Path, out: BinaryIO) -> str:
    """Writes a blob; the digest of what was written."""
    if isinstance(content, bytes):
        out.write(content)
        return digest_of(content)
    written = hashlib.sha256()
    with content.open("rb") as source:
        while chunk := source.read(1 << 20):
            written.update(chunk)
            out.write(chunk)
    return f"sha256:{written.hexdigest()}"


def whole(tree: Iterable[Path]) -> tuple[Path, ...]:
    """The files of a table, each layout's index with all files of its layout."""
    return tuple(path for listed in tree for path in (sorted(of_layout(listed.parent)) if is_index(listed) else [listed]))


def is_index(path: Path) -> bool:
    """True for a file that stands for a layout."""
    return path.name == INDEX_FILE and path.with_name(LAYOUT_FILE).is_file()


def purl(name: str, digest: str, architecture: str = "") -> str:
    """The package URL of an image (purl-spec, type oci)."""
    return f"pkg:oci/{name}@{urllib.parse.quote(digest, safe='')}{f'?arch={architecture}' if architecture else ''}"


def of_layout(layout: Path) -> Iterator[Path]:
    """Every file of a layout."""
    yield layout / LAYOUT_FILE
    yield layout / INDEX_FILE
    with files.looking():
        yield from (layout / BLOBS).iterdir()

"""Lets a payload pass to what is signed only with SBOMs that are about it: makes the payload's list of checksums.

(1) the kit's and the tooling's document are in the payload, and that of each image in it, and of no other image; (2) each has
packages beside the one that it describes, and the kit's has files; (3) the kit's lists each file of the payload but itself, once,
with its digest, and its package has the digest over all of them; (4) the tooling's package has the digest of the lock; (5) an
image's has the digest of the manifest in that image's index. Whatever is signed waits for the list (dodo.py: SIGNED), so that a
build which stops here has signed nothing. What an SBOM must be beside that is for its step and for `scripts.verify`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, checksums, files, oci
from scripts.errors import ChecksumError, InputError, MissingError

KIT, TOOLING = "sbom/lnm-kit.spdx.json", "sbom/lnm-tooling.spdx.json"
AGAIN = "doit forget sbom && doit bundle; the documents are made by scripts/sbom_kit.py, sbom_tooling.py and sbom_image.py"
IMAGE = re.compile(r"images/([^/]+)/index\.json")
BLOB = re.compile(r"images/[^/]+/blobs/sha256/[0-9a-f]{64}")
OF_IMAGE = re.compile(r"sbom/(.+)\.spdx\.json")


def read(tree: tuple[Path, ...], base: Path, name: str) -> dict[str, Any]:
    """One of the documents.

    Raises: MissingError where it is not in the payload; InputError where it is empty.
    """
    path = base / name
    if path not in tree or not path.is_file():
        raise MissingError(f"{name}: the payload has no such SBOM; wanted {KIT}, {TOOLING} and one for each image", hint=AGAIN)
    document = canonical.read(files.read_bytes(path), name)
    found = document if isinstance(document, dict) else {}
    counts = {kind: len(items(found, kind)) for kind in ("packages", "files")}
    if counts["packages"] < 2 or (name == KIT and not counts["files"]):  # noqa: PLR2004 - the root, and one that it is about
        words = "packages beside the one it describes" + (" and files" if name == KIT else "")
        raise InputError(f"{name}: {counts['packages']} packages, {counts['files']} files; wanted {words}", hint=AGAIN)
    return found


def items(document: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Packages or files of a document; what is not of that form is none."""
    found = document.get(kind)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def sha256_in(item: Mapping[str, Any]) -> str:
    """The SHA-256 that a package or file has; empty where it has none."""
    found = {entry.get("algorithm"): entry.get("checksumValue") for entry in items(item, "checksums")}
    return str(found.get("SHA256", ""))


def root_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The package that the document describes."""
    described = {
        edge.get("relatedSpdxElement") for edge in items(document, "relationships") if edge.get("relationshipType") == "DESCRIBES"
    }
    return next((item for item in items(document, "packages") if item.get("SPDXID") in described), {})


def over(sums: Mapping[str, str]) -> str:
    """The digest over every file of a payload but the SBOM that it stands in: SHA-256 of their lines in SHA256SUMS."""
    return hashlib.sha256(checksums.render({name: sums[name] for name in sums if name != KIT})).hexdigest()


def compare(name: str, what: str, found: str, wanted: str) -> Iterator[str]:
    """A sentence where a digest is another one."""
    if found != wanted:
        yield f"{name}: {what}: found {found[:12] or 'nothing'}…, wanted {wanted[:12]}…"


def kit_defects(document: Mapping[str, Any], sums: Mapping[str, str]) -> Iterator[str]:
    """How the kit's SBOM is about other bytes than the payload's."""
    listed = [(str(item.get("fileName", "")).removeprefix("./"), sha256_in(item)) for item in items(document, "files")]
    times, digests = Counter(name for name, _ in listed), dict(listed)
    for name in sorted((set(sums) | set(times)) - {KIT}):
        if times[name] != (1 if name in sums else 0):
            yield f"{KIT}: {name}: found {times[name]} times, wanted {1 if name in sums else 0}"
        else:
            yield from compare(KIT, f"sha256 of {name}", digests[name], sums[name])
    if KIT in times:
        yield f"{KIT}: lists itself"
    yield from compare(KIT, "sha256 of the kit's package", sha256_in(root_of(document)), over(sums))


def images(names: Iterable[str]) -> dict[str, str]:
    """`{name of the document: name of the image}` for each image among the files of a payload."""
    return {f"sbom/{match[1]}.spdx.json": match[1] for match in map(IMAGE.fullmatch, names) if match}


def image_defects(document: Mapping[str, Any], name: str, layout: Path) -> Iterator[str]:
    """How an image's SBOM is about another image than the one that its layout leads to."""
    digests = [str(item.get("digest")).removeprefix("sha256:") for item in oci.read_index(layout)]
    wanted = digests[0] if len(digests) == 1 else f"one image, and not {len(digests)}"
    yield from compare(name, f"sha256 of the manifest in images/{layout.name}", sha256_in(root_of(document)), wanted)


def write(out: BinaryIO, *, tree: tuple[Path, ...], lock: Path, base: Path) -> None:
    """Lists the payload, the files of `tree` by their names below `base`, where the SBOMs in it are about it.

    The index of a layout stands for all files of that layout.

    Raises: MissingError, InputError; ChecksumError naming each digest that differs.
    """
    whole = oci.whole(tree)
    named = {path.relative_to(base).as_posix(): path for path in whole}
    held = images(named)
    documents = {name: read(whole, base, name) for name in (KIT, TOOLING, *held)}
    sums = {name: files.sha256_of(path) for name, path in named.items()}
    defects = list(kit_defects(documents[KIT], sums))
    described = sha256_in(root_of(documents[TOOLING]))
    defects += compare(TOOLING, f"sha256 of {lock.name} in its first package", described, files.sha256_of(lock))
    defects += [
        f"{name}: its bytes are another blob's" for name, sha256 in sums.items() if BLOB.fullmatch(name) and sha256 not in name
    ]
    for name, image in held.items():
        defects += image_defects(documents[name], name, base / "images" / image)
    defects += [f"{name}: no such image in the payload" for name in named if OF_IMAGE.fullmatch(name) and name not in documents]
    if defects:
        raise ChecksumError("; ".join(defects), hint=AGAIN)
    out.write(checksums.render(sums))

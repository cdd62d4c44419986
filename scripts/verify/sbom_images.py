"""Checks the SBOM of each image against that image's layers, which it reads itself: OCI layout, tar, gzip, nothing of the build.

(1) each image of the kit has a document, and each document that is not the kit's or the tooling's has an image; (2) the digest of
the described package is that of the one manifest in the image's index, whose bytes have it, and so have those of every layer; (3)
each package that the layers hold the state of, of Debian (`var/lib/dpkg/status.d`, or dpkg's own list) or of Python
(`*.dist-info/METADATA`), is in the document with that version, and the document has no other of those types; (4) the files of the
migrations' package are all there is below one folder of the layers, each with its SHA-256. What any document must be stands in
scripts/verify/sboms.py.

A later layer's file covers an earlier one's; whiteouts (OCI image-spec, layer.md) take files away.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.verify.sbom_documents import Package, contained, described, purls_of, sha256_of

STATUS = re.compile(r"var/lib/dpkg/(status|status\.d/(?!.*\.md5sums$)[^/]+)")
METADATA = re.compile(r".*\.dist-info/METADATA")
INSTALLED = "installed"
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MIGRATIONS = "lnm-migrations"
SUFFIX = ".spdx.json"


class ImageError(Exception):
    """An image that is not what its documents say, in words."""


@dataclass
class Image:
    """What the layers of an image come to."""

    digest: str
    """Of its manifest, hex."""
    sums: dict[str, str] = field(default_factory=dict)
    """`{name: sha256}` of every file."""
    states: dict[str, bytes] = field(default_factory=dict)
    """`{name: content}` of the files that tell of packages."""

    def remove(self, names: set[str]) -> None:
        """Takes files away, and all that is below folders; the root is the empty name."""
        for held in list(self.sums):
            parts = held.split("/")
            if not names.isdisjoint("/".join(parts[:depth]) for depth in range(len(parts) + 1)):
                del self.sums[held]
                self.states.pop(held, None)


def names(kit: Path) -> tuple[str, ...]:
    """The documents of images: those that the images of a kit must have."""
    return tuple(f"sbom/{index.parent.name}{SUFFIX}" for index in sorted((kit / "images").glob("*/index.json")))


def strangers(kit: Path, known: Iterable[str]) -> list[str]:
    """(1) Documents that are about nothing in the kit."""
    there = [path.relative_to(kit).as_posix() for path in sorted((kit / "sbom").glob("*"))]
    return [name for name in there if name not in set(known)]


def of_another_image(kit: Path, name: str, document: dict[str, Any]) -> list[str]:
    """(2) to (4): how a document is about another image than that of its name."""
    try:
        image = read_image(kit / "images" / Path(name).name.removesuffix(SUFFIX))
        found = sorted(packages_of(image))
    except ImageError as err:
        return [str(err)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, tarfile.TarError, EOFError) as err:
        return [f"the image cannot be read: {type(err).__name__}: {err}"]
    root = described(document)
    complaints = [] if sha256_of(root) == image.digest else ["the hash of its first package is not that of the image's manifest"]
    times = sum(edge["relationshipType"] == "DESCRIBES" for edge in document["relationships"])
    complaints += [] if times == 1 else [f"describes {times} elements, wanted the image alone"]
    return complaints + differing(found, listed(document)) + misplaced(document, image)


def read_image(layout: Path) -> Image:
    """(2) What is in an image, each blob compared with its digest.

    Raises: ImageError; whatever reading raises over odd forms.
    """
    manifests = json.loads((layout / "index.json").read_bytes())["manifests"]
    if len(manifests) != 1:
        raise ImageError(f"{layout.name}: {len(manifests)} images in its index, wanted 1")
    manifest = json.loads(blob(layout, manifests[0]).read_bytes())
    image = Image(manifests[0]["digest"].removeprefix("sha256:"))
    for item in manifest["layers"]:
        add_layer(image, blob(layout, item))
    return image


def blob(layout: Path, item: dict[str, Any]) -> Path:
    """The file that a descriptor leads to.

    Raises: ImageError where its bytes are others.
    """
    digest = str(item["digest"]).removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ImageError(f"{layout.name}: {digest[:80]!r} is no digest")
    path = layout / "blobs/sha256" / digest
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest or path.stat().st_size != item["size"]:
            raise ImageError(f"{layout.name}: blob {digest[:12]}… has other bytes than its digest or size says")
    return path


def add_layer(image: Image, path: Path) -> None:
    """Puts a layer over those before it."""
    links: list[tuple[str, str]] = []
    removed: list[str] = []
    sums: dict[str, str] = {}
    states: dict[str, bytes] = {}
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            name = plain(member.name)
            folder, _, last = name.rpartition("/")
            if last.startswith(WHITEOUT):
                removed.append(folder if last == OPAQUE else f"{folder}/{last.removeprefix(WHITEOUT)}".lstrip("/"))
            elif member.islnk():
                links.append((name, plain(member.linkname)))
                removed.append(name)  # what was a folder has nothing in it any more
            elif member.isreg():
                removed.append(name)
                content = archive.extractfile(member)
                data = content.read() if content else b""
                sums[name] = hashlib.sha256(data).hexdigest()
                if STATUS.fullmatch(name) or METADATA.fullmatch(name):
                    states[name] = data
            elif not member.isdir():
                removed.append(name)
    image.remove(set(removed))
    for name, other in links:
        sums[name] = sums[other] if other in sums else image.sums[other]
    for name in sums:
        image.states.pop(name, None)
    image.sums |= sums
    image.states |= states


def plain(name: str) -> str:
    """A name without what says that it is relative."""
    return name.removeprefix("./").strip("/")


def packages_of(image: Image) -> Iterator[Package]:
    """(3) The packages that the files of an image tell of."""
    for name, data in image.states.items():
        if METADATA.fullmatch(name):
            fields = paragraph(data.decode("utf-8", "replace").partition("\n\n")[0])
            yield "pypi", normal(fields["Name"]), fields["Version"]
            continue
        for text in re.split(r"\n\s*\n", data.decode("utf-8", "replace").strip()):
            fields = paragraph(text)
            if INSTALLED in fields.get("Status", INSTALLED).split():
                yield "deb", fields["Package"], fields["Version"]


def paragraph(text: str) -> dict[str, str]:
    """The fields of a paragraph, each first one, without lines that go on."""
    fields: dict[str, str] = {}
    for line in text.replace("\r\n", "\n").splitlines():
        key, colon, value = line.partition(":")
        if colon and not key[:1].isspace():
            fields.setdefault(key, value.strip())
    return fields


def normal(name: str) -> str:
    """A name of Python as PyPA, «Names and normalization», has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def listed(document: dict[str, Any]) -> list[Package]:
    """(3) The packages of those types that a document has, by what their package URLs say; a package's own fields must agree."""
    found = []
    for package in document["packages"]:
        for kind, name, version in purls_of(package):
            if kind in ("deb", "pypi"):
                same = (name, version) == (package["name"], package["versionInfo"])
                found.append((kind, name, version if same else f"{version} as {package['name']} {package['versionInfo']}"))
    return sorted(found)


def differing(found: list[Package], told: list[Package]) -> list[str]:
    """(3) Packages that are in one of image and document alone."""
    if not found:
        return ["the image has no package that any file tells of"]
    times, listed_times = Counter(found), Counter(told)
    complaints = [f"{' '.join(item)} is in the image and not in the document" for item in times if item not in listed_times]
    complaints += [f"{' '.join(item)} is in the document and not in the image" for item in listed_times if item not in times]
    again = [item for item, count in listed_times.items() if count > max(1, times[item])]
    return complaints + [f"{' '.join(item)} is in the document twice" for item in again]


def misplaced(document: dict[str, Any], image: Image) -> list[str]:
    """(4) How the files of the migrations' package differ from those below the one folder of the layers that they lie in."""
    owners = [package["SPDXID"] for package in document["packages"] if package["name"] == MIGRATIONS]
    held = contained(document, set(owners))
    files = {item["fileName"].removeprefix("./"): sha256_of(item) for item in document.get("files", []) if item["SPDXID"] in held}
    if len(owners) != 1 or not files:
        return [f"{len(owners)} packages {MIGRATIONS} with {len(files)} files; wanted one with files"]
    first = min(files)
    folders = [name.removesuffix(first) for name in sorted(image.sums) if f"/{name}".endswith(f"/{first}")]
    wrong = [sorted(compare(files, image, folder)) for folder in folders] or [[f"{first}: found in no layer"]]
    return min(wrong, key=len)


def compare(files: dict[str, str], image: Image, folder: str) -> Iterator[str]:
    """How files differ from those below a folder of an image, which ends with `/` where it is not the root."""
    there = {name.removeprefix(folder): sha256 for name, sha256 in image.sums.items() if name.startswith(folder)}
    for name in sorted({*files, *there}):
        if name not in there or name not in files:
            yield f"{MIGRATIONS}: {name} is not in the {'document' if name in there else f'image below /{folder}'}"
        elif files[name] != there[name]:
            yield f"{MIGRATIONS}: {name} has another hash in the image"

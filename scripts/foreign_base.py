"""Takes the base of the image from another OCI layout, LNM_BASE_LAYOUT: a site's own, or one for lack of Debian's packages.

Format: OCI image-spec 1.1 (scripts/oci.py). A manifest is chosen by its platform, copied with its config and layers as they are,
and looked through for what the SBOM and the layer of wheels need to know: the Python that is in it, its Debian packages by
dpkg's status and its Python packages by their metadata. A base in which Python or dpkg is not found is refused: nobody could say
what is in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tarfile
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from zlib_ng import gzip_ng, zlib_ng

from scripts import canonical, layer, oci, sbom
from scripts.errors import InputError, MissingError

VARIABLE = "LNM_BASE_LAYOUT"
LAYER_TYPE = layer.MEDIA_TYPE
PYTHON = re.compile(r"(usr/local/bin|usr/bin)/python(3\.(?:11|12|13))")
SITES = {"usr/local/bin": "site-packages", "usr/bin": "dist-packages"}
STATUS = re.compile(r"var/lib/dpkg/(status|status\.d/[^/]+(?<!\.md5sums))")
METADATA = re.compile(r".*\.dist-info/METADATA")
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
DISTRIBUTION = "debian"
HINT = f"make {VARIABLE} name the folder of an OCI layout with an image for this platform, or unset it"
LARGEST_LAYER, LARGEST_TEXT = 4 << 30, 16 << 20  # bytes unpacked: of a layer, and of a file that tells of packages
CHUNK = 1 << 20
ODD = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    EOFError,
    OSError,
    tarfile.TarError,
    cast("type[Exception]", zlib_ng.error),
)
"""What reading a document or an archive of another form raises."""


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns what is not of its form inside the block into words.

    Raises: InputError.
    """
    try:
        yield
    except ODD as err:
        raise InputError(f"{VARIABLE}: {what} cannot be read: {type(err).__name__}: {err}", hint=HINT) from err


def manifests(layout: Path) -> dict[str, dict[str, Any]]:
    """The images of a layout, `{platform: descriptor}`; an index inside the index is followed.

    Raises: MissingError where there is no layout; InputError where one is not of its form, or two have the same platform.
    """
    if not (layout / oci.LAYOUT_FILE).is_file():
        raise MissingError(f"{VARIABLE}: no OCI layout there: wanted a folder with {oci.LAYOUT_FILE}", hint=HINT)
    found: dict[str, dict[str, Any]] = {}
    with reading("its index"):
        for item in flat(layout, oci.read_index(layout)):
            config = oci.read_document(layout, oci.read_document(layout, item)["config"])
            platform = f"{config.get('os')}-{config.get('architecture')}"
            if platform in found:
                raise InputError(f"{VARIABLE}: two images for {platform} in it, wanted one", hint=HINT)
            found[platform] = {name: item[name] for name in ("digest", "mediaType", "size")}
    return found


def flat(layout: Path, listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The descriptors of image manifests; attestations that some builders put beside them are left out."""
    for item in listed:
        if item.get("mediaType") == oci.INDEX:
            yield from flat(layout, oci.read_document(layout, item)["manifests"])
        elif item.get("mediaType") == oci.MANIFEST and (item.get("platform") or {}).get("os") != "unknown":
            yield item


def write(out: Path, *, digest: str, platform: str, layout: Path) -> None:
    """Copies the image with that digest into a layout of its own.

    Raises: InputError where it is another one than before, a layer is of a kind that is not read here, or the config does not
    tell the layers; ChecksumError where a blob is not what its digest says.
    """
    item = manifests(layout).get(platform, {})
    if item.get("digest") != digest:
        raise InputError(f"{VARIABLE}: its image for {platform} was another one when the build began", hint="doit bundle")
    manifest = oci.read_document(layout, item)
    with reading("its image"):
        config = oci.read_blob(layout, manifest["config"])
        layers = [(str(one["mediaType"]), oci.blob(layout, one["digest"])) for one in manifest["layers"]]
        told = json.loads(config)["rootfs"]["diff_ids"]
    wrong = [kind for kind, _ in layers if kind != LAYER_TYPE]
    if wrong:
        raise InputError(f"{VARIABLE}: layers of the kind {', '.join(wrong)}; wanted {LAYER_TYPE}", hint=HINT)
    blobs: dict[str, bytes | Path] = {f"sha256:{path.name}": path for _, path in layers}
    blobs |= {digest: oci.read_blob(layout, item), oci.digest_of(config): config}
    if told != [unpacked_digest(path) for _, path in layers]:
        raise InputError(f"{VARIABLE}: its config tells other diff_ids than its layers have", hint=HINT)
    oci.write_layout(out, blobs, oci.index([item]))


def unpacked_digest(path: Path) -> str:
    """`sha256:<hex>` of the tar in a layer; a piece of it is in memory at a time.

    Raises: InputError where it is none, or too large.
    """
    found, size = hashlib.sha256(), 0
    with reading(f"layer {path.name[:12]}…"), gzip_ng.open(path, "rb") as packed:
        while piece := packed.read(CHUNK):
            found.update(piece)
            size += len(piece)
            if size > LARGEST_LAYER:
                raise InputError(f"{VARIABLE}: layer {path.name[:12]}… is larger than {LARGEST_LAYER >> 30} GiB", hint=HINT)
    return f"sha256:{found.hexdigest()}"


def tree(layout: Path) -> dict[str, bytes]:
    """The files in the image of a layout, upper layers over lower ones; content is kept of what tells of packages alone.

    Raises: InputError for a name that leads out of the image, a device or a pipe, and for a layer that is no archive.
    """
    (item,) = oci.read_index(layout)
    found: dict[str, bytes] = {}
    for one in oci.read_document(layout, item)["layers"]:
        path = oci.blob(layout, one["digest"])
        with reading("a layer"), gzip_ng.open(path, "rb") as plain, tarfile.open(fileobj=plain, mode="r:") as packed:
            found = over(found, packed)
    return found


def over(lower: dict[str, bytes], packed: tarfile.TarFile) -> dict[str, bytes]:
    """A layer over those below it (image-spec, layer.md: whiteouts are about what is below).

    Raises: InputError.
    """
    added: dict[str, bytes] = {}
    gone: set[str] = set()
    emptied: set[str] = set()
    for member in packed:
        name = member.name.removeprefix("./").strip("/")
        folder, _, last = name.rpartition("/")
        if ".." in name.split("/") or member.isdev():
            raise InputError(f"{VARIABLE}: {name[:80]!r} in a layer: a device, a pipe, or a name that leads out", hint=HINT)
        if last == OPAQUE:
            emptied.add(folder)
        elif last.startswith(WHITEOUT):
            gone.add(f"{folder}/{last.removeprefix(WHITEOUT)}".lstrip("/"))
        elif not member.isdir():
            gone.add(name)  # what was a folder has nothing in it any more
            added[name] = content(member, packed, added, lower)
    kept = {name: data for name, data in lower.items() if not is_gone(name, gone, emptied)}
    return {**kept, **added}


def is_gone(name: str, gone: Collection[str], emptied: Collection[str]) -> bool:
    """True for a file that an upper layer takes away, itself or with a folder above it."""
    parts = name.split("/")
    above = ["/".join(parts[:depth]) for depth in range(len(parts))]  # the root is ""
    return any(folder in emptied for folder in above) or any(part in gone for part in [name, *above[1:]])


def content(member: tarfile.TarInfo, packed: tarfile.TarFile, added: Mapping[str, bytes], lower: Mapping[str, bytes]) -> bytes:
    """What a file says, where it tells of packages; a hard link says what the other name does.

    Raises: InputError where it is too large.
    """
    name = member.name.removeprefix("./").strip("/")
    if not STATUS.fullmatch(name) and not METADATA.fullmatch(name):
        return b""
    if member.islnk():
        other = member.linkname.removeprefix("./").strip("/")
        return added.get(other, lower.get(other, b""))
    if member.size > LARGEST_TEXT:
        raise InputError(f"{VARIABLE}: {name} in a layer has {member.size:,} bytes, wanted at most {LARGEST_TEXT:,}", hint=HINT)
    file = packed.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


def packages(found: Mapping[str, bytes], platform: str) -> list[dict[str, Any]]:
    """The Debian packages that are installed, as base.json has them; their .debs are not known, and so no hashes and licences."""
    from debian.deb822 import Deb822

    listed = []
    for name, data in sorted(found.items()):
        if STATUS.fullmatch(name):
            listed += [one for one in Deb822.iter_paragraphs(data) if "installed" in one.get("Status", "installed").split()]
    known = {(str(one["Package"]), str(one["Version"])): one for one in listed}
    named = {name for name, _ in known}
    return [described(one, named, platform) for _, one in sorted(known.items())]


def described(one: Mapping[str, str], named: set[str], platform: str) -> dict[str, Any]:
    """One package."""
    name, version = one["Package"], one["Version"]
    architecture = one.get("Architecture", platform.partition("-")[2])
    wanted = {words.split()[0].split(":")[0] for words in re.split(r"[,|]", one.get("Depends", "")) if words.strip()}
    return {
        "architecture": architecture,
        "copyright": "",
        "depends": sorted(wanted & named - {name}),
        "filename": "",
        "licence": "NOASSERTION",
        "name": name,
        "purl": f"pkg:deb/{DISTRIBUTION}/{name}@{urllib.parse.quote(version, safe=':')}?arch={architecture}",
        "sha256": "",
        "source": one.get("Source", name),
        "supplier": re.sub(r"\s*<[^>]*>", "", one.get("Maintainer", "")),
        "version": version,
    }


def wheels(found: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The Python packages that the base has of its own, in the same form («Core metadata specifications»)."""
    from debian.deb822 import Deb822

    listed = [Deb822(data) for name, data in sorted(found.items()) if METADATA.fullmatch(name)]
    known = {pypi(one["Name"], one["Version"]): one for one in listed}  # one of each, where somebody bundles what others install
    return [
        {
            "architecture": "any",
            "copyright": "",
            "depends": [],
            "filename": "",
            "licence": parsed(one.get("License-Expression", "")),
            "name": one["Name"],
            "purl": purl,
            "sha256": "",
            "source": one["Name"],
            "supplier": one.get("Author", ""),
            "version": one["Version"],
        }
        for purl, one in sorted(known.items())
    ]


def pypi(name: str, version: str) -> str:
    """The package URL of a Python package (purl-spec, type pypi)."""
    return f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{urllib.parse.quote(version, safe='')}"


def parsed(expression: str) -> str:
    """A licence as somebody's package tells it, or NOASSERTION where that is no SPDX expression."""
    try:
        sbom.licence_of("", expression)
    except InputError:
        return "NOASSERTION"
    return expression or "NOASSERTION"


def write_facts(out: BinaryIO, *, base: Path, platform: str) -> None:
    """Writes base.json: which Python the base has, and which packages; `base` is the index of its layout.

    Raises: InputError where it has no Python from 3.11 to 3.13, or no status of dpkg.
    """
    found = tree(base.parent)
    with reading("what it says of its packages"):
        known = [*packages(found, platform), *wheels(found)]
    pythons = [match for name in sorted(found, reverse=True) if (match := PYTHON.fullmatch(name))]
    if not pythons or not any(map(STATUS.fullmatch, found)):
        lacks = "no python3.11, 3.12 or 3.13 below usr/bin or usr/local/bin" if not pythons else "no status of dpkg"
        raise InputError(f"{VARIABLE}: {lacks} in its image for {platform}", hint=HINT)
    place, version = pythons[0][1], pythons[0][2]
    (item,) = oci.read_index(base.parent)
    facts = {
        "architecture": platform.partition("-")[2],
        "image": item["digest"],
        "interpreter": f"/{place}/python{version}",
        "packages": known,
        "python": version,
        "relocked": [],
        "site": f"/usr/local/lib/python{version}/{SITES[place]}",
    }
    out.write(canonical.render(facts))

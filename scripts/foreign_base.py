"""Takes the base of the image from another OCI layout, LNM_BASE_LAYOUT: a site's own, or one for lack of Debian's packages.

Format: OCI image-spec 1.1 (scripts/oci.py). A manifest is chosen by its platform, copied with its config and layers as they are,
and looked through for what the SBOM and the layer of wheels need to know: the Python that is in it, its Debian packages by
dpkg's status and its Python packages by their metadata. A base in which Python or dpkg is not found is refused: nobody could say
what is in it.
"""

from __future__ import annotations

import io
import re
import tarfile
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from debian.deb822 import Deb822

from scripts import canonical, oci
from scripts.errors import InputError, MissingError

VARIABLE = "LNM_BASE_LAYOUT"
LAYER_TYPES = ("application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip")
PYTHON = re.compile(r"(usr/local/bin|usr/bin)/python(3\.(?:11|12|13))")
SITES = {"usr/local/bin": "site-packages", "usr/bin": "dist-packages"}
STATUS = re.compile(r"var/lib/dpkg/(status|status\.d/[^/]+(?<!\.md5sums))")
METADATA = re.compile(r".*\.dist-info/METADATA")
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
DISTRIBUTION = "debian"
HINT = f"make {VARIABLE} name the folder of an OCI layout with an image for this platform, or unset it"


def manifests(layout: Path) -> dict[str, dict[str, Any]]:
    """The images of a layout, `{platform: descriptor}`; an index inside the index is followed.

    Raises: MissingError where there is no layout; InputError where one is named without a platform, or two have the same.
    """
    if not (layout / oci.LAYOUT_FILE).is_file():
        raise MissingError(f"{VARIABLE}: no OCI layout there: wanted a folder with {oci.LAYOUT_FILE}", hint=HINT)
    found: dict[str, dict[str, Any]] = {}
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
        elif item.get("mediaType") == oci.MANIFEST and item.get("platform", {}).get("os") != "unknown":
            yield item


def write(out: Path, *, digest: str, platform: str, layout: Path) -> None:
    """Copies the image with that digest into a layout of its own.

    Raises: InputError where a layer is of a kind that is not read here; ChecksumError where a blob is not what its digest says.
    """
    item = manifests(layout)[platform]
    if item["digest"] != digest:
        raise InputError(f"{VARIABLE}: its image for {platform} was another one when the build began", hint="doit bundle")
    manifest = oci.read_document(layout, item)
    config = oci.read_blob(layout, manifest["config"])
    wrong = [one["mediaType"] for one in manifest["layers"] if one["mediaType"] not in LAYER_TYPES]
    if wrong:
        raise InputError(f"{VARIABLE}: layers of the kind {', '.join(wrong)}; wanted {' or '.join(LAYER_TYPES)}", hint=HINT)
    blobs: dict[str, bytes | Path] = {one["digest"]: oci.read_blob(layout, one) for one in manifest["layers"]}
    blobs |= {digest: oci.read_blob(layout, item), oci.digest_of(config): config}
    oci.write_layout(out, blobs, oci.index([item]))


def tree(layout: Path) -> dict[str, bytes]:
    """The files in the image of a layout, upper layers over lower ones; content is kept of what tells of packages alone."""
    (item,) = oci.read_index(layout)
    found: dict[str, bytes] = {}
    for one in oci.read_document(layout, item)["layers"]:
        added: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(oci.read_blob(layout, one)), mode="r:*") as packed:
            for member in packed:
                name = str(PurePosixPath(member.name)).removeprefix("./")
                folder, _, last = name.rpartition("/")
                if last == OPAQUE:
                    found = {path: data for path, data in found.items() if not path.startswith(f"{folder}/")}
                elif last.startswith(WHITEOUT):
                    gone = f"{folder}/{last.removeprefix(WHITEOUT)}"
                    found = {path: data for path, data in found.items() if path != gone and not path.startswith(f"{gone}/")}
                elif not member.isdir():
                    tells = member.isreg() and (STATUS.fullmatch(name) or METADATA.fullmatch(name))
                    file = packed.extractfile(member) if tells else None
                    added[name] = file.read() if file else b""
        found |= added
    return found


def packages(found: Mapping[str, bytes], platform: str) -> list[dict[str, Any]]:
    """The Debian packages that are installed, as base.json has them; their .debs are not known, and so no hashes and licences."""
    listed = []
    for name, data in found.items():
        if STATUS.fullmatch(name):
            listed += [one for one in Deb822.iter_paragraphs(data) if "installed" in one.get("Status", "installed").split()]
    named = {str(one["Package"]) for one in listed}
    return [described(one, named, platform) for one in sorted(listed, key=lambda one: str(one["Package"]))]


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
    listed = [Deb822(data) for name, data in sorted(found.items()) if METADATA.fullmatch(name)]
    known = {
        f"pkg:pypi/{re.sub('[-_.]+', '-', one['Name']).lower()}@{one['Version']}": one for one in listed
    }  # one of each, where somebody bundles what others install
    return [
        {
            "architecture": "any",
            "copyright": "",
            "depends": [],
            "filename": "",
            "licence": one.get("License-Expression", "NOASSERTION"),
            "name": one["Name"],
            "purl": purl,
            "sha256": "",
            "source": one["Name"],
            "supplier": one.get("Author", ""),
            "version": one["Version"],
        }
        for purl, one in sorted(known.items())
    ]


def write_facts(out: BinaryIO, *, base: Path, platform: str) -> None:
    """Writes base.json: which Python the base has, and which packages; `base` is the index of its layout.

    Raises: InputError where it has no Python from 3.11 to 3.13, or no status of dpkg.
    """
    found = tree(base.parent)
    pythons = [match for name in sorted(found, reverse=True) if (match := PYTHON.fullmatch(name))]
    known = packages(found, platform)
    if not pythons or not known:
        lacks = "no python3.11, 3.12 or 3.13 below usr/bin or usr/local/bin" if not pythons else "no status of dpkg"
        raise InputError(f"{VARIABLE}: {lacks} in its image for {platform}", hint=HINT)
    place, version = pythons[0][1], pythons[0][2]
    (item,) = oci.read_index(base.parent)
    facts = {
        "architecture": platform.partition("-")[2],
        "image": item["digest"],
        "interpreter": f"/{place}/python{version}",
        "packages": [*known, *wheels(found)],
        "python": version,
        "relocked": [],
        "site": f"/usr/local/lib/python{version}/{SITES[place]}",
    }
    out.write(canonical.render(facts))

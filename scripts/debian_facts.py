"""Makes `base.json`: what is known of the base of the image, and of each Debian package in it, for the SBOM and the other layers.

Canonical JSON; what the packages say of themselves is read from the layer that scripts/debian_base.py has made of them. Formats:
deb-control(5); purl-spec, type deb; SPDX 2.3 expressions (scripts/debian_licences.py).
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from scripts import canonical, debian, debian_base, debian_licences, layer, oci
from scripts.debian import Deb
from scripts.errors import InputError

if TYPE_CHECKING:
    from debian.deb822 import Packages

INTERPRETER = f"/usr/bin/python{debian_base.PYTHON}"
SITE = f"/usr/local/lib/python{debian_base.PYTHON}/dist-packages"
ADDRESS = re.compile(r"\s*<[^>]*>\s*$")
TELLS = re.compile(rf"{debian_base.STATUS}/[^/]+|usr/share/doc/[^/]+/copyright")


def paragraph(entries: layer.Entries, deb: Deb) -> Packages:
    """A package's paragraph, as the image has it."""
    from debian.deb822 import Packages

    return Packages((entries[f"{debian_base.STATUS}/{deb.package}"].data or b"").decode("utf-8"))


def copyright_of(entries: layer.Entries, deb: Deb) -> str:
    """The text of a package's copyright file, which may be another package's.

    Raises: InputError where the image has none.
    """
    folder = f"usr/share/doc/{deb.package}"
    if other := entries.get(folder, layer.Entry()).link:
        folder = f"usr/share/doc/{other}"
    text = entries.get(f"{folder}/copyright", layer.Entry()).data
    if text is None:
        raise InputError(f"{deb.filename}: no copyright file", hint="leave the package out, or look at scripts/debian_base.py")
    return text.decode("utf-8")


def related(told: Packages, field: str) -> list[list[dict[str, Any]]]:
    """A field of relations: groups of alternatives."""
    return list(told.relations[field] or [])


def depends(told: Packages, provided: Mapping[str, str]) -> list[str]:
    """What a package depends on: of each group of alternatives what the image has, else the first, which it goes without.

    `provided` is `{name: package}` of all in the image.
    """
    found = set()
    for group in [*related(told, "pre-depends"), *related(told, "depends")]:
        alternatives = [item["name"] for item in group]
        found.add(next((provided[name] for name in alternatives if name in provided), alternatives[0]))
    return sorted(found - {told["Package"]})


def provided_by(paragraphs: Iterable[Packages]) -> dict[str, str]:
    """`{name: package}` for each package, and for each virtual one that one of them provides."""
    held = sorted(paragraphs, key=lambda told: str(told["Package"]))
    virtual = {item["name"]: told["Package"] for told in held for group in related(told, "provides") for item in group}
    return {**virtual, **{told["Package"]: told["Package"] for told in held}}


def fact(deb: Deb, told: Packages, text: str, provided: Mapping[str, str]) -> dict[str, Any]:
    """One package; `text` is its copyright file's."""
    source = told.get("Source", deb.package)  # with its version in brackets where that is another
    name = source.partition(" ")[0]
    return {
        "architecture": deb.architecture,
        "copyright": debian_licences.notices(text, name),
        "depends": depends(told, provided),
        "filename": deb.filename,
        "licence": debian_licences.licence(text, name),
        "name": deb.package,
        "purl": deb.purl,
        "sha256": deb.sha256,
        "source": source,
        "supplier": ADDRESS.sub("", told["Maintainer"]),
        "version": deb.version,
    }


def render(debs: Iterable[Deb], entries: layer.Entries, architecture: str, relocked: Any) -> bytes:
    """The file for a base of these packages, of which `entries` were made.

    Raises: InputError naming each package whose licence nobody knows.
    """
    paragraphs = {deb: paragraph(entries, deb) for deb in debs}
    provided = provided_by(paragraphs.values())
    packages, defects = [], []
    for deb, told in paragraphs.items():
        try:
            packages.append(fact(deb, told, copyright_of(entries, deb), provided))
        except InputError as err:
            defects.append(err)
    if defects:
        raise InputError("; ".join(err.message for err in defects), hint=defects[0].hint)
    return canonical.render(
        {
            "architecture": architecture,
            "interpreter": INTERPRETER,
            "packages": sorted(packages, key=lambda item: str(item["name"])),
            "python": debian_base.PYTHON,
            "relocked": relocked,
            "site": SITE,
        }
    )


def told_by(base: Path) -> layer.Entries:
    """Of the layer of a base, by the index of its layout: what is told of packages, and links, which lead from one to another."""
    (item,) = oci.read_index(base.parent)
    (packed,) = oci.read_document(base.parent, item)["layers"]
    found: dict[str, layer.Entry] = {}
    with tarfile.open(fileobj=io.BytesIO(oci.read_blob(base.parent, packed)), mode="r|gz") as members:
        for member in members:
            if member.issym():
                found[member.name] = layer.link(member.linkname)
            elif TELLS.fullmatch(member.name) and (content := members.extractfile(member)):
                found[member.name] = layer.file(content.read())
    return found


def write(out: BinaryIO, *, debs: Path, base: Path, lock: Path, architecture: str) -> None:
    """Writes base.json; `debs` is the lock of the packages that `base`, a layout's index, is made of, `lock` the wanted one."""
    taken = debian.read_lock(debs)
    wanted = debian.of(architecture, debian.read_lock(lock), lock)
    out.write(render(taken, told_by(base), architecture, debian.changes(architecture, wanted, taken)))

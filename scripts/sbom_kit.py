"""Makes `sbom/lnm-kit.spdx.json`: every file of the kit's payload but itself, and every package that lies in it as a wheel.

SPDX 2.3: the kit is one package whose files were analysed (clause 7.8), so it has a verification code (7.9) that leaves this
document out, and a digest (7.10) that does the same; each wheel is a file of the kit and a package of its own with its purl. What
is in an image stands in that image's own document (scripts/sbom_image.py); here its layers are files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from scripts import oci, sbom, sbom_files, sbom_gate

if TYPE_CHECKING:
    from spdx_tools.spdx.model import File

ITSELF = sbom_gate.KIT
DIGEST = (
    "The SHA-256 of this package is over the lines of SHA256SUMS that name the payload's files but this document, each being "
    "sha256, two spaces, name, LF, in byte order of the names. Again: "
    f"grep -v -e '  attestations/' -e '  {ITSELF}$' SHA256SUMS | sha256sum"
)


def kit_component(name: str, version: str, entries: list[File]) -> sbom.Component:
    """The kit itself."""
    return sbom.Component(
        spdx_id=f"SPDXRef-Package-{name}",
        name=name,
        version=version,
        supplier=sbom.AUTHOR,
        licence=sbom.OUR_LICENCE,
        sha256=sbom_gate.over({entry.name.removeprefix("./"): entry.checksums[1].value for entry in entries}),
        purl=f"pkg:generic/{name}@{version}",
        comment=DIGEST,
    )


def write(out: BinaryIO, *, tree: tuple[Path, ...], inventory: Path, base: Path, kit_name: str, version: str, epoch: int) -> None:
    """Writes the document over the files of `tree`, named by their path below `base`; an index of a layout is all of its files.

    Raises: InputError naming each wheel that the inventory does not know, or knows in another version.
    """
    whole = sorted(oci.whole(tree))
    packed, requires = sbom_files.wheels_of(whole, inventory)
    sums = sbom_files.digests_of(whole)
    entries = [sbom_files.file_entry(path, path.relative_to(base).as_posix(), packed.get(path), sums[path]) for path in sums]
    root = kit_component(kit_name.removesuffix(f"-{version}"), version, entries)
    edges = [sbom.relationship("SPDXRef-DOCUMENT", "DESCRIBES", root.spdx_id)]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", entry.spdx_id) for entry in entries]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", item.spdx_id) for item in packed.values()]
    edges += sbom.dependencies(requires)
    packages = [
        sbom.package(root, files_analyzed=True, verification_code=sbom_files.verification_code(entries, [f"./{ITSELF}"])),
        *map(sbom.package, packed.values()),
    ]
    identity = "\n".join([version, str(epoch), *(f"{entry.name} {entry.checksums[1].value}" for entry in entries)])
    document = sbom.document(kit_name, epoch, identity, packages, edges)
    document.files = sorted(entries, key=lambda entry: entry.name)
    out.write(sbom.render(document, ITSELF))

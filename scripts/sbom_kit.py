"""Makes `sbom/lnm-kit.spdx.json`: every file of the kit's payload but itself, and every package that lies in it as a wheel.

SPDX 2.3: the kit is one package whose files were analysed (clause 7.8), so it has a verification code (7.9) that
leaves this document out; each wheel is a file of the kit and a package of its own with its purl.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from scripts import files, sbom
from scripts.errors import InputError
from scripts.wheelhouse import Wheel

if TYPE_CHECKING:
    from spdx_tools.spdx.model import File

ITSELF = "sbom/lnm-kit.spdx.json"
RUNNER = "lnm-runner"
REQUIRES = {RUNNER: ("pymongo",), "pymongo": ("dnspython",)}


def file_entry(path: Path, name: str) -> File:
    """A file of the kit, with the SHA-1 that SPDX 2.3 (8.4) asks for and the SHA-256 that counts."""
    from spdx_tools.spdx import model

    with path.open("rb") as file:
        sha1 = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    algorithms = model.ChecksumAlgorithm
    checksums = [model.Checksum(algorithms.SHA1, sha1), model.Checksum(algorithms.SHA256, files.sha256_of(path))]
    spdx_id = f"SPDXRef-File-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    unknown = model.SpdxNoAssertion()
    return model.File(f"./{name}", spdx_id, checksums, license_concluded=unknown, copyright_text=unknown)


def verification_code(entries: list[File]) -> Any:
    """SPDX 2.3, 7.9: SHA-1 of the sorted SHA-1s."""
    from spdx_tools.spdx.model import PackageVerificationCode

    joined = "".join(sorted(entry.checksums[0].value for entry in entries)).encode("ascii")
    return PackageVerificationCode(hashlib.sha1(joined, usedforsecurity=False).hexdigest(), [f"./{ITSELF}"])


def component(wheel: Wheel, known: dict[str, dict[str, Any]]) -> sbom.Component:
    """A wheel of the kit as a component; the runner's own is not in the inventory of the index."""
    if wheel.name == RUNNER:
        own = {"version": wheel.version, "supplier": sbom.AUTHOR, "licence": sbom.OUR_LICENCE}
        return sbom.pypi_component(RUNNER, own, filename=wheel.filename, sha256=wheel.sha256)
    return sbom.pypi_component(wheel.name, known[wheel.name], filename=wheel.filename, sha256=wheel.sha256)


def write(out: BinaryIO, *, tree: tuple[Path, ...], inventory: Path, base: Path, kit_name: str, version: str, epoch: int) -> None:
    """Writes the document over the files of `tree`, named by their path below `base`.

    Raises: InputError naming each wheel that the inventory does not know, or knows in another version.
    """
    entries = [file_entry(path, path.relative_to(base).as_posix()) for path in sorted(tree)]
    known = sbom.read_inventory(inventory)
    wheels = [Wheel(path.name, files.sha256_of(path)) for path in sorted(tree) if path.suffix == ".whl"]
    strange = [
        wheel.filename for wheel in wheels if wheel.name != RUNNER and known.get(wheel.name, {}).get("version") != wheel.version
    ]
    if strange:
        raise InputError(f"{inventory}: other versions than the wheels of the kit: {', '.join(strange)}", hint="nox -s lock")
    components = [component(wheel, known) for wheel in wheels]
    root = sbom.Component(f"SPDXRef-Package-{kit_name}", kit_name, version, sbom.AUTHOR, sbom.OUR_LICENCE)
    edges = [sbom.relationship("SPDXRef-DOCUMENT", "DESCRIBES", root.spdx_id)]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", entry.spdx_id) for entry in entries]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", item.spdx_id) for item in components]
    edges += [
        sbom.relationship(item.spdx_id, "DEPENDS_ON", other.spdx_id)
        for item in components
        for other in components
        if other.name in REQUIRES.get(item.name, ())
    ]
    packages = [
        sbom.package(root, files_analyzed=True, verification_code=verification_code(entries)),
        *map(sbom.package, components),
    ]
    identity = "\n".join([version, str(epoch), *(f"{entry.name} {entry.checksums[1].value}" for entry in entries)])
    document = sbom.document(kit_name, epoch, identity, packages, edges)
    document.files = sorted(entries, key=lambda entry: entry.name)
    out.write(sbom.render(document, ITSELF))

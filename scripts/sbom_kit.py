"""Makes `sbom/lnm-kit.spdx.json`: every file of the kit's payload but itself, and every package that lies in it as a wheel.

SPDX 2.3: the kit is one package whose files were analysed (clause 7.8), so it has a verification code (7.9) that leaves this
document out, and a digest (7.10) that does the same; each wheel is a file of the kit and a package of its own with its purl.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from scripts import files, licences, sbom, sbom_gate
from scripts.errors import InputError
from scripts.wheelhouse import Wheel

if TYPE_CHECKING:
    from spdx_tools.spdx.model import File

ITSELF = sbom_gate.KIT
READERS = 2
LARGE = 1 << 18  # bytes
RUNNER = "lnm-runner"
# as runner/pyproject.toml has them; tests/build/test_sbom.py compares
RUNNER_REQUIRES = ("cvss", "packageurl-python", "pymongo", "rfc8785", "univers")
SOURCES = (".js", ".py", ".sh")
KINDS = {".md": "DOCUMENTATION", ".whl": "ARCHIVE", **dict.fromkeys(SOURCES, "SOURCE")}  # SPDX 2.3, 8.3; the rest is text
DATA_LICENCE = "CC0-1.0"  # of every SPDX 2.3 document (6.2)
DIGEST = (
    "The SHA-256 of this package is over the lines of SHA256SUMS that name the payload's files but this document, each being "
    "sha256, two spaces, name, LF, in byte order of the names. Again: "
    f"grep -v -e '  attestations/' -e '  {ITSELF}$' SHA256SUMS | sha256sum"
)


def digests(path: Path) -> tuple[str, str]:
    """The SHA-1 that SPDX 2.3 (8.4) asks for and the SHA-256 that counts."""
    with path.open("rb") as file:
        sha1 = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    return sha1, files.sha256_of(path)


def digests_of(paths: Iterable[Path]) -> dict[Path, tuple[str, str]]:
    """The digests of all files; hashing a large one lets go of Python's lock, so two of those are read at a time."""
    sizes = {path: path.stat().st_size for path in paths}
    large = sorted((path for path in sizes if sizes[path] >= LARGE), key=sizes.__getitem__, reverse=True)
    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(large, pool.map(digests, large), strict=True))
    return {path: found.get(path) or digests(path) for path in sizes}


def file_entry(path: Path, name: str, packed: sbom.Component | None, sums: tuple[str, str]) -> File:
    """A file of the kit, with its digests.

    A wheel has licence and copyright of the package that is packed in it; what lies in the kit otherwise is our own.
    """
    from spdx_tools.spdx import model

    algorithms = (model.ChecksumAlgorithm.SHA1, model.ChecksumAlgorithm.SHA256)
    checksums = [model.Checksum(algorithm, digest) for algorithm, digest in zip(algorithms, sums, strict=True)]
    spdx_id = f"SPDXRef-File-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    licence, notices = (packed.licence, packed.copyright) if packed else (our_licence(name), our_copyright(path))
    return model.File(
        f"./{name}",
        spdx_id,
        checksums,
        file_types=[model.FileType[kind(name)]],
        license_concluded=sbom.licence_of(name, licence),
        copyright_text=sbom.copyright_of(notices),
    )


def kind(name: str) -> str:
    """The type of a file by its name."""
    return "SPDX" if name.endswith(".spdx.json") else KINDS.get(Path(name).suffix, "TEXT")


def our_licence(name: str) -> str:
    """The licence of a file that we wrote."""
    return DATA_LICENCE if kind(name) == "SPDX" else sbom.OUR_LICENCE


def our_copyright(path: Path) -> str:
    """The notices at the head of a file of ours, if any; the text in LICENSE is none."""
    with path.open("rb") as file:
        return licences.notices([file.read(licences.HEAD).decode("utf-8", "replace")]) or "NONE"


def verification_code(entries: list[File]) -> Any:
    """SPDX 2.3, 7.9: SHA-1 of the sorted SHA-1s."""
    from spdx_tools.spdx.model import PackageVerificationCode

    joined = "".join(sorted(entry.checksums[0].value for entry in entries)).encode("ascii")
    return PackageVerificationCode(hashlib.sha1(joined, usedforsecurity=False).hexdigest(), [f"./{ITSELF}"])


def component(path: Path, wheel: Wheel, known: dict[str, dict[str, Any]]) -> sbom.Component:
    """A wheel of the kit as a component; the runner's own is not in the inventory of the index."""
    if wheel.name == RUNNER:
        notices = licences.copyright_of(path) or "NONE"
        own = {"version": wheel.version, "supplier": sbom.AUTHOR, "licence": sbom.OUR_LICENCE, "copyright": notices}
        return sbom.pypi_component(RUNNER, own, filename=wheel.filename, sha256=wheel.sha256)
    item = known[wheel.name]
    if not item["copyright"] and licences.is_without_notice(path):
        item = {**item, "copyright": "NONE"}
    return sbom.pypi_component(wheel.name, item, filename=wheel.filename, sha256=wheel.sha256)


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


def depends_on(components: list[sbom.Component], known: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """`{id: ids}` of the wheels; a package depends on every wheel of another, as which of them is used depends on the machine."""
    wanted = {item.name: RUNNER_REQUIRES if item.name == RUNNER else known[item.name]["requires"] for item in components}
    return {item.spdx_id: [other.spdx_id for other in components if other.name in wanted[item.name]] for item in components}


def write(out: BinaryIO, *, tree: tuple[Path, ...], inventory: Path, base: Path, kit_name: str, version: str, epoch: int) -> None:
    """Writes the document over the files of `tree`, named by their path below `base`.

    Raises: InputError naming each wheel that the inventory does not know, or knows in another version.
    """
    known = sbom.read_inventory(inventory)
    wheels = {path: Wheel(path.name, files.sha256_of(path)) for path in sorted(tree) if path.suffix == ".whl"}
    strange = [
        wheel.filename
        for wheel in wheels.values()
        if wheel.name != RUNNER and known.get(wheel.name, {}).get("version") != wheel.version
    ]
    if strange:
        raise InputError(f"{inventory}: other versions than the wheels of the kit: {', '.join(strange)}", hint="nox -s lock")
    packed = {path: component(path, wheel, known) for path, wheel in wheels.items()}
    sums = digests_of(sorted(tree))
    entries = [file_entry(path, path.relative_to(base).as_posix(), packed.get(path), sums[path]) for path in sums]
    components = list(packed.values())
    root = kit_component(kit_name.removesuffix(f"-{version}"), version, entries)
    edges = [sbom.relationship("SPDXRef-DOCUMENT", "DESCRIBES", root.spdx_id)]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", entry.spdx_id) for entry in entries]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", item.spdx_id) for item in components]
    edges += sbom.dependencies(depends_on(components, known))
    packages = [
        sbom.package(root, files_analyzed=True, verification_code=verification_code(entries)),
        *map(sbom.package, components),
    ]
    identity = "\n".join([version, str(epoch), *(f"{entry.name} {entry.checksums[1].value}" for entry in entries)])
    document = sbom.document(kit_name, epoch, identity, packages, edges)
    document.files = sorted(entries, key=lambda entry: entry.name)
    out.write(sbom.render(document, ITSELF))

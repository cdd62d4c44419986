"""Files and wheels as SPDX 2.3 has them: what the kit's SBOM and those of the images share.

A file is an entry with its digests (clause 8); a wheel is a package of its own with its purl (clause 7), which depends on others.
Blobs of an image layout are named by their content, so their first byte tells what they are: JSON that we wrote, or a layer. The
licences of a layer are those of all that is packed in it, and stand in that image's own SBOM.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import files, licences, sbom
from scripts.errors import InputError
from scripts.wheelhouse import Wheel

if TYPE_CHECKING:
    from spdx_tools.spdx.model import File

READERS = 2
LARGE = 1 << 18  # bytes
RUNNER = "lnm-runner"
# as runner/pyproject.toml has them; tests/build/test_sbom.py compares
RUNNER_REQUIRES = ("cvss", "packageurl-python", "pymongo", "rfc8785", "univers")
RUNNER_EXTRAS = ("backports-zstd", "cryptography", "pynacl", "sigstore")  # which the kit has, and no image
SOURCES = (".js", ".py", ".sh")
KINDS = {".md": "DOCUMENTATION", ".whl": "ARCHIVE", **dict.fromkeys(SOURCES, "SOURCE")}  # SPDX 2.3, 8.3; the rest is text
DATA_LICENCE = "CC0-1.0"  # of every SPDX 2.3 document (6.2)
BLOB = re.compile(r"images/([^/]+)/blobs/sha256/[0-9a-f]{64}")


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
    """A file, with its digests.

    A wheel has licence and copyright of the package that is packed in it, a layer says where those of all in it stand; what there
    is otherwise is our own.
    """
    from spdx_tools.spdx import model

    algorithms = (model.ChecksumAlgorithm.SHA1, model.ChecksumAlgorithm.SHA256)
    checksums = [model.Checksum(algorithm, digest) for algorithm, digest in zip(algorithms, sums, strict=True)]
    spdx_id = f"SPDXRef-File-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    image = layer_of(path, name)
    if image:
        licence, notices = "", f"The notices of all that is packed in this layer stand in sbom/{image}.spdx.json"
    elif packed:
        licence, notices = packed.licence, packed.copyright
    else:
        licence, notices = our_licence(name), our_copyright(path)
    return model.File(
        f"./{name}",
        spdx_id,
        checksums,
        file_types=[model.FileType["ARCHIVE" if image else kind(name)]],
        license_concluded=sbom.licence_of(name, licence),
        copyright_text=sbom.copyright_of(notices),
        comment=f"A layer of an image; what is in it, and under which licences: sbom/{image}.spdx.json" if image else None,
    )


def layer_of(path: Path, name: str) -> str:
    """The image that a file is a layer of; nothing for any other file."""
    match = BLOB.fullmatch(name)
    if not match:
        return ""
    with path.open("rb") as file:
        return "" if file.read(1) == b"{" else match[1]


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


def verification_code(entries: Iterable[File], excluded: Iterable[str] = ()) -> Any:
    """SPDX 2.3, 7.9: SHA-1 of the sorted SHA-1s."""
    from spdx_tools.spdx.model import PackageVerificationCode

    joined = "".join(sorted(entry.checksums[0].value for entry in entries)).encode("ascii")
    return PackageVerificationCode(hashlib.sha1(joined, usedforsecurity=False).hexdigest(), list(excluded))


def wheels_of(paths: Iterable[Path], inventory: Path) -> tuple[dict[Path, sbom.Component], dict[str, list[str]]]:
    """The wheels among some files as components, and `{id: ids}` of what each depends on.

    Raises: InputError naming each wheel that the inventory does not know, or knows in another version.
    """
    known = sbom.read_inventory(inventory)
    wheels = {path: Wheel(path.name, files.sha256_of(path)) for path in sorted(paths) if path.suffix == ".whl"}
    strange = [
        wheel.filename
        for wheel in wheels.values()
        if wheel.name != RUNNER and known.get(wheel.name, {}).get("version") != wheel.version
    ]
    if strange:
        raise InputError(f"{inventory}: other versions than the wheels of the kit: {', '.join(strange)}", hint="nox -s lock")
    components = {path: component(path, wheel, known) for path, wheel in wheels.items()}
    return components, depends_on(list(components.values()), known)


def component(path: Path, wheel: Wheel, known: dict[str, dict[str, Any]]) -> sbom.Component:
    """A wheel as a component; the runner's own is not in the inventory of the index."""
    if wheel.name == RUNNER:
        notices = licences.copyright_of(path) or "NONE"
        own = {"version": wheel.version, "supplier": sbom.AUTHOR, "licence": sbom.OUR_LICENCE, "copyright": notices}
        return sbom.pypi_component(RUNNER, own, filename=wheel.filename, sha256=wheel.sha256)
    item = known[wheel.name]
    if not item["copyright"] and licences.is_without_notice(path):
        item = {**item, "copyright": "NONE"}
    return sbom.pypi_component(wheel.name, item, filename=wheel.filename, sha256=wheel.sha256)


def depends_on(components: list[sbom.Component], known: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """`{id: ids}` of the wheels; a package depends on every wheel of another, as which of them is used depends on the machine."""
    wanted = {
        item.name: RUNNER_REQUIRES + RUNNER_EXTRAS if item.name == RUNNER else known[item.name]["requires"] for item in components
    }
    return {item.spdx_id: [other.spdx_id for other in components if other.name in wanted[item.name]] for item in components}

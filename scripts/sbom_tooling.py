"""Makes `sbom/lnm-tooling.spdx.json`: every package that builds the kit, as the lock has it.

The document describes the lock itself, `requirements/build.txt`, by its digest. The checksum of a package is that of the file for
Linux x86-64 and Python 3.11; the files for other platforms are in the lock. What verifies or tests is not in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from scripts import files, sbom
from scripts.errors import InputError

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)(.*)$", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
LOCK = "requirements/build.txt"
ELSEWHERE = "sys_platform == 'win32'"  # the one marker of the lock that never holds where the build runs


def locked(lock: Path) -> dict[str, str]:
    """`{name: version}` of the lock's packages for Linux.

    Raises: InputError where the lock has none.
    """
    found = {
        name: version
        for name, version, marker in PINNED.findall(files.read_bytes(lock).decode("ascii", "replace"))
        if ELSEWHERE not in marker
    }
    if not found:
        raise InputError(f"{lock}: no pinned packages in it", hint=f"git checkout {lock}")
    return found


def write(out: BinaryIO, *, lock: Path, inventory: Path, version: str, epoch: int) -> None:
    """Writes the document.

    Raises: InputError naming each package that lock and inventory do not agree on.
    """
    known = sbom.read_inventory(inventory)
    wanted = locked(lock)
    hashes = set(HASH.findall(files.read_bytes(lock).decode("ascii", "replace")))
    strange = [
        name for name in wanted if known.get(name, {}).get("version") != wanted[name] or known[name]["sha256"] not in hashes
    ]
    if strange:
        raise InputError(f"{inventory}: other versions or files than {lock}: {', '.join(strange)}", hint="nox -s lock")
    components = {name: sbom.pypi_component(name, known[name]) for name in wanted}
    root = sbom.Component(
        "SPDXRef-Package-lnm-tooling",
        "lnm-tooling",
        version,
        sbom.AUTHOR,
        sbom.OUR_LICENCE,
        sha256=files.sha256_of(lock),
        filename=LOCK,
        purl=f"pkg:generic/lnm-tooling@{version}",
        copyright="NONE",
    )
    edges = [sbom.relationship("SPDXRef-DOCUMENT", "DESCRIBES", root.spdx_id)]
    required = {other for name in wanted for other in known[name]["requires"]}
    edges += [sbom.relationship(root.spdx_id, "DEPENDS_ON", components[name].spdx_id) for name in wanted if name not in required]
    edges += sbom.dependencies(
        {
            components[name].spdx_id: [components[other].spdx_id for other in known[name]["requires"] if other in components]
            for name in wanted
        }
    )
    packages = [sbom.package(root), *map(sbom.package, components.values())]
    identity = f"{version} {epoch} {files.sha256_of(lock)} {files.sha256_of(inventory)}"
    out.write(sbom.render(sbom.document("lnm-tooling", epoch, identity, packages, edges), "lnm-tooling.spdx.json"))

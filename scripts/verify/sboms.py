"""Checks the SBOMs with spdx-tools' own reader and validator, and that they are about this kit.

(1) each document parses and is valid SPDX 2.3; (2) lnm-kit.spdx.json lists each file of the payload but itself
exactly once, with the hash that SHA256SUMS has; (3) every package has a version, a supplier and, where it is a file,
a SHA-256 and a purl; (4) every package can be reached from the one that the document describes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spdx_tools.spdx.parser.error import SPDXParsingError
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scripts.verify.outcome import WRONG_INPUT, Built, Outcome, failed, ok

KIT_SBOM = "sbom/lnm-kit.spdx.json"
EXPECTED = (KIT_SBOM, "sbom/lnm-tooling.spdx.json")


def sboms(built: Built) -> Iterator[Outcome]:
    """Every SBOM of the kit."""
    for name in EXPECTED:
        path = built.kit / name
        complaints = [f"{name} is not there"] if not path.is_file() else invalid(path) or incomplete(path)
        if name == KIT_SBOM and not complaints:
            complaints = wrong_files(path, built.kit / "SHA256SUMS")
        for complaint in complaints:
            yield failed(name, complaint, WRONG_INPUT)
        if not complaints:
            document = json.loads(path.read_bytes())
            unknown = sum(package["licenseConcluded"] == "NOASSERTION" for package in document["packages"])
            counts = f"{len(document['packages'])} packages, {len(document.get('files', []))} files"
            yield ok(name, f"valid SPDX 2.3, {counts}, {unknown} packages without a known licence")


def invalid(path: Path) -> list[str]:
    """What spdx-tools has against a document."""
    try:
        document = parse_file(str(path))
    except (SPDXParsingError, ValueError) as err:
        return [f"spdx-tools cannot read it: {err}"]
    return [complaint.validation_message for complaint in validate_full_spdx_document(document)]


def incomplete(path: Path) -> list[str]:
    """Packages that lack what a reader needs, or hang in the air."""
    document = json.loads(path.read_bytes())
    lacking = [f"{package['name']}: no {field}" for package in document["packages"] for field in missing_fields(package)]
    edges: dict[str, set[str]] = {}
    for edge in document["relationships"]:
        edges.setdefault(edge["spdxElementId"], set()).add(edge["relatedSpdxElement"])
    reached: set[str] = set()
    waiting = ["SPDXRef-DOCUMENT"]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += edges.get(node, ())
    items = [*document["packages"], *document.get("files", [])]
    return lacking + [f"{item['SPDXID']}: not reachable from the document" for item in items if item["SPDXID"] not in reached]


def missing_fields(package: dict[str, Any]) -> list[str]:
    """The fields that a package should have and has not."""
    wanted = ["versionInfo", "supplier", "licenseConcluded"]
    if "packageFileName" in package:
        wanted += ["checksums", "externalRefs"]
    return [field for field in wanted if not package.get(field)]


def wrong_files(path: Path, sums: Path) -> list[str]:
    """How the files of the kit's SBOM differ from the list of the payload."""
    lines = [line.split("  ", 1) for line in sums.read_text(encoding="ascii").splitlines()]
    wanted = sorted((name, sha256) for sha256, name in lines if not name.startswith("attestations/") and name != KIT_SBOM)
    found = []
    for entry in json.loads(path.read_bytes()).get("files", []):
        sha256 = [item["checksumValue"] for item in entry["checksums"] if item["algorithm"] == "SHA256"]
        found.append((entry["fileName"].removeprefix("./"), "".join(sha256)))
    if sorted(found) == wanted:
        return []
    strange = sorted({name for name, _ in set(found) ^ set(wanted)}) or ["a file is listed twice"]
    return [f"lists other files than SHA256SUMS: {', '.join(strange)}"]

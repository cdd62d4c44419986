"""Checks the SBOMs by spdx-tools and by our own rules of what is complete, and that they are about this kit.

(1) each document parses and is valid SPDX 2.3; (2) lnm-kit.spdx.json lists each file of the payload but itself exactly once, with
the hash that SHA256SUMS has; (3) every package, the described one too, has a version, a supplier, a licence, a SHA-256 and a
purl, where supplier and licence may be NOASSERTION, which is counted and said, and so is a package that has no SHA-256 because
it came in a base image of somebody else, whose own it has to be; (4) every package and file can be reached from
the document by its relationships; (5) the hash of the kit's own package is that over the lines of SHA256SUMS that (2) is about;
(6) the hash of the tooling's own package is that of the file it names, as the provenance has it; (7) each image has a document,
which is about what is in its layers (scripts/verify/sbom_images.py). What the tools of others say: scripts/verify/sbom_tools.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spdx_tools.spdx.model import Document
from spdx_tools.spdx.parser.error import SPDXParsingError
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scripts import spdx_rules
from scripts.verify import sbom_images
from scripts.verify.outcome import WRONG_INPUT, Built, Outcome, failed, ok
from scripts.verify.sbom_documents import described, sha256_of, vouched_for

KIT_SBOM, TOOLING_SBOM = "sbom/lnm-kit.spdx.json", "sbom/lnm-tooling.spdx.json"
EXPECTED = (KIT_SBOM, TOOLING_SBOM)
HASH = "SHA-256"
LARGEST_FOR_FULL = 2000
"""Packages and files up to which spdx-tools' own full validation runs: its time grows with their square, 2.3 s here."""


def sboms(built: Built) -> Iterator[Outcome]:
    """Every SBOM of the kit."""
    for name in expected(built):
        path = built.kit / name
        complaints = [f"{name} is not there"] if not path.is_file() else invalid(path) or incomplete(read(path))
        complaints = complaints or of_something_else(built, name)
        for complaint in complaints:
            yield failed(name, complaint, WRONG_INPUT)
        if not complaints:
            yield ok(name, summary(read(path)))
    for name in sbom_images.strangers(built.kit, expected(built)):
        yield failed(name, "is about nothing in this kit", WRONG_INPUT)


def expected(built: Built) -> tuple[str, ...]:
    """The documents that a kit must have."""
    return (*EXPECTED, *sbom_images.names(built.kit))


def of_something_else(built: Built, name: str) -> list[str]:
    """(2), (5), (6), (7): how a document is about other bytes than those of its name."""
    if name == KIT_SBOM:
        return of_another_kit(built)
    if name == TOOLING_SBOM:
        return of_another_lock(built)
    return sbom_images.of_another_image(built.kit, name, read(built.kit / name))


def read(path: Path) -> dict[str, Any]:
    """A document that (1) holds for."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def is_large(packages: int, files: int) -> bool:
    """True for a document that is validated by the index and not by spdx-tools' own loop."""
    return packages + files > LARGEST_FOR_FULL


def summary(document: dict[str, Any]) -> str:
    """What there is in a document, and what is not known of it."""
    packages, files = document["packages"], document.get("files", [])
    manner = f" (indexed: more than {LARGEST_FOR_FULL} packages and files)" if is_large(len(packages), len(files)) else ""
    unknown = {field: sum(item[field] == "NOASSERTION" for item in packages) for field in ("licenseConcluded", "supplier")}
    vouched = sum(item["SPDXID"] in vouched_for(document) and not sha256_of(item) for item in packages)
    return (
        f"valid SPDX 2.3{manner}, complete: {len(packages)} packages, {len(files)} files; "
        f"unknown: {unknown['licenseConcluded']} licences, {unknown['supplier']} suppliers"
        + (f", {vouched} hashes, of what came in a base image" if vouched else "")
    )


def invalid(path: Path) -> list[str]:
    """(1) What spdx-tools has against a document."""
    try:
        document = parse_file(str(path))
    except (SPDXParsingError, ValueError, TypeError, AttributeError, LookupError) as err:  # what its parser raises over odd forms
        return [f"spdx-tools cannot read it: {type(err).__name__}: {err}"]
    return complaints_of(document)


def complaints_of(document: Document) -> list[str]:
    """The complaints of the validator, the whole of it where the document is not too large for that."""
    if is_large(len(document.packages), len(document.files)):
        return spdx_rules.complaints(document)
    return [complaint.validation_message for complaint in validate_full_spdx_document(document)]


def incomplete(document: dict[str, Any]) -> list[str]:
    """(3) and (4): packages that lack what a reader needs, and what hangs in the air."""
    packages = document.get("packages", [])
    vouched = vouched_for(document)
    lacking = [
        f"{package['name']}: no {field}"
        for package in packages
        for field in missing_fields(package)
        if field != HASH or package["SPDXID"] not in vouched
    ]
    reached = reachable(document)
    items = [*packages, *document.get("files", [])]
    hanging = [f"{item['SPDXID']}: not reachable from the document" for item in items if item["SPDXID"] not in reached]
    return lacking + hanging or ([] if packages else ["has no packages"])


def reachable(document: dict[str, Any]) -> set[str]:
    """The ids that the document's relationships lead to."""
    edges: dict[str, set[str]] = {}
    for edge in document.get("relationships", []):
        edges.setdefault(edge["spdxElementId"], set()).add(edge["relatedSpdxElement"])
    reached: set[str] = set()
    waiting = ["SPDXRef-DOCUMENT"]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += edges.get(node, ())
    return reached


def missing_fields(package: dict[str, Any]) -> list[str]:
    """(3) The fields that a package should have and has not."""
    found = {
        **{field: package.get(field) for field in ("versionInfo", "supplier", "licenseConcluded", "licenseDeclared")},
        HASH: sha256_of(package),
        "purl": [item for item in package.get("externalRefs", []) if item.get("referenceType") == "purl"],
    }
    return [field for field, value in found.items() if not value]


def of_another_kit(built: Built) -> list[str]:
    """(2) and (5): how the kit's SBOM differs from the list of the payload."""
    document = read(built.kit / KIT_SBOM)
    lines = (built.kit / "SHA256SUMS").read_text(encoding="ascii").splitlines(keepends=True)
    lines = [line for line in lines if not line.endswith(f"  {KIT_SBOM}\n") and "  attestations/" not in line]
    wanted = sorted((name, sha256) for sha256, name in (line.rstrip("\n").split("  ", 1) for line in lines))
    found = sorted((entry["fileName"].removeprefix("./"), sha256_of(entry)) for entry in document.get("files", []))
    if found != wanted:
        strange = sorted({name for name, _ in set(found) ^ set(wanted)}) or ["a file is listed twice"]
        return [f"lists other files than SHA256SUMS: {', '.join(strange)}"]
    if sha256_of(described(document)) != hashlib.sha256("".join(lines).encode("ascii")).hexdigest():
        return ["the hash of the kit's package is not that over the lines of SHA256SUMS"]
    return []


def of_another_lock(built: Built) -> list[str]:
    """(6) How the tooling's SBOM is about another lock than the one that the provenance says the build used."""
    root = described(read(built.kit / TOOLING_SBOM))
    uri = f"file:{root.get('packageFileName', 'nothing')}"
    try:
        statement = base64.b64decode(json.loads((built.kit / "attestations/slsa-provenance.dsse.json").read_bytes())["payload"])
        used = json.loads(statement)["predicate"]["buildDefinition"]["resolvedDependencies"]
        wanted = {item["digest"]["sha256"] for item in used if item["uri"] == uri}
    except (OSError, ValueError, LookupError, TypeError) as err:
        return [f"cannot be held against the provenance, which is not readable: {type(err).__name__}"]
    return [] if wanted == {sha256_of(root)} else [f"the hash of its first package is not that of {uri} in the provenance"]

"""scripts/spdx_rules.py: what spdx-tools' full validator finds, in a time that does not grow with the square."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
from spdx_tools.spdx import model
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scripts import sbom, spdx_rules

UNKNOWN = model.SpdxNoAssertion()
ROOT_ID = "SPDXRef-Package-root"


def file_of(number: int) -> Any:
    checksum = model.Checksum(model.ChecksumAlgorithm.SHA1, f"{number:040x}")
    return model.File(f"./{number}", f"SPDXRef-File-{number}", [checksum], license_concluded=UNKNOWN, copyright_text=UNKNOWN)


def package_of(number: int) -> Any:
    name = f"p{number}"
    return sbom.package(
        sbom.Component(f"SPDXRef-Package-{number}", name, "1", "A", "MIT", f"{number:064x}", "", f"pkg:pypi/{name}@1")
    )


def document(size: int) -> Any:
    """A valid document of so many files and so many packages."""
    packages, files = [package_of(number) for number in range(size)], [file_of(number) for number in range(size)]
    root = sbom.package(sbom.Component(ROOT_ID, "root", "1", "A", "MIT"), files_analyzed=True)
    edges = [sbom.relationship("SPDXRef-DOCUMENT", "DESCRIBES", ROOT_ID)]
    edges += [sbom.relationship(ROOT_ID, "CONTAINS", item.spdx_id) for item in (*packages, *files)]
    edges += sbom.dependencies({package.spdx_id: [] for package in packages})
    found = sbom.document("x", 0, "x", [root, *packages], edges)
    found.files = files
    return found


def full(found: Any) -> set[str]:
    """What spdx-tools' own validator says."""
    return {complaint.validation_message for complaint in validate_full_spdx_document(found)}


def edge(source: str, kind: str, target: str) -> Callable[[Any], object]:
    return lambda found: found.relationships.append(sbom.relationship(source, kind, target))


@dataclasses.dataclass(frozen=True)
class Defect:
    name: str
    make: Callable[[Any], object]


DEFECTS = (
    Defect("an edge to nothing", edge(ROOT_ID, "CONTAINS", "SPDXRef-nowhere")),
    Defect("an edge from nothing", edge("SPDXRef-nowhere", "CONTAINS", ROOT_ID)),
    Defect("an edge with a bad id", edge("nonsense", "CONTAINS", "SPDXRef-a b")),
    Defect("an edge to an unknown document", edge(ROOT_ID, "DEPENDS_ON", "DocumentRef-x:SPDXRef-y")),
    Defect("an edge with two colons", edge(ROOT_ID, "DEPENDS_ON", "DocumentRef-x:SPDXRef-y:z")),
    Defect("a file in a package that was not analysed", edge("SPDXRef-Package-1", "CONTAINS", "SPDXRef-File-1")),
    Defect("the same, told by the file", edge("SPDXRef-File-1", "CONTAINED_BY", "SPDXRef-Package-1")),
    Defect("nothing described", lambda found: found.relationships.pop(0)),
    Defect("no edges", lambda found: found.relationships.clear()),
    Defect("a package twice", lambda found: found.packages.append(package_of(1))),
    Defect("a file twice", lambda found: found.files.append(file_of(1))),
    Defect("a bad id", lambda found: setattr(found.files[0], "spdx_id", "nonsense")),
    Defect("a short checksum", lambda found: setattr(found.files[0].checksums[0], "value", "abc")),
    Defect("no checksum", lambda found: found.files[0].checksums.clear()),
    Defect("a bad purl", lambda found: setattr(found.packages[0].external_references[0], "locator", "nonsense")),
    Defect(
        "an invented licence", lambda found: setattr(found.packages[0], "license_concluded", sbom.licence_of("x", "LicenseRef-x"))
    ),
    Defect("a bad namespace", lambda found: setattr(found.creation_info, "document_namespace", "no uri")),
    Defect("another version", lambda found: setattr(found.creation_info, "spdx_version", "SPDX-9")),
)


def test_a_valid_document_has_no_complaints() -> None:
    assert spdx_rules.complaints(document(3)) == []
    assert full(document(3)) == set()


def test_packages_may_hold_packages_and_analysed_packages_may_hold_files() -> None:
    found = document(3)
    edge("SPDXRef-Package-1", "CONTAINS", "SPDXRef-Package-2")(found)
    edge("SPDXRef-File-1", "CONTAINED_BY", ROOT_ID)(found)
    assert spdx_rules.complaints(found) == []
    assert full(found) == set()


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect.name for defect in DEFECTS])
def test_it_says_of_a_defect_what_the_full_validator_says(defect: Defect) -> None:
    found = document(3)
    found.relationships.sort(key=lambda item: item.relationship_type.name != "DESCRIBES")
    defect.make(found)
    said = spdx_rules.complaints(found)
    assert said
    assert set(said) == full(found)
    assert len(said) == len(set(said))


def cpu_of(function: Callable[[], object]) -> float:
    """The least CPU time of three calls."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        function()
        spent.append(time.process_time() - before)
    return min(spent)


@pytest.mark.parametrize("step", [spdx_rules.complaints, lambda found: sbom.render(found, "x")], ids=["validate", "render"])
def test_ten_times_the_elements_cost_less_than_twenty_times_the_time(step: Callable[[Any], object]) -> None:
    """Side by side in one run; what grows with the square would cost a hundred times as much."""
    small, large = document(150), document(1500)
    step(small)
    assert cpu_of(lambda: step(large)) < 20 * cpu_of(lambda: step(small))


def test_it_costs_a_fraction_of_the_full_validation_of_a_larger_document() -> None:
    found = document(500)
    assert 4 * cpu_of(lambda: spdx_rules.complaints(found)) < cpu_of(lambda: validate_full_spdx_document(found))

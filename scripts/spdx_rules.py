"""Validates an SPDX document by spdx-tools' rules, in a time that grows with the size of the document and not with its square.

Authority: spdx-tools 0.8.5, `spdx.validation`. Its `validate_full_spdx_document` looks through all elements for each relationship
and through all relationships for each package (spdx/tools-python#818: hours for a large document). Here the same validators see,
for each relationship, its two ends alone, found by an index. Annotations, of which we write none, are left as slow as they are.
Builds nothing: the build and `scripts.verify` both use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spdx_tools.spdx.model import Document, Relationship

HOLDS = {"CONTAINS": 1, "CONTAINED_BY": -1}  # in which direction an edge leads from what holds to what is held


def complaints(document: Document) -> list[str]:
    """What spdx-tools has against a document, each complaint once, in its words."""
    from spdx_tools.spdx.model import Document
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    info, licences = document.creation_info, document.extracted_licensing_info
    one = [edge for edge in document.relationships if describes(edge, info.spdx_id)][:1]
    unlinked = Document(
        info,
        packages=document.packages,
        files=document.files,
        snippets=document.snippets,
        annotations=document.annotations,
        relationships=one,
        extracted_licensing_info=licences,
    )
    found = validate_full_spdx_document(unlinked)
    elements: dict[str, Any] = {snippet.spdx_id: snippet for snippet in document.snippets}
    elements |= {package.spdx_id: package for package in document.packages}
    elements |= {file.spdx_id: file for file in document.files}
    for edge in document.relationships:
        found += edge_complaints(edge, document, elements)
    return list(dict.fromkeys(complaint.validation_message for complaint in found))


def describes(edge: Relationship, document_id: str) -> bool:
    """True where an edge says what the document describes."""
    ends = {"DESCRIBES": edge.spdx_element_id, "DESCRIBED_BY": edge.related_spdx_element_id}
    return bool(ends.get(edge.relationship_type.name) == document_id)


def edge_complaints(edge: Relationship, document: Document, elements: Mapping[str, Any]) -> Iterator[Any]:
    """What there is against an edge, and against the package that it puts a file in."""
    from spdx_tools.spdx.model import Document, File, Package
    from spdx_tools.spdx.validation.package_validator import validate_package_within_document
    from spdx_tools.spdx.validation.relationship_validator import validate_relationship

    info, version = document.creation_info, document.creation_info.spdx_version
    ends = [elements.get(str(end)) for end in (edge.spdx_element_id, edge.related_spdx_element_id)]
    packages = [end for end in ends if isinstance(end, Package)]
    files = [end for end in ends if isinstance(end, File)]
    snippets = [end for end in ends if end is not None and not isinstance(end, Package | File)]
    seen = Document(
        info,
        packages=packages,
        files=files,
        snippets=snippets,
        relationships=[edge],
        extracted_licensing_info=document.extracted_licensing_info,
    )
    yield from validate_relationship(edge, version, seen)
    direction = HOLDS.get(edge.relationship_type.name)
    holder, held = ends[::direction]
    if direction and isinstance(held, File) and isinstance(holder, Package) and not holder.files_analyzed:
        yield from validate_package_within_document(holder, version, seen)

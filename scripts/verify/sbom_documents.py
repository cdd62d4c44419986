"""Reads in an SPDX 2.3 document, as JSON, what more than one check of the SBOMs asks of it. Checks nothing itself."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

Package = tuple[str, str, str]
"""Type of its package URL, name, version."""


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The package that the document describes; an empty one where there is none."""
    edges = document.get("relationships", [])
    wanted = {edge["relatedSpdxElement"] for edge in edges if edge["relationshipType"] == "DESCRIBES"}
    return next((package for package in document.get("packages", []) if package["SPDXID"] in wanted), {})


def sha256_of(item: dict[str, Any]) -> str:
    """The SHA-256 of a package or file; empty where it has none."""
    return "".join(entry["checksumValue"] for entry in item.get("checksums", []) if entry["algorithm"] == "SHA256")


def contained(document: dict[str, Any], holders: set[str]) -> set[str]:
    """The ids of what elements of a document contain."""
    edges = [edge for edge in document.get("relationships", []) if edge["relationshipType"] == "CONTAINS"]
    return {edge["relatedSpdxElement"] for edge in edges if edge["spdxElementId"] in holders}


def purls_of(package: dict[str, Any]) -> Iterator[Package]:
    """What the package URLs of a package say (purl-spec; without namespace, qualifiers and subpath)."""
    for item in package.get("externalRefs", []):
        match = re.fullmatch(r"pkg:([^/]+)/(?:[^@?]*/)?([^/@?]+)@([^?#]+).*", item["referenceLocator"])
        if item["referenceType"] == "purl" and match:
            yield match[1], urllib.parse.unquote(match[2]), urllib.parse.unquote(match[3])


def vouched_for(document: dict[str, Any]) -> set[str]:
    """The ids of packages that came in a base image of somebody else, whose own digest covers them: nobody recorded theirs.

    Only the package of an image (package URL of type oci, with a SHA-256), and never the described one, vouches.
    """
    root = described(document).get("SPDXID")
    return contained(
        document,
        {
            package["SPDXID"]
            for package in document.get("packages", [])
            if package["SPDXID"] != root and sha256_of(package) and any(kind == "oci" for kind, _, _ in purls_of(package))
        },
    )

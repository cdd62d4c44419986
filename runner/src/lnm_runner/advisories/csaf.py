"""CSAF 2.0 (OASIS): one document is one advisory, which may be about several CVEs; they are its aliases.

A product is affected where some vulnerability lists it so (product_status: known_affected, first_affected, last_affected). It is
named by its identification helper, else by its branches (vendor, product_name), else by its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lnm_runner.advisories import packages, scores
from lnm_runner.advisories.json_payload import DEEPEST, get, needed, objects, read, text, texts
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record, Severity

AFFECTED = ("known_affected", "first_affected", "last_affected")
SYSTEMS = {"cvss_v2": "cvssv2", "cvss_v3": "cvssv3"}


@dataclass(frozen=True)
class Product:
    """A product of the tree."""

    name: str
    branches: Mapping[str, str]
    """`{category: name}` on the way to it."""
    purl: str = ""
    cpe: str = ""


def record(payload: bytes) -> Record:
    """The advisory of a payload.

    Raises: PayloadError.
    """
    found = read(payload)
    document: Mapping[str, Any] = get(found, "document", dict) or {}
    version = needed(document, "csaf_version", "document.")
    if version != "2.0":
        raise PayloadError(f"document.csaf_version: {version[:20]!r}, wanted 2.0")
    tracking: Mapping[str, Any] = get(document, "tracking", dict, "document.") or {}
    vulnerabilities = list(objects(found, "vulnerabilities"))
    return Record(
        id=needed(tracking, "id", "document.tracking."),
        aliases=tuple(dict.fromkeys(name for at, part in vulnerabilities for name in names(part, at))),
        title=needed(document, "title", "document."),
        summary=summary(document),
        severities=tuple(score for at, part in vulnerabilities for score in severities(part, at)),
        affected=tuple(affected(found, vulnerabilities)),
        references=tuple(dict.fromkeys(references(document, vulnerabilities))),
    )


def names(vulnerability: Mapping[str, Any], place: str) -> Iterator[str]:
    """What a vulnerability is called."""
    if name := text(vulnerability, "cve", place):
        yield name
    yield from (needed(part, "text", at) for at, part in objects(vulnerability, "ids", place))


def summary(document: Mapping[str, Any]) -> str:
    """The first note that is a summary, else the first description."""
    notes = [(text(part, "category", at), text(part, "text", at)) for at, part in objects(document, "notes", "document.")]
    return next((said for wanted in ("summary", "description") for category, said in notes if category == wanted), "")


def references(document: Mapping[str, Any], vulnerabilities: list[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """The links of the document, then those of its vulnerabilities."""
    for place, value in (("document.", document), *vulnerabilities):
        yield from (needed(part, "url", at) for at, part in objects(value, "references", place))


def severities(vulnerability: Mapping[str, Any], place: str) -> Iterator[Severity]:
    """The scores of a vulnerability."""
    for at, part in objects(vulnerability, "scores", place):
        for name in SYSTEMS:
            data: Mapping[str, Any] | None = get(part, name, dict, at)
            if data is not None:
                vector, given = needed(data, "vectorString", f"{at}{name}."), get(data, "baseScore", float, f"{at}{name}.")
                said = scores.of_vector(vector, f"{at}{name}.vectorString")
                yield said if given is None else Severity(said.system, given, vector)


def affected(found: Mapping[str, Any], vulnerabilities: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Affected]:
    """The affected products, those of one purl together, in the order in which they are first listed."""
    known = {identity: product for identity, product in products(found)}
    together: dict[str, list[Product]] = {}
    for identity, place in listed(vulnerabilities).items():
        if identity not in known:
            raise PayloadError(f"{place}: {identity[:60]!r} is not in the product tree")
        product = known[identity]
        together.setdefault(purl_of(product, place), []).append(product)
    for purl, same in together.items():
        versions = [version for product in same if (version := product.branches.get("product_version", ""))]
        ranges = [given for product in same if (given := product.branches.get("product_version_range", ""))]
        yield Affected(
            purl=purl,
            package=same[0].branches.get("product_name", same[0].name),
            versions=tuple(dict.fromkeys(versions)),
            ranges=tuple(Range("VERS", ({"range": given},)) for given in dict.fromkeys(ranges)),
            cpes=tuple(dict.fromkeys(product.cpe for product in same if product.cpe)),
        )


def listed(vulnerabilities: list[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """The ids of the affected products, each with its first place."""
    found: dict[str, str] = {}
    for at, part in vulnerabilities:
        status: Mapping[str, Any] = get(part, "product_status", dict, at) or {}
        for name in AFFECTED:
            for identity in texts(status, name, f"{at}product_status."):
                found.setdefault(identity, f"{at}product_status.{name}")
    return found


def purl_of(product: Product, place: str) -> str:
    """What names a product."""
    if product.purl:
        return product.purl
    if product.cpe:
        return packages.purl_of_cpe(product.cpe)
    vendor, name = product.branches.get("vendor", ""), product.branches.get("product_name", product.name)
    return packages.purl_of(vendor, name, place)


def products(found: Mapping[str, Any]) -> Iterator[tuple[str, Product]]:
    """`(product_id, product)` of the whole tree; a product that is part of another takes that one's helper where it has none."""
    tree: Mapping[str, Any] = get(found, "product_tree", dict) or {}
    known = dict(in_branches(tree, "product_tree.", {}, 0))
    known.update(full_name(part, at, {}) for at, part in objects(tree, "full_product_names", "product_tree."))
    for at, part in objects(tree, "relationships", "product_tree."):
        composed: Mapping[str, Any] = get(part, "full_product_name", dict, at) or {}
        identity, product = full_name(composed, f"{at}full_product_name.", {})
        inner = known.get(text(part, "product_reference", at))
        if inner is not None and not product.purl and not product.cpe:
            product = Product(product.name, inner.branches, inner.purl, inner.cpe)
        known[identity] = product
    return iter(known.items())


def in_branches(value: Mapping[str, Any], place: str, above: Mapping[str, str], depth: int) -> Iterator[tuple[str, Product]]:
    """The products below a branch."""
    if depth > DEEPEST:
        raise PayloadError(f"product_tree: branches deeper than {DEEPEST}")
    for at, part in objects(value, "branches", place):
        here = {**above, needed(part, "category", at): needed(part, "name", at)}
        product: Mapping[str, Any] | None = get(part, "product", dict, at)
        if product is not None:
            yield full_name(product, f"{at}product.", here)
        yield from in_branches(part, at, here, depth + 1)


def full_name(value: Mapping[str, Any], place: str, branches: Mapping[str, str]) -> tuple[str, Product]:
    """A full product name with its id."""
    helper: Mapping[str, Any] = get(value, "product_identification_helper", dict, place) or {}
    at = f"{place}product_identification_helper."
    given, name = text(helper, "purl", at), text(helper, "cpe", at)
    return needed(value, "product_id", place), Product(
        needed(value, "name", place),
        branches,
        packages.purl(given, f"{at}purl") if given else "",
        packages.cpe(name, f"{at}cpe") if name else "",
    )

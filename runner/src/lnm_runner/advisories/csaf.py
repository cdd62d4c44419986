"""CSAF 2.0 (OASIS): one document is one advisory, which may be about several CVEs; they are its aliases.

A product is affected where some vulnerability lists it so (product_status: known_affected, first_affected, last_affected). It is
named by its identification helper, else by its branches (vendor, product_name), else by its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lnm_runner.advisories import cpes, packages, scores
from lnm_runner.advisories.json_payload import inner, needed, number, objects, text, texts
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record, Severity

AFFECTED = ("known_affected", "first_affected", "last_affected")
SYSTEMS = ("cvss_v2", "cvss_v3")
DEEPEST = 64  # branches; CSAF sets no limit, and documents have about five
WITH_ISSUER = re.compile(r"[A-Za-z][A-Za-z0-9]+-.+")

Vulnerabilities = list[tuple[str, Mapping[str, Any]]]
"""Each with its place."""


@dataclass(frozen=True)
class Product:
    """A product of the tree."""

    name: str
    branches: Mapping[str, str]
    """`{category: name}` on the way to it."""
    purl: str = ""
    version: str = ""
    """The one that its purl names."""
    cpe: str = ""

    @property
    def versions(self) -> Iterator[str]:
        """The version that it is, by the best of what says so."""
        said = (self.version, self.branches.get("product_version", ""), cpes.version(self.cpe) if self.cpe else "")
        yield from list(filter(None, said))[:1]


def record(payload: Mapping[str, Any]) -> Record:
    """The advisory of a payload.

    Raises: PayloadError.
    """
    document = inner(payload, "document")
    version = needed(document, "csaf_version", "document.")
    if version != "2.0":
        raise PayloadError(f"document.csaf_version: {version[:20]!r}, wanted 2.0")
    vulnerabilities = list(objects(payload, "vulnerabilities"))
    return Record(
        id=needed(inner(document, "tracking", "document."), "id", "document.tracking."),
        aliases=tuple(dict.fromkeys(name for at, part in vulnerabilities for name in names(part, at))),
        title=needed(document, "title", "document."),
        summary=summary(document),
        severities=tuple(score for at, part in vulnerabilities for score in severities(part, at)),
        affected=tuple(affected(payload, vulnerabilities)),
        references=tuple(dict.fromkeys(references(document, vulnerabilities))),
    )


def names(vulnerability: Mapping[str, Any], place: str) -> Iterator[str]:
    """What a vulnerability is called.

    An id that does not begin with its issuer (`123456`, of a bug tracker) means another thing in each; its system is told.
    """
    if name := text(vulnerability, "cve", place):
        yield name
    for at, part in objects(vulnerability, "ids", place):
        system, said = needed(part, "system_name", at), needed(part, "text", at)
        yield said if WITH_ISSUER.fullmatch(said) else f"{system}:{said}"


def summary(document: Mapping[str, Any]) -> str:
    """The first note that is a summary, else the first description."""
    notes = [(text(part, "category", at), text(part, "text", at)) for at, part in objects(document, "notes", "document.")]
    return next((said for wanted in ("summary", "description") for category, said in notes if category == wanted), "")


def references(document: Mapping[str, Any], vulnerabilities: Vulnerabilities) -> Iterator[str]:
    """The links of the document, then those of its vulnerabilities."""
    for place, value in (("document.", document), *vulnerabilities):
        yield from (needed(part, "url", at) for at, part in objects(value, "references", place))


def severities(vulnerability: Mapping[str, Any], place: str) -> Iterator[Severity]:
    """The scores of a vulnerability."""
    for at, part in objects(vulnerability, "scores", place):
        for name in SYSTEMS:
            data, where = inner(part, name, at), f"{at}{name}."
            if data:
                vector, given = needed(data, "vectorString", where), number(data, "baseScore", where)
                yield scores.of_vector(vector, f"{where}vectorString", given)


def affected(payload: Mapping[str, Any], vulnerabilities: Vulnerabilities) -> Iterator[Affected]:
    """The affected products, those of one purl together, in the order in which they are first listed."""
    known = products(payload)
    together: dict[str, list[Product]] = {}
    for identity, place in listed(vulnerabilities).items():
        if identity not in known:
            raise PayloadError(f"{place}: {identity[:60]!r} is not in the product tree")
        together.setdefault(purl_of(known[identity], place), []).append(known[identity])
    for purl, same in together.items():
        ranges = [given for product in same if (given := product.branches.get("product_version_range", ""))]
        yield Affected(
            purl=purl,
            package=same[0].branches.get("product_name", same[0].name),
            versions=tuple(dict.fromkeys(version for product in same for version in product.versions)),
            ranges=tuple(Range("VERS", ({"range": given},)) for given in dict.fromkeys(ranges)),
            cpes=tuple(dict.fromkeys(product.cpe for product in same if product.cpe)),
        )


def listed(vulnerabilities: Vulnerabilities) -> dict[str, str]:
    """The ids of the affected products, each with its first place."""
    found: dict[str, str] = {}
    for at, part in vulnerabilities:
        status, where = inner(part, "product_status", at), f"{at}product_status."
        for name in AFFECTED:
            for identity in texts(status, name, where):
                found.setdefault(identity, f"{where}{name}")
    return found


def purl_of(product: Product, place: str) -> str:
    """What names a product."""
    if product.purl:
        return product.purl
    if product.cpe:
        return packages.purl_of_cpe(product.cpe, place)
    vendor, name = product.branches.get("vendor", ""), product.branches.get("product_name", product.name)
    return packages.generic(vendor, name, place)


def products(payload: Mapping[str, Any]) -> dict[str, Product]:
    """`{product_id: product}` of the whole tree; one that is part of another is what it is alone, where no helper says more."""
    tree = inner(payload, "product_tree")
    known = dict(in_branches(tree, "product_tree.", {}, 0))
    known.update(full_name(part, at, {}) for at, part in objects(tree, "full_product_names", "product_tree."))
    for at, part in objects(tree, "relationships", "product_tree."):
        identity, product = full_name(inner(part, "full_product_name", at), f"{at}full_product_name.", {})
        alone = known.get(text(part, "product_reference", at))
        if alone is not None and not product.purl and not product.cpe:
            product = replace(alone, name=product.name)
        known[identity] = product
    return known


def in_branches(value: Mapping[str, Any], place: str, above: Mapping[str, str], depth: int) -> Iterator[tuple[str, Product]]:
    """The products below a branch."""
    if depth > DEEPEST:
        raise PayloadError(f"product_tree: branches deeper than {DEEPEST}")
    for at, part in objects(value, "branches", place):
        here = {**above, needed(part, "category", at): needed(part, "name", at)}
        if product := inner(part, "product", at):
            yield full_name(product, f"{at}product.", here)
        yield from in_branches(part, at, here, depth + 1)


def full_name(value: Mapping[str, Any], place: str, branches: Mapping[str, str]) -> tuple[str, Product]:
    """A full product name with its id."""
    helper, at = inner(value, "product_identification_helper", place), f"{place}product_identification_helper."
    given, name = text(helper, "purl", at), text(helper, "cpe", at)
    purl, version = packages.versioned_purl(given, f"{at}purl") if given else ("", "")
    product = Product(needed(value, "name", place), branches, purl, version, cpes.name(name, f"{at}cpe") if name else "")
    return needed(value, "product_id", place), product

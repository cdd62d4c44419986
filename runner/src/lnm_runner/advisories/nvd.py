"""NVD 2.0 (the JSON of the CVE API 2.0, csrc.nist.gov/schema/nvd/api/2.0): one CVE, bare, as `{cve}` or as an answer with one.

A product is named by its CPE; ranges keep NVD's own words (versionStartIncluding, …), as no others say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lnm_runner.advisories import packages, scores
from lnm_runner.advisories.json_payload import get, needed, objects, read, text
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record, Severity

METRICS = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")
BOUNDS = ("versionStartIncluding", "versionStartExcluding", "versionEndIncluding", "versionEndExcluding")
ANY, NOT_APPLICABLE = "*", "-"


def record(payload: bytes) -> Record:
    """The advisory of a payload.

    Raises: PayloadError.
    """
    at, cve = the_one(read(payload))
    matches = list(vulnerable(cve, at))
    products = list(dict.fromkeys(packages.vendor_and_product(name) for name, _ in matches))
    return Record(
        id=needed(cve, "id", at),
        summary=description(cve, at),
        severities=tuple(severities(cve, at)),
        affected=tuple(affected([match for match in matches if packages.vendor_and_product(match[0]) == one]) for one in products),
        references=tuple(needed(part, "url", where) for where, part in objects(cve, "references", at)),
        withdrawn=text(cve, "lastModified", at) if text(cve, "vulnStatus", at) == "Rejected" else "",
    )


def the_one(found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The CVE of a payload, and its place.

    Raises: PayloadError for more than one: a payload is one advisory (AOC rule 2).
    """
    if "vulnerabilities" in found:
        many = list(objects(found, "vulnerabilities"))
        if len(many) != 1:
            raise PayloadError(f"vulnerabilities: found {len(many)}, wanted one")
        place, one = many[0]
        return f"{place}cve.", get(one, "cve", dict, place) or {}
    inner: Mapping[str, Any] | None = get(found, "cve", dict)
    return ("", found) if inner is None else ("cve.", inner)


def description(cve: Mapping[str, Any], place: str) -> str:
    """The text in English, else the first one."""
    found = [(text(part, "lang", at), text(part, "value", at)) for at, part in objects(cve, "descriptions", place)]
    english = [value for language, value in found if language == "en"]
    return next(iter(english or [value for _, value in found]), "")


def severities(cve: Mapping[str, Any], place: str) -> Iterator[Severity]:
    """The scores, those of the newest CVSS first; NVD gives the base score beside the vector."""
    metrics: Mapping[str, Any] = get(cve, "metrics", dict, place) or {}
    for name in METRICS:
        for at, part in objects(metrics, name, f"{place}metrics."):
            data: Mapping[str, Any] = get(part, "cvssData", dict, at) or {}
            vector = needed(data, "vectorString", f"{at}cvssData.")
            given = get(data, "baseScore", float, f"{at}cvssData.")
            said = scores.of_vector(vector, f"{at}cvssData.vectorString")
            yield said if given is None else Severity(said.system, given, vector)


def vulnerable(cve: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """`(CPE name, its bounds)` of what is vulnerable; what it only runs on is left out."""
    for at, configuration in objects(cve, "configurations", place):
        for node_at, node in objects(configuration, "nodes", at):
            for match_at, match in objects(node, "cpeMatch", node_at):
                if get(match, "vulnerable", bool, match_at):
                    name = packages.cpe(needed(match, "criteria", match_at), f"{match_at}criteria")
                    yield name, {bound: text(match, bound, match_at) for bound in BOUNDS if bound in match}


def affected(matches: list[tuple[str, Mapping[str, str]]]) -> Affected:
    """One product, of all that is said of it."""
    names = tuple(dict.fromkeys(name for name, _ in matches))
    exact = [version for name, bounds in matches if not bounds and (version := packages.version_of(name)) not in {ANY, NOT_APPLICABLE}]
    ranges = [Range("CPE", tuple({bound: value} for bound, value in bounds.items())) for _, bounds in matches if bounds]
    vendor, product = packages.vendor_and_product(names[0])
    return Affected(
        purl=packages.purl_of_cpe(names[0]),
        package=f"{vendor}/{product}",
        versions=tuple(dict.fromkeys(exact)),
        ranges=tuple(ranges),
        cpes=names,
    )

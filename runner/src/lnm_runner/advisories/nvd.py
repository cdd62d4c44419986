"""NVD 2.0 (the JSON of the CVE API 2.0, csrc.nist.gov/schema/nvd/api/2.0): one CVE, bare, as `{cve}` or as an answer with one.

A product is named by its CPE; ranges keep NVD's own words (versionStartIncluding, …), as no others say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lnm_runner.advisories import cpes, packages, scores
from lnm_runner.advisories.json_payload import flag, inner, needed, number, objects, text
from lnm_runner.advisories.record import Affected, PayloadError, Range, Record, Severity

METRICS = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")
BOUNDS = ("versionStartIncluding", "versionStartExcluding", "versionEndIncluding", "versionEndExcluding")

Match = tuple[str, Mapping[str, str]]
"""A CPE name, and the bounds of its versions."""


def record(payload: Mapping[str, Any]) -> Record:
    """The advisory of a payload.

    Raises: PayloadError.
    """
    at, cve = the_one(payload)
    products: dict[str, list[Match]] = {}
    for match_at, match in vulnerable(cve, at):
        products.setdefault(packages.purl_of_cpe(match[0], match_at), []).append(match)
    return Record(
        id=needed(cve, "id", at),
        summary=description(cve, at),
        severities=tuple(severities(cve, at)),
        affected=tuple(affected(purl, matches) for purl, matches in products.items()),
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
        return f"{place}cve.", inner(one, "cve", place)
    return ("cve.", inner(found, "cve")) if "cve" in found else ("", found)


def description(cve: Mapping[str, Any], place: str) -> str:
    """The text in English, else the first one."""
    found = [(text(part, "lang", at), text(part, "value", at)) for at, part in objects(cve, "descriptions", place)]
    english = [value for language, value in found if language == "en"]
    return next(iter(english or [value for _, value in found]), "")


def severities(cve: Mapping[str, Any], place: str) -> Iterator[Severity]:
    """The scores, those of the newest CVSS first; NVD gives the base score beside the vector."""
    metrics = inner(cve, "metrics", place)
    for name in METRICS:
        for at, part in objects(metrics, name, f"{place}metrics."):
            data, where = inner(part, "cvssData", at), f"{at}cvssData."
            given = number(data, "baseScore", where)
            yield scores.of_vector(needed(data, "vectorString", where), f"{where}vectorString", given)


def vulnerable(cve: Mapping[str, Any], place: str) -> Iterator[tuple[str, Match]]:
    """The matches that are vulnerable, each with its place; what these only run on, and what is negated, is left out."""
    for at, configuration in objects(cve, "configurations", place):
        for node_at, node in objects(configuration, "nodes", at):
            is_negated = flag(configuration, "negate", at) or flag(node, "negate", node_at)
            for match_at, match in objects(node, "cpeMatch", node_at):
                if flag(match, "vulnerable", match_at) and not is_negated:
                    name = cpes.name(needed(match, "criteria", match_at), f"{match_at}criteria")
                    yield f"{match_at}criteria", (name, bounds(match, match_at))


def bounds(match: Mapping[str, Any], place: str) -> Mapping[str, str]:
    """The ends of a match's versions."""
    found = {name: text(match, name, place) for name in BOUNDS}
    return {name: value for name, value in found.items() if value}


def affected(purl: str, matches: list[Match]) -> Affected:
    """One product, of all that is said of it.

    A match without bounds is the version that its name says; where its name says any, it is every version.
    """
    names = tuple(dict.fromkeys(name for name, _ in matches))
    exact = [version for name, ends in matches if not ends and (version := cpes.version(name))]
    ranged = [ends for name, ends in matches if ends or cpes.is_any_version(name)]
    return Affected(
        purl=purl,
        package="/".join(cpes.vendor_and_product(names[0])),
        versions=tuple(dict.fromkeys(exact)),
        ranges=tuple(Range("CPE", tuple({name: value} for name, value in ends.items())) for ends in ranged),
        cpes=names,
    )

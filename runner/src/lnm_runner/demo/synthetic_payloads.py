"""Payloads of invented vulnerabilities, in the shapes of real feeds: OSV 1.7, NVD CVE API 2.0, CSAF 2.0. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lnm_runner.demo import chance, payloads
from lnm_runner.demo.payloads import Advisory

PLACE = "the invented corpus"
LATE_WITHIN_DAYS = 20
"""How far apart the sources speak: beyond 14 days freshness counts nothing (facts 3.3)."""
DATABASES = {"PyPI": "PYSEC", "Go": "GO"}
"""Prefixes of the ids of an ecosystem's own database."""
PURL_TYPES = {"PyPI": "pypi", "Go": "golang", "npm": "npm"}
BANDS = ((9.0, "CRITICAL"), (7.0, "HIGH"), (4.0, "MEDIUM"), (0.1, "LOW"))
"""FIRST, CVSS v3.1, 5."""
MATCHES = uuid.UUID("0d4a7d1c-58d3-5f0e-9f0a-5b8d5d2c2104")


@dataclass(frozen=True)
class Score:
    """A CVSS vector with its base score."""

    vector: str
    base: float

    @property
    def is_4(self) -> bool:
        """True for CVSS 4.0."""
        return self.vector.startswith("CVSS:4.0/")

    @property
    def band(self) -> str:
        """In words."""
        return next((word for least, word in BANDS if self.base >= least), "NONE")


CVSS_4 = Score("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3)


@dataclass(frozen=True)
class Vulnerability:
    """What is known of it; a source that is to say something else is given a changed one."""

    number: int
    cve: str
    ghsa: str
    ecosystem: str
    maker: str
    product: str
    flaw: str
    introduced: str
    fixed: str
    score: Score
    published: dt.datetime
    links: tuple[str, ...]

    @property
    def package(self) -> str:
        """Its name in the ecosystem."""
        forms = {"PyPI": "{}-{}", "Go": "{}.example/go/{}", "npm": "@{}/{}"}
        return forms[self.ecosystem].format(self.maker, self.product)

    @property
    def purl(self) -> str:
        """Of the package."""
        return f"pkg:{PURL_TYPES[self.ecosystem]}/{self.package.replace('@', '%40')}"

    @property
    def cpe(self) -> str:
        """Of every version."""
        return f"cpe:2.3:a:{self.maker}:{self.product}:*:*:*:*:*:*:*:*"

    @property
    def title(self) -> str:
        """A line."""
        return f"{self.maker.title()} {self.product} {self.flaw}"

    @property
    def text(self) -> str:
        """Some sentences."""
        since = "all versions" if self.introduced == "0" else f"versions from {self.introduced}"
        return f"{self.title}. It concerns {since} before {self.fixed}. There is no workaround; update to {self.fixed} or later."

    @property
    def major(self) -> int:
        """Of the version that mends it."""
        return int(self.fixed.partition(".")[0])

    @property
    def has_database(self) -> bool:
        """True where its ecosystem keeps a database of its own."""
        return self.ecosystem in DATABASES

    def said_by(self, source: str) -> dt.datetime:
        """When a source spoke of it last."""
        return self.published + dt.timedelta(
            days=chance.number(self.number, source) % LATE_WITHIN_DAYS, milliseconds=self.number % 1000
        )


def zulu(at: dt.datetime) -> str:
    """RFC 3339."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def osv(one: Vulnerability, identity: str, aliases: Sequence[str], **more: Any) -> Advisory:
    """An OSV advisory (ossf.github.io/osv-schema)."""
    kind = "CVSS_V4" if one.score.is_4 else "CVSS_V3"
    ranges = {"type": "ECOSYSTEM" if one.ecosystem == "PyPI" else "SEMVER"}
    value = {
        "schema_version": "1.7.0",
        "id": identity,
        "modified": zulu(one.said_by(identity)),
        "published": zulu(one.published),
        "aliases": list(aliases),
        "summary": one.title,
        "details": one.text,
        "severity": [{"type": kind, "score": one.score.vector}],
        "affected": [
            {
                "package": {"ecosystem": one.ecosystem, "name": one.package, "purl": one.purl},
                "ranges": [{**ranges, "events": [{"introduced": one.introduced}, {"fixed": one.fixed}]}],
            }
        ],
        "references": [{"type": "WEB", "url": link} for link in one.links],
        "database_specific": {"severity": one.score.band},
        **more,
    }
    return payloads.advisory("OSV", value, (identity, *aliases), PLACE)


def ghsa(one: Vulnerability, *, is_withdrawn: bool = False) -> Advisory:
    """As GitHub would say it."""
    more = {"withdrawn": zulu(one.said_by(one.ghsa))} if is_withdrawn else {}
    return osv(one, one.ghsa, (one.cve,), **more)


def of_ecosystem(one: Vulnerability, aliases: Sequence[str] = ()) -> Advisory:
    """As the database of the ecosystem would say it, with versions one by one and no score."""
    prefix = DATABASES.get(one.ecosystem, "OSV")
    identity = f"{prefix}-{one.published.year}-{900_000 + one.number}"
    versions = [f"{one.major}.{minor}.0" for minor in range(int(one.fixed.split(".")[1]))]
    said = osv(one, identity, aliases or (one.cve, one.ghsa), severity=[])
    return payloads.advisory("OSV", payloads.changed(said.value, ("affected", 0, "versions"), versions), said.names, PLACE)


def nvd(one: Vulnerability, *, is_analysed: bool = True, is_rejected: bool = False) -> Advisory:
    """A CVE of NVD (csrc.nist.gov/schema/nvd/api/2.0); its times have no zone, and are UTC."""
    at = [moment.replace(tzinfo=None).isoformat(timespec="milliseconds") for moment in (one.published, one.said_by("nvd"))]
    bounds = {} if one.introduced == "0" else {"versionStartIncluding": one.introduced}
    match = {"vulnerable": True, "criteria": one.cpe, **bounds, "versionEndExcluding": one.fixed}
    match["matchCriteriaId"] = str(uuid.uuid5(MATCHES, one.cve)).upper()
    analysed: Mapping[str, Any] = {
        "metrics": {"cvssMetricV31": [{"source": "nvd@nist.gov", "type": "Primary", "cvssData": cvss(one.score)}]},
        "weaknesses": [{"source": "nvd@nist.gov", "type": "Primary", "description": [{"lang": "en", "value": "NVD-CWE-noinfo"}]}],
        "configurations": [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": [match]}]}],
        "references": [{"url": link, "source": "cve@mitre.org"} for link in one.links],
    }
    state = "Rejected" if is_rejected else "Analyzed" if is_analysed else "Awaiting Analysis"
    cve = {
        "id": one.cve,
        "sourceIdentifier": "cve@mitre.org",
        "published": at[0],
        "lastModified": at[1],
        "vulnStatus": state,
        "descriptions": [{"lang": "en", "value": "Rejected reason: it is none." if is_rejected else one.text}],
        **(analysed if state == "Analyzed" else {"metrics": {}, "references": []}),
    }
    return payloads.advisory("NVD", {"cve": cve}, (one.cve,), PLACE)


def cvss(score: Score) -> dict[str, Any]:
    """A score of CVSS 3.1 as NVD and CSAF write it."""
    return {"version": "3.1", "vectorString": score.vector, "baseScore": score.base, "baseSeverity": score.band}


def csaf(several: Sequence[Vulnerability]) -> Advisory:
    """A security advisory of CSAF 2.0 (OASIS), about vulnerabilities of one product."""
    one = several[0]
    identity, at = f"LSA-{one.published.year}-{one.number:05}", zulu(one.said_by("csaf"))
    page = f"https://psirt.larkspur.example/{identity}"
    version = f"vers:{PURL_TYPES[one.ecosystem]}/{'' if one.introduced == '0' else f'>={one.introduced}|'}<{one.fixed}"
    product = {
        "name": f"{one.maker.title()} {one.product} before {one.fixed}",
        "product_id": "P-1",
        "product_identification_helper": {"purl": one.purl, "cpe": one.cpe},
    }
    value = {
        "document": {
            "category": "csaf_security_advisory",
            "csaf_version": "2.0",
            "lang": "en",
            "title": one.title,
            "publisher": {"category": "vendor", "name": "Larkspur PSIRT", "namespace": "https://psirt.larkspur.example"},
            "notes": [{"category": "summary", "text": one.text}],
            "references": [{"category": "self", "summary": identity, "url": page}],
            "tracking": {
                "id": identity,
                "status": "final",
                "version": "1",
                "initial_release_date": zulu(one.published),
                "current_release_date": at,
                "revision_history": [{"number": "1", "date": at, "summary": "First version"}],
            },
        },
        "product_tree": {
            "branches": [branch("vendor", one.maker, branch("product_name", one.package, version_branch(version, product)))]
        },
        "vulnerabilities": [vulnerability(each) for each in several],
    }
    return payloads.advisory("CSAF", value, (identity, *(each.cve for each in several)), PLACE)


def branch(category: str, name: str, inner: Mapping[str, Any]) -> dict[str, Any]:
    """A branch of a product tree with one branch in it."""
    return {"category": category, "name": name, "branches": [inner]}


def version_branch(version: str, product: Mapping[str, Any]) -> dict[str, Any]:
    """The last branch."""
    return {"category": "product_version_range", "name": version, "product": product}


def vulnerability(one: Vulnerability) -> dict[str, Any]:
    """A vulnerability of a CSAF document."""
    return {
        "cve": one.cve,
        "notes": [{"category": "description", "text": one.text}],
        "product_status": {"known_affected": ["P-1"]},
        "scores": [{"cvss_v3": cvss(one.score), "products": ["P-1"]}],
        "references": [{"category": "external", "summary": "more", "url": link} for link in one.links],
        "remediations": [{"category": "vendor_fix", "details": f"Update to {one.fixed}.", "product_ids": ["P-1"]}],
    }

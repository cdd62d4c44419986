"""Who publishes an advisory: the `source` of its document, by the prefix of its id (facts 1.3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lnm_runner.demo.payloads import Advisory

COLLECTOR_VERSION = "1.4.0"


@dataclass(frozen=True)
class Feed:
    """Where the product's ingestion would have got it from."""

    vendor: str
    stream: str
    api: str


OTHER = Feed("osv", "osv", "https://api.osv.dev/v1/vulns")
OSV: Mapping[str, Feed] = {
    "GHSA": Feed("ghsa", "osv", "https://api.github.com/advisories"),
    "GO": Feed("go", "osv", "https://vuln.go.dev"),
    "PYSEC": Feed("pypa", "osv", "https://github.com/pypa/advisory-database"),
}
FORMATS: Mapping[str, Feed] = {
    "NVD": Feed("nvd", "cve", "https://services.nvd.nist.gov/rest/json/cves/2.0"),
    "CSAF": Feed("larkspur", "csaf", "https://psirt.larkspur.example/csaf"),
}


def feed(advisory: Advisory) -> Feed:
    """Of an advisory."""
    if advisory.format in FORMATS:
        return FORMATS[advisory.format]
    return OSV.get(advisory.id.partition("-")[0].upper(), OTHER)


def vendor(advisory: Advisory) -> str:
    """`source.vendor`."""
    return feed(advisory).vendor

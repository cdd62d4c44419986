"""Names of packages: package URLs (ECMA-427) by the library `packageurl-python`, and CPE names (NISTIR 7695, 2.3 binding).

A purl is stored without version, qualifiers and subpath: it says which package, and the ranges say which of its versions.
"""

from __future__ import annotations

import re
import urllib.parse

from packageurl import PackageURL

from lnm_runner.advisories.record import PayloadError

TYPES = {  # ecosystems of OSV (ossf.github.io/osv-schema, «Defined Ecosystems») as purl types
    "AlmaLinux": "rpm", "Alpine": "apk", "Android": "generic", "Bioconductor": "bioconductor", "Bitnami": "bitnami",
    "Chainguard": "apk", "ConanCenter": "conan", "CRAN": "cran", "crates.io": "cargo", "Debian": "deb", "Echo": "deb",
    "GHC": "generic", "GitHub Actions": "githubactions", "Go": "golang", "Hackage": "hackage", "Hex": "hex", "Julia": "julia",
    "Linux": "generic", "Mageia": "rpm", "Maven": "maven", "MinimOS": "apk", "npm": "npm", "NuGet": "nuget", "openEuler": "rpm",
    "openSUSE": "rpm", "OSS-Fuzz": "generic", "Packagist": "composer", "Photon OS": "rpm", "Pub": "pub", "PyPI": "pypi",
    "Red Hat": "rpm", "Rocky Linux": "rpm", "Root": "generic", "RubyGems": "gem", "SUSE": "rpm", "SwiftURL": "swift",
    "Ubuntu": "deb", "Wolfi": "apk",
}  # fmt: skip
NAMESPACES = {
    "AlmaLinux": "almalinux", "Alpine": "alpine", "Chainguard": "chainguard", "Debian": "debian", "Echo": "echo", "Mageia": "mageia",
    "MinimOS": "minimos", "openEuler": "openeuler", "openSUSE": "opensuse", "Photon OS": "photon", "Red Hat": "redhat",
    "Rocky Linux": "rocky-linux", "SUSE": "suse", "Ubuntu": "ubuntu", "Wolfi": "wolfi",
}  # fmt: skip
CPE = re.compile(r"cpe:2\.3:[aho*\-](?::(?:\\.|[^:\\\s])+){10}")


def purl(text: str, place: str) -> str:
    """A purl without version, qualifiers and subpath.

    Raises: PayloadError for what is no purl.
    """
    try:
        found = PackageURL.from_string(text)
        return PackageURL(found.type, found.namespace, found.name).to_string()
    except ValueError as err:
        raise PayloadError(f"{place}: {text[:60]!r} is no package URL") from err


def purl_of(ecosystem: str, name: str, place: str) -> str:
    """The purl of a package that is only named; an ecosystem that nobody knows is `generic` under its own name.

    Raises: PayloadError for a name that cannot stand in a purl.
    """
    family = ecosystem.partition(":")[0]
    kind = TYPES.get(family, "generic")
    namespace, last = NAMESPACES.get(family, ""), name
    if kind == "maven":
        namespace, _, last = name.rpartition(":")
    elif kind in {"golang", "npm", "composer", "swift", "githubactions"}:
        namespace, _, last = name.rpartition("/")
    elif family not in TYPES:
        namespace = ecosystem
    try:
        return PackageURL(kind, namespace or None, last).to_string()
    except ValueError as err:
        raise PayloadError(f"{place}: {name[:60]!r} cannot be named by a package URL") from err


def cpe(text: str, place: str) -> str:
    """A CPE name in the 2.3 binding; the older URI binding is taken over (NISTIR 7695, 6.1.3).

    Raises: PayloadError.
    """
    found = of_uri(text) if text.startswith("cpe:/") else text
    if not CPE.fullmatch(found):
        raise PayloadError(f"{place}: {text[:60]!r} is no CPE name")
    return found


def of_uri(text: str) -> str:
    """The 2.3 binding of a URI; the packed edition (`~edition~sw~target~…`) is unpacked."""
    parts = text.removeprefix("cpe:/").split(":")
    parts += [""] * (7 - len(parts))
    edition = parts[5].split("~")[1:] if parts[5].startswith("~") else [parts[5]]
    edition += [""] * (5 - len(edition))
    # part, vendor, product, version, update, edition, language, software edition, target software, target hardware, other
    ordered = [*parts[1:5], edition[0], parts[6], *edition[1:5]]
    return ":".join(["cpe", "2.3", parts[0], *(of_uri_value(value) for value in ordered)])


def of_uri_value(value: str) -> str:
    """One value; empty is any."""
    if value in {"", "-"}:
        return value or "*"
    decoded = urllib.parse.unquote(value)
    return "".join(char if char.isalnum() or char in "._-" or ord(char) > 127 else f"\\{char}" for char in decoded)


def vendor_and_product(name: str) -> tuple[str, str]:
    """The two of a CPE name, unescaped."""
    parts = re.split(r"(?<!\\):", name)
    vendor, product = (re.sub(r"\\(.)", r"\1", part) for part in parts[3:5])
    return vendor, product


def version_of(name: str) -> str:
    """The version of a CPE name, unescaped; `*` is any, `-` none."""
    return re.sub(r"\\(.)", r"\1", re.split(r"(?<!\\):", name)[5])


def purl_of_cpe(name: str) -> str:
    """What stands for a product that only has a CPE (docs/adr/): `pkg:generic/vendor/product`."""
    vendor, product = vendor_and_product(name)
    return PackageURL("generic", vendor, product).to_string()

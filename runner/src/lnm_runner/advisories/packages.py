"""Names of packages: package URLs (ECMA-427), by the library `packageurl-python`.

A purl is stored without version, qualifiers and subpath: it says which package, and the ranges say which of its versions.
"""

from __future__ import annotations

import functools

from packageurl import PackageURL

from lnm_runner.advisories import cpes
from lnm_runner.advisories.record import PayloadError

ECOSYSTEMS = {
    "AlmaLinux": ("rpm", "almalinux"), "Alpaquita": ("apk", "alpaquita"), "Alpine": ("apk", "alpine"),
    "Azure Linux": ("rpm", "azure-linux"), "BellSoft Hardened Containers": ("apk", "bellsoft-hardened-containers"),
    "Bioconductor": ("bioconductor", ""), "Bitnami": ("bitnami", ""), "Chainguard": ("apk", "chainguard"),
    "ConanCenter": ("conan", ""), "CRAN": ("cran", ""), "crates.io": ("cargo", ""), "Debian": ("deb", "debian"),
    "Docker Hardened Images": ("dhi", ""), "Echo": ("deb", "echo"), "GitHub Actions": ("githubactions", ""),
    "Go": ("golang", ""), "Hackage": ("hackage", ""), "Hex": ("hex", ""), "Julia": ("julia", ""), "Mageia": ("rpm", "mageia"),
    "Maven": ("maven", ""), "MinimOS": ("apk", "minimos"), "npm": ("npm", ""), "NuGet": ("nuget", ""), "opam": ("opam", ""),
    "openEuler": ("rpm", "openeuler"), "openSUSE": ("rpm", "opensuse"), "OSS-Fuzz": ("generic", ""),
    "Packagist": ("composer", ""), "Photon OS": ("rpm", "photon"), "Pub": ("pub", ""), "PyPI": ("pypi", ""),
    "Red Hat": ("rpm", "redhat"), "Rocky Linux": ("rpm", "rocky-linux"), "RubyGems": ("gem", ""), "SUSE": ("rpm", "suse"),
    "SwiftURL": ("swift", ""), "Ubuntu": ("deb", "ubuntu"), "Wolfi": ("apk", "wolfi"),
}  # fmt: skip
"""`{ecosystem of OSV: (purl type, namespace)}`: ossf.github.io/osv-schema, «Defined Ecosystems», and osv.dev's purls."""
WITH_SLASH = {"composer", "githubactions", "golang", "hex", "npm", "swift"}
"""Types whose names have their namespace before the last slash."""
REMEMBERED = 1_024  # names, 400 bytes each; the package of an advisory is often that of the next one, seldom that of a later


@functools.lru_cache(maxsize=REMEMBERED)
def purl_and_version(text: str) -> tuple[str, str]:
    """A purl without version, qualifiers and subpath, and its version.

    Raises: ValueError for what is no purl.
    """
    found = PackageURL.from_string(text)
    return PackageURL(found.type, found.namespace, found.name).to_string(), found.version or ""


@functools.lru_cache(maxsize=REMEMBERED)
def joined(kind: str, namespace: str, name: str) -> str:
    """A purl of its parts, the same as that of a source which gives the purl itself.

    Raises: ValueError.
    """
    found = PackageURL(kind, namespace or None, name)
    if not found.name:  # the library lets a name of blanks and slashes pass
        raise ValueError
    return purl_and_version(found.to_string())[0]  # once read, its escapes are in the one form


def purl(text: str, place: str) -> str:
    """A purl without version, qualifiers and subpath.

    Raises: PayloadError for what is no purl.
    """
    return versioned_purl(text, place)[0]


def versioned_purl(text: str, place: str) -> tuple[str, str]:
    """The same, and the version that it names, if it names one.

    Raises: PayloadError for what is no purl.
    """
    try:
        return purl_and_version(text)
    except ValueError as err:
        raise PayloadError(f"{place}: {text[:60]!r} is no package URL") from err


def purl_of(ecosystem: str, name: str, place: str) -> str:
    """The purl of a package of OSV that is only named; an ecosystem that is not in the table is `generic` under its own name.

    Raises: PayloadError for a name that cannot stand in a purl.
    """
    kind, namespace = ECOSYSTEMS.get(ecosystem.partition(":")[0], ("", ""))
    if not kind:
        return generic(ecosystem, name, place)
    last = name
    if kind == "maven":
        namespace, _, last = name.rpartition(":")
    elif kind in WITH_SLASH:
        namespace, _, last = name.removeprefix("https://").rpartition("/")
    return named(kind, namespace, last, place)


def generic(namespace: str, name: str, place: str) -> str:
    """The purl of what has no ecosystem: `pkg:generic/…`.

    Raises: PayloadError.
    """
    return named("generic", namespace, name, place)


def named(kind: str, namespace: str, name: str, place: str) -> str:
    """A purl of its parts.

    Raises: PayloadError.
    """
    try:
        return joined(kind, namespace, name)
    except ValueError as err:
        raise PayloadError(f"{place}: {name[:60]!r} cannot be named by a package URL") from err


def purl_of_cpe(name: str, place: str) -> str:
    """What stands for a product that only has a CPE (docs/adr/0003): `pkg:generic/vendor/product`.

    Raises: PayloadError.
    """
    return generic(*cpes.vendor_and_product(name), place)

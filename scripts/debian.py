"""Which Debian packages the base of the image is made of: the lock, and what is left out on purpose.

`requirements/debian.lock` lists them as `<sha256>  <package>  <version>  <architecture>` lines, by package and architecture;
`nox -s lock` writes it, and it names no host. Names and versions: Debian Policy 5.6.1, 5.6.12. Who fetches them:
scripts/debian_packages.py.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts import files
from scripts.errors import InputError

LOCK = Path("requirements/debian.lock")
EFFECTIVE, SUFFIX = "debian.lock", ".deb"
ARCHITECTURES = ("amd64", "arm64")
OS_RELEASE = Path("/etc/os-release")
DISTRO = "debian-12"

ROOTS = ("base-files", "ca-certificates", "libpython3.11-stdlib", "netbase", "python3.11-minimal", "tzdata")
NO_SETUP = "sets packages up, and nothing is set up in an image whose files are final"
NO_PROMPT = "for somebody who types; nobody has a prompt in this image (modules curses and readline)"
NO_NIS = "for the module nis alone, which PEP 594 removed"
LEFT_OUT = {
    "debconf": NO_SETUP,
    "dpkg": NO_SETUP,
    "libacl1": "for tar",
    "libcom-err2": NO_NIS,
    "libdb5.3": "for the module _dbm alone; dbm.dumb is there",
    "libgssapi-krb5-2": NO_NIS,
    "libk5crypto3": NO_NIS,
    "libkeyutils1": NO_NIS,
    "libkrb5-3": NO_NIS,
    "libkrb5support0": NO_NIS,
    "libmd0": "for dpkg",
    "libncursesw6": NO_PROMPT,
    "libnsl2": NO_NIS,
    "libpcre2-8-0": "for libselinux1",
    "libreadline8": NO_PROMPT,
    "libselinux1": "for tar",
    "libtinfo6": NO_PROMPT,
    "libtirpc-common": NO_NIS,
    "libtirpc3": NO_NIS,
    "libzstd1": "for dpkg",
    "mawk": "for the scripts of base-files, which are not run",
    "openssl": "the command; the library is libssl3",
    "readline-common": NO_PROMPT,
    "tar": "for dpkg",
}
"""Packages that the roots depend on and that the image goes without, and why; scripts/debian_base.py drops what used them."""

LINE = re.compile(
    r"(?P<sha256>[0-9a-f]{64})  (?P<package>[a-z0-9][a-z0-9+.-]+)  (?P<version>([0-9]+:)?[0-9][A-Za-z0-9.+~-]*)"
    rf"  (?P<architecture>all|{'|'.join(ARCHITECTURES)})"
)
REFRESH = "nox -s lock"


@dataclass(frozen=True)
class Deb:
    """One line of the lock."""

    package: str
    version: str
    architecture: str
    sha256: str

    @property
    def filename(self) -> str:
        """As apt names the file in its cache: a colon is %3a."""
        return f"{self.package}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    @property
    def purl(self) -> str:
        """Its package URL (purl-spec, type deb)."""
        version = urllib.parse.quote(self.version, safe=":")
        name = urllib.parse.quote(self.package, safe="")
        return f"pkg:deb/debian/{name}@{version}?arch={self.architecture}&distro={DISTRO}"


def named(filename: str, sha256: str) -> Deb:
    """The package of a file, by the name that apt gives it."""
    package, version, architecture = filename.removesuffix(SUFFIX).split("_")
    return Deb(package, urllib.parse.unquote(version), architecture, sha256)


# ---- the lock


def order(deb: Deb) -> tuple[str, str]:
    """Where a package stands in a lock."""
    return deb.package, deb.architecture


def render(debs: Iterable[Deb]) -> bytes:
    """A lock of these packages."""
    listed = sorted(debs, key=order)
    return "".join(f"{deb.sha256}  {deb.package}  {deb.version}  {deb.architecture}\n" for deb in listed).encode("ascii")


def read_lock(lock: Path = LOCK) -> tuple[Deb, ...]:
    """The packages of a lock, by package and architecture.

    Raises: InputError where the lock is missing, empty or not of its form.
    """
    hint = f"git checkout {LOCK}; or make it anew: {REFRESH}"
    if not lock.is_file():
        raise InputError(f"{lock}: no such lock", hint=hint)
    data = files.read_bytes(lock)
    debs: dict[tuple[str, str], Deb] = {}
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), 1):
        match = LINE.fullmatch(line)
        deb = Deb(**match.groupdict()) if match else None
        if deb is None or order(deb) in debs:
            wanted = "«sha256  package  version  architecture», each package once"
            raise InputError(f"{lock}: line {number}: found {line[:80]!r}, wanted {wanted}", hint=hint)
        debs[order(deb)] = deb
    if not debs:
        raise InputError(f"{lock}: the lock is empty", hint=hint)
    if render(debs.values()) != data:
        raise InputError(f"{lock}: not in the order of package and architecture, or no newline at the end", hint=hint)
    return tuple(debs.values())


def of(architecture: str, debs: Iterable[Deb], source: Path = LOCK) -> tuple[Deb, ...]:
    """What an image of that architecture is made of.

    Raises: InputError where that is nothing.
    """
    found = tuple(deb for deb in debs if deb.architecture in {architecture, "all"})
    if not any(deb.architecture == architecture for deb in found):
        raise InputError(f"{source}: no package for {architecture}", hint=f"it has to list some: {REFRESH}")
    return found


def changes(architecture: str, locked: Iterable[Deb], taken: Iterable[Deb]) -> list[dict[str, str]]:
    """How two sets of packages differ: each package with its version in both, '' where it is not in one."""
    before, after = ({deb.package: deb for deb in debs} for debs in (locked, taken))
    return [
        {
            "architecture": architecture,
            "locked": before[name].version if name in before else "",
            "package": name,
            "taken": after[name].version if name in after else "",
        }
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def lacking(environ: Mapping[str, str], os_release: Path = OS_RELEASE) -> str:
    """Why no base can be fetched on this machine, in words for an operator; nothing where it can."""
    if not shutil.which("apt-get", path=environ.get("PATH", os.defpath)):
        return "there is no apt-get on the PATH; the base of the image is made of Debian packages on a Debian 12"
    try:
        lines = shlex.split(os_release.read_text(encoding="utf-8"), comments=True)
    except (OSError, ValueError):
        lines = []
    told = dict(line.partition("=")[::2] for line in lines)
    if (told.get("ID"), told.get("VERSION_ID")) == ("debian", "12"):
        return ""
    name = told.get("PRETTY_NAME") or f"something that {os_release} does not tell"
    return f"this machine is {name}; the base of the image is made of Debian packages on a Debian 12"

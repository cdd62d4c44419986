"""Writes the locks in `requirements/`: `<group>.txt`, `wheelhouse*.lock`, `packages.json` and, on a Debian 12, `debian.lock`.

A maintainer's command (`nox -s lock`), with network; the build only reads what it wrote. uv resolves for all
platforms and Pythons at once; pip says which file it would take for each platform and what its metadata tells
(installation report, version 1). No lock names a registry's host.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import checksums, debian, debian_packages, files, licences, wheelhouse
from scripts.errors import ToolError

FOLDER = Path("requirements")
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
LIBCS = ("manylinux_2_28", "manylinux2014", "manylinux_2_17")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
WHEELS_OF = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement")
GROUPS = ("runner", "extras", "build", "repro-build", "repro", "verify", "test", "bench", "mutation", "lint", "lock")
WHEELHOUSES = {"runner": wheelhouse.LOCK, "extras": wheelhouse.EXTRAS_LOCK}
"""The groups that ship, and where their wheels are listed; a wheel that an earlier group has is in no later list."""
CONSTRAINTS = {"runner": (), "extras": ("runner",)}
"""What a group is resolved under; any other than these, under all that ship."""
EXTRAS = re.compile(r"^([A-Za-z0-9._-]+)\[([^]]*)\]==", re.MULTILINE)
SPDX_IDS = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "LGPLv3+": "LGPL-3.0-or-later",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSF": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The MIT License (MIT)": "MIT",
    "The Unlicense (Unlicense)": "Unlicense",
}
BSD = {"BSD", "BSD License"}


def run(*command: str) -> str:
    """A command's standard output.

    Raises: ToolError with its last line.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"{command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", hint="is the index reachable?")
    return done.stdout


def resolve(group: str) -> None:
    """Resolves one dependency group for every platform and Python into its lock.

    What a group shares with what ships has the version that ships: packages.json has one line a package.
    """
    common = (
        "--quiet",
        "--universal",
        "--python-version",
        PYTHONS[0],
        "--generate-hashes",
        "--no-strip-extras",  # without its extra, a pin does not stop older pips from taking a newer release
        "--no-header",
        "--no-annotate",
    )
    shared = [part for of in CONSTRAINTS.get(group, WHEELHOUSES) for part in ("--constraint", str(FOLDER / f"{of}.txt"))]
    run(sys.executable, "-m", "uv", "pip", "compile", *common, *shared, "--group", group, "-o", str(FOLDER / f"{group}.txt"))


def report(lock: Path, *options: str) -> list[dict[str, Any]]:
    """What pip would install of a lock, with metadata and the file it would take."""
    command = ("install", "--dry-run", "--ignore-installed", "--report", "-")
    found: list[dict[str, Any]] = json.loads(run(*PIP, *command, *WHEELS_OF, str(lock), *options))["install"]
    return found


def download(lock: Path, folder: Path) -> None:
    """Fetches the files that pip takes for this platform."""
    run(*PIP, "download", "--dest", str(folder), *WHEELS_OF, str(lock))


def file_of(item: dict[str, Any]) -> tuple[str, str]:
    """The file name and SHA-256 of an item of a report."""
    download = item["download_info"]
    return download["url"].rpartition("/")[2], download["archive_info"]["hashes"]["sha256"]


def wheels_of(group: str) -> dict[str, str]:
    """The wheels of a group for every machine and Python: `{file name: sha256}`."""
    sums: dict[str, str] = {}
    for machine in MACHINES:
        platforms = [part for libc in LIBCS for part in ("--platform", f"{libc}_{machine}")]
        for python in PYTHONS:
            items = report(FOLDER / f"{group}.txt", "--target", "unused", "--python-version", python, *platforms)
            sums |= dict(map(file_of, items))
    return sums


def lock_wheelhouses() -> None:
    """Writes the lists of the wheels that ship, each less what is in one before it."""
    listed: dict[str, str] = {}
    for group, lock in WHEELHOUSES.items():
        sums = {name: sha256 for name, sha256 in wheels_of(group).items() if name not in listed}
        listed |= sums
        with files.replacing(lock) as out:
            out.write(checksums.render(sums))


def licence(metadata: dict[str, Any], wheel: Path) -> str:
    """The licence as an SPDX expression, or NOASSERTION where a package says nothing that is surely one.

    «BSD» alone does not say which of them, and some packages say nothing; the text of the licence does.
    """
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get("classifier", []) if line.startswith("License :: ")]
    words = [metadata.get("license_expression"), metadata.get("license"), " AND ".join(map(spdx_id, classifiers))]
    for text in (word for word in words if word):
        with contextlib.suppress(InvalidLicenseExpression):
            return str(canonicalize_license_expression(spdx_id(text)))
    if BSD & {metadata.get("license"), *classifiers}:
        return licences.which_bsd(wheel) or "NOASSERTION"
    return "MIT" if not any(words) and licences.is_mit(wheel) else "NOASSERTION"


def spdx_id(words: str) -> str:
    """The SPDX id for the names that packages use beside it; unknown words come back as they are."""
    return SPDX_IDS.get(words.strip(), words.strip())


def supplier(metadata: dict[str, Any], notices: str) -> str:
    """Who a package says it is from, as a name without an address; where it names nobody, who holds the copyright alone."""
    for field in ("author", "maintainer", "author_email", "maintainer_email"):
        name = re.sub(r"\s*<[^>]*>", "", metadata.get(field) or "").strip().strip(",")
        if name:
            return name.split(",")[0].split("@")[0].strip(' "')
    holder = re.fullmatch(r"Copyright (?:\(c\) |© )?[0-9, -]*([^;]+)", notices)
    return holder[1] if holder else ""


def describe(item: dict[str, Any], names: set[str], extras: Iterable[str], folder: Path) -> dict[str, Any]:
    """One package of the inventory, its file being in that folder.

    `requires` are the packages of the same lock that it, or one of its extras that a lock asks for, asks for on Linux.
    """
    metadata = item["metadata"]
    linux = {**default_environment(), "sys_platform": "linux", "platform_system": "Linux"}
    asked = [Requirement(line) for line in metadata.get("requires_dist", [])]
    places = [{name: str(value) for name, value in {**linux, "extra": extra}.items()} for extra in ("", *extras)]
    wanted = {canonicalize_name(r.name) for r in asked if not r.marker or any(map(r.marker.evaluate, places))}
    filename, sha256 = file_of(item)
    notices = licences.copyright_of(folder / filename)
    return {
        "copyright": notices,
        "file": filename,
        "licence": licence(metadata, folder / filename),
        "requires": sorted(wanted & names),
        "sha256": sha256,
        "supplier": supplier(metadata, notices),
        "version": metadata["version"],
    }


def lock_packages() -> None:
    """Writes what the SBOMs say of each package of the build and of the runner: `{name: …}` as pip's report has it."""
    locks = (FOLDER / "build.txt", FOLDER / "extras.txt")  # which has all of runner.txt
    items = [item for lock in locks for item in report(lock)]
    names = {str(canonicalize_name(item["metadata"]["name"])) for item in items}
    with tempfile.TemporaryDirectory() as folder:
        for lock in locks:
            download(lock, Path(folder))
        extras = {name: extra.split(",") for lock in locks for name, extra in EXTRAS.findall(lock.read_text(encoding="ascii"))}
        named = [(str(canonicalize_name(item["metadata"]["name"])), item) for item in items]
        inventory = {name: describe(item, names, extras.get(name, ()), Path(folder)) for name, item in named}
    with files.replacing(FOLDER / "packages.json") as out:
        out.write(json.dumps(inventory, indent=1, sort_keys=True, ensure_ascii=True).encode("ascii") + b"\n")


def lock_debian() -> None:
    """Writes the list of the image's Debian packages, where this machine can ask for them."""
    if reason := debian.lacking(os.environ):
        print(f"{debian.LOCK} was left as it is: {reason}", flush=True)
        return
    print("asking for the Debian packages of the image", flush=True)
    debian_packages.lock_all()


def main() -> int:
    """Entry point; the groups are those of pyproject.toml that GROUPS names."""
    declared = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    for group in (group for group in GROUPS if group in declared):
        print(f"resolving {group}", flush=True)
        resolve(group)
    print("asking for the wheels of every platform", flush=True)
    lock_wheelhouses()
    lock_packages()
    lock_debian()
    return 0


if __name__ == "__main__":
    sys.exit(main())

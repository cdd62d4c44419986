"""Asks apt-get and apt-cache of a Debian 12 what its mirrors have, without root and without changing anything of the machine.

apt gets folders of its own and an empty list of installed packages, so that it works for any architecture; sources and proxies
are those of the machine, whose hooks are left out. Packages come from the suites of bookworm alone, whatever else is offered.
Authorities: apt.conf(5), apt_preferences(5), apt-get(8).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts import child, debian, files
from scripts.debian import Deb
from scripts.errors import ToolError

OFFER = re.compile(r"'[^']*' (?P<filename>\S+_\S+_\S+\.deb) [0-9]+ SHA256:(?P<sha256>[0-9a-f]{64})")
UNFETCHED = re.compile(r"^W: (Failed to fetch|Some index files failed|The repository .* does not have)")
UNREACHED = "is the mirror reachable? apt-get update; then the same command again, or without the image: LNM_IMAGE=none"
SETTINGS = """
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::ForceHash "sha256";
Acquire::Languages "none";
Acquire::Retries "2";
Debug::NoLocking "true";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear APT::Architectures;
"""  # apt.conf(5); the hooks of a machine would change it
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
PREFERENCES = "\n".join(
    [f"Package: *\nPin: release o=Debian, n={suite}\nPin-Priority: 500\n" for suite in SUITES]
    + ["Package: *\nPin: release a=*\nPin-Priority: -1\n"]
)  # apt_preferences(5): the first that fits counts; -1 keeps a package from being taken


def options(architecture: str, folder: Path) -> list[str]:
    """The options that give apt folders of its own, and one architecture; those folders are made."""
    for name in ("lists/partial", "archives/partial", "empty"):
        files.make_folder(folder / name)
    (folder / "settings").write_text(SETTINGS, encoding="ascii")
    (folder / "preferences").write_text(PREFERENCES, encoding="ascii")
    ours = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": os.devnull,
        "Dir::State::extended_states": folder / "extended_states",
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc::preferences": folder / "preferences",
        "Dir::Etc::preferencesparts": folder / "empty",
    }
    return ["-qq", "-c", str(folder / "settings"), *(word for key, value in ours.items() for word in ("-o", f"{key}={value}"))]


def output(tool: str, *words: str, cwd: Path | None = None) -> str:
    """What apt-get or apt-cache says.

    Raises: ToolError with its line where it fails, or where it is not there.
    """
    return ran(tool, *words, cwd=cwd).stdout


def ran(tool: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same with its warnings.

    Raises: as `output`.
    """
    try:
        done = child.run([tool, *words], cwd=cwd)
    except OSError as err:
        raise ToolError(f"{tool}: cannot be started: {err.strerror}", hint="build on a Debian 12, or see LNM_IMAGE") from err
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.startswith("E: ")] or ["E: it failed without a word"]
        hint = files.ROOM if files.is_full(done.stderr) else UNREACHED
        raise ToolError(f"{tool}: {said[0].removeprefix('E: ')}", hint=hint)
    return done


def offers(said: str) -> tuple[Deb, ...]:
    """The packages in the lines of `--print-uris`."""
    matches = filter(None, map(OFFER.fullmatch, said.splitlines()))
    found = [debian.named(match["filename"], match["sha256"]) for match in matches]
    return tuple(sorted(found, key=debian.order))


def closure(chosen: list[str]) -> tuple[Deb, ...]:
    """The roots and what they depend on, without what is left out, as the mirror has it now.

    Raises: ToolError.
    """
    listed = output("apt-get", *chosen, "--print-uris", "install", *debian.ROOTS)
    return tuple(deb for deb in offers(listed) if deb.package not in debian.LEFT_OUT)


def update(chosen: list[str]) -> str:
    """Reads what every source of the machine offers; what of it could not be fetched, which matters where a package is missed.

    Raises: ToolError.
    """
    lines = ran("apt-get", *chosen, "update").stderr.splitlines()
    return next((line.strip().removeprefix("W: ") for line in lines if UNFETCHED.search(line)), "")


def resolve(architecture: str, folder: Path) -> tuple[Deb, ...]:
    """What the mirror has now of the closure of the roots; `folder` is for apt.

    Raises: ToolError.
    """
    chosen = options(architecture, folder)
    if unread := update(chosen):
        raise ToolError(f"apt-get update: {unread}", hint=UNREACHED)
    return closure(chosen)


def versions(chosen: list[str], debs: Iterable[Deb]) -> dict[str, list[str]]:
    """The versions of some packages that the mirror has, `{package: versions}`, the newest first.

    Raises: ToolError.
    """
    found: dict[str, list[str]] = {}
    for line in output("apt-cache", *chosen, "madison", *(deb.package for deb in debs)).splitlines():
        package, version, _source = (part.strip() for part in line.split(" | ", 2))
        found.setdefault(package, []).append(version)
    return found


def fetch(debs: Iterable[Deb], chosen: list[str], folder: Path) -> None:
    """Lets apt fetch files into `folder`, and compares them with the lock.

    Raises: ChecksumError where the mirror has another file under that version; ToolError.
    """
    wanted = tuple(debs)
    output("apt-get", *chosen, "download", *(f"{deb.package}={deb.version}" for deb in wanted), cwd=folder)
    for deb in wanted:
        files.verify_sha256(folder / deb.filename, deb.sha256, "the lock")

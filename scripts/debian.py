"""Fetches the Debian packages that the base of the image is made of, by their locked SHA-256, with apt and without root.

`requirements/debian.lock` lists them as `<sha256>  <package>  <version>  <architecture>` lines, by package and architecture;
`nox -s lock` writes it. What the mirror offers is asked of the apt-get of a Debian 12, through whatever sources and proxies it is
set up for, with folders of its own: nothing of the machine is changed, and no lock names a host. Packages come from the suites
of bookworm alone, whatever else the machine's sources offer. Names and versions: Debian Policy 5.6.1, 5.6.12.

A mirror drops a package when a newer one supersedes it. Then either the lock is refused (`is_locked`), or what the mirror has now
is taken, said loudly, and stands in the lock of the folder; what differs is told in base.json and so in the SBOM.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts import child, files, store
from scripts.errors import ChecksumError, InputError, ToolError

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
OFFER = re.compile(r"'[^']*' (?P<filename>\S+_\S+_\S+\.deb) [0-9]+ SHA256:(?P<sha256>[0-9a-f]{64})")
REFRESH = "nox -s lock"
UNREACHED = "is the mirror reachable? apt-get update; then the same command again"

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


# ---- apt


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


def apt(tool: str, *words: str, cwd: Path | None = None) -> str:
    """What apt-get or apt-cache says.

    Raises: ToolError with its line where it fails, or where it is not there.
    """
    return ran(tool, *words, cwd=cwd).stdout


def ran(tool: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same with its warnings.

    Raises: as `apt`.
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
    found = [named(match["filename"], match["sha256"]) for match in matches]
    return tuple(sorted(found, key=order))


def closure(chosen: list[str]) -> tuple[Deb, ...]:
    """The roots and what they depend on, without what is left out, as the mirror has it now.

    Raises: ToolError.
    """
    said = apt("apt-get", *chosen, "--print-uris", "install", *ROOTS)
    return tuple(deb for deb in offers(said) if deb.package not in LEFT_OUT)


def update(chosen: list[str]) -> str:
    """Reads what every source of the machine offers; the first that could not be read, which matters where a package is missed.

    Raises: ToolError.
    """
    lines = [line.strip() for line in ran("apt-get", *chosen, "update").stderr.splitlines()]
    return next((line.removeprefix("W: ") for line in lines if line.startswith("W: ")), "")


def resolve(architecture: str, folder: Path) -> tuple[Deb, ...]:
    """What the mirror has now of the closure of the roots; `folder` is for apt.

    Raises: ToolError.
    """
    chosen = options(architecture, folder)
    update(chosen)
    return closure(chosen)


def versions(chosen: list[str], debs: Iterable[Deb]) -> dict[str, list[str]]:
    """The versions of some packages that the mirror has, `{package: versions}`, the newest first.

    Raises: ToolError.
    """
    found: dict[str, list[str]] = {}
    for line in apt("apt-cache", *chosen, "madison", *(deb.package for deb in debs)).splitlines():
        package, version, _source = (part.strip() for part in line.split(" | ", 2))
        found.setdefault(package, []).append(version)
    return found


def fetch(debs: Iterable[Deb], chosen: list[str], folder: Path) -> None:
    """Lets apt fetch files into `folder`, and compares them with the lock.

    Raises: ChecksumError where the mirror has another file under that version; ToolError.
    """
    wanted = tuple(debs)
    apt("apt-get", *chosen, "download", *(f"{deb.package}={deb.version}" for deb in wanted), cwd=folder)
    for deb in wanted:
        files.verify_sha256(folder / deb.filename, deb.sha256, "the lock")


# ---- the step


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


def is_there(deb: Deb, folder: Path) -> bool:
    """True where a folder has a package's file with the right bytes."""
    path = folder / deb.filename
    return path.is_file() and not path.is_symlink() and files.sha256_of(path) == deb.sha256


def refuse(gone: Iterable[Deb], found: Mapping[str, list[str]], lock: Path) -> None:
    """Refuses a lock whose packages the mirror has no more.

    Raises: InputError naming each.
    """
    told = [f"{deb.package}: locked {deb.version}, offered {', '.join(found.get(deb.package, ['nothing']))}" for deb in gone]
    message = f"{lock}: the mirror no longer has {len(told)} of the packages: {'; '.join(told)}"
    raise InputError(message, hint=f"lock what it has now, and look at the difference: {REFRESH}")


def warn(changed: Iterable[Mapping[str, str]], lock: Path) -> None:
    """Says loudly that what was locked was not to be had."""
    print(f"WARNING: {lock} is not what the image is made of: the mirror no longer has all of it.", flush=True)
    for item in changed:
        print(f"  {item['package']} ({item['architecture']}): found {item['taken'] or 'none'}, wanted {item['locked'] or 'none'}")
    print(f"  Others who build this get another image. To lock what was found: {REFRESH}", flush=True)


def write(out: Path, *, lock: Path, architecture: str, is_locked: bool, stores: tuple[Path, ...] = ()) -> None:
    """Fills the folder `out` with the packages of one architecture, and last their lock.

    With `is_locked`, nothing but what is locked is taken. What a folder of `stores` has is not fetched (scripts/store.py).
    """
    wanted = of(architecture, read_lock(lock), lock)
    taken = wanted
    take_from(stores, wanted, out)
    missing = [deb for deb in wanted if not is_there(deb, out)]
    if missing:
        with files.scratch() as folder:
            taken = bring(out, wanted, missing, lock=lock, architecture=architecture, is_locked=is_locked, folder=folder)
    changed = changes(architecture, wanted, taken)
    if changed:
        warn(changed, lock)
    keep = {EFFECTIVE, *(deb.filename for deb in taken)}
    with files.looking():
        for path in out.iterdir():
            if path.name not in keep:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with files.replacing(out / EFFECTIVE) as file:
        file.write(render(taken))


def take_from(stores: tuple[Path, ...], wanted: Iterable[Deb], out: Path) -> None:
    """Copies what other folders have of some packages into `out`."""
    for deb in wanted:
        found = None if is_there(deb, out) else store.find(stores, deb.filename, deb.sha256)
        if found:
            with files.replacing(out / deb.filename) as file, found.open("rb") as source:
                files.copy(source, file)


def bring(
    out: Path, wanted: tuple[Deb, ...], missing: list[Deb], *, lock: Path, architecture: str, is_locked: bool, folder: Path
) -> tuple[Deb, ...]:
    """Fetches what is missing into `out`, and says what the image is to be made of; `folder` is for apt.

    Raises: InputError where something is not to be had and `is_locked`; ChecksumError, ToolError.
    """
    chosen = options(architecture, folder)
    unread = update(chosen)
    found = versions(chosen, missing)
    gone = [deb for deb in missing if deb.version not in found.get(deb.package, [])]
    if gone and unread:
        raise ToolError(f"apt-get update: {unread}", hint=UNREACHED)
    if gone and is_locked:
        refuse(gone, found, lock)
    taken = closure(chosen) if gone else wanted
    new = [deb for deb in taken if not is_there(deb, out)]
    fetched = folder / "fetched"
    files.make_folder(fetched)
    if new:
        fetch(new, chosen, fetched)
    for deb in new:
        with files.replacing(out / deb.filename) as file, (fetched / deb.filename).open("rb") as source:
            files.copy(source, file)
    return taken


def lock_all(lock: Path = LOCK) -> None:
    """Locks what the mirror has now, for every architecture.

    Raises: ToolError.
    """
    debs: dict[tuple[str, str], Deb] = {}
    for architecture in ARCHITECTURES:
        with files.scratch() as folder:
            for deb in resolve(architecture, folder):
                if debs.setdefault(order(deb), deb) != deb:
                    raise ChecksumError(f"{deb.filename}: the mirror has another one for {architecture}", hint="try again later")
    with files.replacing(lock) as out:
        out.write(render(debs.values()))

"""Makes the base of the image: one layer of Debian packages taken apart, without dpkg, a shell, or a script that was run.

Formats: deb(5); OCI image-spec 1.1 (scripts/oci.py, scripts/layer.py). /usr is merged (Debian's UsrMerge; the packages of
bookworm still ship /lib). What a package's scripts would set up and the image needs is written here: the bundle of the CAs, the
users, the links to both. What stands in `var/lib/dpkg/status.d/` is where scanners look for the packages of an image without
dpkg. Nothing is written to the machine, so neither root nor a container engine is needed; memory holds the layer once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import TYPE_CHECKING

from scripts import debian, files, layer, oci
from scripts.errors import InputError

if TYPE_CHECKING:
    from debian.debfile import DebFile

PYTHON = "3.11"
LIBRARY = f"usr/lib/python{PYTHON}"
CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
STATUS = "var/lib/dpkg/status.d"
NONROOT = 65532

NO_READER = "nobody reads it in an image without a shell"
NO_PACKAGE = "what it uses is left out (scripts/debian.py)"
OF_TESTS = "Python's own tests"
NO_TOOLS = "for developers"
DROPPED = {
    "boot|media|mnt|opt|srv|usr/(games|include|src)|var/(backups|local|lock|mail|spool)": "for what an image does not have",
    "etc/(default|issue|issue\\.net|profile\\.d|skel|update-motd\\.d)|usr/share/base-files": "for those who log in",
    "etc/ca-certificates|usr/sbin/update-ca-certificates": "a shell script and its folder; its work is done here",
    "usr/share/ca-certificates": f"all in {CA_BUNDLE}",
    "usr/share/doc/[^/]+/(?!copyright$).*": NO_READER,
    "usr/share/(bug|dict|doc-base|info|lintian|locale|man|menu|misc)": NO_READER,
    "usr/share/zoneinfo/(posix|right)": "copies of the zones, the second ones with leap seconds; Python looks at neither",
    "usr/lib/[^/]+/gconv": "iconv's tables; Python has its own codecs, and the C library knows UTF-8 without them",
    "usr/lib/[^/]+/(libBrokenLocale|libc_malloc_debug|libmemusage|libpcprofile|libthread_db)\\.so.*": NO_TOOLS,
    f"{LIBRARY}/(_distutils_system_mod\\.py|distutils|ensurepip|lib2to3|venv)": NO_TOOLS,
    f"{LIBRARY}/(idlelib|pydoc_data|tkinter|turtle\\.py|turtledemo)": NO_TOOLS,
    f"{LIBRARY}/(test|lib-dynload/(_ctypes_test|_test[^/]*|_xxtestfuzz|xxlimited[^/]*)\\.cpython-[^/]*)": OF_TESTS,
    f"{LIBRARY}/(curses|rlcompleter\\.py|lib-dynload/(_curses|_curses_panel|readline)\\.cpython-[^/]*)": NO_PACKAGE,
    f"{LIBRARY}/lib-dynload/(_dbm|nis)\\.cpython-[^/]*": NO_PACKAGE,
    f"{LIBRARY}/lib-dynload/ossaudiodev\\.cpython-[^/]*": "for a sound card",
}
"""`{pattern: why}`: what of the packages is not in the image; a folder goes with all that is in it."""
IS_DROPPED = re.compile("|".join(f"(?:{pattern})(?:/.*)?" for pattern in DROPPED))

MERGED = re.compile(r"(bin|sbin|lib|lib32|lib64|libx32)(/.*)?")
CERTIFICATE = re.compile(r"usr/share/ca-certificates/.*\.crt")
FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "usr/local/bin", "usr/sbin", "var/cache", "var/lib", "var/log")

USERS = f"""\
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nonroot:x:{NONROOT}:{NONROOT}:nonroot:/home/nonroot:/usr/sbin/nologin
"""
GROUPS = f"root:x:0:\nnogroup:x:65534:\nnonroot:x:{NONROOT}:\n"
WRITTEN = {
    "etc/group": layer.file(GROUPS.encode("ascii")),
    "etc/localtime": layer.link("/usr/share/zoneinfo/Etc/UTC"),
    "etc/nsswitch.conf": layer.file(b"hosts: files dns\n"),
    "etc/passwd": layer.file(USERS.encode("ascii")),
    "home/nonroot": layer.Entry(0o700, owner=NONROOT),
    "root": layer.Entry(0o700),
    "tmp": layer.Entry(0o1777),
    "usr/bin/python3": layer.link(f"python{PYTHON}"),
    "usr/lib/ssl/cert.pem": layer.link(f"/{CA_BUNDLE}"),
    "usr/lib/ssl/certs": layer.link("/etc/ssl/certs"),
    "var/run": layer.link("/run"),
    "var/tmp": layer.Entry(0o1777),
}
"""What no package ships."""
CONFIG = {
    "Env": [
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "LANG=C.UTF-8",
        f"SSL_CERT_FILE=/{CA_BUNDLE}",
        "PYTHONDONTWRITEBYTECODE=1",
    ],
    "User": f"{NONROOT}:{NONROOT}",
    "WorkingDir": "/home/nonroot",
}


# ---- the packages


def placed(name: str) -> str:
    """Where a name of a package stands in the image: without ./, and below /usr."""
    plain = name.removeprefix("./").strip("/")
    plain = "" if plain == "." else plain
    return f"usr/{plain}" if MERGED.fullmatch(plain) else plain


def contents(tar: TarFile, package: str) -> Iterator[tuple[str, layer.Entry]]:
    """The entries of a package's data, dropped ones too; a hard link to a dropped file is a file.

    Raises: InputError for what an image here does not have: a device, a pipe, a name that leads out.
    """
    for member in tar:
        name = placed(member.name)
        if ".." in name.split("/") or not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            message = f"{package}: {member.name}: neither file, folder nor link, or not below the root"
            raise InputError(message, hint="leave the package out: scripts/debian.py, LEFT_OUT")
        if name:
            yield name, entry_of(tar, member)


def entry_of(tar: TarFile, member: TarInfo) -> layer.Entry:
    """An entry without set-id bits, that nobody but root may write."""
    mode, mtime = member.mode & 0o755, int(member.mtime)
    if member.isdir():
        return layer.Entry(mode, mtime=mtime)
    if member.issym():
        return layer.Entry(0o777, link=member.linkname, mtime=mtime)
    if member.islnk() and not IS_DROPPED.fullmatch(placed(member.linkname)):
        return layer.Entry(mode, same_as=placed(member.linkname), mtime=mtime)
    source = tar.extractfile(member)
    return layer.Entry(mode, source.read() if source else b"", mtime=mtime)


def status(deb: DebFile) -> bytes:
    """A package's paragraph as dpkg has it of one that is installed."""
    paragraph = deb.control.get_content("control") or b""
    return re.sub(rb"(?m)^(Package: .*\n)", rb"\1Status: install ok installed\n", bytes(paragraph), count=1)


def md5sums(deb: DebFile, names: Iterable[str]) -> bytes:
    """The sums of a package's files that the image has; dpkg's names are those before /usr was merged."""
    if not deb.control.has_file("md5sums"):
        return b""
    kept = set(names)
    lines = bytes(deb.control.get_content("md5sums") or b"").splitlines(keepends=True)
    return b"".join(line for line in lines if placed(line.decode().partition("  ")[2].strip()) in kept)


def entries(debs: Iterable[Path]) -> dict[str, layer.Entry]:
    """The layer of these packages; a path of two of them is a defect, but for folders.

    Raises: InputError.
    """
    from debian.debfile import DebFile

    whole: dict[str, layer.Entry] = {}
    certificates: dict[str, bytes] = {}
    for path in debs:
        with path.open("rb") as file, DebFile(fileobj=file) as deb:
            package = deb.debcontrol()["Package"]
            ours: dict[str, layer.Entry] = {}
            for name, entry in contents(deb.data.tgz(), package):
                if CERTIFICATE.fullmatch(name) and entry.data is not None:
                    certificates[name] = entry.data
                if not IS_DROPPED.fullmatch(name):
                    ours[name] = entry
            add(whole, ours, package)
            whole[f"{STATUS}/{package}"] = layer.file(status(deb))
            if sums := md5sums(deb, ours):
                whole[f"{STATUS}/{package}.md5sums"] = layer.file(sums)
    bundle = b"".join(certificates[name].rstrip(b"\n") + b"\n" for name in sorted(certificates))
    added = {CA_BUNDLE: layer.file(bundle), **dict.fromkeys(FOLDERS, layer.Entry()), **WRITTEN}
    tops = {name.split("/")[1] for name in {*whole, *added} if name.startswith("usr/")}
    links = {top: layer.link(f"usr/{top}") for top in tops if MERGED.fullmatch(top)}
    return {**whole, **added, **links}


def add(whole: dict[str, layer.Entry], ours: dict[str, layer.Entry], package: str) -> None:
    """Adds the entries of a package to those before.

    Raises: InputError where both have a path that is not a folder in both.
    """
    both = [name for name in ours if name in whole and not (is_folder(ours[name]) and is_folder(whole[name]))]
    if both:
        raise InputError(f"{package}: another package has these too: {', '.join(sorted(both))}", hint="leave one of them out")
    for name, entry in ours.items():
        whole.setdefault(name, entry)


def is_folder(entry: layer.Entry) -> bool:
    """True for an entry that is neither file nor link."""
    return entry.data is None and not entry.link and not entry.same_as


# ---- the step


def checked(debs: Path) -> Iterator[Path]:
    """The files that a lock lists, beside it, each compared with the lock before it is used.

    Raises: ChecksumError, MissingError, InputError.
    """
    for deb in debian.read_lock(debs):
        path = debs.parent / deb.filename
        files.verify_sha256(path, deb.sha256, debs.name)
        yield path


def write(out: Path, *, debs: Path, architecture: str, epoch: int) -> None:
    """Makes an OCI layout of the base; `debs` is the lock of a folder of packages for one architecture."""
    with files.scratch() as folder:
        with (folder / "layer").open("wb") as packed:
            made = layer.write(packed, entries(checked(debs)), epoch)
        created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        config = oci.render(
            {
                "architecture": architecture,
                "config": CONFIG,
                "created": created,
                "history": [
                    {"created": created, "created_by": "scripts/debian_base.py", "comment": "Debian packages of the lock"}
                ],
                "os": "linux",
                "rootfs": {"diff_ids": [made.diff_id], "type": "layers"},
            }
        )
        manifest = oci.manifest(oci.descriptor(oci.CONFIG, config), [made.descriptor()])
        platform = {"architecture": architecture, "os": "linux"}
        blobs: dict[str, bytes | Path] = {
            oci.digest_of(config): config,
            oci.digest_of(manifest): manifest,
            made.digest: folder / "layer",
        }
        oci.write_layout(out, blobs, oci.index([oci.descriptor(oci.MANIFEST, manifest, platform=platform)]))

"""A copy of the project in a folder of its own, and real builds in it.

A build here gets its wheels from a folder that was filled before, so it needs no network; its development key lies in a
state folder of the test run; of the environment it sees nothing but what `surroundings` lists.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT

MADE = re.compile(r"^\[ *[0-9]+/[0-9]+\] (\S+)", re.MULTILINE)
BIN = Path(sys.executable).parent
"""Where doit and nox of the environment of these tests are."""


@dataclasses.dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams."""
        return self.out + self.err

    @property
    def made(self) -> list[str]:
        """The artefacts that a build made, sorted by name; pruning and removing a verdict are none."""
        return sorted(name for name in MADE.findall(self.out) if name not in {"identity", "prune", "verdict"})

    @property
    def root_hash(self) -> str:
        """What the summary says."""
        found = re.search(r"^rootHash +([0-9a-f]{64})$", self.out, re.MULTILINE)
        assert found, self.text
        return found[1]


@dataclasses.dataclass(frozen=True)
class Tree:
    """A copy of the project."""

    root: Path
    version: str
    environment: Mapping[str, str]

    @property
    def dist(self) -> Path:
        """The output folder."""
        return self.root / "artifacts/lnm"

    @property
    def kit(self) -> Path:
        """The unpacked kit."""
        return self.dist / f"concelier-lnm-{self.version}"

    @property
    def tarball(self) -> Path:
        """The kit as one file."""
        return self.dist / f"lnm-offline-kit-{self.version}.tar.gz"

    @property
    def manifest(self) -> str:
        """The text of manifest.json."""
        return (self.kit / "manifest.json").read_text(encoding="ascii")

    def variant(self, **environment: str | None) -> Tree:
        """The same tree seen with other variables; None unsets one."""
        merged = {name: value for name, value in {**self.environment, **environment}.items() if value is not None}
        return dataclasses.replace(self, environment=merged)

    def run(self, *command: str | Path, umask: int = -1, user: int | None = None, cwd: str = ".") -> Said:
        """Runs a command in the tree."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.root / cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            umask=umask,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def doit(self, *arguments: str, umask: int = -1, user: int | None = None) -> Said:
        """Runs doit."""
        return self.run(BIN / "doit", *arguments, umask=umask, user=user)

    def bundle(self, umask: int = -1) -> Said:
        """A build that must succeed."""
        said = self.doit("bundle", umask=umask)
        assert said.code == 0, said.text
        return said

    def verify(self) -> Said:
        """The single-file verifier on the tarball and then on the folder; the worse of both."""
        key = self.dist / "signing-key.pub"
        said = [self.run(sys.executable, "bundle-layout/verify_kit.py", "--key", key, kit) for kit in (self.tarball, self.kit)]
        return max(said, key=lambda answer: answer.code)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces text that is there exactly once in a source file."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name}: found {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Adds text at the end of a source file."""
        with (self.root / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def commit(self) -> None:
        """Makes the tree a git work tree with all of it in one commit."""
        git = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        for step in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "all")):
            said = self.run(*git, *step)
            assert said.code == 0, said.text


def copy_sources(folder: Path) -> None:
    """Copies what git would have of the checkout that is tested: tracked files and new ones, nothing ignored.

    Of the 36 MB of wheels for the runner's extra one is left, or each of hundreds of builds would hash and pack them all.
    """
    command = ("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith("tests/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    extra = folder / "requirements/wheelhouse-extras.lock"
    extra.write_text(
        "".join(line for line in extra.read_text("ascii").splitlines(keepends=True) if "  sigstore-" in line), "ascii"
    )


def surroundings(state: Path, wheels: Path) -> dict[str, str]:
    """The environment of a build; the image takes longer than all else, and has tests of its own.

    The wheels of the extra lie in a folder beside those of the runner, as they do in a kit.
    """
    houses = (str(wheels), str(wheels.with_name("wheelhouse-extras")))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "XDG_STATE_HOME": str(state / "xdg"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": " ".join(houses),
        "PIP_NO_INDEX": "1",
        "LNM_FETCHED": os.pathsep.join(houses),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "LNM_IMAGE": "none",
    }


def contents(folder: Path) -> dict[str, str]:
    """`{name: sha256}` of every regular file below a folder; a link counts as what it points to."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def traces(folder: Path) -> dict[str, tuple[int, ...]]:
    """`{name: (inode, mtime, ctime, size, mode)}` of every file below a folder: any write to it shows."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_dir():
            stat = path.lstat()
            found[path.relative_to(folder).as_posix()] = (
                stat.st_ino,
                stat.st_mtime_ns,
                stat.st_ctime_ns,
                stat.st_size,
                stat.st_mode,
            )
    return found


def restored(tree: Tree, built: Tree) -> None:
    """Puts the sources back as they were; artifacts/ stays as the failed build left it."""
    for path in tree.root.iterdir():
        if path.name != "artifacts":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in built.root.iterdir():
        if path.is_dir() and path.name != "artifacts":
            shutil.copytree(path, tree.root / path.name, symlinks=True)
        elif path.is_file():
            shutil.copy2(path, tree.root / path.name)


def is_payload(name: str) -> bool:
    """True for a file of P (decisions §8), by its name below the kit's root."""
    return not name.startswith(("attestations/", "SHA256SUMS", "manifest."))


def payload(kit: Path) -> dict[str, str]:
    """`{name: sha256}` of P."""
    return {name: sha256 for name, sha256 in contents(kit).items() if is_payload(name)}


def powerless() -> tuple[str, ...]:
    """Words before a command, so that permissions count for it even when root runs the tests."""
    if os.geteuid():
        return ()
    powers = "-dac_override,-dac_read_search"
    command = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("setpriv (util-linux) may not drop root's powers here, and root may do everything")
    return command


def in_tiny_tmpfs(folder: Path, script: str, size: str = "64k") -> tuple[str, ...]:
    """A shell script in a mount namespace where a folder is a file system of that size: `$1` is that folder, `$2…` are yours."""
    command = ("unshare", "--map-root-user", "--mount", "sh", "-c")
    mount = f'mount -t tmpfs -o size={size} none "$1"'
    allowed = shutil.which("unshare") is not None
    if not allowed or subprocess.run([*command, mount, "sh", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("unshare (util-linux) may not make a mount namespace here")
    return (*command, f"{mount} && {script}", "sh", str(folder))

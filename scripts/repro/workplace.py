"""The folders in which the builds are made: how the sources are laid there, and how a build is run in them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts import store
from scripts.errors import InputError, KitError, ToolError
from scripts.repro.compare import Seen
from scripts.repro.variations import LONG_FOLDER, OTHER_DISK, Factor

NEVER_SOURCES = (
    "artifacts",
    ".git",
    ".venv",
    ".nox",
    "__pycache__",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
)
PLAIN_UMASK = 0o022
PLAIN = {
    "LC_ALL": "C.UTF-8",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC0",
}
UNREPEATABLE = ("LNM_SIGN", "LNM_SIGSTORE")  # no two signatures by identity are alike
DROPPED = ("LANG", "LANGUAGE", "LC_", "PYTHON", "VIRTUAL_ENV", "__PYVENV")
SECRETS = ("LNM_SIGNING_KEY", "LNM_SIGNING_KEY_PASSWORD_FILE")  # variables that name files
TIME_STEP, TIME_RANGE = 86_400_003, 4_000_000_000  # seconds; scatter the inputs' times
PROBES = 24  # files; enough that an order that is equal by chance does not happen


class BuildFailedError(KitError):
    """A build did not come to its end."""


@dataclass
class Workplace:
    """Where trees are laid; two file systems where there are two."""

    root: Path
    """The checkout that is judged."""
    snapshot: Path
    """Its sources as they were at the start: who goes on working does not disturb."""
    base: Path
    shuffled: Path | None
    """A folder that readdir lists otherwise than `base`; None where there is none."""
    names: tuple[str, ...]
    """The source files."""
    environment: dict[str, str] = field(default_factory=dict)
    """Of every build, and of what is installed."""
    stores: tuple[Path, ...] = ()
    """Folders with what builds fetch (scripts/store.py), so that one of them does it for all."""
    baselines: dict[tuple[tuple[str, str], ...], Seen] = field(default_factory=dict)
    """Builds with nothing varied that go without something, by the variables that leave it out."""
    kept: int = 0

    def lay(self, factors: Iterable[Factor] = ()) -> Path:
        """Lays the sources as the factors want it, always into the same folder but for factors that say otherwise."""
        varied = {factor.name for factor in factors}
        base = self.shuffled if "input-order" in varied and self.shuffled else self.base
        tree = base / "build" / (LONG_FOLDER if "path" in varied else "tree")
        umask = next((factor.umask for factor in factors if factor.umask is not None), PLAIN_UMASK)
        names = tuple(reversed(self.names)) if "input-order" in varied else self.names
        for name in names:
            lay_file(self.snapshot / name, tree / name, umask)
        if "mtimes" in varied:
            for number, name in enumerate(sorted(names, reverse=True)):
                time = number * TIME_STEP % TIME_RANGE
                os.utime(tree / name, (time, time), follow_symlinks=False)
        copy_git(self.snapshot / ".git", tree / ".git")
        return tree

    def build(
        self,
        tree: Path,
        factors: Iterable[Factor] = (),
        python: str = sys.executable,
        target: str = "bundle",
        without: Mapping[str, str] | None = None,
    ) -> None:
        """Runs a build in a tree that was laid; `without` are variables that leave something out.

        Raises: BuildFailedError with the last lines that it said.
        """
        factors = tuple(factors)
        environment = self.environment | {key: value for factor in factors for key, value in factor.environment.items()}
        environment |= without or {}
        if self.stores:
            environment |= {store.VARIABLE: os.pathsep.join(map(str, self.stores))}
        umask = next((factor.umask for factor in factors if factor.umask is not None), PLAIN_UMASK)
        before = [word for factor in factors for word in factor.before]
        run([*before, python, "-m", "doit", target], tree, environment, umask)

    def keep(self, tree: Path) -> Path:
        """Moves a tree that `lay` made out of the way of the next one; returns where it is then."""
        self.kept += 1
        kept = tree.parent.with_name(f"kept-{self.kept}")
        tree.parent.rename(kept)
        return kept / tree.name

    def remove(self, tree: Path) -> None:
        """Removes a tree that `lay` made, kept or not."""
        shutil.rmtree(tree.parent)


def run(command: list[str], cwd: Path, environment: dict[str, str], umask: int = PLAIN_UMASK) -> None:
    """Runs a command that must succeed.

    Raises: BuildFailedError with the last lines that it said.
    """
    done = subprocess.run(
        command, cwd=cwd, env=environment, umask=umask, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        last = " / ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-4:])
        raise BuildFailedError(f"{' '.join(command[-3:])} ended with {done.returncode}: {last}", hint="the same in your checkout")


def make_environment(tree: Path, python: str, environment: dict[str, str]) -> str:
    """Makes the environment of another Python in a tree; returns its Python.

    Raises: BuildFailedError.
    """
    run([python, "-m", "scripts.environment", "build"], tree, environment)
    return str(tree / ".venv/bin/python")


@contextmanager
def workplace(root: Path) -> Iterator[Workplace]:
    """A workplace that is removed at the end."""
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lnm-repro-", ignore_cleanup_errors=True)))
        shuffled: Path | None = base
        if lists_alike(base, base):
            shuffled = None
            if os.access(OTHER_DISK, os.W_OK):
                other = tempfile.TemporaryDirectory(prefix="lnm-repro-", dir=OTHER_DISK, ignore_cleanup_errors=True)
                shuffled = Path(stack.enter_context(other))
                shuffled = None if lists_alike(base, shuffled) else shuffled
        names = tuple(name for name in sources(root) if not is_secret(root / name))
        for name in names:
            lay_file(root / name, base / "snapshot" / name, PLAIN_UMASK)
        copy_git(root / ".git", base / "snapshot/.git")
        yield Workplace(root, base / "snapshot", base, shuffled, names, surroundings(root))


def lists_alike(one: Path, other: Path) -> bool:
    """True when readdir gives files that were made forwards in one folder and backwards in the other in the same order."""
    names = [f"{number * 7919 % 1000:03}.txt" for number in range(PROBES)]
    found = []
    for folder, order in ((one / "forwards", names), (other / "backwards", names[::-1])):
        folder.mkdir()
        for name in order:
            (folder / name).touch()
        found.append(os.listdir(folder))  # noqa: PTH208 - the order as it comes
        shutil.rmtree(folder)
    return found[0] == found[1]


def is_secret(path: Path) -> bool:
    """True for the private key and its password, where they lie in the checkout: they are used from there and never copied."""
    return any(os.environ.get(name) and path.absolute() == Path(os.environ[name]).absolute() for name in SECRETS)


def surroundings(root: Path) -> dict[str, str]:
    """The environment of the baseline: the caller's, so that it finds pip's index and the key, less what is varied."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(DROPPED) and name not in ("TZ", *UNREPEATABLE)
    }
    home = Path.home()
    state = os.environ.get("XDG_STATE_HOME", "")
    kept["XDG_STATE_HOME"] = state if Path(state).is_absolute() else str(home / ".local/state")
    kept.setdefault("PIP_CACHE_DIR", str(Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "pip"))
    kept |= {name: str(root / kept[name]) for name in SECRETS if kept.get(name)}
    return kept | PLAIN


def sources(root: Path) -> tuple[str, ...]:
    """What git would have of the checkout, tracked and new; without git every file that no tool has made.

    Raises: InputError where there is nothing; ToolError where git cannot say.
    """
    if not (root / ".git").exists():
        below = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return tuple(sorted(path.as_posix() for path in below if not set(path.parts) & set(NEVER_SOURCES)))
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"git ls-files: {done.stderr.strip()}", hint="mend that: git status")
    names = sorted({name for name in done.stdout.split("\0") if name and (root / name).is_file()})
    if not names:
        raise InputError(f"{root}: git knows no file here", hint="git status")
    return tuple(names)


def lay_file(source: Path, target: Path, umask: int) -> None:
    """Copies one file, its modification time too, with the mode that a checkout under that umask gives it."""
    for folder in reversed((target.parent, *target.parent.parents)):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o777 & ~umask)
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod((0o777 if source.stat().st_mode & stat.S_IXUSR else 0o666) & ~umask)


def copy_git(source: Path, target: Path) -> None:
    """Copies what git knows, so that the state of the source is the same in every tree; nothing where there is no git."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file():  # a linked work tree, a submodule: the file names where git keeps it
        shutil.copy2(source, target)

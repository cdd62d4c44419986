"""An artefact: one target, the step that makes it, and what the step reads. `dodo.py` is a table of these.

What doit alone does not see is added here and in scripts/fresh.py: a change in the code of a step (its own module and
the modules of ours that it imports are file dependencies), a target that was changed by hand, and a target whose
source is gone (`stale`). Every run of a step leaves a record of what it really read and wrote in
`artifacts/.build/records/`; provenance is made of these records and nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidTask, TaskFailed
from doit.task import clean_targets

from scripts import canonical, child, files, fresh, holder, oci
from scripts.errors import InputError, KitError, MissingError

WORK = Path("artifacts/.build")
RECORDS = WORK / "records"
LONGEST_LABEL = 200  # characters; file systems take names of 255 bytes, and more is put behind it
TOOL_LOCK = Path("requirements/build.txt")

LOCK = WORK / "lock"
WRITING_COMMANDS = {"clean", "forget", "ignore", "reset-dep"}  # of doit
IMPORT = re.compile(
    r"^[ \t]*from (scripts[.\w]*|\.\w*) import (\([^)]*\)|.*)", re.MULTILINE
)  # a parser takes 30 ms of each start

Reads = Path | tuple[Path, ...]


@dataclass(frozen=True)
class Artefact:
    """One row of the table: a file, or a folder of files that are laid out together."""

    group: str
    target: Path
    step: Callable[..., None]
    """`step(out, *, <reads>, <settings>, <uses>) -> None` writes the target's bytes; a folder's step gets its path as `out`."""
    reads: Mapping[str, Reads]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Values that the bytes depend on; a change of one rebuilds."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What the step needs and doit must not remember: where a key is."""
    uptodate: tuple[fresh.Check, ...] = ()
    mode: int = 0o644
    name: str = ""
    holds: tuple[str, ...] = ()
    """The files of a folder, by their names below the target; a row that makes one file has none."""
    index: str = ""
    """Of a folder whose files are named by their content: the file that tells all others, and stands for them in other rows."""

    @functools.cached_property
    def label(self) -> str:
        """The task's name within its group: the file's, but doit allows no equal sign (and the name rule no per cent sign)."""
        return (self.name or self.target.name).replace("=", "%3D")

    @functools.cached_property
    def record(self) -> Path:
        """The record that a run of the step leaves; a hash tells names apart that would be equal, or too long, without."""
        flat = self.label.replace("/", "__")
        if "__" in self.label or len(flat) > LONGEST_LABEL:
            flat = f"{flat[:LONGEST_LABEL]}-{hashlib.sha256(self.label.encode()).hexdigest()[:16]}"
        return RECORDS / self.group / f"{flat}.json"

    @functools.cached_property
    def targets(self) -> tuple[Path, ...]:
        """The files that the row makes, as far as a table can tell them."""
        return tuple(self.target / name for name in (self.holds or filter(None, [self.index]))) or (self.target,)

    def made(self) -> tuple[Path, ...]:
        """The files that the row has made."""
        return tuple(files.below(self.target)) if self.index else self.targets

    @functools.cached_property
    def inputs(self) -> tuple[Path, ...]:
        """Every file that the step reads, in the order of the table."""
        flat: list[Path] = []
        for paths in self.reads.values():
            flat += [paths] if isinstance(paths, Path) else paths
        return tuple(flat)

    def task(self) -> dict[str, Any]:
        """The row as doit wants it."""
        layouts = [path for path in self.inputs if path.name == oci.INDEX_FILE]
        return {
            "basename": self.group,
            "name": self.label,
            "file_dep": [*map(str, dict.fromkeys(self.inputs))],
            "targets": [*map(str, self.targets), str(self.record)],
            "uptodate": [
                fresh.same_files(lambda: code_of(self.step.__module__)),
                fresh.same_settings(plain(self.settings)),
                fresh.untouched_targets(self.target if self.index else None),
                *([fresh.same_blobs(lambda: oci.whole(layouts))] if layouts else []),
                *self.uptodate,
            ],
            "actions": [(self.build,)],
            "verbosity": 2,
            "clean": [clean_targets, (shutil.rmtree, (self.target, True))] if self.index else True,
        }

    def build(self) -> TaskFailed | None:
        """Runs the step; on any error the old target stays, and the task counts as not done."""
        child.bond_worker()
        try:
            read = fresh.note(oci.whole(self.inputs))
            if self.holds or self.index:
                self.step(self.target, **self.reads, **self.settings, **self.uses)
                fresh.require_unchanged(read)
            else:
                with files.replacing(self.target, self.mode) as out:
                    self.step(out, **self.reads, **self.settings, **self.uses)
                    fresh.require_unchanged(read)
            with files.replacing(self.record) as out:
                out.write(canonical.render(self.recorded(read)))
        except KitError as err:
            return TaskFailed(str(err))
        except KeyboardInterrupt:
            return TaskFailed("interrupted; no target is half written\n  next: the same command again [exit 130]")
        return None

    def recorded(self, read: Mapping[Path, str]) -> dict[str, Any]:
        """What this run read (`{path: sha256}`) and wrote; times and places are left out, so equal runs leave equal records."""
        return {
            "task": f"{self.group}:{self.label}",
            "step": f"{self.step.__module__}.{self.step.__name__}",
            "inputs": {path.as_posix(): sha256 for path, sha256 in sorted(read.items())},
            "code": {name: sha256 for name, sha256 in code_of(self.step.__module__).items() if name != TOOL_LOCK.as_posix()},
            "outputs": {path.as_posix(): files.sha256_of(path) for path in self.made()},
            "settings": plain(self.settings),
            "tools": {
                "python": platform.python_version(),
                "implementation": sys.implementation.name,
                TOOL_LOCK.as_posix(): files.sha256_of(TOOL_LOCK),
                **getattr(sys.modules[self.step.__module__], "tools", dict)(),
            },
        }


def take_tree_for(arguments: Iterable[str]) -> None:
    """Takes the tree for a command of doit that changes what a build leaves; `run` takes it in its reporter.

    Raises: LockedError where another build has it.
    """
    if WRITING_COMMANDS & set(arguments):
        holder.take(LOCK)


def take_tree() -> None:
    """Takes the tree for this build.

    Raises: InvalidTask, which doit shows without a traceback, where another build has it.
    """
    try:
        holder.take(LOCK)
    except KitError as err:
        raise InvalidTask(str(err)) from None


def plain(value: Any) -> Any:
    """A setting as JSON: dataclasses and paths as text, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


@functools.cache
def code_of(module: str) -> dict[str, str]:
    """What a step is made of, `{path: sha256}`: the source files behind its module, and the lock of the tools that they use."""
    return {path.as_posix(): files.sha256_of(path) for path in sorted({*imports_of(module), TOOL_LOCK})}


@functools.cache
def imports_of(module: str) -> frozenset[Path]:
    """The files of a module of `scripts` and of all that it imports from there; read from the source, not run."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = Path(*name.split(".")).with_suffix(".py")
        if name not in found and path.is_file():
            found[name] = path
            waiting += imported_by(path)
    return frozenset(found.values())


@functools.cache
def imported_by(path: Path) -> tuple[str, ...]:
    """What a source file imports from `scripts`: modules, and names that may be modules."""
    found: list[str] = []
    for named, names in IMPORT.findall(path.read_text(encoding="utf-8")):
        module = ".".join([*path.parent.parts, *filter(None, [named[1:]])]) if named.startswith(".") else named
        found += [module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))]
    return tuple(found)


def require(rows: Iterable[Artefact]) -> None:
    """Looks, before anything is made, for what rows read and no row makes.

    Raises: MissingError naming every such file that is not there, InputError naming every one that cannot be read.
    """
    rows = tuple(rows)
    made = {path for row in rows for path in (*row.targets, row.record)}
    sources = sorted({path for row in rows for path in (*row.inputs, TOOL_LOCK) if path not in made})
    missing = [str(path) for path in sources if not path.is_file()]
    if missing:
        raise MissingError(f"{', '.join(missing)}: no such file", hint="restore it: git status shows what is gone")
    closed = [str(path) for path in sources if not os.access(path, os.R_OK)]
    if closed:
        raise InputError(f"{', '.join(closed)}: cannot be read", hint="look at its permissions and who owns it: ls -l")


def stale(roots: Iterable[Path], targets: Iterable[Path], whole: Iterable[Path] = ()) -> list[Path]:
    """What lies below the output folders and is no target of any artefact, outermost first.

    A file whose source is gone, a left-over of a killed build, a folder or a link in a target's place: all of them. What lies in
    the folders `whole` is for the rows that make them to judge.

    Raises: WriteError where a folder cannot be looked into.
    """
    wanted, kept = set(map(str, targets)), set(map(str, whole))
    folders = {""}
    for target in wanted:
        while (target := target.rpartition("/")[0]) not in folders:
            folders.add(target)
    found: list[str] = []
    waiting = [str(root) for root in roots if root.is_dir()]
    with files.looking():
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False) and entry.path in folders:
                        waiting += [] if entry.path in kept else [entry.path]
                    elif entry.is_symlink() or entry.is_dir() or entry.path not in wanted:
                        found.append(entry.path)
    return sorted(map(Path, found))


def prune(roots: tuple[Path, ...], targets: tuple[Path, ...], whole: tuple[Path, ...] = ()) -> TaskFailed | None:
    """Removes what is stale and says so."""
    try:
        for path in stale(roots, targets, whole):
            print(f"   removed {path}: nothing makes it any more")
            with files.looking():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    except KitError as err:
        return TaskFailed(str(err))
    return None

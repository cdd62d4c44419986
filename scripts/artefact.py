"""An artefact: one target, the step that makes it, and what the step reads. `dodo.py` is a table of these.

What doit alone does not see is added here: a change in the code of a step (its own module and the modules of ours
that it imports are file dependencies), a target that was changed by hand (its content is remembered beside doit's own
state), and a target whose source is gone (`stale`). Every run of a step leaves a record of what it really read and
wrote in `artifacts/.build/records/`; provenance is made of these records and nothing else.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doit.dependency import FileChangedChecker
from doit.exceptions import TaskFailed
from doit.tools import config_changed

from scripts import canonical, files
from scripts.errors import InputError, KitError, MissingError

WORK = Path("artifacts/.build")
RECORDS = WORK / "records"
LONGEST_LABEL = 200  # characters; file systems take names of 255 bytes, and more is put behind it
TOOL_LOCK = Path("requirements/build.txt")

Reads = Path | tuple[Path, ...]
State = list[int | str]
"""Size, mtime in ns, ctime in ns, inode, sha256: the first four spare the hashing, the last one decides."""


@dataclass(frozen=True)
class Artefact:
    """One row of the table."""

    group: str
    target: Path
    step: Callable[..., None]
    """`step(out, *, <reads>, <settings>, <uses>) -> None` writes the target's bytes."""
    reads: Mapping[str, Reads]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Values that the bytes depend on; a change of one rebuilds."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What the step needs and doit must not remember: where a key is."""
    uptodate: tuple[Callable[..., bool], ...] = ()
    mode: int = 0o644
    name: str = ""

    @property
    def label(self) -> str:
        """The task's name within its group: the file's, but doit allows no equal sign (and the name rule no per cent sign)."""
        return (self.name or self.target.name).replace("=", "%3D")

    @property
    def record(self) -> Path:
        """The record that a run of the step leaves; a hash tells names apart that would be equal, or too long, without."""
        flat = self.label.replace("/", "__")
        if "__" in self.label or len(flat) > LONGEST_LABEL:
            flat = f"{flat[:LONGEST_LABEL]}-{hashlib.sha256(self.label.encode()).hexdigest()[:16]}"
        return RECORDS / self.group / f"{flat}.json"

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Every file that the step reads, in the order of the table."""
        flat: list[Path] = []
        for paths in self.reads.values():
            flat += [paths] if isinstance(paths, Path) else paths
        return tuple(flat)

    def task(self) -> dict[str, Any]:
        """The row as doit wants it."""
        return {
            "basename": self.group,
            "name": self.label,
            "file_dep": [str(path) for path in {*self.inputs, *modules_behind(self.step), TOOL_LOCK}],
            "targets": [str(self.target), str(self.record)],
            "uptodate": [config_changed(settings_text(self.settings)), targets_untouched, *self.uptodate],
            "actions": [(self.build,)],
            "verbosity": 2,
            "clean": True,
        }

    def build(self) -> TaskFailed | None:
        """Runs the step; on any error the old target stays."""
        try:
            with files.replacing(self.target, self.mode) as out:
                self.step(out, **self.reads, **self.settings, **self.uses)
            with files.replacing(self.record) as out:
                out.write(canonical.render(self.recorded()))
        except KitError as err:
            return TaskFailed(str(err))
        except KeyboardInterrupt:
            return TaskFailed("interrupted; no target is half written\n  next: the same command again [exit 130]")
        return None

    def recorded(self) -> dict[str, Any]:
        """What this run read and wrote; times and places are left out, so equal runs leave equal records."""
        return {
            "task": f"{self.group}:{self.label}",
            "step": f"{self.step.__module__}.{self.step.__name__}",
            "inputs": {path.as_posix(): files.sha256_of(path) for path in sorted(set(self.inputs))},
            "code": {path.as_posix(): files.sha256_of(path) for path in sorted(modules_behind(self.step))},
            "outputs": {self.target.as_posix(): files.sha256_of(self.target)},
            "settings": plain(self.settings),
            "tools": {
                "python": platform.python_version(),
                "implementation": sys.implementation.name,
                TOOL_LOCK.as_posix(): files.sha256_of(TOOL_LOCK),
            },
        }


def settings_text(settings: Mapping[str, Any]) -> str:
    """The settings as text, for doit to compare."""
    return canonical.render(plain(settings)).decode()


def plain(value: Any) -> Any:
    """A setting as JSON: dataclasses and paths as text, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def modules_behind(step: Callable[..., None]) -> tuple[Path, ...]:
    """The source files of ours that a step's code is made of: its module and what that imports from `scripts`."""
    return tuple(sorted(imports_of(step.__module__)))


@functools.cache
def imports_of(module: str) -> frozenset[Path]:
    """The files of a module of `scripts` and of all that it imports from there; read from the source, not run."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = Path(*name.split(".")).with_suffix(".py")
        if name in found or not path.is_file():
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "scripts":
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return frozenset(found.values())


class ByContent(FileChangedChecker):  # type: ignore[misc]  # doit has no types
    """A file has changed when its SHA-256 has: a bare `touch`, a checkout or a clock do not count."""

    def check_modified(self, file_path: str, file_stat: os.stat_result, state: State) -> bool:
        """True when the content is not what it was."""
        return not same_content(Path(file_path), file_stat, state)

    def get_state(self, dep: str, current_state: State | None) -> State:
        """What to remember of a file."""
        known = current_state if current_state and same_content(Path(dep), Path(dep).stat(), current_state) else None
        return state_of(Path(dep), known[4] if known else None)


def state_of(path: Path, sha256: int | str | None = None) -> State:
    """What is remembered of a file."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256 or files.sha256_of(path)]


def same_content(path: Path, stat: os.stat_result, known: State) -> bool:
    """Compares a file with what is remembered of it; hashes only where the inode shows a write since."""
    if [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino] == list(known[:4]):
        return True
    return stat.st_size == known[0] and files.sha256_of(path) == known[4]


def targets_untouched(task: Any, values: Mapping[str, Mapping[str, State]]) -> bool:
    """An `uptodate` check of doit: the targets are byte for byte what the step wrote, with the mode that it gave them."""
    task.value_savers.append(lambda: {"targets": {target: [*state_of(Path(target)), mode_of(target)] for target in task.targets}})
    known = values.get("targets", {})
    for target in map(Path, task.targets):
        is_file = target.is_file() and not target.is_symlink()
        if str(target) not in known or not is_file or mode_of(target) != known[str(target)][-1]:
            return False
        if not same_content(target, target.stat(), known[str(target)]):
            return False
    return True


def mode_of(path: Path | str) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - doit's targets are text


def require(rows: Iterable[Artefact]) -> None:
    """Looks, before anything is made, for what rows read and no row makes.

    Raises: MissingError naming every such file that is not there, InputError naming every one that cannot be read.
    """
    rows = tuple(rows)
    made = {path for row in rows for path in (row.target, row.record)}
    sources = sorted({path for row in rows for path in (*row.inputs, TOOL_LOCK) if path not in made})
    missing = [str(path) for path in sources if not path.is_file()]
    if missing:
        raise MissingError(f"{', '.join(missing)}: no such file", hint="restore it: git status shows what is gone")
    closed = [str(path) for path in sources if not os.access(path, os.R_OK)]
    if closed:
        raise InputError(f"{', '.join(closed)}: cannot be read", hint="look at its permissions and who owns it: ls -l")


def prepare(state: Path) -> None:
    """Makes the folder of doit's state; a damaged state is taken for none, and then everything is made again.

    Raises: WriteError where doit could not write its state.
    """
    hint = "look at its permissions and who owns it; doit remembers there what is fresh"
    try:
        files.make_folder(state.parent)
    except OSError as err:
        raise files.WriteError(f"{err.filename}: the folder cannot be made: {err.strerror}", hint=hint) from err
    for path in (state.parent, state):
        if path.exists() and not os.access(path, os.W_OK):
            raise files.WriteError(f"{path}: cannot be written", hint=hint)
    if state.is_file() and is_damaged(state):
        print(f"{state}: damaged, so everything is made again", file=sys.stderr)
        state.unlink()


def is_damaged(state: Path) -> bool:
    """True for a file that is no sound database; one that is in use by another build is sound."""
    try:
        with contextlib.closing(sqlite3.connect(state, timeout=0)) as database:
            return bool(database.execute("PRAGMA quick_check").fetchall() != [("ok",)])
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True


def stale(roots: Iterable[Path], targets: Iterable[Path]) -> list[Path]:
    """What lies below the output folders and is no target of any artefact, outermost first.

    A file whose source is gone, a left-over of a killed build, a folder or a link in a target's place: all of them.
    """
    wanted = set(targets)
    folders = {parent for target in wanted for parent in target.parents}
    found: list[Path] = []
    for root in roots:
        for folder, below, names in os.walk(root):
            here = Path(folder)
            found += [here / name for name in names if here / name not in wanted or (here / name).is_symlink()]
            found += [here / name for name in below if here / name not in folders or (here / name).is_symlink()]
            below[:] = [name for name in below if here / name in folders and not (here / name).is_symlink()]
    return sorted(found)


def prune(roots: tuple[Path, ...], targets: tuple[Path, ...]) -> TaskFailed | None:
    """Removes what is stale and says so."""
    for path in stale(roots, targets):
        print(f"   removed {path}: nothing makes it any more")
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as err:
            return TaskFailed(f"{path}: cannot be removed: {err.strerror}\n  next: {files.advice(err)} [exit 1]")
    return None

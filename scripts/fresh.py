"""What is fresh, and why something is not, in words.

doit itself looks at the file dependencies, by their content (`ByContent`); the two checks here look at what it does
not: the targets and the settings. Each of them remembers in doit's state what it saw, and says what differs.
"""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from doit import Globals
from doit.dependency import FileChangedChecker
from doit.exceptions import InvalidTask

from scripts import files
from scripts.errors import InputError, KitError

State = list[int | str]
"""Size, mtime in ns, ctime in ns, inode, sha256: the first four spare the hashing, the last one decides."""
Values = Mapping[str, Any]
"""What doit's state holds of a task's last run."""
Differences = Callable[[Any, Values], Iterable[str]]
LONGEST_VALUE = 60  # characters of a setting that are shown
MADE = "artifacts/"
POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD


AS_READ: dict[str, State] = {}
"""Of each file that a step of this process reads, what it was when the step began."""


def note(paths: Iterable[Path]) -> dict[Path, str]:
    """The content of files that a step is about to read, `{path: sha256}`; doit then remembers them as they are now."""
    read = {}
    for path in dict.fromkeys(paths):
        read[path], found = files.sha256_and_stat(path)
        AS_READ[str(path)] = state_of(str(path), found, read[path])
    return read


def require_unchanged(read: Iterable[Path]) -> None:
    """Refuses what was made of files that somebody changed since `note`: it may be of the old ones or of the new ones.

    Raises: InputError naming them.
    """
    changed = [name for name in map(str, read) if not is_as_read(name)]
    if changed:
        raise InputError(f"{', '.join(changed)}: changed while the step read it", hint="run the same command again")


def is_as_read(name: str) -> bool:
    """True for a file that has the content that it had when it was noted."""
    try:
        return same_content(name, os.stat(name), AS_READ[name])  # noqa: PTH116 - as below
    except (OSError, KitError):
        return False


class ByContent(FileChangedChecker):  # type: ignore[misc]  # doit has no types
    """A file has changed when its SHA-256 has: a bare `touch`, a checkout or a clock do not count."""

    def check_modified(self, file_path: str, file_stat: os.stat_result, state: State) -> bool:
        """True when the content is not what it was.

        Raises: InvalidTask where it cannot be read.
        """
        try:
            return not same_content(file_path, file_stat, state)
        except KitError as err:
            raise InvalidTask(str(err)) from None

    def get_state(self, dep: str, current_state: State | None) -> State:
        """What to remember of a file: what it was when the step began to read it."""
        if dep in AS_READ:
            return AS_READ[dep]
        found = os.stat(dep)  # noqa: PTH116 - doit's paths are text
        known = current_state[4] if current_state and same_content(dep, found, current_state) else None
        return state_of(dep, found, known)


def state_of(path: str, found: os.stat_result, sha256: int | str | None = None) -> State:
    """What is remembered of a file."""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, sha256 or files.sha256_of(Path(path))]


def same_content(path: str, found: os.stat_result, known: State) -> bool:
    """Compares a file with what is remembered of it; hashes only where the inode shows a write since."""
    if [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino] == known[:4]:
        return True
    return found.st_size == known[0] and files.sha256_of(Path(path)) == known[4]


class Check:
    """One question to a task, as doit's `uptodate` wants it; after the answer, `str()` is what differs."""

    __signature__ = inspect.Signature([inspect.Parameter(name, POSITIONAL) for name in ("task", "values")])
    """Told beforehand: doit asks each of the thousands of checks for it."""

    def __init__(self, differences: Differences, remembered: Callable[[Any], dict[str, Any]] = lambda _: {}) -> None:
        """`differences(task, values)` gives a phrase for each one; `remembered(task)` is what a run leaves for the next."""
        self.differences, self.remembered = differences, remembered
        self.found: list[str] = []

    def __call__(self, task: Any, values: Values) -> bool:
        """True when nothing differs.

        Raises: InvalidTask where something cannot be looked at.
        """
        task.value_savers.append(lambda: self.remembered(task))
        try:
            self.found = list(self.differences(task, values))
        except KitError as err:
            raise InvalidTask(str(err)) from None
        return not self.found

    def __str__(self) -> str:
        """What differs, in words."""
        return "; ".join(self.found)


def same_settings(settings: Mapping[str, Any]) -> Check:
    """The settings of a row, in the plain form that JSON has, are what they were."""

    def differences(_: Any, values: Values) -> Iterator[str]:
        before = values.get("settings")
        if before is None:
            yield "its settings were not known"
            return
        for name in sorted({*before, *settings}):
            if before.get(name) != settings.get(name):
                yield f"{name} was {shown(before.get(name))}, is {shown(settings.get(name))}"

    return Check(differences, lambda _: {"settings": settings})


def same_files(read: Callable[[], Mapping[str, str]]) -> Check:
    """Files that every task of a kind depends on, `{path: sha256}`, are what they were: told once and not for each task."""

    def differences(_: Any, values: Values) -> Iterator[str]:
        before, now = values.get("files"), read()
        if before is None:
            yield "its code was not known"
            return
        for name in sorted({*before, *now}):
            if name not in before or name not in now:
                yield f"{name} {'came in' if name in now else 'is not read any more'}"
            elif before[name] != now[name]:
                yield f"{name} changed"

    return Check(differences, lambda _: {"files": dict(read())})


def untouched_targets(whole: Path | None = None) -> Check:
    """The targets are byte for byte what the step wrote, with the mode that it gave them; so is all below the folder `whole`."""

    def differences(task: Any, values: Values) -> Iterator[str]:
        known = values.get("targets", {})
        beside = {*map(str, files.below(whole)), *(name for name in known if name.startswith(f"{whole}/"))} if whole else set()
        for target in dict.fromkeys([*task.targets, *sorted(beside)]):
            words = what_happened_to(target, known[target]) if target in known else "was not made before"
            if words:
                yield f"{target} {words}"

    def remembered(task: Any) -> dict[str, Any]:
        made = [*task.targets, *map(str, files.below(whole))] if whole else task.targets
        return {"targets": {target: target_state(target) for target in made}}

    return Check(differences, remembered)


def same_blobs(whole: Callable[[], Iterable[Path]]) -> Check:
    """The files of the layouts that a step reads are what they were: doit itself only sees the index that stands for them."""

    def differences(_: Any, values: Values) -> Iterator[str]:
        known = values.get("blobs", {})
        for name in sorted({*known, *map(str, whole())}):
            words = what_happened_to(name, known[name]) if name in known else "came in"
            if words:
                yield f"{name} {words}"

    return Check(differences, lambda _: {"blobs": {str(path): target_state(str(path)) for path in whole()}})


def target_state(target: str) -> State:
    """What is remembered of a target: its state and its mode."""
    found = os.lstat(target)
    return [*state_of(target, found), stat.S_IMODE(found.st_mode)]


def what_happened_to(target: str, known: State) -> str:
    """How a target differs from what was made; nothing where it does not.

    Raises: KitError where it cannot be looked at.
    """
    try:
        found = os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as err:
        raise files.WriteError(f"{target}: {err.strerror}", hint=files.advice(err)) from err
    if not stat.S_ISREG(found.st_mode):
        return "is a link now" if stat.S_ISLNK(found.st_mode) else "is no file now"
    if stat.S_IMODE(found.st_mode) != known[-1]:
        return f"had mode {int(known[-1]):04o}, has {stat.S_IMODE(found.st_mode):04o}"
    return "" if same_content(target, found, known) else "is not what was made"


def holds(condition: Callable[[], bool], words: str) -> Check:
    """A condition that needs no memory, with the words for when it does not hold."""
    return Check(lambda _task, _values: () if condition() else (words,))


def shown(value: Any) -> str:
    """A setting, short enough for a line."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def reasons(task: Any, tasks: Mapping[str, Any]) -> list[str]:
    """Why doit is about to run a task, a phrase for each, sources first; none for a task that it never ran to its end."""
    manager = Globals.dep_manager
    if manager.backend.get(task.name, "_values_:") is None:
        return []
    kept, task.value_savers = task.value_savers, []  # asking again must not make them save twice
    why = manager.get_status(task, tasks, get_log=True).reasons
    task.value_savers = kept
    new, gone = why.get("added_file_dep") or [], why.get("removed_file_dep") or []
    changed = sorted(set(why.get("changed_file_dep") or []) - set(new), key=lambda path: (path.startswith(MADE), path))
    found = [f"{path} changed" for path in changed]
    found += [f"{path} came in" for path in new] + [f"{path} is not read any more" for path in gone]
    return found + [words for check, _, _ in why.get("uptodate_false") or [] for words in check.found]

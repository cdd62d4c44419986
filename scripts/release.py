"""What a release is called and when it says it was made: the one reading of the environment and of git.

`VERSION` is `YYYY.M.patch`; `SOURCE_DATE_EPOCH` (the file beside it, or the variable of that name) is the only time
that gets into what is built (reproducible-builds.org, SOURCE_DATE_EPOCH specification); `LNM_CHANNEL` is edge, stable
or airgap. The clock is never read.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import files
from scripts.errors import InputError

VERSION_FORM = re.compile(r"[1-9][0-9]{3}\.(?:1[0-2]|[1-9])\.(?:0|[1-9][0-9]*)")
LATEST_EPOCH = 8**11 - 1  # the largest time that a ustar header can hold
OTHER_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)  # of `git rev-parse --local-env-vars`
CHANNELS = ("edge", "stable", "airgap")


@dataclass(frozen=True)
class Source:
    """Where the build's inputs come from."""

    commit: str | None
    """40 hex digits, or None without a git work tree."""
    state: str
    """`clean`: the inputs are those of the commit; `dirty`: they differ; `unknown`: git could not tell."""
    note: str = ""
    """Why the state is not clean, in words."""

    def statement(self) -> dict[str, str | None]:
        """The form that the manifest holds."""
        note = {"note": self.note} if self.note else {}
        return {"commit": self.commit, "state": self.state, **note}


@dataclass(frozen=True)
class Release:
    """The settings of one build."""

    version: str
    epoch: int
    """Seconds since 1970, UTC."""
    channel: str
    source: Source

    @property
    def created_at(self) -> str:
        """The epoch as RFC 3339 in UTC."""
        return timestamp(self.epoch)


def timestamp(epoch: int) -> str:
    """Seconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`."""
    return dt.datetime.fromtimestamp(epoch, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(environment: Mapping[str, str], inputs: Sequence[str]) -> Release:
    """Reads version, epoch, channel and the state of the source.

    Raises: InputError for a value that is not of its form, or a channel that this source may not be released to.
    """
    channel = environment.get("LNM_CHANNEL", "edge")
    if channel not in CHANNELS:
        raise InputError(f"LNM_CHANNEL: found {channel!r}, wanted one of {', '.join(CHANNELS)}", hint="unset LNM_CHANNEL")
    source = source_state(inputs)
    if channel != "edge" and source.state != "clean":
        raise InputError(
            f"LNM_CHANNEL={channel} needs a clean git work tree: {source.note}",
            hint="commit or stash (git status), or build for the channel edge: unset LNM_CHANNEL",
        )
    return Release(read_version(Path("VERSION")), read_epoch(environment, Path("SOURCE_DATE_EPOCH")), channel, source)


def read_version(path: Path) -> str:
    """The version in the file VERSION.

    Raises: InputError.
    """
    text = read_line(path)
    if not VERSION_FORM.fullmatch(text):
        raise InputError(f"{path}: found {text!r}, wanted YYYY.M.patch without leading zeros", hint=f"mend {path}")
    return text


def read_epoch(environment: Mapping[str, str], path: Path) -> int:
    """SOURCE_DATE_EPOCH: the variable where it is set, else the constant beside VERSION.

    Raises: InputError.
    """
    variable = environment.get("SOURCE_DATE_EPOCH")
    text, where = (read_line(path), str(path)) if variable is None else (variable, "SOURCE_DATE_EPOCH")
    if not re.fullmatch(r"[0-9]{1,11}", text) or int(text) > LATEST_EPOCH:
        raise InputError(
            f"{where}: found {text!r}, wanted whole seconds since 1970 between 0 and {LATEST_EPOCH}",
            hint="unset SOURCE_DATE_EPOCH to use the constant of this version",
        )
    return int(text)


def read_line(path: Path) -> str:
    """The one line of a small file.

    Raises: InputError where it cannot be read.
    """
    try:
        return path.read_text(encoding="ascii").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"{path}: cannot be read: {err}", hint=f"restore it: git checkout {path}") from err


def source_state(inputs: Sequence[str]) -> Source:
    """Asks git for the commit and whether the inputs are its; every way in which git can fail is a state of its own."""
    if not Path(".git").exists():
        return Source(None, "unknown", "this is no git work tree")
    try:
        head = git("rev-parse", "--verify", "--quiet", "HEAD")
        if head.returncode:
            return Source(None, "unknown", "git knows no commit here, or refuses to look (try: git status)")
        changes = git("status", "--porcelain", "--untracked-files=all", "--ignored", "--", *inputs)
    except OSError as err:
        return Source(None, "unknown", f"git cannot be run ({errno.errorcode.get(err.errno or 0, 'unknown error')})")
    commit = head.stdout.strip()
    if changes.returncode:
        return Source(commit, "unknown", "git could not compare the work tree with the commit")
    changed = [line for line in changes.stdout.splitlines() if not is_left_over(line)]
    if changed:
        return Source(commit, "dirty", f"{len(changed)} of the build's input files differ from the commit")
    return Source(commit, "clean")


def is_left_over(line: str) -> bool:
    """True for a line of git's status about what never ships; an ignored file that does ship is a change like any other."""
    return line.startswith(("??", "!!")) and any(f"{name}/" in line for name in files.NOT_CONTENT)


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs git on this folder, whatever repository a calling hook is about; no optional locks, so that looking writes nothing."""
    environment = {name: value for name, value in os.environ.items() if name not in OTHER_REPOSITORY}
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

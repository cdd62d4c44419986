"""The site's own program that switches its publisher: LNM_OUTBOX_HOOK, called with `enable` or `disable`.

It is an absolute path of an executable file that belongs to us or to root and that not everybody may write; it is run without
a shell, with nothing of our environment, for a minute at most. The last line that it prints is told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

from lnm_runner.errors import InputError, NotFoundError, StageError
from lnm_runner.options import Options

VARIABLE = "LNM_OUTBOX_HOOK"
LONGEST_S = 60
MOST_TOLD = 200  # characters
TAIL_BYTES = 4096
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def named(options: Options) -> Path | None:
    """The hook; None where there is none.

    Raises: InputError, NotFoundError for one that is not to be run.
    """
    text = options.environment.get(VARIABLE)
    if not text:
        return None
    path = Path(text)
    if not path.is_absolute():
        raise InputError(f"{VARIABLE}: {path}: is no absolute path", hint="name it from / on")
    try:
        found = path.stat()
    except OSError as err:
        raise NotFoundError(f"{VARIABLE}: {path}: {err.strerror}", hint=f"mend {VARIABLE}, or unset it") from err
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        raise InputError(f"{VARIABLE}: {path}: is no executable file", hint=f"chmod +x {path}")
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & stat.S_IWOTH or is_replaceable(path):
        raise InputError(
            f"{VARIABLE}: {path}: others could have written it",
            hint="let it belong to you or to root, and nobody else write it or its folders: chmod o-w",
        )
    return path


def is_replaceable(path: Path) -> bool:
    """Whether anybody may put another file in its place: in a folder that all may write, and that is not sticky."""
    modes = [folder.stat().st_mode for folder in path.resolve().parents]
    return any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in modes)


def run(path: Path, word: str, longest_s: float = LONGEST_S) -> str:
    """Runs it with a word; its last line.

    Raises: StageError where it fails, or does not end.
    """
    with tempfile.TemporaryFile() as said:
        try:
            program = subprocess.Popen(
                [path, word],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as err:
            raise StageError(f"{path} {word}: cannot be run: {err.strerror}", hint="is its first line right?") from err
        code = ended(program, longest_s)
        told = last_line(said.fileno())
    if code != 0:
        how = f"did not end in {longest_s:g} s" if code is None else f"failed (exit {code})"
        raise StageError(f"{path} {word}: {how}: {told or 'it said nothing'}", hint=f"run it by hand: {path} {word}")
    return told


def ended(program: subprocess.Popen[bytes], longest_s: float) -> int | None:
    """Its exit code; None where it took too long. It is ended with all that it has started, also when we are cancelled."""
    try:
        return program.wait(longest_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def last_line(handle: int) -> str:
    """The last line of a file that says something, less what would move a terminal's cursor."""
    size = os.fstat(handle).st_size
    text = os.pread(handle, TAIL_BYTES, max(size - TAIL_BYTES, 0)).decode("utf-8", "replace")
    lines = ["".join(letter for letter in line if letter.isprintable()).strip() for line in text.splitlines()]
    return next((line[-MOST_TOLD:] for line in reversed(lines) if line), "")

"""Runs the verifiers the same way: a clean environment, bounds on memory and file size, folders of their own to work in.

Three verifiers: verify_kit.py and verify.sh, each by itself, and `lnm kit verify` of the runner's wheel in the built kit.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.faults.keys import HasPem

LAYOUT = Path(__file__).resolve().parents[2] / "bundle-layout"
VERIFY_PY, VERIFY_SH = LAYOUT / "verify_kit.py", LAYOUT / "verify.sh"
PY, SH, LNM = "verify_kit.py", "verify.sh", "lnm kit verify"
BOTH = (PY, SH)
POLICY = "trust-policy.toml"
MEMORY_KIB = 768 * 1024  # no lie may need more (A10)
FILE_KIB = 512 * 1024  # and none may fill the disk
PATIENCE_S = 120
ALL = os.environ.get("LNM_FAULTS") == "all"  # then verify.sh judges also what differs in its container alone
OUTSIDE = (Path("/tmp/lnm-absolute-lie"), Path("/tmp/lnm-lie"))  # noqa: S108 # where no lie may succeed in writing


@dataclass(frozen=True)
class Outcome:
    """What a verifier did."""

    exit: int
    stdout: str
    stderr: str


def key_file(place: Path, keys: Sequence[HasPem]) -> Path:
    """Writes all keys into one file, as verify.sh takes them."""
    return written(place / "keys.pub", b"".join(key.pem for key in keys))


def written(path: Path, data: bytes) -> Path:
    """Writes a file and gives its path."""
    path.write_bytes(data)
    return path


def command(verifier: str, key_paths: Sequence[Path], kit: Path) -> list[str]:
    """The command line; verify.sh takes its keys in one file."""
    if verifier == SH:
        return ["sh", str(VERIFY_SH), *map(str, key_paths), str(kit)]
    options = [text for path in key_paths for text in ("--key", str(path))]
    return [sys.executable, str(VERIFY_PY), *options, str(kit)]


def prepare(place: Path, verifier: str, keys: Sequence[HasPem], kit: Path) -> list[str]:
    """Writes the key files beside the kit; the command line."""
    if verifier == SH:
        return command(verifier, [key_file(place, keys)], kit)
    paths = [written(place / f"key{number}.pub", key.pem) for number, key in enumerate(keys)]
    return command(verifier, paths, kit)


def environment(place: Path) -> dict[str, str]:
    """What a verifier needs, its temporary files below `place`."""
    (place / "tmp").mkdir(exist_ok=True)
    return {"PATH": os.environ["PATH"], "TMPDIR": str(place / "tmp"), "HOME": str(place / "tmp")}


def bounded(arguments: Sequence[str]) -> list[str]:
    """The command under limits for memory and file size (dash counts files in blocks of 512 bytes)."""
    return ["sh", "-c", f'ulimit -v {MEMORY_KIB}; ulimit -f {FILE_KIB * 2}; exec "$@"', "bounded", *arguments]


@contextlib.contextmanager
def nothing_left(place: Path) -> Iterator[None]:
    """Sees to it that nothing is left behind in the folders of a run, or written anywhere else."""
    before = set(place.iterdir())
    yield
    left = [
        *(place / "tmp").iterdir(),
        *(place / "cwd").iterdir(),
        *(set(place.iterdir()) - before),
        *filter(Path.exists, OUTSIDE),
    ]
    if left:
        raise AssertionError(f"left behind: {left}")


@contextlib.contextmanager
def bounded_here() -> Iterator[None]:
    """The limits of `run` for this process: on file size, on how much more memory it may take than it has, on time by SIGALRM."""
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    before = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE)}
    wanted = {resource.RLIMIT_AS: held + MEMORY_KIB * 1024, resource.RLIMIT_FSIZE: FILE_KIB * 1024}
    for kind, limit in wanted.items():
        resource.setrlimit(kind, (limit, before[kind][1]))
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        for kind, limits in before.items():
            resource.setrlimit(kind, limits)


def run(arguments: Sequence[str], place: Path) -> Outcome:
    """Runs a command in an empty folder, and sees to it that nothing is left behind or written anywhere else."""
    (place / "cwd").mkdir(exist_ok=True)
    arguments = bounded(arguments)
    variables = environment(place)
    with nothing_left(place):
        done = subprocess.run(arguments, cwd=place / "cwd", env=variables, capture_output=True, check=False, timeout=PATIENCE_S)
    return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def verify(verifier: str, place: Path, keys: Sequence[HasPem], kit: Path) -> Outcome:
    """Runs one verifier on a kit."""
    return run(prepare(place, verifier, keys, kit), place)


def module() -> ModuleType:
    """verify_kit.py, imported from its path once."""
    name = "verify_kit_under_test"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, VERIFY_PY)
        if spec is None or spec.loader is None:
            raise ImportError(str(VERIFY_PY))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def verify_here(place: Path, keys: Sequence[HasPem], kit: Path) -> Outcome:
    """The same verdict of verify_kit.py by its main() in this process: what a process costs is saved, nothing else."""
    return here(module().main, prepare(place, PY, keys, kit)[2:], place)


def verify_by_lnm(place: Path, keys: Sequence[HasPem], kit: Path) -> Outcome:
    """The verdict of `lnm kit verify` by the main() of the wheel in this process; tests/conftest.py puts the wheel on the path.

    A trust policy that lies beside the kit is given, too.
    """
    options = prepare(place, PY, keys, kit)[2:]
    if (place / POLICY).exists():
        options += ["--policy", str(place / POLICY)]
    with signals_kept(), environment_of(environment(place)):
        return here(importlib.import_module("lnm_runner.cli").main, ["kit", "verify", *options], place)


def here(main: Callable[[list[str]], int], arguments: list[str], place: Path) -> Outcome:
    """Calls a main() under the limits of `run`."""
    stdout, stderr = io.StringIO(), io.StringIO()
    for name in ("cwd", "tmp"):
        (place / name).mkdir(exist_ok=True)
    with (
        nothing_left(place),
        contextlib.chdir(place / "cwd"),
        bounded_here(),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        code = main(arguments)
    return Outcome(int(code), stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Puts back what happens at the signals that `lnm` handles."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def environment_of(variables: dict[str, str]) -> Iterator[None]:
    """Has this process see these variables and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

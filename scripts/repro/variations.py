"""What is varied: one row for each factor, each CPU model and each Python. What a row cannot vary here, it says.

Left alone, because nothing here can vary it: the kernel, the machine's architecture, the real number of CPUs (the mask is
varied), and, under qemu-user, the programs that the build itself starts (pip, hatchling), which the kernel runs natively.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LONG_FOLDER = (
    f"a long name {'d' * 150}"  # in ASCII: pip itself falls over others where Python does without UTF-8, as LC_ALL has it
)
HOURS_LATER = 401 * 24 + 7  # another year, another day of the week, another time of day
NO_IMAGE = {
    "LNM_IMAGE": "none"
}  # an emulated CPU takes half a minute for Debian's packages; tests/build/test_layer.py has layers
PYTHONS = ("3.11", "3.12", "3.13")  # pyproject.toml: requires-python, and what decisions §8 promises
OTHER_DISK = Path("/dev/shm")  # noqa: S108 - tmpfs: it lists a folder newest first, where ext4 lists it by a hash of the names


@dataclass(frozen=True)
class Factor:
    """One circumstance of a build and its other value."""

    name: str
    words: str
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    """Words before the command that is run."""
    umask: int | None = None
    entails: tuple[str, ...] = ()
    """Factors that cannot but vary with it: where one of them makes the difference, this one is not to blame."""


@dataclass(frozen=True)
class Variation:
    """One build that is compared with the baseline."""

    name: str
    words: str
    factors: tuple[Factor, ...] = ()
    python: str = ""
    """The minor version of another Python; empty: the one that runs this."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Variables that leave something out of this build, and of the one that it is compared with."""

    def obstacle(self) -> str:
        """Why a CPU model cannot be varied here; the factors of the others were looked at one by one."""
        return obstacle(self.factors[0]) if self.factors[:1] and self.factors[0] in CPU_FEATURES else ""


FACTORS = (
    Factor("path", "a longer folder, with spaces"),
    Factor(
        "user",
        "uid and gid 4242, another HOME, USER and LOGNAME",
        {"HOME": "/proc/nonexistent", "USER": "somebody", "LOGNAME": "somebody"},
        ("unshare", "--user", "--map-user=4242", "--map-group=4242"),
    ),
    Factor("umask", "077 for the sources and the build (baseline: 022)", umask=0o077),
    Factor("TZ", "13:45 east of Greenwich with summer time (baseline: UTC)", {"TZ": "<+1345>-13:45<+1445>,M9.5.0,M4.1.0"}),
    Factor(
        "LC_ALL",
        "POSIX, and Python told to do without UTF-8 (baseline: C.UTF-8)",
        {"LC_ALL": "POSIX", "LANG": "de_DE", "LANGUAGE": "de", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ),
    Factor("hash-seed", "PYTHONHASHSEED=4711 (baseline: 0)", {"PYTHONHASHSEED": "4711"}),
    Factor(
        "input-order", "files made in the other order on another file system: readdir lists them otherwise", entails=("path",)
    ),
    Factor("mtimes", "the inputs' times scattered between 1970 and 2096"),
    Factor("cpu-count", "one CPU", before=("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))),
    Factor("time-of-day", f"{HOURS_LATER} hours later", {"NO_FAKE_STAT": "1"}, ("faketime", "-f", f"+{HOURS_LATER}h")),
)
CPU_FEATURES = tuple(
    Factor("cpu-features", words, before=("qemu-x86_64", "-cpu", model))
    for model, words in (
        ("core2duo", "SSSE3, no SSE4"),
        ("Nehalem", "SSE4.2, no CLMUL, no AVX"),
        ("SandyBridge", "AVX, no AVX2"),
        ("Haswell-noTSX", "AVX2"),
    )
)
NAMES = (*(factor.name for factor in FACTORS), "cpu-features", "python")
PACKAGES = {"unshare": "util-linux", "taskset": "util-linux", "faketime": "faketime", "qemu-x86_64": "qemu-user"}


def variations(factors: Iterable[Factor], wanted: Iterable[str]) -> Iterator[Variation]:
    """The builds that are compared with the baseline: all factors at once, each CPU model, each other Python."""
    together = tuple(factor for factor in factors if factor.name in wanted)
    if together:
        yield Variation("everything", ", ".join(factor.name for factor in together), together)
    if "cpu-features" in wanted:
        for factor in CPU_FEATURES:
            yield Variation(f"cpu-features {factor.before[-1]}", f"{factor.words}; no image", (factor,), without=NO_IMAGE)
    if "python" in wanted:
        for python in PYTHONS:
            if python != running():
                yield Variation(f"python {python}", "in an environment of its own, made from the same lock", python=python)


def running() -> str:
    """The minor version of the Python that runs this."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def obstacle(factor: Factor) -> str:
    """Why a factor cannot be varied on this machine; empty where it can. `input-order` is not judged here."""
    if factor.name == "cpu-count" and len(os.sched_getaffinity(0)) == 1:
        return "there is but one CPU"
    if not factor.before:
        return ""
    tool = factor.before[0]
    if shutil.which(tool) is None:
        return f"{tool} is not on the PATH (apt-get install {PACKAGES[tool]})"
    tried = subprocess.run([*factor.before, sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    return f"{tool} refuses: {(tried.stderr.strip().splitlines() or ['no reason given'])[-1]}" if tried.returncode else ""


def find_python(minor: str) -> str:
    """A Python of that minor version that can make environments: from the PATH, from pyenv, or beside the one that runs.

    Empty where there is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = dict.fromkeys((pyenv, Path(sys.base_prefix).parent))
    places = {path: path.parts[-3].rpartition(".")[2] for folder in folders for path in folder.glob(f"{minor}.*/bin/python")}
    found = sorted((path for path in places if places[path].isdigit()), key=lambda path: int(places[path]), reverse=True)
    asks = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    for candidate in (shutil.which(f"python{minor}"), *map(str, found)):
        if candidate:
            said = subprocess.run([candidate, "-c", asks], capture_output=True, text=True, check=False)
            if said.stdout.strip() == minor:
                return candidate
    return ""

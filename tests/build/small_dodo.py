"""A small table over the real steps, for the exhaustive kill test: sources, a folder of them, one that a program of its own
copies, checksums, key, signature, tarball.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from doit.exceptions import InvalidDodoFile

from scripts import checksums, child, files, keys, layout, release, signing, state, tarball
from scripts.artefact import LOCK, WORK, Artefact, prune, require, stale
from scripts.errors import KitError
from scripts.fresh import ByContent, holds
from scripts.reporter import BuildReporter

DIST, KEY = Path("artifacts/lnm"), keys.source(os.environ)
KIT, PUBLIC, SUMS, SIG = DIST / "kit", DIST / "signing-key.pub", DIST / "kit/SHA256SUMS", DIST / "kit/SHA256SUMS.sig"
EPOCH = release.read_epoch(os.environ, Path("SOURCE_DATE_EPOCH"))
SOURCES = Path("sources")
NAMES = sorted(path.name for path in SOURCES.iterdir() if path.is_file())
HELD = ("in/a", "in/b")
PACKED = tuple(DIST / f"kit.tar.gz{suffix}" for suffix in ("", ".sha256"))
KEY_IS_CURRENT = holds(lambda: keys.is_current(KEY, PUBLIC), "the signing key is another one")


def write_by_program(out: BinaryIO, *, source: Path) -> None:
    """A step with a scratch folder and a program of its own, as those of the wheels are."""
    with files.scratch() as folder:
        done = child.run(["cp", str(source.resolve()), "copy"], cwd=folder)
        assert done.returncode == 0, done.stderr
        out.write((folder / "copy").read_bytes())


COPIES = (
    *(Artefact("layout", KIT / name, layout.write, {"source": SOURCES / name}) for name in NAMES),
    Artefact(
        "layout",
        KIT,
        layout.write_folder,
        {"sources": tuple(SOURCES / name for name in HELD)},
        {"base": SOURCES},
        name="in",
        holds=HELD,
    ),
    Artefact("layout", KIT / "copied", write_by_program, {"source": SOURCES / "one"}),
)
FILES = tuple(path for row in COPIES for path in row.targets)
ARTEFACTS = (
    *COPIES,
    Artefact("checksums", SUMS, checksums.write_tree, {"tree": FILES}, {"base": KIT}),
    Artefact("key", PUBLIC, keys.write_public, {}, uses={"key": KEY}, uptodate=(KEY_IS_CURRENT,)),
    Artefact("signatures", SIG, signing.write_sig, {"blob": SUMS, "public": PUBLIC}, uses={"key": KEY}),
    Artefact("tarball", PACKED[0], tarball.write, {"tree": (*FILES, SUMS, SIG)}, {"root": "kit", "base": KIT, "epoch": EPOCH}),
    Artefact("tarball", PACKED[1], checksums.write_single, {"file": PACKED[0]}),
)
STATE = WORK / "doit.sqlite3"
TARGETS = (*(path for row in ARTEFACTS for path in (*row.targets, row.record)), LOCK, STATE, Path(f"{STATE}-journal"))

try:
    require(ARTEFACTS)
    state.prepare(STATE)
except KitError as err:
    raise InvalidDodoFile(str(err)) from None

DOIT_CONFIG = {
    "default_tasks": ["prune", "artefacts"],
    "check_file_uptodate": ByContent,
    "backend": "sqlite3",
    "dep_file": str(STATE),
    "reporter": BuildReporter,
    "verbosity": 2,
}


def task_prune() -> dict[str, Any]:
    """Removes what nothing makes any more."""
    return {
        "actions": [(prune, ((DIST, WORK), TARGETS))],
        "uptodate": [holds(lambda: not stale((DIST, WORK), TARGETS), "there is something that nothing makes any more")],
    }


def task_artefacts() -> Iterator[dict[str, Any]]:
    """All of it."""
    for artefact in ARTEFACTS:
        yield artefact.task()
    yield {"basename": "artefacts", "actions": None, "task_dep": sorted({row.group for row in ARTEFACTS}), "uptodate": [True]}

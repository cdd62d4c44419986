"""Copies of the project of a given size: MB of payload, number of files that are made, or number of files in the kit's SBOM.

The mix of a tree of so many MB is that of a kit: a third is an image that nothing compresses, there are nine small files for each
MB, and JSON seeds are the rest. The same size gives the same bytes on every machine.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import graph
from tests.build.trees import BIN, Tree, copy_sources, surroundings
from tests.conftest import ROOT

MB = 10**6
SMALL_FILES = 9  # for each MB
SMALL = 2000  # bytes of one, about
ADDED = "bundle-layout/seeds/bench"
TABLE = Path(__file__).with_name("table.py")
WORDS = ("advisory", "affects", "buffer", "denial", "fixed", "linkset", "module", "overflow", "remote", "service", "vendor")
LISTED = ("layout", "roles", "runner", "wheelhouse", "sbom:lnm-tooling.spdx.json")
"""The tasks that make what the kit's SBOM lists."""


def dist() -> Path:
    """Where the build of this checkout has put its kit; LNM_DIST names another one's output folder."""
    return Path(os.environ.get("LNM_DIST", ROOT / "artifacts/lnm")).resolve()


def fetched_wheels() -> Path:
    """The wheels that it fetched."""
    version = (ROOT / "VERSION").read_text(encoding="ascii").strip()
    return dist() / f"concelier-lnm-{version}/runner/wheelhouse"


def fetched_packages() -> tuple[Path, ...]:
    """The folders with the Debian packages that it fetched."""
    return tuple(sorted((dist().parent / ".build/image").glob("*/debs")))


def document(chance: random.Random) -> str:
    """One made-up advisory, about 400 bytes, of which gzip leaves a third."""
    body = {
        "_id": f"CVE-{chance.randrange(2010, 2027)}-{chance.randrange(10**5)}",
        "contentHash": f"sha256:{chance.getrandbits(256):064x}",
        "affected": [{"package": chance.choice(WORDS), "version": f"{chance.randrange(9)}.{chance.randrange(99)}"} for _ in "ab"],
        "summary": " ".join(chance.choices(WORDS, k=20)),
    }
    return json.dumps(body, sort_keys=True) + "\n"


def small_files(count: int) -> Iterator[tuple[str, bytes]]:
    """So many small JSON files."""
    chance = random.Random("small")  # noqa: S311 - filling
    documents = [document(chance) for _ in range(SMALL // 400 * 100)]
    for number in range(count):
        yield f"small/{number // 1000}/step-{number:05}.json", "".join(chance.sample(documents, SMALL // 400)).encode()


def kit_files(size: int) -> Iterator[tuple[str, bytes]]:
    """So many MB."""
    yield from small_files(SMALL_FILES * size)
    chance = random.Random("large")  # noqa: S311 - filling
    yield "image.bin", chance.randbytes(size * MB // 3)
    documents = [document(chance) for _ in range(MB // 400)]
    for number in range((size * MB * 2 // 3 - SMALL_FILES * size * SMALL) // MB):
        chance.shuffle(documents)
        yield f"advisories-{number:04}.json", "".join(documents).encode()


def add(tree: Tree, files: Iterator[tuple[str, bytes]]) -> None:
    """Adds files to the layout of a tree."""
    for name, data in files:
        path = tree.root / ADDED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def table(tree: Tree) -> dict[str, Any]:
    """What table.py says of a tree."""
    said = tree.run(sys.executable, TABLE)
    assert said.code == 0, said.text
    found: dict[str, Any] = json.loads(said.out)
    return found


def sources(yard: Path, place: str) -> Tree:
    """A copy of the project without anything built; Python may keep its bytecode there, as it does for everyone."""
    wheels = yard / "wheels"
    if not wheels.exists():
        shutil.copytree(fetched_wheels(), wheels)
        shutil.copytree(fetched_wheels().with_name("wheelhouse-extras"), yard / "wheelhouse-extras")
    left_out = ("PYTHONDONTWRITEBYTECODE", "LNM_FETCHED")  # pip finds the wheels in a folder, as it does for everyone on an index
    environment = {name: value for name, value in surroundings(yard / "state", wheels).items() if name not in left_out}
    version = (ROOT / "VERSION").read_text(encoding="ascii").strip()
    if place.startswith("image"):
        environment |= {"LNM_IMAGE": "build", "LNM_FETCHED": os.pathsep.join(map(str, (wheels, *fetched_packages())))}
    tree = Tree(yard / place, version, environment)
    copy_sources(tree.root)
    return tree


def grown(tree: Tree, unit: str, size: int) -> None:
    """Brings a fresh copy to its size; never makes it smaller than the project is."""
    if unit == "MB":
        add(tree, kit_files(size))
    elif unit != "image":
        known = table(tree)
        made = sum(len(targets) - 1 for targets, _ in known["rows"])  # records apart
        add(tree, small_files(max(0, size - (known["listed"] if unit == "files" else made))))


def built(yard: Path, unit: str, size: int) -> Tree:
    """The tree of that size, committed and built; made when it is asked for first."""
    place = f"{unit}-{size}"
    finished = yard / f"{place}.finished"
    if finished.exists():
        version = (ROOT / "VERSION").read_text(encoding="ascii").strip()
        return Tree(yard / place, version, json.loads(finished.read_text(encoding="utf-8")))
    tree = sources(yard, place)
    grown(tree, unit, size)
    tree.commit()
    said = tree.doit(*{"files": LISTED, "image": ("image",)}.get(unit, ("bundle",)))
    assert said.code == 0, said.text
    finished.write_text(json.dumps(dict(tree.environment)), encoding="utf-8")
    return tree


def mirror(tree: Tree) -> Path:
    """The folder of the tree's graph for make and ninja."""
    folder = tree.root.with_name(f"{tree.root.name}.graph")
    if not folder.exists():
        graph.write(folder, table(tree)["rows"])
    return folder


def doit(*arguments: str) -> tuple[str, ...]:
    """A command line of doit, in the form that a profile can be taken of."""
    return (sys.executable, str(BIN / "doit"), *arguments)

"""The memory of a backfill does not grow with its documents. What is measured is what Python has allocated, which is no matter of luck."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner.backfills import RAW_KEYS, Ready, osv, raw
from tests.runner.fixtures import Site
from tests.runner.installed import TIMEOUT_S, Lnm
from tests.runner.wheel import module

HOLDING = Path(__file__).with_name("holding.py")
DOCUMENTS, PARTITION = 1_200, 100
PACKAGES, VERSIONS = 4, 4
"""Packages of a pair of documents, and versions of each of them in one document, and in no other: what is remembered of them is
full before the half of the documents."""
NOISE = 200_000
"""Bytes; 70,000 were seen. Where 65,536 names and versions are remembered, the second half adds 580,000 to observations, 5,300,000
to linksets."""


def document(n: int) -> dict[str, Any]:
    """One of two that are about the same packages and name no version in common, so that the versions have to be compared."""
    pair = n // 2
    affected = [
        {
            "package": {"ecosystem": "PyPI", "name": f"thing-{pair}-{k}"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": f"{n}.0"}, {"fixed": f"{n}.0.{k}"}]}],
            "versions": [f"{n}.{k}.{version}" for version in range(VERSIONS)],
        }
        for k in range(1, PACKAGES + 1)
    ]
    return raw(f"GHSA-{n}", f"CVE-{pair}", payload=osv(f"GHSA-{n}", f"CVE-{pair}", affected=affected))


@pytest.mark.mongod
def test_what_a_worker_holds_does_not_grow_with_its_documents(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    site.database["advisory_raw"].create_index(RAW_KEYS, unique=True, name="advisory_raw_idempotency")
    lnm.apply()
    ready, notes = Ready(site, lnm, tmp_path / "state"), tmp_path / "notes"
    ready.database["advisory_raw"].insert_many(document(n) for n in range(DOCUMENTS))

    python, script = lnm.program.with_name("python"), (str(HOLDING), str(notes), str(PARTITION))
    arguments = ("backfill", "--execute", "--json", "--workers", "1", "--kit", str(lnm.kit.folder))
    environment = {**lnm.environment, **ready.variables("backfiller"), "LNM_LEASE_SECONDS": "60"}  # tracing makes it slow
    command = [str(python), *script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=3 * TIMEOUT_S)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["outputs"]["advisory_linksets"] == DOCUMENTS
    lines = [json.loads(line) for line in notes.read_text().splitlines()]
    for stage in ("observations", "linksets"):
        held = [size for where, size in lines if where == stage]
        assert len(held) == DOCUMENTS / PARTITION
        half = len(held) // 2
        assert max(held[half:]) - held[half - 1] < NOISE, (stage, held)


def test_nothing_remembers_more_than_a_few_thousand_values(program: Path) -> None:
    """A cache that holds what the data names grows until it is full: the largest take 4 MB."""
    found = {
        name: cached.cache_parameters()["maxsize"] for name, cached in caches(program) if hasattr(cached, "cache_parameters")
    }

    assert len(found) >= 6, "no caches were found, so that nothing is shown"
    assert {name: size for name, size in found.items() if size is None or size > 4_096} == {}


def caches(program: Path) -> Iterator[tuple[str, Any]]:
    """`(name, value)` of whatever stands in the modules that read and correlate advisories."""
    for package in ("lnm_runner.advisories", "lnm_runner.backfill"):
        for one in pkgutil.iter_modules(module(program, package).__path__, f"{package}."):
            yield from ((f"{one.name}.{name}", value) for name, value in vars(importlib.import_module(one.name)).items())


GIVING_BACK = """
import ctypes, pathlib
from lnm_runner.backfill import heap
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
blocks = [libc.malloc(4096) for _ in range(10_000)]
for block in blocks:
    ctypes.memset(block, 1, 4096)
last = blocks.pop()
for block in blocks:
    libc.free(block)
before = resident()
heap.give_back()
print(before - resident())
"""


def test_what_is_free_below_a_block_in_use_goes_back_to_the_system(program: Path) -> None:
    """As sqlite's cache lies after the inventory: 40 MB are free, and the last block is not."""
    done = subprocess.run([str(program.with_name("python")), "-c", GIVING_BACK], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30_000_000  # bytes

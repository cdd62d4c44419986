"""The server's disk is full: the run ends in words, and with space again going on converges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import cluster, runs, small_disk
from tests.crash.cluster import Cluster
from tests.crash.runs import Bench, Uninterrupted, half_made
from tests.crash.small_disk import SmallDisk
from tests.runner.kits import Kit

MIB = 1 << 20
SIZE = 400 * MIB  # journal files are made in full, 100 MiB each
LEFT = (0, 1 * MIB)
"""Bytes that the server still has: none at all, or enough to begin with."""

pytestmark = [pytest.mark.mongod, pytest.mark.xdist_group("disk")]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A small file system for the data of the only member."""
    with small_disk.mounted(tmp_path_factory.mktemp("small") / "0" / "data", SIZE) as made:
        yield made


@pytest.fixture(scope="module")
def alone(disk: SmallDisk) -> Iterator[Cluster]:
    """A replica set of one, on it."""
    with cluster.running(disk.folder.parent.parent, 1, disk.within) as made:
        yield made


@pytest.fixture(scope="module")
def bench_on_it(alone: Cluster, program: Path, kit: Kit) -> Bench:
    """The program, to be hurt on it."""
    return Bench(alone, program, kit)


@pytest.fixture(scope="module")
def undisturbed(bench_on_it: Bench) -> Uninterrupted:
    """A run with space enough."""
    return runs.uninterrupted(bench_on_it, half_made)


@pytest.mark.parametrize("left", LEFT)
def test_a_full_disk_is_told_and_with_space_again_it_goes_on(
    bench_on_it: Bench, alone: Cluster, disk: SmallDisk, undisturbed: Uninterrupted, left: int
) -> None:
    with bench_on_it.database(half_made) as patient:
        disk.fill(left)
        command = runs.command(patient.lnm, "--json")
        uri = f"{patient.site.uri('operator')}&serverSelectionTimeoutMS=2000"
        answer = patient.answer(patient.lnm.start(*command, CONCELIER_MONGO_URI=uri))

        print(answer.stdout, alone.members[0].process.poll())
        assert answer.exit_code in {3, 10}, answer.stdout
        assert answer.json["error"]["type"] in {"RetryableError", "StoppedError"}
        assert answer.json["error"]["hint"]
        disk.make_space()
        if alone.members[0].process.poll() is not None:
            alone.restart(alone.members[0])
        patient.go_on()
        patient.assert_converged(undisturbed.end)

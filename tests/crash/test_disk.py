"""The server's disk is full: the run ends in words, and with space again, and the server killed and restarted, going on converges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash import cluster, runs, small_disk
from tests.crash.cluster import Cluster
from tests.crash.proxy import Command, Fault, Moment, Then
from tests.crash.runs import Bench, Uninterrupted, half_made
from tests.crash.small_disk import SmallDisk
from tests.runner.installed import Answer

MIB = 1 << 20
SIZE = 400 * MIB  # journal files are made in full, 100 MiB each
FULL_AT = ("create advisory_linksets", "createIndexes advisory_observations", "createIndexes lnm_object_map")
"""The effect before which the disk becomes full: each makes a file of the server's."""

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A small file system for the data of the only member."""
    with small_disk.mounted(tmp_path_factory.mktemp("small") / "0" / "data", SIZE) as made:
        yield made


@pytest.fixture(scope="module")
def replica_set(disk: SmallDisk) -> Iterator[Cluster]:
    """A replica set of one, on it."""
    with cluster.running(disk.folder.parent.parent, 1, disk.within) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(bench_of_its_own: Bench) -> Uninterrupted:
    """A run with space enough."""
    return runs.uninterrupted(bench_of_its_own, half_made)


def full_at(bench: Bench, replica_set: Cluster, disk: SmallDisk, undisturbed: Uninterrupted, label: str) -> Answer:
    """Applies with a disk that is full from an effect on, restarts the server with space, goes on, and looks; returns the answer."""
    number = undisturbed.effects.index(label) + 1

    def controller(command: Command) -> Fault | None:
        return Fault(Moment.BEFORE, disk.fill, then=Then.PASS) if command.effect == number else None

    with bench.database(half_made) as patient:
        try:
            with patient.proxy(controller) as proxy:
                answer = patient.answer(patient.start(proxy, "--json"))
        finally:
            disk.make_space()
        assert proxy.effects[:number] == undisturbed.effects[:number], "the point was not reached"
        replica_set.kill_and_restart()
        patient.go_on()
        patient.assert_converged(undisturbed.end)
    return answer


def assert_is_told(answer: Answer) -> None:
    """It ended in words that say what is next."""
    assert answer.exit_code in {3, 10}, answer.stdout
    assert answer.json["error"]["type"] in {"RetryableError", "StoppedError"}
    assert answer.json["error"]["hint"]


def test_a_disk_that_becomes_full_is_told_and_with_space_again_it_goes_on(
    bench_of_its_own: Bench, replica_set: Cluster, disk: SmallDisk, undisturbed: Uninterrupted, subtests: pytest.Subtests
) -> None:
    """One test, so that there is one disk: two processes would make two."""
    for label in FULL_AT:
        with subtests.test(label):
            assert_is_told(full_at(bench_of_its_own, replica_set, disk, undisturbed, label))


def test_a_disk_that_is_full_from_the_start_is_told(
    bench_of_its_own: Bench, replica_set: Cluster, disk: SmallDisk, undisturbed: Uninterrupted
) -> None:
    assert_is_told(full_at(bench_of_its_own, replica_set, disk, undisturbed, undisturbed.effects[0]))

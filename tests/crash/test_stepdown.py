"""The primary changes while an index is built, in a replica set of three: nothing is lost or doubled, and going on converges.

The collection is large enough for the build to take a second and more, so that the change falls into it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from tests.crash import cluster, runs
from tests.crash.cluster import Cluster
from tests.crash.runs import Bench, Patient, Uninterrupted, half_made, oid
from tests.runner.hold import wait_for_operation

DOCUMENTS = 40_000
BATCH = 10_000
ENDS = {0, 3, 10}

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The one replica set of these tests."""
    with cluster.running(tmp_path_factory.mktemp("three"), 3) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(bench_of_its_own: Bench) -> Uninterrupted:
    """A run in which nothing happens to the primary."""
    with bench_of_its_own.database(large) as patient:
        patient.lnm.apply()
        return Uninterrupted([], set(), patient.fingerprint())


def large(database: Database[dict[str, Any]]) -> None:
    """Half made, with so many observations that their indexes take time."""
    half_made(database)
    for first in range(1000, 1000 + DOCUMENTS, BATCH):
        database["advisory_observations"].insert_many(
            {
                "_id": oid(number),
                "tenantId": "t",
                "advisoryId": f"CVE-2024-{number}",
                "source": "nvd",
                "affected": [{"purl": f"pkg:npm/{number}-{part}"} for part in range(5)],
                "provenance": {"sourceArtifactSha": f"{number:064}"},
            }
            for number in range(first, first + BATCH)
        )


def wait_for_the_build(patient: Patient) -> None:
    """Returns when the server builds the indexes of the large collection for the runner."""
    wait_for_operation(patient.site, {"command.createIndexes": "advisory_observations"})


def go_on_until_done(patient: Patient) -> list[int]:
    """Applies again as long as that is worth trying; returns the exit codes."""
    codes: list[int] = []
    deadline = time.monotonic() + 60
    while not codes or codes[-1] == 10:
        assert time.monotonic() < deadline, codes
        patient.let_time_pass()
        codes.append(patient.answer(patient.lnm.start(*runs.command(patient.lnm, "--resume"))).exit_code)
    return codes


def disturbed(bench: Bench, undisturbed: Uninterrupted, disturb: Callable[[], object]) -> None:
    """Applies, disturbs the build, looks how the run ends, goes on, and looks again."""
    with bench.database(large) as patient:
        runner = patient.lnm.start(*runs.command(patient.lnm, "--json"))
        wait_for_the_build(patient)
        disturb()
        answer = patient.answer(runner)
        assert answer.exit_code in ENDS, answer.stdout
        if answer.exit_code:
            assert answer.json["error"]["type"] in {"RetryableError", "StoppedError"}
            assert answer.json["error"]["hint"]
        codes = go_on_until_done(patient)
        print(f"it ended with {answer.exit_code}, and going on with {codes}")
        assert codes[-1] == 0
        patient.assert_converged(undisturbed.end)


def twice(three: Cluster) -> None:
    """One primary steps down, and then the next."""
    three.step_down()
    three.step_down()


DISTURBANCES: dict[str, Callable[[Cluster], object]] = {
    "a step-down": Cluster.step_down,
    "two step-downs in a row": twice,
    # it comes back: an index is complete only when every member with data has built it (commitQuorum: votingMembers)
    "SIGKILL of the primary": lambda three: three.restart(three.kill()),
}


def test_a_primary_that_changes_during_a_build_loses_nothing_and_doubles_nothing(
    bench_of_its_own: Bench, replica_set: Cluster, undisturbed: Uninterrupted, subtests: pytest.Subtests
) -> None:
    """One test, so that there is one cluster: two processes would make two."""
    for name, disturb in DISTURBANCES.items():
        with subtests.test(name):
            disturbed(bench_of_its_own, undisturbed, functools.partial(disturb, replica_set))

"""What the server's own fail points bring about: an index build that does not end, and a commit that is done and not confirmed.

They are the server's (mongo/src/mongo/util/fail_point.h), and there only with enableTestCommands: hence a replica set of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash import cluster, runs
from tests.crash.cluster import Cluster
from tests.crash.fingerprint import indexes
from tests.crash.runs import ROLLBACK, Bench, Patient, half_made
from tests.runner.hold import let_the_lease_run_out

OBSERVATIONS = "advisory_observations"
MAX_TIME_EXPIRED = 50  # mongo/src/mongo/base/error_codes.yml

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A replica set of one that has fail points."""
    with cluster.running(tmp_path_factory.mktemp("fails"), 1, options=("--setParameter", "enableTestCommands=1")) as made:
        yield made


@contextlib.contextmanager
def failing(replica_set: Cluster, name: str, mode: str | dict[str, int], **data: Any) -> Iterator[None]:
    """A fail point while the block runs."""
    point = {"configureFailPoint": name}
    replica_set.client.admin.command({**point, "mode": mode, "data": data})
    try:
        yield
    finally:
        replica_set.client.admin.command({**point, "mode": "off"})


def killed_while_it_builds(patient: Patient) -> None:
    """Starts an apply, and kills it while the server builds for it."""
    with patient.lnm.start(*runs.command(patient.lnm)) as runner:
        try:
            wait_until(patient, builds=True)
        finally:
            runner.kill()


def wait_until(patient: Patient, *, builds: bool) -> None:
    """Returns when the server builds an index of the observations, or none any more."""
    deadline = time.monotonic() + 30
    while any("building" in index for index in indexes(patient.site.database, OBSERVATIONS).values()) != builds:
        assert time.monotonic() < deadline, "the build neither begins nor ends"
        time.sleep(0.05)


def test_a_rollback_is_refused_while_the_server_builds_what_it_would_take_back(
    bench_of_its_own: Bench, replica_set: Cluster
) -> None:
    """Going back would not see the index that stands a moment later; nothing is written, and with the build over it goes."""
    with bench_of_its_own.database(half_made) as patient:
        before = patient.fingerprint()
        with failing(replica_set, "hangAfterStartingIndexBuild", "alwaysOn"):
            killed_while_it_builds(patient)
            let_the_lease_run_out(
                patient.site
            )  # and no session is killed: that would end the build, as a lost connection does not
            held = patient.fingerprint()
            refused = patient.run(*runs.command(patient.lnm, "--resume", "--json", direction=ROLLBACK))
            assert refused.exit_code == 10, refused.stdout
            assert refused.json["error"]["type"] == "RetryableError"
            assert f"still building indexes that a runner which is gone has begun: {OBSERVATIONS}." in refused.stdout
            assert patient.fingerprint() == held != before
        wait_until(patient, builds=False)
        patient.turn(ROLLBACK)
        patient.assert_converged(before, ROLLBACK)


def test_where_the_last_commit_is_not_confirmed_no_more_is_said_than_is_known(
    bench_of_its_own: Bench, replica_set: Cluster
) -> None:
    unconfirmed = {"code": MAX_TIME_EXPIRED, "errmsg": "waiting for replication timed out"}
    with bench_of_its_own.database(half_made) as patient:
        last = {"failCommands": ["commitTransaction"], "appName": "lnm", "writeConcernError": unconfirmed}
        with failing(replica_set, "failCommand", {"skip": 1}, **last):  # the first one begins the run
            answer = patient.run(*runs.command(patient.lnm, "--json"))
        assert answer.exit_code == 10, answer.stdout
        hint = answer.json["error"]["hint"]
        assert "may say `applying`, or be at its end: lnm status tells" in hint, hint
        assert "`failed`" not in hint
        assert f"{runs.ID}: applied" in patient.run("status").stdout

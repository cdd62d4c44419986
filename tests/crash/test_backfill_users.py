"""Users who write while the backfill and its rollback are at work: whatever they wrote last is there at the end (attacks F4, X1).

They change, remove and insert documents in the collections that are filled, between any two batches. Hypothesis chooses when and what.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lnm_runner import lease
from lnm_runner.backfill import rollback, runs, whole
from lnm_runner.errors import RunnerError
from lnm_runner.migrations import Migration, by_itself
from lnm_runner.mongo import Database
from lnm_runner.options import Options
from lnm_runner.progress import Progress

from tests.crash.fingerprint import fingerprint
from tests.crash.runs import IS_EXHAUSTIVE
from tests.runner.backfills import OUTPUTS, STATE, legacy, raw
from tests.runner.fixtures import Site
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod

EXAMPLES = 200 if IS_EXHAUSTIVE else 8
BATCHES = 12
"""About so many batches are written, and rows taken back."""
Act = tuple[int, str, str, int]
"""When (the batch), what, in which collection, and which document of it."""
ACTS = st.lists(
    st.tuples(
        st.integers(0, 3 * BATCHES), st.sampled_from(["change", "remove", "insert"]), st.sampled_from(OUTPUTS), st.integers(0, 50)
    ),
    max_size=12,
)


@dataclass
class Users:
    """Those who write; they remember what they wrote last."""

    database: Database
    acts: Sequence[Act]
    clock: itertools.count[int] = field(default_factory=itertools.count)
    wrote: dict[tuple[str, Any], dict[str, Any] | None] = field(default_factory=dict)
    """`{(collection, _id): the document, or None where they removed it}`"""

    def tick(self, *_: object) -> None:
        """A batch is over."""
        now = next(self.clock)
        for when, what, name, which in self.acts:
            if when == now:
                self.act(what, name, which)

    def act(self, what: str, name: str, which: int) -> None:
        """One of them writes."""
        rows = self.database[name]
        if what == "insert":
            document = {
                "_id": bson.ObjectId(),
                "tenantId": "theirs",
                "advisoryId": f"X-{which}",
                "source": str(bson.ObjectId()),
                "n": which,
            }
            document |= {key: str(bson.ObjectId()) for key in ("observationHash", "linksetId", "legacyAdvisoryKey")}
            with contextlib.suppress(bson.errors.BSONError):
                rows.with_options().insert_one(document, bypass_document_validation=True)
            self.wrote[name, document["_id"]] = document
            return
        found = list(rows.find().sort("_id", 1))
        if not found:
            return
        chosen = found[which % len(found)]
        if what == "remove":
            rows.delete_one({"_id": chosen["_id"]})
            self.wrote[name, chosen["_id"]] = None
        else:
            rows.update_one({"_id": chosen["_id"]}, {"$set": {"note": which}}, bypass_document_validation=True)
            self.wrote[name, chosen["_id"]] = {**chosen, "note": which}

    def assert_nothing_is_lost(self) -> None:
        """What they wrote last is what is there."""
        for (name, identity), document in self.wrote.items():
            assert self.database[name].find_one({"_id": identity}) == document, f"{name} {identity}"


class Ticking(Progress):
    """Says nothing, and lets the users write."""

    def __init__(self, users: Users) -> None:
        super().__init__()
        self.users = users

    def show(self, what: str, done: int, total: int, elapsed_s: float) -> None:
        """A batch, or a row, is over."""
        self.users.tick(what, done, total, elapsed_s)


@contextlib.contextmanager
def filled(site: Site) -> Iterator[Database]:
    """The input, and outputs that hold nothing."""
    database = site.database
    database["advisory_raw"].insert_many([raw(f"A-{n:02}", f"CVE-{n // 2}", source__vendor=f"v{n % 3}") for n in range(30)])
    database["advisory"].insert_many([legacy(f"CVE-{n}") for n in range(10)])
    try:
        yield database
    finally:
        for name in ("advisory_raw", "advisory", *OUTPUTS, *STATE):
            if name not in {"lnm_migrations", "schema_migrations"}:
                database[name].delete_many({})
        database["lnm_migrations"].delete_many({"delivery": "21-102"})


@settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(acts=ACTS)
def test_nothing_that_users_write_is_lost(site: Site, lnm: Lnm, tmp_path: Path, acts: list[Act]) -> None:
    if "advisory_observations" not in site.database.list_collection_names():
        lnm.apply()
    with filled(site) as database:
        before = fingerprint(database).collections
        users = Users(database, acts)
        migration = Migration("21-102", "20251202_lnm_21_102_backfill", "a backfill", "sha256:x", by_itself, 1)
        uri = {"CONCELIER_MONGO_URI": site.uri("backfiller"), "CONCELIER_DB": database.name}
        options = Options(environment=uri, execute=True, progress=Ticking(users))
        limits = {"batchSize": 7, "stopOnError": False, "maxErrors": None, "maxLagSeconds": 30.0}
        details = {"delivery": "21-102", "migrationDigest": "sha256:x", "kit": {}, "settings": {}, "runner": "x"}
        with contextlib.suppress(RunnerError):
            whole.carry_out(whole.Job(database, migration, details, limits, 1, tmp_path / "state", options))
        users.assert_nothing_is_lost()
        with lease.held(database, "rollback 21-102", lasts_s=30) as held:
            for row in runs.standing(database):
                rollback.take_back(held, row, Ticking(users))
        users.assert_nothing_is_lost()
        left = {name: set(found["documents"]) for name, found in fingerprint(database).collections.items() if name in OUTPUTS}
        theirs = {
            name: {repr(identity) for (where, identity), one in users.wrote.items() if where == name and one} for name in OUTPUTS
        }
        assert left == theirs
        for name in ("advisory_raw", "advisory"):
            assert fingerprint(database).collections[name] == before[name]

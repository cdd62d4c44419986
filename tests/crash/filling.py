"""Runs of 21-102, up and back, that somebody disturbs: where they start from, how one goes on, and what must hold then.

A start is made once, by the program itself, and laid out for each test. In each of them is one document that cannot be
backfilled, so that a run that is done ends with 3.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.crash import pictures
from tests.crash.fingerprint import Fingerprint
from tests.crash.pictures import Kept
from tests.crash.proxy import Proxy
from tests.crash.runs import ATTEMPTS, LOCKED, Bench, Direction, Patient, Uninterrupted, command
from tests.runner.backfills import raw
from tests.runner.fixtures import Server, fresh_site, operators
from tests.runner.installed import Answer
from tests.runner.wheel import module

BACKFILL = Direction("backfill", "backfiller", "applied", ("--batch-size=150",))
LARGE = Direction("backfill", "backfiller", "applied", ("--batch-size=250", "--workers=2"))
UNFILL = Direction("rollback", "unfiller", "rolled-back", ("21-102",))
ENDS = {BACKFILL: 3, LARGE: 3, UNFILL: 0}
"""The exit code of a run that has come to its end, where nobody has touched what it wrote."""
DOCUMENTS, MANY = 300, 2_300  # MANY: more than one partition, for more than one worker
HELD_BACK = 3  # of a later run: each third document comes after the first
LEASE_S = 120
"""Renewed every 40 s: in no run of a test, also on a busy machine, so that the effects are the same in each."""
OWN_ROWS = ("lnm_checkpoints", "lnm_backfill_errors", "lnm_backfill_before")
REPORT, WORK_FILE = "backfill/*/lnm-backfill-report.json", "backfill/*/inventory.sqlite"


@dataclass(frozen=True)
class Case(Patient):
    """One database, the program as those who backfill call it, and their LNM_STATE_DIR."""

    state: Path

    def begin(self, proxy: Proxy, direction: Direction, *arguments: str, **variables: str | None) -> subprocess.Popen[str]:
        """Starts a run through a proxy."""
        return self.start(proxy, "--json", *arguments, direction=direction, **{**self.variables, **variables})

    @property
    def variables(self) -> dict[str, str | None]:
        """The environment of a run."""
        return {"LNM_STATE_DIR": str(self.state), "LNM_LEASE_SECONDS": str(LEASE_S)}

    def do(self, direction: Direction, *arguments: str) -> Answer:
        """A run to its end."""
        return self.typed(direction.user, *command(self.lnm, "--json", *arguments, direction=direction))

    def typed(self, user: str, *words: str | Path) -> Answer:
        """A command of a user."""
        return self.answer(self.lnm.start(*words, CONCELIER_MONGO_URI=self.site.uri(user), **self.variables))

    def again(self, direction: Direction, *arguments: str) -> Answer:
        """What the operator does after a runner is gone: waits until its lease has run out, and types a command.

        A lease that was on its way when its runner was killed may be taken after time has passed: then it has to pass again.
        """
        for _ in range(ATTEMPTS):
            self.let_time_pass()
            answer = self.do(direction, *arguments)
            if answer.exit_code != LOCKED:
                return answer
        pytest.fail("the lease does not run out")

    @property
    def report_sha256(self) -> str:
        """Of the report in the state folder, as it stands beside it too; empty where there is none."""
        for path in self.state.glob(REPORT):
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            assert path.with_name(f"{path.name}.sha256").read_text() == f"{found}  {path.name}\n"
            return f"sha256:{found}"
        return ""

    @property
    def ledger(self) -> Mapping[str, Any]:
        """The row of 21-102."""
        return self.site.database["lnm_migrations"].find_one({"delivery": "21-102"}) or {}

    def assert_ends_as(self, wanted: End, *, is_exact: bool = True) -> None:
        """The end is that of a run that nobody disturbed: every document, every index, the report; nothing is there twice.

        Where batches may have had other sizes, the rows in `lnm_checkpoints` are others, and so not compared.
        """
        found = self.fingerprint()
        assert found.collections == wanted.fingerprint.collections
        skipped = set() if is_exact else {"lnm_checkpoints"}
        for name in {*found.state, *wanted.fingerprint.state} - skipped:
            assert found.state.get(name) == wanted.fingerprint.state.get(name), name
        assert self.report_sha256 == wanted.report

    def assert_is_as_before(self, start: Fingerprint) -> None:
        """What was taken back has left nothing."""
        found = self.fingerprint()
        assert found.collections == start.collections
        assert not any(found.documents(name) for name in OWN_ROWS)
        assert {row["state"] for row in found.documents("lnm_runs").values()} <= {"rolled-back"}
        assert self.ledger.get("state", "rolled-back") == "rolled-back"
        assert set(found.documents("schema_migrations")) == set(start.documents("schema_migrations"))


@dataclass(frozen=True)
class End:
    """Where a run ends."""

    fingerprint: Fingerprint = field(repr=False)
    report: str = ""
    """The hash of the report."""


@dataclass(frozen=True)
class Undisturbed(Uninterrupted):
    """A run that nobody disturbed."""

    report: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What it printed."""
    picture: Sequence[Kept] = field(default=(), repr=False)
    """What it has left."""

    @property
    def ended(self) -> End:
        """Where it ended."""
        return End(self.end, self.report)


@dataclass(frozen=True)
class Story:
    """A run up and one back that nobody disturbed."""

    start: Fingerprint
    """Before any backfill."""
    before: Mapping[Direction, Sequence[Kept]]
    """Where each begins."""
    runs: Mapping[Direction, Undisturbed]

    @property
    def end(self) -> End:
        """Where the backfill ends."""
        return self.runs[BACKFILL].ended


@dataclass(frozen=True)
class Starts:
    """Databases to start from, each made once."""

    bench: Bench
    folder: Path
    """For state folders; each case has its own."""
    server: Server

    @contextlib.contextmanager
    def case(self, picture: Sequence[Kept]) -> Iterator[Case]:
        """A database that a picture shows, while the block runs."""
        with fresh_site(self.server, self.bench.kit) as site:
            pictures.laid_out(picture, site.database)
            yield Case(site, operators(self.bench.program, self.bench.kit, site), self.folder / site.database.name)

    @functools.cached_property
    def seeded(self) -> tuple[Kept, ...]:
        """21-101 is applied, and nothing is backfilled."""
        return self.made(DOCUMENTS)

    def made(self, documents: int) -> tuple[Kept, ...]:
        """So many invented documents, and the one that fails."""
        with fresh_site(self.server, self.bench.kit) as site:
            module(self.bench.program, "lnm_runner.demo").seed(site.database, tenants=1, documents=documents)
            site.database["advisory_raw"].insert_one(raw("BAD-1", severity=1))
            operators(self.bench.program, self.bench.kit, site).apply()
            return pictures.taken(site.database)

    @functools.cached_property
    def grown(self) -> tuple[Kept, ...]:
        """The same, but a part was backfilled before the rest came."""
        with self.case(self.seeded) as case:
            source = case.site.database["advisory_raw"]
            held_back = list(source.find().sort("_id", 1))[::HELD_BACK]
            source.delete_many({"_id": {"$in": [document["_id"] for document in held_back]}})
            assert case.do(BACKFILL).exit_code in {0, ENDS[BACKFILL]}
            source.insert_many(held_back)
            return pictures.taken(case.site.database)

    @functools.cached_property
    def backfilled(self) -> Undisturbed:
        """A backfill of it."""
        return self.run(self.seeded, BACKFILL)

    @functools.cached_property
    def backfilled_again(self) -> Undisturbed:
        """The same of what has grown."""
        return self.run(self.grown, BACKFILL)

    @functools.cached_property
    def touched(self) -> tuple[Kept, ...]:
        """Behind both, somebody has changed one document of each."""
        with self.case(self.backfilled_again.picture) as case:
            for run in case.site.database["lnm_runs"].find():
                mine = {"backfill.runId": run["_id"]}
                assert case.site.database["advisory_linksets"].update_one(mine, {"$set": {"note": "mine"}}).modified_count
            return pictures.taken(case.site.database)

    @functools.cached_property
    def first(self) -> Story:
        """A backfill, and its rollback."""
        up = self.backfilled
        return self.story(up, {BACKFILL: self.seeded, UNFILL: up.picture})

    @functools.cached_property
    def later(self) -> Story:
        """A second backfill, and the rollback of both, when somebody has changed what they wrote."""
        return self.story(self.backfilled_again, {BACKFILL: self.grown, UNFILL: self.touched})

    def story(self, up: Undisturbed, before: Mapping[Direction, Sequence[Kept]]) -> Story:
        """Both, looked at."""
        with self.case(self.seeded) as case:
            return Story(case.fingerprint(), before, {BACKFILL: up, UNFILL: self.run(before[UNFILL], UNFILL)})

    @functools.cached_property
    def large(self) -> tuple[Kept, ...]:
        """More documents, and nothing is backfilled."""
        return self.made(MANY)

    def run(self, picture: Sequence[Kept], direction: Direction, *arguments: str) -> Undisturbed:
        """What there is to be disturbed: a run that nobody disturbs."""
        with self.case(picture) as case, case.proxy() as proxy:
            answer = case.answer(case.begin(proxy, direction, *arguments))
            assert "error" not in answer.json, answer.stdout
            changed = {command.collection for command in proxy.commands if command.effect and command.collection}
            picture = pictures.taken(case.site.database)
            return Undisturbed(proxy.effects, changed, case.fingerprint(), case.report_sha256, answer.json, picture)

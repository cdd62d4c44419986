"""What the tests of outbox and watch share: a site with rows that wait, and its users."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId
from lnm_runner import mongo
from lnm_runner.backfill import events
from lnm_runner.commands import Result, outbox
from lnm_runner.options import Options, Runbook
from lnm_runner.outbox import switch

from tests.conftest import ROOT, WHEEL
from tests.runner.fixtures import Site

OBSERVED, LINKED = "advisory_observation_events", "advisory_linkset_events"
TENANT = "urn:tenant:00000000-0000-0000-0000-000000000001"
DAY = dt.datetime(2025, 12, 1, 8, tzinfo=dt.UTC)
SOURCE = {"vendor": "osv", "stream": "s", "api": "a", "collectorVersion": "1"}
PLAN = "sha256:" + "a" * 64


def observed(number: int) -> dict[str, Any]:
    """A row about an observation; the higher its number, the earlier it is published."""
    document = {
        "_id": ObjectId(f"{number:024x}"),
        "tenantId": TENANT,
        "advisoryId": f"CVE-2025-{number}",
        "linkset": {"aliases": [f"CVE-2025-{number}"], "purls": [], "cpes": []},
        "supersedesId": None,
        "provenance": {"sourceArtifactSha": f"{number:064x}"},
        "observationHash": f"sha256:{number:064x}",
        "ingestedAt": DAY - dt.timedelta(minutes=number),
        "backfill": {"runId": "r", "task": "21-102"},
    }
    return events.of_observation(document, SOURCE)


def linked(number: int) -> dict[str, Any]:
    """A row about a linkset; the same."""
    document = {
        "_id": ObjectId(f"{number:024x}"),
        "tenantId": TENANT,
        "advisoryId": f"CVE-2025-{number}",
        "source": "osv",
        "observations": [ObjectId(f"{number:024x}")],
        "confidence": 0.75,
        "conflicts": [],
        "provenance": {"observationHashes": [f"sha256:{number:064x}"], "toolVersion": "lnm-1.0"},
        "linksetHash": f"sha256:{number:064x}",
        "createdAt": DAY - dt.timedelta(minutes=number),
        "backfill": {"runId": "r", "task": "21-102"},
    }
    return events.of_linkset(document)


@dataclass(frozen=True)
class Boxes:
    """A site with a publisher, somebody who switches, and somebody who watches."""

    site: Site
    folder: Path

    def prepare(self) -> None:
        """Empties the database, and makes the users, or gives them back their roles."""
        for name in self.site.database.list_collection_names():
            self.site.database[name].drop()
        self.site.give("publisher", "lnmPublish")
        self.site.give("switcher", "lnmEnableOutbox")
        self.site.give("watcher", {"role": "lnmWatch", "db": "admin"})

    def fill(self, rows: int) -> None:
        """So many rows wait in each outbox."""
        for name, made in ((OBSERVED, observed), (LINKED, linked)):
            self.site.database[name].insert_many([made(number) for number in range(1, rows + 1)])

    @property
    def out(self) -> Path:
        """Where events are written."""
        return self.folder / "events.ndjson"

    @property
    def published(self) -> list[dict[str, Any]]:
        """The events in the file."""
        return [json.loads(line) for line in self.out.read_bytes().splitlines()]

    @property
    def waiting(self) -> int:
        """Rows that are not marked."""
        return sum(self.site.database[name].count_documents({"publishedAt": None}) for name in (OBSERVED, LINKED))

    def options(self, user: str, word: str = "", **more: str) -> Options:
        """A call of `lnm outbox` with --execute, into the file; `more` are variables."""
        environment = {"CONCELIER_MONGO_URI": self.site.uri(user), "CONCELIER_DB": self.site.database.name, **more}
        runbook = Runbook(publisher="ndjson", out=self.out)
        return Options(environment=environment, subcommand=word, execute=True, runbook=runbook)

    def enable(self, **more: str) -> str:
        """As the stage enable-outbox; what the hook did."""
        options = self.options("switcher", **more)
        with mongo.connect(options) as server:
            return switch.enable(server, options, plan=PLAN)

    def run(self, user: str, word: str, **more: str) -> Result:
        """A command."""
        return outbox.run(self.options(user, word, **more))

    def publish(self) -> Mapping[str, Any]:
        """`lnm outbox publish --publisher ndjson --out FILE --execute`."""
        return self.run("publisher", "publish").data

    def struck(self, number: int, out: Path | None) -> bytes:
        """A publisher that is killed before it marks its batch of this number (0: it is not); what it printed."""
        variables = {"CONCELIER_MONGO_URI": self.site.uri("publisher"), "CONCELIER_DB": self.site.database.name}
        done = subprocess.run(
            [sys.executable, "-m", "tests.runner.struck", "publish", str(number), "kill"],
            cwd=ROOT,
            env={"PATH": os.defpath, "PYTHONPATH": str(WHEEL), **variables, **({"OUT": str(out)} if out else {})},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (-9 if number else 0, b""), done.stderr
        return done.stdout

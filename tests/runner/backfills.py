"""What the tests of the backfill share: documents as the product stores them, a site that is ready, and what a run says."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

from tests.runner.fixtures import Site
from tests.runner.installed import Answer, Lnm

RAW_KEYS = [("source.vendor", 1), ("upstream.upstream_id", 1), ("upstream.content_hash", 1), ("tenant", 1)]
TENANT = "urn:tenant:00000000-0000-0000-0000-000000000001"
FETCHED = dt.datetime(2025, 12, 1, 8, tzinfo=dt.UTC)
OUTPUTS = (
    "advisory_observations", "advisory_observation_events", "advisory_linksets", "advisory_linkset_events",
    "advisory_linkset_tombstones",
)  # fmt: skip
STATE = (
    "lnm_lease",
    "lnm_migrations",
    "schema_migrations",
    "lnm_runs",
    "lnm_checkpoints",
    "lnm_backfill_errors",
    "lnm_backfill_before",
)


def osv(identity: str, *aliases: str, **more: Any) -> dict[str, Any]:
    """A payload."""
    package = {"ecosystem": "PyPI", "name": "thing"}
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]}]}]
    references = [{"type": "WEB", "url": f"https://example.org/{identity}"}]
    return {
        "schema_version": "1.6.0", "id": identity, "aliases": list(aliases), "modified": "2025-01-14T00:00:00Z", "summary": "Bad",
        "affected": affected, "references": references, **more,
    }  # fmt: skip


def raw(identity: str, *aliases: str, payload: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A document of `advisory_raw`; `changes` are fields by their path, `__` standing for a dot, None to take one away."""
    said = osv(identity, *aliases) if payload is None else payload
    data = json.dumps(said, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    document: dict[str, Any] = {
        "_id": f"advisory_raw:osv:{identity.lower()}:{digest}",
        "tenant": TENANT,
        "source": {"vendor": "osv", "stream": "s", "api": "a", "collector_version": "1"},
        "upstream": {"upstream_id": identity, "document_version": "1", "fetched_at": FETCHED, "content_hash": f"sha256:{digest}"},
        "content": {"format": "OSV", "spec_version": "1.6.0", "raw": said},
        "identifiers": {"aliases": list(aliases)},
        "linkset": {"purls": [], "cpes": [], "aliases": list(aliases), "references": []},
        "supersedes": None,
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        inside = document
        for name in above:
            inside = inside[name]
        if value is None:
            del inside[last]
        else:
            inside[last] = value
    return document


def legacy(key: str, *aliases: str, **more: Any) -> dict[str, Any]:
    """A merged document of the old model."""
    said = {"aliases": list(aliases), "provenance": [{"source": "osv", "recordedAt": FETCHED}]}
    return {"_id": f"{key}:{TENANT}", "tenantId": TENANT, "advisoryKey": key, **said, **more}


@dataclass(frozen=True)
class Ready:
    """A site where 21-101 is applied, and the program as those who backfill call it."""

    site: Site
    lnm: Lnm
    state: Path
    """LNM_STATE_DIR."""

    @property
    def database(self) -> Database[dict[str, Any]]:
        """As root."""
        return self.site.database

    def variables(self, user: str) -> dict[str, Any]:
        """The environment of a user."""
        return {"CONCELIER_MONGO_URI": self.site.uri(user), "LNM_STATE_DIR": str(self.state), "LNM_LEASE_SECONDS": "5"}

    def backfill(self, *arguments: str, wanted: int = 0, **variables: str) -> Answer:
        """`lnm backfill --execute --json`."""
        command: tuple[str | Path, ...] = ("backfill", "--execute", "--json", "--kit", self.lnm.kit.folder, *arguments)
        return self.lnm(*command, wanted=wanted, **{**self.variables("backfiller"), **variables})

    def rollback(self, *arguments: str, wanted: int = 0, **variables: str) -> Answer:
        """`lnm rollback 21-102 --execute --json`."""
        command: tuple[str | Path, ...] = ("rollback", "21-102", "--execute", "--json", "--kit", self.lnm.kit.folder, *arguments)
        return self.lnm(*command, wanted=wanted, **{**self.variables("unfiller"), **variables})

    def report(self) -> dict[str, Any]:
        """The report, whose hash stands beside it."""
        (path,) = self.state.glob("backfill/*/lnm-backfill-report.json")
        data = path.read_bytes()
        assert path.with_name(f"{path.name}.sha256").read_text() == f"{hashlib.sha256(data).hexdigest()}  {path.name}\n"
        found: dict[str, Any] = json.loads(data)
        return found

    def log(self) -> list[dict[str, Any]]:
        """The lines of the run log."""
        return [
            json.loads(line) for path in self.state.glob("backfill/*/run-log.jsonl") for line in path.read_text().splitlines()
        ]

    def errors(self) -> list[tuple[str, str]]:
        """`(what, code)` of what was not backfilled."""
        return [(row["key"][1], row["code"]) for row in self.database["lnm_backfill_errors"].find().sort("_id", 1)]

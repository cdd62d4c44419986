"""What a backfill puts into the oplog, by the server's own statistics and beside the oplog itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lnm_runner import mongo
from lnm_runner.evidence import measuring
from lnm_runner.options import Options

from tests.runner.backfills import RAW_KEYS, Ready, legacy, raw
from tests.runner.fixtures import Site
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod


@pytest.fixture
def ready(lnm: Lnm, site: Site, tmp_path: Path) -> Ready:
    """A site where 21-101 is applied."""
    site.database["advisory_raw"].create_index(RAW_KEYS, unique=True, name="advisory_raw_idempotency")
    lnm.apply()
    return Ready(site, lnm, tmp_path / "state")


def of_the_oplog(site: Site, since: Any) -> int:
    """Its bytes since a time."""
    rows = site.server.client["local"]["oplog.rs"].aggregate(
        [
            {"$match": {"ts": {"$gt": since}}},
            {"$group": {"_id": None, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}},
        ]
    )
    return int(next(iter(rows))["bytes"])


def test_the_oplog_of_a_backfill_is_about_what_is_forecast_by(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw(f"GHSA-{number}", f"CVE-{number // 2}") for number in range(400)])
    ready.database["advisory"].insert_many([legacy(f"CVE-{number}") for number in range(0, 200, 4)])
    since = ready.site.server.client.admin.command("hello")["operationTime"]
    ready.backfill("--workers", "1")
    really = of_the_oplog(ready.site, since)

    found = measuring.written(ready.site.server.client[ready.database.name])

    assert found.oplog_bytes is not None
    assert 0.9 < really / found.oplog_bytes < 1.1
    assert (found.stored_bytes or 0) > 0

    ready.site.add_user("stranger", "read")
    uri = ready.site.uri("stranger")
    with mongo.connect(Options(database=ready.database.name, environment={"CONCELIER_MONGO_URI": uri})) as server:
        assert measuring.written(server.database).oplog_bytes == found.oplog_bytes

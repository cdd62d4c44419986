"""What `lnm seed-demo` leaves in a database, looked at with the driver; filled once, so that these tests stay on one worker."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gridfs
import pytest

from tests.runner.mongod import Mongod
from tests.runner.test_seed_demo import REAL, SEEDED, component_sizes, names_of
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def real(program: Path, server: Mongod) -> Iterator[Any]:
    """The real advisories, else the invented ones, in a database; only read from."""
    database = server.client["lnm_seeded"]
    counts = module(program, "lnm_runner.demo").seed(database, REAL)
    yield database, counts
    server.client.drop_database(database.name)


def test_everything_that_was_counted_is_there(real: Any) -> None:
    database, counts = real

    assert {name: database[name].count_documents({}) for name in SEEDED} == counts.documents
    tenants = Counter(document["tenant"] for document in database["advisory_raw"].find({}, {"tenant": True}))
    assert tenants == counts.raw
    assert len(tenants) == 2
    assert len(set(tenants.values())) == 2, "one of them lacks some"


def test_ids_and_hashes_are_made_of_the_document(real: Any) -> None:
    database, _ = real

    for document in database["advisory_raw"].find({}, {"content.raw": False}):
        upstream, vendor = document["upstream"], document["source"]["vendor"]
        sha256 = upstream["content_hash"].removeprefix("sha256:")
        assert document["_id"] == f"advisory_raw:{vendor}:{upstream['upstream_id'].lower()}:{sha256}:{document['tenant']}"
        assert document["tenant"].startswith("urn:tenant:")
        assert upstream["received_at"] >= upstream["fetched_at"]


def test_the_bytes_in_gridfs_are_those_that_were_hashed(real: Any) -> None:
    database, _ = real
    bucket = gridfs.GridFSBucket(database, "documents")

    found = list(database["advisory_raw"].find({"content.gridFsId": {"$exists": True}}).limit(100))

    assert found
    for document in found:
        payload = bucket.open_download_stream(document["content"]["gridFsId"]).read()
        assert f"sha256:{hashlib.sha256(payload).hexdigest()}" == document["upstream"]["content_hash"]
        assert "raw" not in document["content"]


def test_an_inline_payload_is_the_one_that_was_hashed(real: Any) -> None:
    database, _ = real

    for document in database["advisory_raw"].find({"content.raw": {"$exists": True}}).limit(500):
        payload = json.dumps(document["content"]["raw"], ensure_ascii=False, separators=(",", ":")).encode()
        assert f"sha256:{hashlib.sha256(payload).hexdigest()}" == document["upstream"]["content_hash"]


def test_a_revision_supersedes_the_one_before(real: Any) -> None:
    database, counts = real
    fields = {"content": False, "linkset": False}
    revised = list(database["advisory_raw"].find({"supersedes": {"$ne": None}}, fields))

    assert len(revised) == counts.revisions
    before = {
        row["_id"]: row for row in database["advisory_raw"].find({"_id": {"$in": [row["supersedes"] for row in revised]}}, fields)
    }
    for row in revised:
        other = before[row["supersedes"]]
        assert (other["tenant"], other["source"]) == (row["tenant"], row["source"])
        assert other["upstream"]["upstream_id"] == row["upstream"]["upstream_id"]
        assert other["upstream"]["fetched_at"] < row["upstream"]["fetched_at"]
    third = [row for row in revised if before[row["supersedes"]]["supersedes"] is not None]
    assert third
    assert all(before[before[row["supersedes"]]["supersedes"]]["supersedes"] is None for row in third)


def test_every_component_has_one_merged_document_for_each_tenant(real: Any) -> None:
    database, counts = real

    for tenant in counts.raw:
        raws = list(database["advisory_raw"].find({"tenant": tenant}, {"upstream.upstream_id": True, "identifiers": True}))
        names = {name.upper() for row in raws for name in (row["upstream"]["upstream_id"], *row["identifiers"]["aliases"])}
        merged = list(database["advisory"].find({"tenantId": tenant}))
        sets = Counter(frozenset(name.upper() for name in (row["advisoryKey"], *row["aliases"])) for row in merged)
        known = {found: number for found, number in sets.items() if found & names}

        assert set().union(*known) == names
        assert len(known) == component_sizes(names_of(raws)).total()
        assert sum(len(found) for found in known) == len(names), "no two of them share a name"
        assert set(known.values()) == {1, 2}, "some are there under another key as well"
        assert 0 < len(sets) - len(known) < len(known) / 10, "some have nothing behind them"
        assert len({row["advisoryKey"] for row in merged}) == len(merged)

"""Documents that cannot be backfilled: told by name and code, never lost, and never in the way of the others."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import bson
import pytest

from tests.runner.backfills import FETCHED, TENANT, Ready, legacy, osv, raw
from tests.runner.fixtures import Site
from tests.runner.installed import Lnm
from tests.runner.test_backfill import ready

__all__ = ["ready"]
pytestmark = pytest.mark.mongod

CHUNK = 16


def in_gridfs(ready: Ready, identity: str, *, data: bytes, **faults: Any) -> dict[str, Any]:
    """A document whose payload lies in GridFS; `faults` are what is wrong there."""
    pointer = bson.ObjectId(hashlib.sha256(identity.encode()).digest()[:12])
    file = {"_id": pointer, "length": faults.get("length", len(data)), "chunkSize": CHUNK, "filename": identity}
    parts = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    chunks = [{"files_id": pointer, "n": n, "data": part} for n, part in enumerate(parts) if n != faults.get("missing")]
    if "extra" in faults:
        chunks.append({"files_id": pointer, "n": len(parts), "data": b"x"})
    if faults.get("file", True):
        ready.database["documents.files"].insert_one(file)
    ready.database["documents.chunks"].insert_many(chunks)
    digest = hashlib.sha256(faults.get("other", data)).hexdigest()
    document = raw(identity, content__raw=None, upstream__content_hash=f"sha256:{digest}")
    return {**document, "content": {**document["content"], "gridFsId": pointer}}


PAYLOAD = b'{"schema_version":"1.6.0","id":"X","modified":"2025-01-01T00:00:00Z","summary":"s"}'
WRONG = {
    "derived": (raw("BAD", severity="high"), "ERR_AOC_001"),
    "effective": (raw("BAD", effective_status="x"), "ERR_AOC_006"),
    "unknown field": (raw("BAD", surprise=1), "ERR_AOC_007"),
    "several sources": (raw("BAD", source=[{"vendor": "a"}, {"vendor": "b"}]), "ERR_AOC_002"),
    "no provenance": (raw("BAD", upstream__fetched_at=None), "ERR_AOC_004"),
    "date as text": (raw("BAD", upstream__fetched_at="2025-12-01"), "ERR_AOC_004"),
    "year 10000": (raw("BAD", upstream__fetched_at=bson.DatetimeMS(253_402_300_800_000)), "ERR_AOC_004"),
    "number as tenant": (raw("BAD", tenant=5), "ERR_AOC_004"),
    "hash of another kind": (raw("BAD", upstream__content_hash="md5:00"), "ERR_AOC_004"),
    "replaces nothing": (raw("BAD", supersedes="advisory_raw:nothing"), "ERR_AOC_003"),
    "unknown format": (raw("BAD", content__format="STIX"), "ERR_LNM_FORMAT"),
    "no payload": (raw("BAD", content__raw=None), "ERR_LNM_PAYLOAD"),
    "payload of another kind": (raw("BAD", content__raw=[1]), "ERR_LNM_PAYLOAD"),
    "payload without id": (raw("BAD", payload={"schema_version": "1.6.0"}), "ERR_LNM_PAYLOAD"),
    "deep payload": (raw("BAD", content__raw="[" * 100_000), "ERR_LNM_PAYLOAD"),
    "wrong vector": (raw("BAD", payload=osv("BAD", severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/no"}])), "ERR_LNM_PAYLOAD"),
}


def test_each_fault_has_its_code_and_the_others_go_on(ready: Ready) -> None:
    """All of them at once, each under a name of its own."""
    documents = []
    for n, (document, _) in enumerate(WRONG.values()):
        named = {**document, "_id": f"bad:{n:02}"}
        if isinstance(named["upstream"], dict) and named["upstream"]["upstream_id"] == "BAD":
            named["upstream"] = {**named["upstream"], "upstream_id": f"BAD-{n:02}"}
        documents.append(named)
    ready.database["advisory_raw"].insert_many([*documents, raw("GOOD-1"), raw("GOOD-2")])

    found = ready.backfill(wanted=3).json

    codes = dict(ready.errors())
    assert {name: codes.get(f"bad:{n:02}") for n, name in enumerate(WRONG)} == {name: code for name, (_, code) in WRONG.items()}
    assert found["outputs"]["advisory_observations"] == 2
    assert found["errors"]["count"] == len(WRONG)
    assert ready.report()["errors"]["leaves"] == len(WRONG)


TORN: dict[str, tuple[dict[str, Any], str]] = {
    "a chunk in the middle is missing": ({"missing": 1}, "torn at chunk 1"),
    "the first chunk is missing": ({"missing": 0}, "torn at chunk 0"),
    "a chunk too many": ({"extra": True}, "torn at chunk"),
    "another length": ({"length": 10_000}, "torn"),
    "no file": ({"file": False}, "documents.files has no"),
    "other bytes": ({"other": b"signed for"}, "other bytes than upstream.content_hash says"),
}


def test_a_payload_in_gridfs_that_is_not_whole_is_told(ready: Ready) -> None:
    documents = [in_gridfs(ready, name, data=PAYLOAD, **fault) for name, (fault, _) in TORN.items()]
    ready.database["advisory_raw"].insert_many([in_gridfs(ready, "WHOLE", data=PAYLOAD), *documents])

    ready.backfill(wanted=3)

    told = {row["key"][3]: (row["code"], row["reason"]) for row in ready.database["lnm_backfill_errors"].find()}
    assert set(told) == set(TORN)
    for name, (_, words) in TORN.items():
        assert told[name][0] == "ERR_AOC_005"
        assert words in told[name][1], name
    assert ready.database["advisory_observations"].count_documents({}) == 1


def poison(is_poisoned: bool) -> dict[str, Any]:
    """What makes a document one that cannot be backfilled."""
    return {"severity": 1} if is_poisoned else {}


@pytest.mark.parametrize("place", [0, 10, 20], ids=["first", "middle", "last"])
@pytest.mark.parametrize("stops", [True, False], ids=["--stop-on-error", ""])
def test_a_poison_document_stops_after_its_batch_or_not_at_all(ready: Ready, place: int, *, stops: bool) -> None:
    names = [f"A-{n:02}" for n in range(21)]
    ready.database["advisory_raw"].insert_many([raw(name, **poison(n == place)) for n, name in enumerate(names)])

    found = ready.backfill("--batch-size=4", *(["--stop-on-error"] if stops else []), wanted=3).json

    done = ready.database["advisory_observations"].count_documents({})
    assert done == (min((place // 4 + 1) * 4, 21) - 1 if stops else 20)
    assert [code for _, code in ready.errors()] == ["ERR_AOC_001"]
    if stops:
        assert (found["error"]["type"], found["error"]["cause"]) == ("StoppedError", "DocumentsFailedError")
        assert names[place].lower() in found["error"]["message"]
        again = ready.backfill("--stop-on-error", wanted=3).json  # goes on behind it
        assert again["outputs"]["advisory_observations"] == 20


def test_max_errors_is_how_many_may_fail(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw(f"A-{n:02}", severity=1) for n in range(6)])

    assert ready.backfill("--batch-size=1", "--max-errors=3", wanted=3).json["error"]["cause"] == "DocumentsFailedError"
    assert len(ready.errors()) == 4
    assert ready.backfill("--max-errors=6", wanted=3).json["errors"]["count"] == 6


def test_a_failed_revision_leaves_the_chain_whole(ready: Ready) -> None:
    revisions = [
        raw(
            "A",
            payload=osv("A", summary=f"{n}"),
            upstream__fetched_at=FETCHED + dt.timedelta(hours=n),
            **poison(n == 1),
        )
        for n in range(3)
    ]
    ready.database["advisory_raw"].insert_many(revisions)

    ready.backfill(wanted=3)

    first, last = ready.database["advisory_observations"].find().sort("observationId", 1)
    assert (first["observationId"][-2:], last["observationId"][-2:]) == (":1", ":2")
    assert last["supersedesId"] == first["_id"]


def test_a_document_of_sixteen_megabytes_goes_through_or_is_told(ready: Ready) -> None:
    """Its observation fits, unless what is made of it does not."""
    filler = "x" * (15 * 1024 * 1024)
    large = raw("LARGE", payload=osv("LARGE", database_specific={"notes": filler}))
    larger = raw("LARGER", payload=osv("LARGER", summary=filler), linkset__references=["https://example.org/" + "y" * 900_000])
    ready.database["advisory_raw"].insert_many([large, larger, raw("SMALL")])

    ready.backfill("--workers=2", wanted=3)

    assert {one["advisoryId"] for one in ready.database["advisory_observations"].find()} == {"LARGE", "SMALL"}
    assert [code for _, code in ready.errors()] == ["ERR_LNM_TOO_LARGE"]


def test_one_natural_key_is_one_observation(ready: Ready) -> None:
    """The vendor's name is told apart by the product, and not by the observation."""
    ready.database["advisory_raw"].insert_many([raw("A", source__vendor="NVD"), raw("A", source__vendor="nvd", _id="second")])

    found = ready.backfill().json

    assert found["outputs"]["advisory_observations"] == 1
    assert ready.report()["counts"][TENANT]["observations"]["duplicate"] == 1


def test_merged_documents_that_have_no_key_or_the_same_one_are_told(ready: Ready) -> None:
    ready.database["advisory"].insert_many([legacy("CVE-1"), {**legacy("CVE-1"), "_id": "other"}, {"_id": "none"}])

    ready.backfill(wanted=3)

    assert sorted(code for _, code in ready.errors()) == ["ERR_LNM_CONFLICT", "ERR_LNM_LEGACY"]
    assert ready.database["advisory_linkset_tombstones"].count_documents({}) == 1


# ---- somebody else writes, too


def test_what_stands_in_the_way_is_told_and_not_overwritten(ready: Ready) -> None:
    ready.database["advisory_raw"].insert_many([raw("A"), raw("B"), raw("C")])
    ready.backfill()
    made = {one["advisoryId"]: one for one in ready.database["advisory_observations"].find()}
    linkset = ready.database["advisory_linksets"].find_one({"advisoryId": "C"}) or {}
    ready.rollback()
    theirs = {**made["A"], "_id": bson.ObjectId(), "title": "theirs"}
    same = {**made["B"], "title": "the product has written it meanwhile"}
    del same["backfill"]
    ready.database["advisory_observations"].insert_many([theirs, same])
    ready.database["advisory_linksets"].insert_one({**linkset, "confidence": 0.5})

    found = ready.backfill(wanted=3).json

    assert found["errors"]["byCode"] == {"ERR_LNM_CONFLICT": 2}
    assert ready.database["advisory_observations"].find_one({"_id": theirs["_id"]}) == theirs
    assert ready.database["advisory_observations"].find_one({"_id": same["_id"]}) == same
    assert (ready.database["advisory_linksets"].find_one({"advisoryId": "C"}) or {})["confidence"] == 0.5
    counts = ready.report()["counts"][TENANT]["observations"]
    assert (counts["kept"], counts["quarantined"]) == (1, 1)


def test_without_the_index_of_the_product_it_is_read_all_the_same(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    """21-101 wants it where `advisory_raw` is there; here it comes later, without."""
    lnm.apply()
    site.database["advisory_raw"].insert_many([raw("A"), raw("B")])

    assert Ready(site, lnm, tmp_path).backfill().json["outputs"]["advisory_observations"] == 2

"""`lnm prove`: a document by a few hashes; and what was changed, in the report or in the database, by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runner.backfills import Ready, raw
from tests.runner.installed import Answer
from tests.runner.test_backfill import demo, ready
from tests.runner.wheel import module

__all__ = ["demo", "ready"]
pytestmark = pytest.mark.mongod


def prove(ready: Ready, *arguments: str | Path, wanted: int = 0) -> Answer:
    """`lnm prove --json`, as a user who may backfill."""
    return ready.lnm("prove", "--json", *arguments, wanted=wanted, **ready.variables("backfiller"))


@pytest.fixture
def done(ready: Ready, demo: Any) -> Ready:
    """A backfill that is done."""
    demo.seed(ready.database, documents=120)
    ready.backfill("--batch-size=16")
    return ready


def test_a_document_is_proved_by_a_few_hashes_and_nothing_else_is_needed(done: Ready, program: Path) -> None:
    merkle = module(program, "lnm_runner.backfill.merkle")
    identity = (done.database["advisory_raw"].find_one(sort=[("_id", -1)]) or {})["_id"]

    found = prove(done, "--id", identity).json

    report = done.report()
    assert [proof["tree"] for proof in found["proofs"]] == ["inventory", "advisory_observations"]
    for proof, root in zip(
        found["proofs"], (report["inventory"]["root"], report["outputs"]["advisory_observations"]["root"]), strict=True
    ):
        path = [bytes.fromhex(step) for step in proof["path"]]
        assert len(path) <= 9
        assert proof["root"] == root
        assert merkle.proves_hash(bytes.fromhex(proof["leafHash"]), proof["index"], proof["size"], path, bytes.fromhex(root[7:]))
    *_, sha256, tenant = identity.split(":", 4)
    stored = done.database["advisory_observations"].find_one({"contentHash": f"sha256:{sha256}", "tenantId": tenant}) or {}
    assert found["proofs"][1]["leaf"][0] == str(stored["_id"])


@pytest.mark.parametrize("collection", ["advisory_linksets", "advisory_linkset_events", "advisory_linkset_tombstones"])
def test_a_document_that_was_changed_is_told(done: Ready, collection: str) -> None:
    identity = str((done.database[collection].find_one() or {})["_id"])
    assert prove(done, "--id", identity).json["proofs"][0]["stored"] == "as written"
    done.database[collection].update_one({}, {"$set": {"x": 1}})

    assert prove(done, "--id", identity, wanted=2).json["proofs"][0]["stored"] == "changed"
    assert prove(done, wanted=2).json["differences"] == [f"{collection}: {identity} is changed"]


def test_a_document_that_is_gone_is_told(done: Ready) -> None:
    identity = str((done.database["advisory_observations"].find_one_and_delete({}) or {})["_id"])

    assert prove(done, wanted=2).json["differences"] == [f"advisory_observations: {identity} is gone"]


def reordered(report: dict[str, Any]) -> dict[str, Any]:
    """The blocks of two trees, swapped."""
    outputs = report["outputs"]
    one, other = outputs["advisory_observations"], outputs["advisory_linksets"]
    one["blocks"], other["blocks"] = other["blocks"], one["blocks"]
    return report


EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a count": (lambda report: report["inventory"].update(documents=7), "inventory.documents"),
    "a root": (
        lambda report: report["outputs"]["advisory_linksets"].update(root="sha256:" + "0" * 64),
        "outputs.advisory_linksets.root",
    ),
    "a block": (lambda report: report["outputs"]["advisory_linksets"].update(blocks=["0" * 64]), "leaves 0 to 4,095"),
    "an error taken away": (lambda report: report.pop("errors"), "errors"),
    "blocks reordered": (reordered, "outputs.advisory_observations.blocks[0]"),
}


def test_an_edited_report_is_told_by_what_was_edited(done: Ready, tmp_path: Path, subtests: pytest.Subtests) -> None:
    path = tmp_path / "edited.json"
    for edit, (change, words) in EDITS.items():
        with subtests.test(edit):
            report = done.report()
            change(report)
            path.write_text(json.dumps(report, sort_keys=True, separators=(",", ":")))

            found = prove(done, "--report", path, wanted=2).json["differences"]

            assert any(words in line for line in found), found
            assert any("the run has recorded" in line for line in found)


def test_what_is_no_report_is_refused(ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for data in (b"", b"{", b"[]", b'{"schema":"x"}', b"\xff"):
        path.write_bytes(data)
        assert prove(ready, "--report", path, wanted=2).json["error"]["type"] == "InputError"


def test_an_old_report_is_not_taken_for_one_of_now(done: Ready, tmp_path: Path) -> None:
    """It is of another run, or of one that was taken back."""
    path = tmp_path / "old.json"
    path.write_text(json.dumps(done.report(), sort_keys=True, separators=(",", ":")))
    done.rollback()
    assert prove(done, "--report", path, wanted=4).json["error"]["type"] == "NotFoundError"
    done.database["advisory_raw"].insert_one(raw("NEW"))
    done.backfill()

    assert prove(done, "--report", path, wanted=4).json["error"]["type"] == "NotFoundError"
    assert prove(done).json["holds"] is True


def test_what_nobody_has_written_is_not_found(done: Ready) -> None:
    for unknown in ("f" * 24, "advisory_raw:nothing", "$where"):
        assert prove(done, "--id", unknown, wanted=4).json["error"]["type"] == "NotFoundError"

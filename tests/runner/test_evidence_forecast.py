"""What a rehearsal says of production, how that is scored, and what may never stand in evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.errors import EvidenceError, InputError
from lnm_runner.evidence import derivation, forecast, judging, screening, statement
from lnm_runner.kit import VerifiedKit
from lnm_runner.runbook import journal

from tests.faults import forge
from tests.runner import rehearsals
from tests.runner.policies import BUILDER, REHEARSAL, made
from tests.runner.rehearsals import FACTS, NOW, WHOLE, Json, Rehearsed, about, begun, lines, sealed

TENFOLD = {"documents": 10_000, "bytes": 40_000_000, "storedBytes": 0}
"""Ten times the documents of the rehearsal, twenty times its bytes."""


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> VerifiedKit:
    return rehearsals.kit(tmp_path_factory.mktemp("kit"))


def test_a_stage_grows_with_what_it_reads_and_the_others_do_not(known: VerifiedKit) -> None:
    said = forecast.of(Rehearsed(known).predicate, TENFOLD)
    assert said.stages == {
        "preflight": 500,
        "freeze": 100,
        "backup": 40_000,
        "prove-backup": 60_000,
        "apply-21-101": 12_400,  # 400 ms of it made empty collections
        "backfill-21-102": 40_000,
        "validate": 20_000,
        "enable-outbox": 50,
        "unfreeze": 60,
        "watch": 600_100,
    }
    assert said.window_ms == 172_610
    assert said.as_json()["stages"][2] == {"stage": "backup", "ms": 40_000}
    assert (said.oplog_bytes, said.stored_bytes, said.backup_bytes) == (40_000_000, 90_000_000, 10_000_000)


def test_it_is_told_in_words_and_what_nobody_knows_is_told_so(known: VerifiedKit, tmp_path: Path) -> None:
    path = tmp_path / "evidence"
    path.write_bytes(sealed(about(known, Rehearsed(known).predicate)))
    rehearsal = judging.require(path, kit=known, policy=made(BUILDER, REHEARSAL), keys=(), now=NOW)
    told = forecast.lines(rehearsal, TENFOLD)
    assert told[0] == "forecast for 10,000 documents, by the rates of a rehearsal of 1,000:"
    assert told[1].startswith("  about 3 min without writes; preflight 500 ms, ")
    assert told[2] == "  oplog 38 MiB, the database grows by 86 MiB, the backup takes 10 MiB"
    assert len(told) == 3
    assert "so small a rehearsal" in forecast.lines(rehearsal, {**TENFOLD, "documents": 10_001})[3]
    dark = Rehearsed(known, facts=statement.Facts("key", rehearsals.SERVER)).predicate
    assert forecast.of(dark, TENFOLD).lines()[2].startswith("  oplog unknown, the database grows by unknown")


def test_production_is_scored_against_what_was_said(known: VerifiedKit) -> None:
    said = forecast.of(Rehearsed(known).predicate, TENFOLD)
    real = Rehearsed(known).stepped("backfill-21-102", documents=10_500, durationMs=50_000).predicate["stages"]
    score = forecast.score(said, [row for row in real if row["name"] != "watch"])
    assert score["documents"] == {"predicted": 10_000, "real": 10_500, "percent": 105}
    assert {"stage": "backfill-21-102", "predicted": 40_000, "real": 50_000, "percent": 125} in score["stages"]
    assert "watch" not in {row["stage"] for row in score["stages"]}
    assert score["windowMs"]["predicted"] == 172_610


def test_a_score_is_part_of_the_evidence_of_production_and_of_no_rehearsal(known: VerifiedKit, tmp_path: Path) -> None:
    score = forecast.score(forecast.of(Rehearsed(known).predicate, TENFOLD), Rehearsed(known).predicate["stages"])
    facts = statement.Facts("key", rehearsals.SERVER, score=score)
    production = Rehearsed(known, facts=facts, first=begun(known, environment="production"))
    path = tmp_path / "evidence"
    path.write_bytes(sealed(about(known, production.predicate)))
    with pytest.raises(EvidenceError) as caught:
        judging.require(path, kit=known, policy=made(BUILDER, REHEARSAL), keys=(), now=NOW)
    told = [err.message for err in (caught.value, *caught.value.others)]
    assert told == [
        "it has a score, as a run in production has",
        'this tells of a run in "production", wanted a rehearsal in staging',
    ]


def test_a_journal_of_another_kit_makes_no_evidence(known: VerifiedKit, tmp_path: Path) -> None:
    other = rehearsals.kit(tmp_path, forge.other_kit())
    with pytest.raises(EvidenceError, match=f"rootHash sha256:{known.manifest.root_hash}, and this kit is"):
        statement.render(rehearsals.entries(lines(begun(known), WHOLE)), other, FACTS)


def test_a_journal_that_has_only_begun_can_be_told_of(known: VerifiedKit) -> None:
    for steps in ([], WHOLE[:1], WHOLE[:8], WHOLE[:11], WHOLE[:15]):
        said = Rehearsed(known, steps).predicate
        assert json.loads(statement.of(said, known))["predicate"] == said
        assert said["proofs"]["rollback-refused"] is False
    nothing = derivation.derived(rehearsals.entries(lines(begun(known), [])))
    assert {row["state"] for row in nothing["stages"]} == {journal.OPEN}
    assert nothing["lag"] == {"maxMs": None, "samples": 0}


UNFIT: dict[str, tuple[Json, str]] = {
    "a fraction": ({"lag": 1.5}, "lag: a value that is no text, whole number or truth value"),
    "bytes": ({"a": {"b": [0, b"x"]}}, r"a.b\[2\]: a value"),
    "too large": ({"bytes": 2**53}, "bytes: a number beyond"),
    "a URI": ({"hook": "mongodb://db1/"}, "hook: a URI of a server"),
    "a URI by people": ({"reason": "see mongodb+srv://x:y@db1.example.org/"}, "reason: a URI of a server"),
    "a password in one": ({"reason": "https://me:secret@proxy/"}, "reason: a URI of a server"),
    "a private key": ({"operator": "-----BEGIN PRIVATE KEY-----"}, "operator: a private key"),
    "a path": ({"tool": "/usr/bin/mongodump"}, "tool: a path of a machine"),
    "a path of Windows": ({"tool": r"C:\mongodump.exe"}, "tool: a path of a machine"),
    "a home": ({"tool": "by ~/bin/hook"}, "tool: a path of a machine"),
    "a host": ({"server": {"name": "db1.example.org:27017"}}, "server.name: an address"),
    "numbers": ({"server": {"name": "10.0.0.1"}}, "server.name: an address by numbers"),
    "a member": ({"evidence": {"Host": "x"}}, "evidence.Host: a member of that name"),
    "no Unicode": ({"operator": "J\udcf6rg"}, "operator: a text that is no Unicode"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_may_never_stand_in_evidence_is_refused_and_not_repeated(case: str) -> None:
    value, words = UNFIT[case]
    with pytest.raises(InputError, match=words) as caught:
        screening.require(value)
    assert "secret" not in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "value",
    [
        {"at": "2026-11-01T08:00:00Z", "plan": "sha256:" + "12345" + "a" * 59, "version": "2026.11.0", "server": "6.0.5"},
        {"reason": "the host db1:27017 is down, see /etc/motd", "operator": "Jörg <j@example.org>"},
        {"mode": "user-write-block", "names": ["observations = distinct keys"], "equal": True, "lag": None, "count": 0},
    ],
)  # fmt: skip
def test_what_evidence_is_made_of_may_stand_there(value: Any) -> None:
    screening.require(value)

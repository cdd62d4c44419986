"""Evidence of a rehearsal as production judges it: an honest one, and every lie of attacks X4, X5, X10, F1, T3 to T5, C7 and C10.

Whoever lies here holds the rehearsal's key and signs what he likes, so that only what is said can give him away.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lnm_runner import chain
from lnm_runner.errors import EvidenceError, ExpiredEvidenceError, InputError, NotFoundError, RunnerError
from lnm_runner.evidence import derivation, judging, statement
from lnm_runner.evidence.judging import Rehearsal
from lnm_runner.kit import VerifiedKit
from lnm_runner.kit.policy import Policy
from lnm_runner.runbook import journal, plan

from tests.faults import forge
from tests.faults.keys import EDDY, MAIN, SECOND, STRANGER
from tests.runner import rehearsals
from tests.runner.policies import BUILDER, REHEARSAL, made, signer
from tests.runner.rehearsals import ABSENT, BEFORE, EMPTY, NOW, WHOLE, Json, Rehearsed, Step, about, begun, lines, sealed

POLICY = made(BUILDER, REHEARSAL)
OTHER = "sha256:" + "ee" * 32


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> VerifiedKit:
    return rehearsals.kit(tmp_path_factory.mktemp("kit"))


def judged(
    known: VerifiedKit,
    path: Path | None,
    policy: Policy | None = POLICY,
    now: dt.datetime = NOW,
    days: int | None = None,
    keys: tuple[Path, ...] = (),
) -> Rehearsal:
    return judging.require(path, kit=known, policy=policy, keys=keys, now=now, max_age_days=days)


def written(place: Path, data: bytes) -> Path:
    path = place / "rehearsal-evidence.dsse.json"
    path.write_bytes(data)
    return path


def refused(known: VerifiedKit, path: Path | None, *arguments: Any, **named: Any) -> list[RunnerError]:
    """Every reason, the first deciding the exit code; each says what to do."""
    with pytest.raises(RunnerError) as caught:
        judged(known, path, *arguments, **named)
    found = [caught.value, *caught.value.others]
    assert all(err.hint for err in found)
    return found


# ---- an honest one


def test_the_evidence_of_a_whole_rehearsal_lets_production_begin(known: VerifiedKit, tmp_path: Path) -> None:
    found = judged(known, written(tmp_path, sealed(about(known, Rehearsed(known).predicate))))

    assert found.signer == "Rehearsal host"
    assert found.stages["backfill-21-102"]["evidence"]["observations"] == 1000
    assert [name for name, row in found.stages.items() if row["state"] == "absent"] == ABSENT
    assert "by Jörg, signed by Rehearsal host (rehearsal)" in found.lines()[0]
    assert any(line.startswith("evidence: absent from the kit") for line in found.lines())
    assert found.lines()[-1] == "evidence: good for 11 more days"
    assert json.loads(json.dumps(found.as_json()))["sha256"] == found.sha256


def test_the_runner_renders_what_an_independent_writer_would(known: VerifiedKit) -> None:
    rehearsed = Rehearsed(known)
    rendered = statement.render(rehearsals.entries(lines(begun(known), WHOLE)), known, rehearsals.FACTS)
    assert rendered == forge.canonical(about(known, rehearsed.predicate)) + b"\n"


def test_what_is_derived_is_what_the_journal_shows(known: VerifiedKit) -> None:
    said = Rehearsed(known).predicate
    assert said["proofs"] == {
        "rollback-21-102": {"before": EMPTY, "after": EMPTY},
        "restore": {"before": BEFORE, "after": BEFORE},
        "rollback-refused": True,
    }
    assert said["lag"] == {"maxMs": 1500, "samples": 12}
    assert said["forecast"] == {
        "backupBytesPerSecond": 1_000_000,
        "documentsPerSecond": 250,
        "oplogBytesPerDocument": 4000,
        "storedBytesPerDocument": 9000,
    }
    assert {row["state"] for row in said["stages"]} == {"done", "absent"}


def test_a_stage_that_may_be_skipped_is_told_with_its_reason(known: VerifiedKit, tmp_path: Path) -> None:
    reason = "nobody publishes in staging"
    skipped = {"enable-outbox": reason, "watch": f"{reason}, so nothing is to be seen"}
    steps: list[Step] = [
        (name, "skipped", {"reason": skipped[name], "durationMs": 0}) if name in skipped else (name, state, evidence)
        for name, state, evidence in WHOLE
        if state != "refused"
    ]
    found = judged(known, written(tmp_path, sealed(about(known, Rehearsed(known, steps).predicate))))
    assert f"evidence: enable-outbox was skipped: {reason}" in found.notes


def test_what_evidence_tells_moves_no_cursor(known: VerifiedKit, tmp_path: Path) -> None:
    operator = "Ada\x1b[2K\u202e"
    steps: list[Step] = [
        (name, "skipped", {"reason": f"nobody{operator} watches", "durationMs": 0})
        if name == "watch"
        else (name, state, evidence)
        for name, state, evidence in WHOLE
    ]
    told = Rehearsed(known, steps, first=begun(known, operator=operator))
    found = judged(known, written(tmp_path, sealed(about(known, told.predicate))))
    assert all(line.isprintable() for line in found.lines())


def test_a_refusal_counts_after_the_last_time_that_the_outbox_was_enabled(known: VerifiedKit) -> None:
    def is_refused(*steps: Step) -> object:
        return Rehearsed(known, steps).predicate["proofs"]["rollback-refused"]

    refusal = WHOLE[17]
    assert is_refused(*WHOLE[:15], refusal) is True
    assert is_refused(*WHOLE[:14], refusal) is False
    assert is_refused(*WHOLE[:15], refusal, WHOLE[10], *WHOLE[11:15]) is False


def test_a_lag_that_nobody_knows_is_told(known: VerifiedKit, tmp_path: Path) -> None:
    dark = Rehearsed(known).stepped("backfill-21-102", maxLagMs=None).stepped("watch", maxLagMs=None)
    found = judged(known, written(tmp_path, sealed(about(known, dark.predicate))))
    assert "evidence: nobody knows how far the members of the rehearsal's server lagged" in found.notes


def test_a_stage_that_failed_was_interrupted_and_was_killed_and_then_done_is_done(known: VerifiedKit, tmp_path: Path) -> None:
    before: list[Step] = [
        ("backup", "failed", {"exit": 10, "type": "RetryableError", "durationMs": 5}),
        ("backup", "interrupted", {"durationMs": 7}),
        ("backup", "started", {}),
    ]
    steps = [*WHOLE[:2], *before, *WHOLE[2:]]
    path = written(tmp_path, sealed(about(known, Rehearsed(known, steps).predicate)))
    assert judged(known, path).stages["backup"]["attempts"] == 5


def test_looking_again_makes_no_rehearsal_younger(known: VerifiedKit, tmp_path: Path) -> None:
    """Attack T3: a watch, a validation and a refused rollback, months later, are no new rehearsal."""
    steps = [*WHOLE[:18], WHOLE[0], WHOLE[6], WHOLE[16], WHOLE[17]]
    said = Rehearsed(known, [*WHOLE[18:], *steps]).predicate
    later = NOW + dt.timedelta(days=60)
    for line in said["journal"][-8:]:
        line["at"] = later.strftime(chain.AT)
    rechained(said, lambda _: None)
    said |= derivation.derived(rehearsals.entries(said["journal"]))
    assert said["endedAt"] == later.strftime(chain.AT)
    (found,) = refused(known, written(tmp_path, sealed(about(known, said))), now=later)
    assert (type(found), found.exit_code) == (ExpiredEvidenceError, 8)


def test_looking_again_later_moves_no_stage(known: VerifiedKit, tmp_path: Path) -> None:
    steps = [*WHOLE[:6], WHOLE[0], *WHOLE[6:]]
    judged(known, written(tmp_path, sealed(about(known, Rehearsed(known, steps).predicate))))


# ---- what is said: each lie is signed by the rehearsal's own key


def without(name: str) -> Callable[[Rehearsed], Rehearsed]:
    """Every line of a stage is left out, and the rest chained anew."""
    return lambda honest: replace(honest, steps=[step for step in honest.steps if step[0] != name])


def cut(steps: slice) -> Callable[[Rehearsed], Rehearsed]:
    """Some steps were never gone."""

    def lie(honest: Rehearsed) -> Rehearsed:
        left = list(honest.steps)
        del left[steps]
        return replace(honest, steps=left)

    return lie


def exchanged(one: str, other: str) -> Callable[[Rehearsed], Rehearsed]:
    """Two stages change places, wherever the last of them stand."""

    def lie(honest: Rehearsed) -> Rehearsed:
        steps = list(honest.steps)
        first, second = (max(at for at, step in enumerate(steps) if step[:2] == (name, "done")) for name in (one, other))
        steps[first], steps[second] = steps[second], steps[first]
        return replace(honest, steps=steps)

    return lie


def left(name: str, **changes: Any) -> Callable[[Rehearsed], Rehearsed]:
    return lambda honest: honest.stepped(name, **changes)


def first(**changes: Any) -> Callable[[Rehearsed], Rehearsed]:
    return lambda honest: replace(honest, first=begun(honest.kit, **changes))


def ended(*steps: Step) -> Callable[[Rehearsed], Rehearsed]:
    """More lines before those of what is absent."""
    return lambda honest: replace(honest, steps=[*honest.steps[:-5], *steps, *honest.steps[-5:]])


def moved(name: str, to: int) -> Callable[[Rehearsed], Rehearsed]:
    """The first `done` of a stage goes to another place."""

    def lie(honest: Rehearsed) -> Rehearsed:
        steps = list(honest.steps)
        steps.insert(to, steps.pop(next(at for at, step in enumerate(steps) if step[0] == name)))
        return replace(honest, steps=steps)

    return lie


TOLD: dict[str, tuple[Callable[[Rehearsed], Rehearsed], str]] = {
    "a step removed": (without("prove-backup"), "prove-backup: was never done"),
    "no preflight": (without("preflight"), "preflight: was never done"),
    "no rollback": (cut(slice(7, 10)), "rollback-21-102: is refused, wanted done"),
    "no restore": (cut(slice(10, 14)), "restore: was never done"),
    "nothing after the restore": (
        cut(slice(11, 18)),
        "apply-21-101: was never done, or was taken back and not done again",
    ),
    "steps exchanged": (
        exchanged("enable-outbox", "unfreeze"),
        "unfreeze: was through at line 31, and enable-outbox, which comes first, only at line 33",
    ),
    "steps exchanged the last time": (
        exchanged("backfill-21-102", "validate"),
        "validate: was through at line 27, and backfill-21-102",
    ),
    "the backup last": (
        moved("backup", 15),
        "prove-backup: was through at line 7, and backup, which comes first, only at line 33",
    ),
    "failed at last": (
        ended(("watch", "failed", {"exit": 3, "type": "StoppedError", "durationMs": 5})),
        "watch: is failed, wanted done or skipped",
    ),
    "frozen without a probe": (left("freeze", probe="passed"), 'freeze: probe is "passed", wanted "refused"'),
    "a proof that is none": (left("prove-backup", equal=False), "prove-backup: equal is False, wanted True"),
    "another backup proven": (
        left("prove-backup", fingerprint=OTHER),
        "prove-backup: what was restored has another fingerprint than what was saved",
    ),
    "documents failed": (left("backfill-21-102", errors=1), "backfill-21-102: errors is 1, wanted 0"),
    "touched by others": (left("backfill-21-102", touched=2), "backfill-21-102: touched is 2, wanted 0"),
    "no report": (left("backfill-21-102", reportHash=""), "backfill-21-102: reportHash is "),
    "an equation failed": (left("validate", failed=1), "validate: failed is 1, wanted 0"),
    "no equation": (left("validate", equations=0), "validate: no equation was looked at"),
    "an empty backup": (left("backup", documents=0), "backup: no document was there to be saved"),
    "an empty database": (left("backfill-21-102", documents=0), "backfill-21-102: no document was there to be backfilled"),
    "a number that is none": (left("validate", failed=False), "validate: failed is False, wanted 0"),
    "less than none": (left("backfill-21-102", observations=-1), "backfill-21-102: observations is -1, wanted a whole number"),
    "less than no time": (left("watch", durationMs=-1), "watch: line "),
    "a rollback unequal": (left("rollback-21-102", fingerprint=OTHER), "rollback-21-102: the database was not as before"),
    "a rollback that says so": (left("rollback-21-102", equalsBefore=False), "rollback-21-102: equalsBefore is False"),
    "a restore unequal": (left("restore", fingerprint=OTHER), "restore: the database was not as before"),
    "a rollback of nothing": (
        lambda honest: moved("rollback-21-102", 5)(cut(slice(8, 10))(honest)),
        "rollback-21-102: was gone while backfill-21-102 was not done: nothing was there to be taken back",
    ),
    "a restore of nothing": (
        lambda honest: moved("restore", 4)(cut(slice(11, 14))(honest)),
        "restore: was gone while apply-21-101 was not done: nothing was there to be taken back",
    ),
    "a second restore half-way": (
        ended(("restore", "failed", {"exit": 6, "type": "BackupError", "durationMs": 5})),
        "restore: is failed, wanted done",
    ),
    "a second rollback that was killed": (
        ended(("rollback-21-102", "started", {})),
        "rollback-21-102: is started, wanted done",
    ),
    "errors while watching": (left("watch", errors=1), "watch: errors is 1, wanted 0"),
    "never refused": (cut(slice(17, 18)), "rollback-21-102: was not tried after enable-outbox"),
    "refused for something else": (
        lambda honest: replace(
            honest,
            steps=[(name, state, {**said, "why": "order"} if state == "refused" else said) for name, state, said in honest.steps],
        ),
        "rollback-21-102: was not tried after enable-outbox, or was not refused then",
    ),
    "production": (first(environment="production"), 'a run in "production", wanted a rehearsal in staging'),
    "more absent than the kit's": (
        lambda honest: replace(
            honest,
            first=begun(honest.kit, absent=["restore", *ABSENT]),
            steps=[*cut(slice(10, 14))(honest).steps, ("restore", "absent", {})],
        ),
        "restore: its delivery was absent in the rehearsal, and is not absent in this kit",
    ),
    "a backup of nothing known": (left("backup", fingerprint={}), "backup: has no fingerprint of the database"),
    "a runbook in another order": (
        lambda honest: replace(honest, first=begun(honest.kit, stages=begun(honest.kit)["stages"][::-1])),
        "the rehearsal's runbook has other stages, or another order",
    ),
    "a runbook of fewer stages": (
        lambda honest: replace(
            honest,
            first=begun(honest.kit, stages=[name for name in begun(honest.kit)["stages"] if name != "watch"]),
            steps=[step for step in honest.steps if step[0] != "watch"],
        ),
        "watch: the rehearsal's runbook has no such stage",
    ),
}


@pytest.mark.parametrize("lie", TOLD)
def test_a_rehearsal_that_shows_too_little_is_refused_and_the_stage_is_named(
    known: VerifiedKit, tmp_path: Path, lie: str
) -> None:
    tell, words = TOLD[lie]
    path = written(tmp_path, sealed(about(known, tell(Rehearsed(known)).predicate)))
    found = refused(known, path)
    assert [err.exit_code for err in found] == [5] * len(found)
    assert any(words in err.message for err in found), [err.message for err in found]


def test_every_defect_is_told_at_once(known: VerifiedKit, tmp_path: Path) -> None:
    told = left("freeze", marker=False)(without("prove-backup")(left("validate", failed=3)(Rehearsed(known))))
    found = refused(known, written(tmp_path, sealed(about(known, told.predicate))))
    assert [err.facts["stage"] for err in found] == ["prove-backup", "freeze", "validate"]


# ---- what is stated otherwise than the journal has it


def row(said: Json, name: str) -> Json:
    found: Json = next(row for row in said["stages"] if row["name"] == name)
    return found


def rechained(said: Json, change: Callable[[list[Json]], object], *, plans: bool = False) -> None:
    """The journal is edited, and chained anew as its liar can; `head` and the rest is stated as before."""
    found = said["journal"]
    change(found)
    previous = chain.START
    for count, line in enumerate(found, 1):
        line.update(count=count, previous=previous)
        if plans:
            line.update(plan=plan.digest(found[0]["evidence"]))
        previous = forge.sha256(chain.rendered(line))


STATED: dict[str, tuple[Callable[[Json], object], str]] = {
    "a better number": (lambda said: row(said, "backfill-21-102")["evidence"].update(errors=7), "backfill-21-102: is stated"),
    "a stage that was not": (
        lambda said: said["stages"].remove(row(said, "validate")),
        "validate: is missing from what is stated",
    ),
    "stages exchanged": (lambda said: said["stages"].reverse(), "the stages are stated in another order"),
    "one stage more": (lambda said: said["stages"].append({"name": "more"}), "the stages are stated in another order"),
    "a truth for a number": (lambda said: row(said, "backup").update(attempts=True), "backup: is stated otherwise"),
    "a stage without a name": (lambda said: said["stages"][3].update(name=[]), "prove-backup: is missing from what is stated"),
    "stages that are none": (lambda said: said.update(stages=5), "preflight: is missing"),
    "a line edited": (
        lambda said: said["journal"][4]["evidence"].update(probe="refused!"),
        "backup: journal, line 6: it was written behind another line than the one that is line 5 now: that one was changed",
    ),
    "a line edited, chained anew": (
        lambda said: rechained(said, lambda found: found[4]["evidence"].update(marker=False)),
        "freeze: is stated otherwise than the journal has it",
    ),
    "a line removed": (
        lambda said: said["journal"].pop(8),
        "prove-backup: is stated to be done, and no line of the journal says so",
    ),
    "a line removed that is not the only one": (
        lambda said: said["journal"].pop(10),
        "backfill-21-102: journal, line 11: it was written as line 12",
    ),
    "lines removed, chained anew": (
        lambda said: rechained(said, lambda found: found.__delitem__(slice(7, 9))),
        "prove-backup: is stated otherwise than the journal has it",
    ),
    "lines exchanged": (
        lambda said: said["journal"].insert(5, said["journal"].pop(6)),
        "backup: journal, line 6: it was written as line 7",
    ),
    "lines cut off": (lambda said: said["journal"].__delitem__(slice(20, None)), "head is stated as"),
    "the last line edited": (lambda said: said["journal"][-1].update(at="2026-11-02T00:00:00Z"), "head is stated as"),
    "another plan": (
        lambda said: rechained(said, lambda found: [line.update(plan=OTHER) for line in found]),
        f"the journal's plan is {OTHER}",
    ),
    "a line of another plan": (
        lambda said: rechained(said, lambda found: found[3].update(plan=OTHER)),
        "freeze: journal, line 4: it is about another plan",
    ),
    "two journals in one": (
        lambda said: rechained(said, lambda found: found.insert(5, deepcopy(found[0]))),
        "journal, line 6: a journal begins with «begun», and has it nowhere else",
    ),
    "another kit's journal": (
        lambda said: rechained(said, lambda found: found[0]["evidence"]["kit"].update(rootHash=OTHER), plans=True),
        f"rootHash {OTHER}, and this kit is",
    ),
    "the journal of another version": (
        lambda said: rechained(said, lambda found: found[0]["evidence"]["kit"].update(version="2026.9.9")),
        "the journal is of the kit 2026.9.9",
    ),
    "validate skipped": (
        lambda said: rechained(
            said,
            lambda found: [
                line.update(state="skipped", evidence={"reason": "it took far too long", "durationMs": 0})
                for line in found
                if line["stage"] == "validate" and line["state"] == "done"
            ],
        ),
        "validate: journal, line ",
    ),
    "skipped for no reason": (
        lambda said: rechained(
            said,
            lambda found: found.insert(
                -6, {**found[-7], "stage": "watch", "state": "skipped", "evidence": {"reason": "short", "durationMs": 0}}
            ),
        ),
        "watch: journal, line ",
    ),
    "a journal that is none": (lambda said: said.update(journal="none"), "the journal is no list of lines"),
    "an empty journal": (lambda said: said.update(journal=[]), "the journal is no list of lines"),
    "a line that is none": (lambda said: said["journal"].append({"stage": []}), "journal, line "),
    "a fraction": (lambda said: row(said, "watch").update(durationMs=1.5), "the number 1.5, wanted integers alone"),
    "another nonce": (lambda said: said.update(nonce="00" * 16), "nonce is stated as"),
    "another operator": (lambda said: said.update(operator="Somebody else"), "operator is stated as"),
    "proofs made up": (lambda said: said["proofs"].update(restore={"before": OTHER, "after": OTHER}), "proofs is stated as"),
    "a lower lag": (lambda said: said["lag"].update(maxMs=1), "lag is stated as"),
    "a faster rehearsal": (lambda said: said["forecast"].update(documentsPerSecond=10**6), "forecast.documentsPerSecond is not"),
    "a later end": (lambda said: said.update(endedAt="2026-11-03T00:00:00Z"), "endedAt is stated as"),
    "a score": (lambda said: said.update(score={}), "it has a score, as a run in production has"),
    "another kit's version": (lambda said: said["kit"].update(version="2026.9.9"), 'kit.version is "2026.9.9"'),
    "another kit's hash": (lambda said: said["kit"].update(rootHash=OTHER), f'kit.rootHash is "{OTHER}"'),
    "another schema": (lambda said: said.update(schema="stellaops.lnm.rehearsal/2"), "schema is"),
    "one member less": (lambda said: said.pop("proofs"), "the predicate has"),
    "one member more": (lambda said: said.update(host="db1.example.org"), "the predicate has"),
    "a server that is none": (lambda said: said.update(server={"version": "6.0.5"}), "server has"),
    "a trust that is none": (lambda said: said.update(trust="mine"), "trust is"),
}


@pytest.mark.parametrize("lie", STATED)
def test_what_is_stated_otherwise_than_the_journal_has_it_is_refused(known: VerifiedKit, tmp_path: Path, lie: str) -> None:
    tell, words = STATED[lie]
    said = json.loads(json.dumps(Rehearsed(known).predicate))
    tell(said)
    found = refused(known, written(tmp_path, sealed(about(known, said))))
    assert {err.exit_code for err in found} == {5}
    assert any(words in err.message for err in found), [err.message for err in found]


def test_every_line_that_is_edited_is_named(known: VerifiedKit, tmp_path: Path) -> None:
    """The last has none behind it that would tell; `head` does."""
    honest = Rehearsed(known).predicate
    for number in range(1, len(honest["journal"]) - 1):
        said = json.loads(json.dumps(honest))
        said["journal"][number]["at"] = "2026-11-01T09:59:59Z"
        found = refused(known, written(tmp_path, sealed(about(known, said))))
        assert f"line {number + 2}: " in found[0].message
        assert found[0].facts["stage"] == said["journal"][number + 1]["stage"]


# ---- about what it is, and in which form


def test_evidence_of_another_kit_is_refused_and_both_are_named(known: VerifiedKit, tmp_path: Path) -> None:
    other = rehearsals.kit(tmp_path, forge.other_kit())
    assert other.manifest.version == known.manifest.version
    path = written(tmp_path, sealed(about(other, Rehearsed(other).predicate)))
    (found,) = refused(known, path)
    assert found.exit_code == 5
    assert known.manifest.root_hash in found.message
    assert other.manifest.root_hash in found.message


def test_a_kit_of_the_same_files_that_is_told_to_hold_more_was_not_rehearsed(known: VerifiedKit, tmp_path: Path) -> None:
    """The rootHash is the same: what a kit calls ready or absent is in its manifest."""
    more = rehearsals.kit(tmp_path, ready={**rehearsals.READY, "21-103": "20251202_lnm_21_103_object_store"})
    assert more.manifest.root_hash == known.manifest.root_hash
    found = refused(more, written(tmp_path, sealed(about(known, Rehearsed(known).predicate))))
    assert "apply-21-103: its delivery was absent in the rehearsal, and is not absent in this kit" in {
        err.message for err in found
    }
    assert "apply-21-103: is absent, wanted done" in {err.message for err in found}


ABOUT: dict[str, tuple[Callable[[Json], object], str]] = {
    "two subjects": (lambda said: said["subject"].append(said["subject"][0]), "it is about no one kit"),
    "no subject": (lambda said: said.update(subject=[]), "it is about no one kit"),
    "a subject that is none": (lambda said: said.update(subject=[5]), "it is about no one kit"),
    "another name": (lambda said: said["subject"][0].update(name="concelier"), "it is about concelier with the rootHash"),
    "another predicate": (lambda said: said.update(predicateType="https://slsa.dev/provenance/v1"), "predicateType is"),
    "another statement": (lambda said: said.update(_type="https://in-toto.io/Statement/v0.1"), "_type is"),
    "one member more": (lambda said: said.update(more=1), "the statement has"),
    "a predicate that is none": (lambda said: said.update(predicate=None), "the predicate has"),
}


@pytest.mark.parametrize("lie", ABOUT)
def test_a_statement_of_another_form_is_refused(known: VerifiedKit, tmp_path: Path, lie: str) -> None:
    tell, words = ABOUT[lie]
    said = json.loads(json.dumps(about(known, Rehearsed(known).predicate)))
    tell(said)
    (found,) = refused(known, written(tmp_path, sealed(said)))
    assert (found.exit_code, words in found.message) == (5, True), found.message


def no_signature(data: bytes) -> bytes:
    return forge.line({**json.loads(data), "signatures": []})


def two_signatures(data: bytes) -> bytes:
    envelope = json.loads(data)
    return forge.line({**envelope, "signatures": envelope["signatures"] * 2})


FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "not in the one form of a DSSE"),
    "unsigned": (no_signature, "not in the one form of a DSSE"),
    "two signatures": (two_signatures, "not in the one form of a DSSE"),
    "bytes behind": (lambda data: data + b"\n", "not in the one form of a DSSE"),
    "another payloadType": (
        lambda data: data.replace(b"application/vnd.in-toto+json", b"application/vnd.other"),
        "not in the one form of a DSSE",
    ),
    "loose JSON": (lambda data: json.dumps(json.loads(data)).encode() + b"\n", "not in the one form of a DSSE"),
    "a bare statement": (rehearsals.payload_of, "not in the one form of a DSSE"),
    "another payload": (
        lambda data: forge.line({**json.loads(data), "payload": "e30K"}),
        "its signature does not verify",
    ),
    "another key's name": (
        lambda data: data.replace(STRANGER.keyid.encode(), MAIN.keyid.encode()),
        "its signature does not verify",
    ),
    "a nameless key": (
        lambda data: data.replace(STRANGER.keyid.encode(), EDDY.keyid.encode()),
        "which was not given",
    ),
    "too large": (lambda data: data + b" " * (4 << 20), "more than 4194304 bytes"),
}


@pytest.mark.parametrize("lie", FILES)
def test_a_file_of_another_form_or_signature_is_refused(known: VerifiedKit, tmp_path: Path, lie: str) -> None:
    tell, words = FILES[lie]
    found = refused(known, written(tmp_path, tell(sealed(about(known, Rehearsed(known).predicate)))))
    assert {err.exit_code for err in found} == {5}
    assert words in found[0].message


def test_any_bit_of_the_file_that_is_flipped_is_noticed(known: VerifiedKit, tmp_path: Path) -> None:
    data = sealed(about(known, Rehearsed(known).predicate))
    step = len(data) // 40  # a signature is verified in 15 ms
    for at in [*range(0, len(data), step), *range(len(data) - 20, len(data), 3)]:
        flipped = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        assert refused(known, written(tmp_path, flipped))[0].exit_code == 5


def test_whoever_has_no_key_is_refused_for_that_and_what_he_has_changed_is_named(known: VerifiedKit, tmp_path: Path) -> None:
    said = json.loads(json.dumps(Rehearsed(known).predicate))
    said["journal"][8]["evidence"]["equal"] = 1
    for key in (SECOND, EDDY):
        signed = sealed(about(known, said), key).replace(key.keyid.encode(), STRANGER.keyid.encode())
        found = refused(known, written(tmp_path, signed))
        assert [err.exit_code for err in found] == [5, 5]
        assert "its signature does not verify" in found[0].message
        assert (
            "apply-21-101: journal, line 10: it was written behind another line than the one that is line 9 now"
            in found[1].message
        )


def test_a_payload_that_is_not_canonical_is_refused(known: VerifiedKit, tmp_path: Path) -> None:
    payload = json.dumps(about(known, Rehearsed(known).predicate), indent=1).encode()
    (found,) = refused(known, written(tmp_path, forge.line(forge.dsse(STRANGER, payload))))
    assert (found.exit_code, "wanted RFC 8785" in found.message) == (5, True)


# ---- who signed it, and what the policy says of that


@pytest.fixture
def honest(known: VerifiedKit, tmp_path: Path) -> Path:
    return written(tmp_path, sealed(about(known, Rehearsed(known).predicate)))


def test_production_wants_a_policy_and_not_a_key_alone(known: VerifiedKit, honest: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(STRANGER.pem)
    (found,) = refused(known, honest, None, keys=(tmp_path / "key.pub",))
    assert (found.exit_code, "production needs a trust policy" in found.message) == (5, True)


def test_evidence_that_is_not_there_or_was_not_named_is_missing(known: VerifiedKit, tmp_path: Path) -> None:
    for path in (None, tmp_path / "gone", tmp_path / "gone/evidence"):
        (found,) = refused(known, path)
        assert isinstance(found, NotFoundError)
        assert "evidence --execute" in found.hint
    (found,) = refused(known, tmp_path)
    assert isinstance(found, InputError)


def test_a_policy_without_a_rehearsal_signer_takes_no_evidence(known: VerifiedKit, honest: Path) -> None:
    (found,) = refused(known, honest, made(BUILDER))
    assert (found.exit_code, "which was not given" in found.message) == (5, True)


def test_a_key_that_only_lends_its_bytes_to_the_policy_is_enough(known: VerifiedKit, honest: Path, tmp_path: Path) -> None:
    policy = made(BUILDER, signer(STRANGER, "rehearsal", lends=True))
    assert "which was not given" in refused(known, honest, policy)[0].message
    (tmp_path / "key.pub").write_bytes(STRANGER.pem)
    assert judged(known, honest, policy, keys=(tmp_path / "key.pub",)).signer == "Rehearsal host"


@pytest.mark.parametrize("role", ["builder", "security", "storage"])
def test_whoever_signs_kits_does_not_sign_evidence(known: VerifiedKit, tmp_path: Path, role: str) -> None:
    path = written(tmp_path, sealed(about(known, Rehearsed(known).predicate), SECOND))
    (found,) = refused(known, path, made(BUILDER, REHEARSAL, signer(SECOND, role)))
    assert f"signed by Security team, whose role is {role}; the policy wants a signer whose role is rehearsal" in found.message


def test_an_algorithm_that_the_policy_does_not_allow_is_refused(known: VerifiedKit, tmp_path: Path) -> None:
    path = written(tmp_path, sealed(about(known, Rehearsed(known).predicate), EDDY))
    both = (BUILDER, signer(EDDY, "rehearsal"))
    assert judged(known, path, made(*both)).signer == "Storage team"
    (found,) = refused(known, path, made(*both, algorithms=["ecdsa-p256-sha256"]))
    assert (found.exit_code, "signed by ed25519" in found.message) == (5, True)


def test_what_a_development_key_signed_only_a_development_policy_takes(known: VerifiedKit, tmp_path: Path) -> None:
    told = replace(Rehearsed(known), facts=replace(rehearsals.FACTS, trust="dev"))
    path = written(tmp_path, sealed(about(known, told.predicate)))
    (found,) = refused(known, path)
    assert (found.exit_code, "a development key signed it" in found.message) == (5, True)
    assert any(
        "a development key signed it" in note for note in judged(known, path, made(BUILDER, REHEARSAL, development=True)).notes
    )


def test_a_signer_counts_from_the_first_to_the_last_of_its_days(known: VerifiedKit, honest: Path) -> None:
    def until(**days: dt.date) -> Policy:
        dates = "".join(f"{name.replace('_', '-')} = {day}\n" for name, day in days.items())
        return made(BUILDER, REHEARSAL + dates)

    today, tomorrow = NOW.date(), NOW.date() + dt.timedelta(days=1)
    rehearsed = rehearsals.START.date()
    assert judged(known, honest, until(valid_from=rehearsed, valid_until=today)).signer
    assert "is trusted from" in refused(known, honest, until(valid_from=tomorrow))[0].message
    assert "was trusted until" in refused(known, honest, until(valid_until=rehearsed))[0].message


def test_after_its_last_day_a_policy_takes_no_evidence(known: VerifiedKit, honest: Path) -> None:
    (found,) = refused(known, honest, made(BUILDER, REHEARSAL, expires=rehearsals.START.date()))
    assert found.exit_code == 7


# ---- time


def ends(known: VerifiedKit) -> dt.datetime:
    return dt.datetime.strptime(Rehearsed(known).predicate["endedAt"], chain.AT).replace(tzinfo=dt.UTC)


def test_evidence_is_good_for_the_days_of_the_policy_and_no_second_more(known: VerifiedKit, honest: Path) -> None:
    through = derivation.through_at(rehearsals.entries(lines(begun(known), WHOLE)))
    limit = dt.datetime.strptime(through, chain.AT).replace(tzinfo=dt.UTC) + dt.timedelta(days=14)
    assert judged(known, honest, now=limit).signer
    (found,) = refused(known, honest, now=limit + dt.timedelta(seconds=1))
    assert isinstance(found, ExpiredEvidenceError)
    assert (found.exit_code, "it may be 14 days old" in found.message) == (8, True)
    assert judged(known, honest, made(BUILDER, REHEARSAL, evidence_max_age_days=0), now=limit + dt.timedelta(days=9999)).signer


def test_the_option_shortens_the_age_and_never_lengthens_it(known: VerifiedKit, honest: Path) -> None:
    (found,) = refused(known, honest, days=2)
    assert (found.exit_code, "it may be 2 days old" in found.message) == (8, True)
    assert judged(known, honest, days=14).signer
    for days in (15, 0, -1):
        (found,) = refused(known, honest, days=days)
        assert (found.exit_code, "it may only shorten what the policy says" in found.message) == (2, True)
    assert judged(known, honest, made(BUILDER, REHEARSAL, evidence_max_age_days=0), days=500).signer


def test_evidence_from_the_future_is_refused_but_for_a_few_minutes(known: VerifiedKit, honest: Path) -> None:
    assert judged(known, honest, now=ends(known) - dt.timedelta(minutes=5)).signer
    for back in (dt.timedelta(minutes=5, seconds=1), dt.timedelta(days=3650)):
        (found,) = refused(known, honest, now=ends(known) - back)
        assert (found.exit_code, isinstance(found, ExpiredEvidenceError)) == (8, True)


def test_a_clock_that_was_set_back_in_the_rehearsal_is_seen(known: VerifiedKit, tmp_path: Path) -> None:
    said = json.loads(json.dumps(Rehearsed(known).predicate))
    rechained(said, lambda found: [line.update(at="2026-11-01T07:00:00Z") for line in found[12:14]])
    lie = {**said, **{name: value for name, value in derived(said).items() if name != "stages"}}
    found = refused(known, written(tmp_path, sealed(about(known, lie))))
    assert "apply-21-101" not in found[0].message
    assert any("line 13 of the journal was written 2026-11-01T07:00:00Z, and the one before" in err.message for err in found)


def derived(said: Json) -> Json:
    return derivation.derived(journal.of_values(said["journal"]).entries)


def test_a_gravely_wrong_one_that_is_old_too_says_first_what_is_graver(known: VerifiedKit, tmp_path: Path) -> None:
    path = written(tmp_path, sealed(about(known, without("watch")(Rehearsed(known)).predicate)))
    found = refused(known, path, now=NOW + dt.timedelta(days=99))
    assert [err.exit_code for err in found] == [5, 8]
    assert isinstance(found[0], EvidenceError)

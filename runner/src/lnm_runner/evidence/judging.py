"""Whether the evidence of a rehearsal lets production begin: who signed it, what it is about, and what it shows (`rules`).

The site's policy decides, as for a kit: it names who signs evidence (role `rehearsal`) and how old it may be. A bare --key lets
no production begin. Whoever signed is named by the policy in every case, the development key, too; what that key has signed is
taken by a development policy alone, as with a kit. Everything in the statement that follows from its journal is worked out anew
and compared, so that nothing is believed but the lines, the rates and the server's kind.

What cannot be seen here: whoever holds the rehearsal's key can sign a journal that he has invented. The key is the trust.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner import chain
from lnm_runner.errors import EvidenceError, ExpiredEvidenceError, InputError, NotFoundError, RunnerError, gathered
from lnm_runner.evidence import comparison, derivation, reading, rules, signatory
from lnm_runner.evidence.keys import DEVELOPMENT
from lnm_runner.evidence.rules import SLACK, Given, moment
from lnm_runner.kit import Trust, VerifiedKit, judgement
from lnm_runner.kit.policy import Policy
from lnm_runner.runbook import journal, stages

OPTION: Final = "--evidence-max-age"


@dataclass(frozen=True)
class Rehearsal:
    """Evidence that was accepted."""

    predicate: Mapping[str, Any]
    sha256: str
    """Of the file: `sha256:` and hex."""
    signer: str
    """What the policy calls who signed it."""
    notes: tuple[str, ...]
    """What whoever goes on must be told."""

    @property
    def stages(self) -> Mapping[str, Mapping[str, Any]]:
        """`{stage: {state, attempts, durationMs, evidence}}`."""
        return {row["name"]: row for row in self.predicate["stages"]}

    def lines(self) -> list[str]:
        """In words."""
        stated = self.predicate
        who = f"by {plain(stated['operator'] or 'somebody unnamed')}, signed by {self.signer} ({signatory.ROLE})"
        return [f"evidence: rehearsed {stated['begunAt']} to {stated['endedAt']} {who}, {self.sha256}", *self.notes]

    def as_json(self) -> dict[str, Any]:
        """For the journal of production, and for a program."""
        stated = self.predicate
        return {"sha256": self.sha256, "nonce": stated["nonce"], "endedAt": stated["endedAt"], "signer": self.signer}


def require(  # noqa: PLR0913 - one file, and the site that judges it
    path: Path | None,
    *,
    kit: VerifiedKit,
    policy: Policy | None,
    keys: Sequence[Path],
    now: dt.datetime,
    max_age_days: int | None = None,
) -> Rehearsal:
    """The rehearsal in a file, if production may begin by it. `keys` lend the policy their bytes; `now` is in UTC.

    Raises: NotFoundError where there is none; EvidenceError where it is not to be believed, or shows too little, with every
        reason; ExpiredEvidenceError where nothing but its age is wrong; InputError of `max_age_days`, which may only shorten what
        the policy says.
    """
    if policy is None:
        raise EvidenceError(
            "production needs a trust policy, which names who signs evidence; a key alone (--key) does not say that",
            hint="name it: --policy FILE; the signer has the role rehearsal there (runbook/trust-policy.example.toml)",
        )
    limit = age_limit(policy, max_age_days)
    if path is None:
        raise NotFoundError("production needs the evidence of a rehearsal of this kit, and none was named", hint=reading.GET)
    data = reading.read(path)
    try:
        payload, key = reading.opened(path.name, data, Trust(policy, tuple(keys)))
    except EvidenceError as err:
        raise gathered([err, *glimpsed(path.name, data, kit)]) from err
    predicate = reading.stated(path.name, payload, kit)
    given = told(predicate, kit)
    found = [
        *signatory.refused(policy, key, predicate, now),
        *comparison.misstated(predicate, given, kit),
        *rules.broken(given),
        *too_old(given, limit, now),
    ]
    if found:
        raise gathered(found)
    signer = judgement.holder(policy, key)
    named = "" if signer is None else signer.name
    return Rehearsal(predicate, f"sha256:{hashlib.sha256(data).hexdigest()}", named, tuple(notes(given, predicate, limit, now)))


def plain(text: str) -> str:
    """What somebody has written, on one line, less what would move a terminal's cursor or turn a text round."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def told(predicate: Mapping[str, Any], kit: VerifiedKit) -> Given:
    """What the journal in a predicate tells, beside what this kit wants.

    Raises: EvidenceError where its chain is not whole.
    """
    entries = comparison.chained(predicate)
    return Given(entries, derivation.derived(entries), stages.STAGES, stages.absent(kit))


def glimpsed(name: str, data: bytes, kit: VerifiedKit) -> list[RunnerError]:
    """What else is wrong with evidence that nobody vouches for, so that whoever looks for what was changed is led there."""
    payload = reading.unsigned(data)
    if payload is None:
        return []
    try:
        predicate = reading.stated(name, payload, kit)
        given = told(predicate, kit)
    except EvidenceError as err:
        return [err, *err.others]
    return [*comparison.misstated(predicate, given, kit), *rules.broken(given)]


def age_limit(policy: Policy, wanted: int | None) -> int:
    """How many days old it may be; 0: any age.

    Raises: InputError where more is wanted than the policy allows.
    """
    most = policy.evidence_max_age_days
    if wanted is None:
        return most
    if wanted < 1 or (most and wanted > most):
        least = f"a whole number from 1 to {most}" if most else "a whole number from 1 on"
        raise InputError(
            f"{OPTION}: is {wanted}, wanted {least}: it may only shorten what the policy says",
            hint="leave it out, or change the policy",
            facts={"found": wanted, "policy": most},
        )
    return wanted


def too_old(given: Given, limit: int, now: dt.datetime) -> Iterator[EvidenceError]:
    """Its age, by the line with which its last stage was through; it is from the future by its last line."""
    ended, through = given.derived["endedAt"], derivation.through_at(given.entries)
    facts = {"rule": "age", "endedAt": ended, "throughAt": through, "now": f"{now:{chain.AT}}", "days": limit}
    here = judgement.here(now)
    if moment(ended) > now + SLACK:
        hint = "set the clock of this host, or of the one that rehearsed"
        yield ExpiredEvidenceError(f"the rehearsal ended {ended}, and {here}", hint=hint, facts=facts)
    if limit and now - moment(through) > dt.timedelta(days=limit):
        what = f"the rehearsal was through {through}, and {here}; it may be {limit} days old"
        yield ExpiredEvidenceError(what, hint=rules.REHEARSE, facts=facts)


def notes(given: Given, predicate: Mapping[str, Any], limit: int, now: dt.datetime) -> Iterator[str]:
    """What is to be told of evidence that was accepted."""
    for row in predicate["stages"]:
        if row["state"] == journal.SKIPPED:
            yield f"evidence: {row['name']} was skipped: {plain(row['evidence']['reason'])}"
    absent = [row["name"] for row in predicate["stages"] if row["state"] == journal.ABSENT]
    if absent:
        yield f"evidence: absent from the kit, so not rehearsed: {', '.join(absent)}"
    if predicate["lag"]["maxMs"] is None:
        yield "evidence: nobody knows how far the members of the rehearsal's server lagged"
    if predicate["trust"] == DEVELOPMENT:
        yield "evidence: a development key signed it: for trying out, not for production"
    if limit:
        left = moment(derivation.through_at(given.entries)) + dt.timedelta(days=limit) - now
        yield f"evidence: good for {max(left.days, 0)} more days"

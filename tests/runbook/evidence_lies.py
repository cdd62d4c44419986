"""Evidence that says something else than what was rehearsed: each made of a real one, and signed again by the key that may sign.

Whoever signs can write any journal; so each lie is as well made as it can be: lines are linked anew, and what follows from them
is stated as it follows.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lnm_runner import chain
from lnm_runner.evidence import derivation
from lnm_runner.runbook import journal, plan

from tests.faults.keys import MAIN, STRANGER, Key
from tests.runner.kits import IN_TOTO, canonical

Statement: TypeAlias = dict[str, Any]
OTHER_HASH = "ab" * 32
LONG_AGO = dt.timedelta(days=40)


@dataclass(frozen=True)
class Lie:
    """A lie, its exit code, and what the refusal must name."""

    tell: Callable[[Statement], None]
    exit_code: int
    names: str | Callable[[Statement], str]
    key: Key = STRANGER
    """Who signs it."""
    is_linked: bool = True
    """Whether the journal is linked anew, and what follows from it stated anew."""


def statement_of(path: Path) -> Statement:
    """The statement inside evidence."""
    statement: Statement = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
    return statement


def told(lie: Lie, path: Path) -> bytes:
    """The evidence with a lie in it."""
    statement = statement_of(path)
    lie.tell(statement)
    if lie.is_linked:
        link(statement["predicate"])
    return sealed(canonical(statement), lie.key)


def link(predicate: dict[str, Any]) -> None:
    """Numbers and links the lines anew, and states what follows."""
    previous = chain.START
    for count, line in enumerate(predicate["journal"], 1):
        line |= {"count": count, "previous": previous}
        previous = hashlib.sha256(chain.rendered(line)).hexdigest()
    entries = journal.of_values(predicate["journal"]).entries
    if len(entries) == len(predicate["journal"]):  # else the journal itself is the lie
        predicate |= derivation.derived(entries)


def sealed(payload: bytes, key: Key) -> bytes:
    """A DSSE in its canonical form."""
    pae = b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
    signature = {"keyid": key.keyid, "sig": base64.b64encode(key.sign(pae)).decode()}
    return canonical({"payload": base64.b64encode(payload).decode(), "payloadType": IN_TOTO, "signatures": [signature]})


def of_another_kit(statement: Statement) -> None:
    statement["subject"][0]["digest"]["sha256"] = OTHER_HASH
    statement["predicate"]["kit"]["rootHash"] = f"sha256:{OTHER_HASH}"
    begun = statement["predicate"]["journal"][0]["evidence"]
    begun["kit"]["rootHash"] = f"sha256:{OTHER_HASH}"
    replan(statement["predicate"]["journal"])


def replan(lines: list[dict[str, Any]]) -> None:
    """Gives every line the plan that the first one makes."""
    for line in lines:
        line["plan"] = plan.digest(lines[0]["evidence"])


def expired(statement: Statement) -> None:
    for line in statement["predicate"]["journal"]:
        at = dt.datetime.strptime(line["at"], chain.AT).replace(tzinfo=dt.UTC)
        line["at"] = (at - LONG_AGO).strftime(chain.AT)


def without(stage: str) -> Callable[[Statement], None]:
    """Every line of a stage is gone."""

    def tell(statement: Statement) -> None:
        lines = statement["predicate"]["journal"]
        lines[:] = [line for line in lines if line["stage"] != stage]

    return tell


def line_of(stage: str) -> Callable[[Statement], str]:
    """Names the last `done` line of a stage."""

    def name(statement: Statement) -> str:
        lines = statement["predicate"]["journal"]
        return f"line {max(line['count'] for line in lines if (line['stage'], line['state']) == (stage, 'done'))} now"

    return name


def changed(stage: str, **members: Any) -> Callable[[Statement], None]:
    """The last `done` line of a stage says something else."""

    def tell(statement: Statement) -> None:
        lines = statement["predicate"]["journal"]
        [*_, line] = [line for line in lines if (line["stage"], line["state"]) == (stage, "done")]
        line["evidence"] |= members

    return tell


def nothing(_: Statement) -> None:
    """The truth."""


LIES: Mapping[str, Lie] = {
    "of another kit": Lie(of_another_kit, 5, OTHER_HASH[:12]),
    "expired": Lie(expired, 8, "days"),
    "a line edited, and not linked again": Lie(
        changed("backfill-21-102", errors=0, late=7), 5, line_of("backfill-21-102"), is_linked=False
    ),
    "a step removed": Lie(without("prove-backup"), 5, "prove-backup"),
    "no rollback": Lie(without("rollback-21-102"), 5, "rollback-21-102"),
    "an equation failed": Lie(changed("validate", failed=1), 5, "validate"),
    "signed by who may not": Lie(nothing, 5, MAIN.keyid, key=MAIN),
}

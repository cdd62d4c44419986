"""scripts/staging: how it goes on, what it refuses, and how it keeps passwords; what its eyes see is in test_rehearsal.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scripts.errors import InputError, MissingError
from scripts.staging import own, progress, seed, users
from scripts.staging.embedded import ROLES
from scripts.staging.rehearsal import ORDER

TOLD = [step for step in ORDER if step.ends_as]


def lines(count: int, *between: tuple[str, str]) -> list[dict[str, str]]:
    """What the journal says when so many told steps are done, with other lines before each of them."""
    found = []
    for step in TOLD[:count]:
        found += [
            {"stage": stage, "state": state} for stage, state in ((step.name, "started"), *between, (step.name, step.ends_as))
        ]
    return found


@pytest.mark.parametrize("count", range(len(TOLD) + 1))
def test_a_rehearsal_goes_on_behind_the_last_step_that_the_journal_says_is_done(count: int) -> None:
    known = progress.done(ORDER, lines(count))
    assert [step for step in ORDER[:known] if step.ends_as] == TOLD[:count]
    assert known == 0 or ORDER[known - 1] is TOLD[count - 1]


def test_failures_kills_and_repetitions_between_do_not_count() -> None:
    others = (("validate", "failed"), ("validate", "interrupted"), ("preflight", "done"))
    assert progress.done(ORDER, lines(5, *others)) == progress.done(ORDER, lines(5))


def test_the_order_goes_through_every_stage_that_a_user_has() -> None:
    callers = {step.who for step in ORDER}
    assert callers | {users.SEEDER, users.PRODUCT} == set(ROLES)


@pytest.mark.parametrize("said", [None, {}, {"environment": "staging"}])
def test_a_database_that_was_never_in_production_may_be_rehearsed_on(said: dict[str, str] | None) -> None:
    own.refuse_production("mine", said)


def test_a_database_that_has_been_in_production_is_refused() -> None:
    with pytest.raises(InputError, match="mine: has been in production"):
        own.refuse_production("mine", {"_id": "environment", "environment": "production"})


def test_a_corpus_that_is_named_and_not_there_is_refused() -> None:
    with pytest.raises(MissingError, match=r"LNM_CORPUS: none\.ndjson\.gz"):
        seed.corpus({"LNM_CORPUS": "none.ndjson.gz"})


@pytest.mark.parametrize("database", ["concelier", "mine"])
def test_the_roles_are_those_of_the_database_and_of_its_scratch_database(database: str) -> None:
    resources: Sequence[dict[str, object]] = [
        {"db": "concelier", "collection": ""},
        {"db": "concelier_lnm_proof", "collection": "x"},
    ]
    privileges = [
        {"resource": on, "actions": ["find"]} for on in (*resources, {"cluster": True}, {"db": "local", "collection": "y"})
    ]
    role = {"role": "r", "db": "admin", "roles": [], "privileges": privileges}

    (made,) = users.of_database({"database": "concelier", "roles": [role]}, database)

    found = [held["resource"].get("db") for held in made["privileges"]]
    assert (made["db"], found) == ("admin", [database, f"{database}_lnm_proof", None, "local"])

"""The one family of errors of the runner: what is wrong, what to do next, and the facts behind it.

Exit codes: decisions §9. A message never holds a URI, a user's credential or the text of an exception of the driver; facts are
fields, which `--json` prints. Only `cli.main` prints and exits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_SHOWN = 200  # characters of a value that somebody else wrote


class RunnerError(Exception):
    """Base of all errors that an operator can meet; raised itself only for what has no better name."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", facts: Mapping[str, Any] | None = None) -> None:
        """Keeps what is wrong (`message`) apart from what to do about it (`hint`) and from the values (`facts`)."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = dict(facts or {})
        self.others: tuple[RunnerError, ...] = ()
        """Further defects that were found in the same look."""

    def as_json(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"type": type(self).__name__, "message": self.message, "hint": self.hint, **self.facts}


class InputError(RunnerError):
    """An option, a variable or a file is not what it must be."""

    exit_code = 2


class CancelledError(RunnerError):
    """A signal ended it (SIGINT, SIGTERM, SIGHUP)."""

    exit_code = 130


class CredentialsError(InputError):
    """The server knows no such user, or not with this password."""


class PrivilegeError(InputError):
    """The user may not do what the command needs."""


class TopologyError(InputError):
    """The server is not of the kind that the command needs."""


class PlanError(InputError):
    """What is in the database, or in the kit, does not allow the migration; nothing was changed."""


class IndexConflictError(PlanError):
    """An index that must be made meets another one in its place."""

    def __init__(self, collection: str, name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """`found` and `wanted` are index specifications; they differ in name or in content."""
        other = f"its name belongs to {found}" if found.get("name") == name else f"its place is taken by {found}"
        super().__init__(
            f"{collection}: the index {name} cannot be made: {other}, wanted is {wanted}",
            hint=f"if nothing needs the present one: db.{collection}.dropIndex({found.get('name')!r}), then apply again",
            facts={"collection": collection, "index": name, "found": dict(found), "wanted": dict(wanted)},
        )


class ValidatorConflictError(PlanError):
    """A collection has a validator that is not ours."""

    def __init__(self, collection: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """`found` and `wanted` hold validator, validationLevel and validationAction."""
        super().__init__(
            f"{collection}: there is another validator: {found}, wanted is {wanted}",
            hint=f'if nothing needs it: db.runCommand({{collMod: "{collection}", validator: {{}}}}), then apply again',
            facts={"collection": collection, "found": dict(found), "wanted": dict(wanted)},
        )


class DuplicateKeysError(PlanError):
    """Documents of a collection do not allow a unique index."""

    def __init__(self, collection: str, index: str, keys: int, examples: Sequence[Mapping[str, Any]]) -> None:
        """`keys` is how many keys occur more than once; an example is `{key, documents, ids}`."""
        shown = "; ".join(f"{str(example['key'])[:MOST_SHOWN]} in {example['documents']} documents" for example in examples)
        super().__init__(
            f"{collection}: the unique index {index} cannot be made: {keys} keys occur more than once: {shown}",
            hint="decide which documents stay; nothing was built and nothing was removed",
            facts={"collection": collection, "index": index, "keys": keys, "examples": [dict(item) for item in examples]},
        )


class ArrayValueError(PlanError):
    """Documents hold an array where an index wants one value."""

    def __init__(self, collection: str, field: str, documents: int, ids: Sequence[str]) -> None:
        """`ids` are those of some of the documents."""
        super().__init__(
            f"{collection}: {documents} documents hold an array in {field}, where the indexes want one value: "
            f"_id {', '.join(identity[:MOST_SHOWN] for identity in ids)}",
            hint="mend or remove those documents; nothing was built and nothing was removed",
            facts={"collection": collection, "field": field, "documents": documents, "ids": list(ids)},
        )


class TtlFuseError(PlanError):
    """A TTL index would let documents die that nobody has agreed to lose."""

    def __init__(self, deletes: int, accepted: int) -> None:
        """Both are numbers of documents."""
        super().__init__(
            f"{deletes} documents would be deleted by TTL, {accepted} were accepted",
            hint=f"keep them with a longer LNM_EVENTS_TTL_DAYS (0 keeps all), or agree: --accept-ttl-deletes {deletes}",
            facts={"deletes": deletes, "accepted": accepted},
        )


class PreconditionError(PlanError):
    """Something that an earlier migration makes is not there."""


class LedgerError(PlanError):
    """The ledger tells another story than the kit."""


class DigestMismatchError(LedgerError):
    """An applied migration is not the one in this kit."""

    def __init__(self, migration: str, applied: str, found: str) -> None:
        """`applied` is the digest in the ledger, `found` the one of the kit."""
        super().__init__(
            f"{migration} was applied with the digest {applied}, this kit holds {found}",
            hint="use the kit that it was applied from; an applied migration is never edited",
            facts={"migration": migration, "applied": applied, "found": found},
        )


class OutOfOrderError(LedgerError):
    """A migration comes too late: a later one was applied without it."""

    def __init__(self, migration: str, later: Sequence[str]) -> None:
        """`later` are the ids that were applied already."""
        super().__init__(
            f"{migration} was never applied here, and later ones were: {', '.join(later)}",
            hint="an earlier migration is never applied after a later one: roll the later ones back, or restore the backup",
            facts={"migration": migration, "later": list(later)},
        )


class GapError(LedgerError):
    """A migration that must come before is not applied."""

    def __init__(self, delivery: str, missing: Mapping[str, str]) -> None:
        """`missing` is `{delivery: its state in words}`."""
        said = ", ".join(f"{name} ({state})" for name, state in missing.items())
        super().__init__(
            f"{delivery} comes after what is not applied here: {said}",
            hint=f"first: lnm apply {next(iter(missing))} --execute",
            facts={"delivery": delivery, "missing": dict(missing)},
        )


class StillNeededError(LedgerError):
    """A migration cannot be rolled back while later ones stand on it."""

    def __init__(self, delivery: str, later: Mapping[str, str]) -> None:
        """`later` is `{delivery: its state}`."""
        said = ", ".join(f"{name} ({state})" for name, state in later.items())
        super().__init__(
            f"{delivery} cannot be rolled back, later ones stand on it: {said}",
            hint=f"first: lnm rollback {list(later)[-1]} --execute",
            facts={"delivery": delivery, "later": dict(later)},
        )


class UnknownEntryError(LedgerError):
    """The database knows a migration of this product that the kit does not know."""

    def __init__(self, collection: str, migration: str, state: str) -> None:
        """Names the row and its state."""
        super().__init__(
            f"{collection}: {migration} is {state} here, and this kit knows no such migration",
            hint="use the kit that it came from, or a newer one; nothing was changed",
            facts={"collection": collection, "migration": migration, "state": state},
        )


class LostEntryError(LedgerError):
    """Upstream's collection says applied, and the ledger says nothing of it."""

    def __init__(self, migration: str, command: str) -> None:
        """`command` records what is there, once somebody has looked."""
        super().__init__(
            f"schema_migrations says that {migration} is applied, lnm_migrations knows nothing of it",
            hint=f"restore lnm_migrations from the backup; or let what is there be completed and recorded anew, "
            f"after which lnm can no longer roll it back: {command}",
            facts={"migration": migration, "command": command},
        )


class NotEmptyError(PlanError):
    """Going back would take collections away that hold documents."""

    def __init__(self, documents: Mapping[str, int]) -> None:
        """`documents` is `{collection: how many}`."""
        said = ", ".join(f"{name} ({count})" for name, count in documents.items())
        super().__init__(
            f"these collections belong to the migration and hold documents: {said}",
            hint="roll 21-102 back first where it was applied, or restore the backup; no document was touched",
            facts={"documents": dict(documents)},
        )


class StoppedError(RunnerError):
    """A migration stopped half-way; what was done is done, and applying again goes on."""

    exit_code = 3


class InterruptedApplyError(StoppedError):
    """A runner that is gone has left a migration half-way."""

    def __init__(self, migration: str, found: str, command: str, facts: Mapping[str, Any]) -> None:
        """`found` says what is there, `command` goes on."""
        super().__init__(
            f"{migration} was left by a runner that is gone; {found}",
            hint=f"look: lnm doctor; go on: {command}",
            facts={"migration": migration, "command": command, **facts},
        )


class PublishedError(PlanError):
    """What would be taken back has been told to the world."""

    def __init__(self, events: int) -> None:
        """`events` were published."""
        super().__init__(
            f"{events} events of the backfill were published: others have acted on what would be taken back",
            hint="restore the backup, or, knowing that, --force --force-reason WHY; published events are then left, and listed",
            facts={"published": events},
        )


class DocumentsFailedError(StoppedError):
    """Inputs of which nothing could be made; they are in lnm_backfill_errors, and everything else is done or goes on."""

    def __init__(self, failures: Sequence[str]) -> None:
        """Each says which input, the code and why."""
        shown = [failure[: 2 * MOST_SHOWN] for failure in failures[:3]]
        more = f", and {len(failures) - 3} more" if len(failures) > 3 else ""  # noqa: PLR2004 - the three that are shown
        super().__init__(
            f"{len(failures)} documents of the last batch could not be backfilled: {'; '.join(shown)}{more}",
            hint="all of them: db.lnm_backfill_errors.find(); the same command goes on behind them; or mend them, lnm rollback "
            "21-102 --execute, and begin anew",
            facts={"failures": list(failures)},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels between processes."""
        return type(self), (self.facts["failures"],)


class NotFoundError(RunnerError):
    """Something that was named is not there."""

    exit_code = 4


class SignatureError(RunnerError):
    """A signature or a signed statement does not say what it must."""

    exit_code = 5


class ChecksumError(RunnerError):
    """Bytes are not the bytes that were signed for."""

    exit_code = 6


class TrustRootError(RunnerError):
    """A transparency log, or the root from which trust in it comes, does not vouch for an identity's signature."""

    exit_code = 7


class StateError(RunnerError):
    """What this machine keeps of its policy and of earlier imports is not as it was left; nothing is imported or activated."""

    exit_code = 7


class VersionError(RunnerError):
    """A kit, or a policy, comes at the wrong time: an older version than is allowed, too old, or from the future."""

    exit_code = 8


class LockedError(RunnerError):
    """Another runner is, or was, at work."""

    exit_code = 9


class LeaseLostError(LockedError):
    """This runner has lost its lease, and stopped."""


class RetryableError(RunnerError):
    """The server could not do it now; trying again may help."""

    exit_code = 10


def gathered(found: Sequence[RunnerError]) -> RunnerError:
    """The first of several errors, which carries the others."""
    first = found[0]
    first.others = tuple(found[1:])
    return first


class ShardKeyConflictError(PlanError):
    """A collection is sharded otherwise than it must be; nothing is ever sharded again, or brought together again."""

    def __init__(self, collection: str, found: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> None:
        """Both are shard keys, `{field: 1 | "hashed"}`; wanted None: not sharded at all."""
        super().__init__(
            f"{collection} is sharded by {dict(found)}, wanted is {'no sharding' if wanted is None else dict(wanted)}",
            hint="a sharded collection is never sharded again: restore the backup from before it was sharded, then apply again",
            facts={"collection": collection, "found": dict(found), "wanted": None if wanted is None else dict(wanted)},
        )


class NotShardableError(PlanError):
    """A collection, as it is, cannot be sharded by the key that is wanted."""

    def __init__(self, collection: str, wanted: Mapping[str, Any], reason: str, *, hint: str, facts: Mapping[str, Any]) -> None:
        """`wanted` is a shard key; `reason` ends the sentence."""
        super().__init__(
            f"{collection} cannot be sharded by {dict(wanted)}: {reason}",
            hint=hint,
            facts={"collection": collection, "wanted": dict(wanted), **facts},
        )


class UnseenOptionsError(PlanError):
    """The validator of a sharded collection cannot be set in a way that could be seen afterwards."""

    def __init__(self, collection: str, shard: str) -> None:
        """`shard` is the primary one of the database, which owns no chunk of the collection."""
        super().__init__(
            f"{collection}: a validator could not be seen here once it is set: {shard}, the primary shard of the database, "
            "owns no chunk of this collection",
            hint=f"move a chunk of it to {shard} (sh.moveChunk), then apply again",
            facts={"collection": collection, "shard": shard},
        )


class PreflightError(InputError):
    """The server, or the user, is not what a delivery needs; nothing was changed."""

    def __init__(self, check: str, evidence: str, needed_by: Mapping[str, str], *, hint: str, facts: Mapping[str, Any]) -> None:
        """`needed_by` is `{stage: what for}`."""
        stages = "; ".join(f"{stage} {why}" for stage, why in needed_by.items())
        super().__init__(f"{check}: {evidence} ({stages})", hint=hint, facts=facts)


class EquationError(InputError):
    """What a backfill has left does not fit together."""

    def __init__(self, equation: str, says: str, defects: Sequence[str], *, hint: str, facts: Mapping[str, Any]) -> None:
        """`says` is what must be so, each defect a way in which it is not."""
        super().__init__(f"{equation} ({says}): {'; '.join(defects)}", hint=hint, facts=facts)


class StageError(InputError):
    """A stage of the runbook may not begin, or its way does not lead there; nothing was changed."""


class BackupError(RunnerError):
    """A backup is not what its manifest says, is another's, or is not whole; nothing was restored from it."""

    exit_code = 6


class EvidenceError(RunnerError):
    """The evidence of a rehearsal is not to be believed, or does not show what it has to."""

    exit_code = 5


class ExpiredEvidenceError(EvidenceError):
    """The evidence of a rehearsal is too old, or from the future."""

    exit_code = 8

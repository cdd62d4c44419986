"""`lnm doctor`: what is wrong here, with evidence, and the exact command that goes on. Read-only.

It looks at the lease, at what is frozen, at each row of the ledger (what was made is looked for, thing by thing), at what a
rollback may have left, and, with a kit, at the ledger's story beside the kit's. Exit 2 where something must be seen to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lnm_runner import execution, freeze, history, lease, ledger, migrations, mongo, roles, things
from lnm_runner.commands import Result
from lnm_runner.errors import InputError, LedgerError
from lnm_runner.history import Known
from lnm_runner.kit import open_kit
from lnm_runner.ledger import UP, Entry
from lnm_runner.mongo import Database, Server
from lnm_runner.options import LONGEST_LEASE_S, Options
from lnm_runner.schema import TWIN
from lnm_runner.things import Evidence

MOST_SHOWN = 12  # things in words; JSON has them all


@dataclass(frozen=True)
class Finding:
    """Something that must be seen to."""

    what: str
    commands: tuple[str, ...] = ()
    """Each of them goes on, in another direction."""
    advice: str = ""
    """What to do where no command does it."""
    evidence: tuple[Evidence, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The finding, for a program."""
        return {
            "what": self.what,
            "commands": list(self.commands),
            "advice": self.advice,
            "evidence": [item.as_json() for item in self.evidence],
        }

    def lines(self) -> Iterator[str]:
        """The finding in words; of the evidence, what is missing first."""
        yield f"- {self.what}"
        ordered = sorted(self.evidence, key=lambda item: item.stands)
        for item in ordered[:MOST_SHOWN]:
            yield f"    {'there' if item.stands else 'not there'}: {item.thing.id} ({item.found})"
        if len(ordered) > MOST_SHOWN:
            yield f"    and {len(ordered) - MOST_SHOWN} more (--json shows all)"
        for place, command in enumerate(self.commands):
            yield f"    {'or go back' if place else 'go on'}: {command}"
        if self.advice:
            yield f"    next: {self.advice}"


def run(options: Options) -> Result:
    """Looks.

    Raises: RunnerError.
    """
    kit = open_kit(options.kit, options.trust, options.baked_in) if options.kit else None
    with mongo.connect(options) as server:
        holder = lease.holder(server.database)
        is_held = holder is not None and bool(holder["isHeld"])
        known = migrations.known(kit) if kit else None
        findings = [*lasting(holder), *frozen(server, options), *found(server.database, options, known, is_held=is_held)]
    data = {
        "database": server.database.name,
        "lease": lease.shown(holder),
        "healthy": not findings,
        "findings": [finding.as_json() for finding in findings],
    }
    return Result(data, [*lease_lines(holder), *lines(findings)], InputError.exit_code if findings else 0)


def lease_lines(holder: Mapping[str, Any] | None) -> list[str]:
    """The lease in words."""
    if holder is None:
        return ["lease: no runner has ever worked here"]
    if holder["isHeld"]:
        left_s = holder["expiresInMs"] // 1000 + 1
        return [
            f"lease: held by {lease.described(holder)}; it runs out in {left_s} s unless renewed",
            f"  while it is held, what that runner has left undone is not looked at: if it is gone, look again in {left_s} s",
        ]
    return [f"lease: free; the last to hold it was {lease.described(holder)}"]


def lasting(holder: Mapping[str, Any] | None) -> Iterator[Finding]:
    """A lease that lasts longer than any runner asks for."""
    if holder is not None and holder["expiresInMs"] > LONGEST_LEASE_S * 1000:
        yield Finding(
            f"the lease is held until {holder['expiresAt']:%Y-%m-%d %H:%M:%S} UTC, longer than any runner asks for",
            advice=f"see that no runner is at work, and that the server's clock is right; then db.{lease.COLLECTION}.updateOne("
            f'{{_id: "{lease.RUNNER}"}}, {{$set: {{expiresAt: new Date()}}}})',
        )


def frozen(server: Server, options: Options) -> Iterator[Finding]:
    """A freeze that is on, or was left between two steps; in a window it is meant."""
    if told := freeze.leftover(server):
        ways = (options.command("runbook", "status"), options.command("runbook", freeze.BACK, "--execute"))
        yield Finding(told, ways, "in a window this is meant; ask whom it names before you lift it")


def lines(findings: list[Finding]) -> list[str]:
    """All findings in words."""
    if not findings:
        return ["nothing is wrong as far as can be seen"]
    return [line for finding in findings for line in finding.lines()]


def found(database: Database, options: Options, kit: list[Known] | None, *, is_held: bool) -> Iterator[Finding]:
    """Everything that must be seen to."""
    unfit = list(ledger.unfit(database))
    for wrong in unfit:
        yield Finding(wrong.message, advice=wrong.hint)
    if kit is not None and not unfit:
        try:
            history.require(ledger.story(database), kit, None, options.again)
        except LedgerError as err:
            for other in (err, *err.others):
                yield Finding(other.message, advice=other.hint)
    is_going_back = False
    for row in ledger.rows(database):
        if not ledger.is_well_formed(row):
            yield Finding(
                f"{row['_id']}: this row of {history.LEDGER} is none that a runner wrote", advice="restore it from the backup"
            )
            continue
        known = ledger.entry(database, str(row["_id"]))
        is_going_back |= known.state in {"applying", "failed"} and known.direction != UP
        yield from of_row(database, known, options, is_held=is_held)
    if not is_going_back:
        for name in twins(database):
            count = database[name].count_documents({})
            yield Finding(f"{name} is left of a rollback and holds {count} documents", advice=out_of_sight(database, name, count))


def out_of_sight(database: Database, twin: str, documents: int) -> str:
    """What to do with a collection that a rollback has renamed."""
    name = twin.removeprefix(TWIN)
    if not documents:
        return f"it is empty: db.{twin}.drop()"
    if name not in database.list_collection_names(filter={"name": name}):
        return f"give it its name back, with all that it holds: db.{twin}.renameCollection({name!r})"
    copy = f"db.{twin}.find().forEach(d => db.{name}.insertOne(d))"
    return f"copy what it holds into {name} ({copy}), see that it is there, then db.{twin}.drop()"


def of_row(database: Database, known: Entry, options: Options, *, is_held: bool) -> Iterator[Finding]:
    """What must be seen to of one migration."""
    row = known.row or {}
    name, delivery = str(row["_id"]), str(row.get("delivery"))
    evidence = tuple(things.probe(database, known.made))
    went, other = ("apply", "rollback") if known.direction == UP else ("rollback", "apply")
    if known.state == "applying" and not is_held:
        owner = row.get("owner", {})
        who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}, since {row['startedAt']:%Y-%m-%d %H:%M:%S} UTC"
        again = execution.same_again(row, options, went, "--resume")
        back = options.going(other, delivery, "--resume")
        yield Finding(
            f"{name} was left half-way by {who} (going {known.direction}); what it set out to make is {things.told(evidence)}",
            gone_on(database, went, again, back),
            evidence=evidence,
        )
    if known.state == "failed":
        said = row.get("error", {}).get("message", "?")
        again, back = execution.same_again(row, options, went), options.going(other, delivery)
        yield Finding(
            f"{name} stopped: {said}; what it set out to make is {things.told(evidence)}",
            gone_on(database, went, again, back),
            evidence=evidence,
        )
    if (known.state == "applied") != known.is_published and known.state in {"applied", "rolled-back"}:
        has = "has its row" if known.is_published else "has no row of it"
        command = (options.going("apply", delivery),) if known.state == "applied" else ()
        advice = "" if command else f"db.{history.UPSTREAM}.deleteOne({{_id: '{name}'}}), or the product takes it for applied"
        yield Finding(f"{name} is {known.state}, and {history.UPSTREAM} {has}", command, advice)
    missing = tuple(item for item in evidence if not item.stands)
    if known.state == "applied" and missing:
        yield Finding(
            f"{name} is applied, but of what it made not all is there",
            (options.going("apply", delivery),),
            evidence=missing,
        )


def gone_on(database: Database, went: str, again: str, back: str) -> tuple[str, ...]:
    """The commands that go on; none applies while a rollback has a collection out of sight, as that is refused."""
    return (again,) if went == "rollback" and twins(database) else (again, back)


def twins(database: Database) -> list[str]:
    """The collections that a rollback has renamed, and neither dropped nor named back."""
    return sorted(database.list_collection_names(filter={"name": {"$in": list(roles.TWINS)}}))

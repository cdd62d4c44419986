"""One call of the runbook: the verified kit, the connected server, and what the journal of this place must be about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnm_runner import mongo, place, privileges
from lnm_runner.commands import Result
from lnm_runner.errors import InputError, StageError
from lnm_runner.kit import VerifiedKit, open_kit
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options
from lnm_runner.runbook import book as books
from lnm_runner.runbook import plan, stages
from lnm_runner.runbook.book import Seen
from lnm_runner.runbook.journal import Entry

NEEDED = "runbook"
"""What `roles` calls that which every command needs beside the role of its stage."""
ENVIRONMENTS = ("staging", "production")


@dataclass(frozen=True)
class Call:
    """What a command of the runbook works with."""

    options: Options
    kit: VerifiedKit
    server: Server
    name: str
    """Of the runbook's folder."""
    wanted: Mapping[str, Any]
    """The evidence that the first line of the journal has, less who began it and why."""
    told: list[str] = field(default_factory=list)
    """What must be said first."""

    @property
    def folder(self) -> Path:
        """The runbook's folder."""
        return self.options.state_folder / books.RUNBOOK / self.name

    @property
    def is_production(self) -> bool:
        """Whether this is the real thing."""
        return self.options.runbook.environment == "production"

    @property
    def plan(self) -> str:
        """Its hash."""
        return plan.digest(self.wanted)

    def look(self) -> Seen:
        """The journal as it lies there, without the lock.

        Raises: StateError where it is not as it was left.
        """
        seen = books.look(self.options.state_folder, self.name)
        books.check(seen)
        return seen

    def result(self, stage: str, state: str, lines: Sequence[str], evidence: Mapping[str, Any] | None = None) -> Result:
        """What a stage came to."""
        data = {
            "database": self.server.database.name,
            "environment": self.options.runbook.environment,
            "plan": self.plan,
            "stage": stage,
            "state": state,
            "executed": self.options.execute,
            "evidence": dict(evidence or {}),
            "lines": [*self.told, *lines],
        }
        return Result(data, [*self.told, *lines])


@contextlib.contextmanager
def opened(options: Options) -> Iterator[Call]:
    """Verifies the kit, connects, and looks what the journal must be about.

    Raises: RunnerError.
    """
    _ = options.settings, options.lease_s  # wrong ones are told before anything is asked
    require_sensible(options)
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    with mongo.connect(options) as server:
        server.require(Topology.REPLICA_SET, Topology.ROUTER)
        privileges.require(server, NEEDED)
        database = place.identity(server.database)
        wanted = plan.begun(kit, options.runbook.environment, database, stages.NAMES, stages.absent(kit))
        yield Call(options, kit, server, place.folder_name(server.database), wanted, [*filter(None, [kit.warning])])


def require_sensible(options: Options) -> None:
    """Refuses options that make no sense.

    Raises: InputError.
    """
    asked = options.runbook
    if asked.environment not in ENVIRONMENTS:
        raise InputError("--env: wanted staging or production", hint="--env staging")
    if asked.skip and not asked.reason:
        raise InputError("--skip needs a reason", hint="--skip --reason WHY")
    for name, value in (("--calm", asked.calm_s), ("--timeout", asked.timeout_s)):
        if not 0 <= value < float("inf"):
            raise InputError(f"{name}: wanted a number of seconds", hint=f"{name} 600")


def require_plan(call: Call, begun: Entry) -> None:
    """A journal of another plan is never gone on with.

    Raises: StageError, which says what differs.
    """
    if begun.plan == call.plan:
        return
    found, wanted = begun.evidence, call.wanted
    anew = command(call.options, "begin", "--reason", "WHY")
    other = f"; or --env {found['environment']}, if that is meant" if found["environment"] != wanted["environment"] else ""
    raise StageError(
        f"the journal here is about another plan: {'; '.join(plan.differences(found, wanted))}",
        hint=f"begin anew, which keeps that journal under another name: {anew}{other}",
        facts={"found": plan.members(found), "wanted": plan.members(wanted)},
    )


def command(options: Options, *words: str, execute: bool = True) -> str:
    """A command of the runbook about the same kit, database and environment, to be typed as it is."""
    asked = options.runbook
    more = ("--env", asked.environment, *(("--evidence", str(asked.evidence)) if asked.evidence else ()))
    is_production = asked.environment == "production"
    return options.command("runbook", *words, *(["--execute"] * execute), *(more if is_production else ()))

"""What a server and a user must be like before anything is changed: the table of checks, and what becomes of them. Read-only.

A check says what it found and what needs it, by stage. Rules: (1) what cannot be seen for want of a privilege is `unknown`, never
`ok`, and names the role that shows it; (2) `unknown` counts as `fail` for a stage that needs the check; (3) what only later
stages need is a warning; (4) every check is made, whatever the others find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

from lnm_runner import driver_errors
from lnm_runner.errors import CredentialsError, PlanError, PrivilegeError, RetryableError, RunnerError
from lnm_runner.preflight import database, runners, server
from lnm_runner.preflight.look import Finding, Look, Status


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    name: str
    needed_by: Mapping[str, str]
    """`{stage: what for}`"""
    run: Callable[[Look], Finding]
    seen_by: str = "lnmPreflight"
    """The role that shows it."""


@dataclass(frozen=True)
class Checked:
    """A check and what came of it, weighed by what was asked about."""

    check: Check
    finding: Finding
    verdict: Status
    """ok, warn or fail."""

    def as_json(self) -> dict[str, Any]:
        """The check, for a program."""
        return {
            "check": self.check.name,
            "status": self.finding.status.value,
            "verdict": self.verdict.value,
            "evidence": self.finding.evidence,
            "neededBy": [{"stage": stage, "for": why} for stage, why in self.check.needed_by.items()],
            "remedy": self.finding.remedy,
            **self.finding.facts,
        }

    def line(self) -> str:
        """The check in words."""
        status = self.finding.status if self.finding.status is Status.UNKNOWN else self.verdict
        words = f"{status.value:<8}{self.check.name} ({', '.join(self.check.needed_by)}): {self.finding.evidence}"
        return words if self.verdict is Status.OK or not self.finding.remedy else f"{words}. Next: {self.finding.remedy}"


def checked(look: Look) -> Iterator[Checked]:
    """Makes every check.

    Raises: OperationFailure for what may go better another time.
    """
    for check in CHECKS:
        found = examine(check, look)
        needed = any(delivery in check.needed_by for delivery in look.deliveries)
        if found.status in {Status.FAIL, Status.UNKNOWN}:
            yield Checked(check, found, Status.FAIL if needed else Status.WARN)
        else:
            yield Checked(check, found, found.status)


def examine(check: Check, look: Look) -> Finding:
    """Makes one check; what may not be seen is unknown."""
    try:
        return check.run(look)
    except OperationFailure as err:
        found = driver_errors.refused(err)
        if isinstance(found, (RetryableError, CredentialsError)):
            raise
        return unseen(check, found)
    except PrivilegeError as err:
        return unseen(check, err)
    except PlanError:
        return Finding(Status.UNKNOWN, "it cannot be said while there is no plan", "see to the check «plan» first")


def unseen(check: Check, err: RunnerError) -> Finding:
    """What a check says that could not see."""
    if not isinstance(err, PrivilegeError):
        return Finding(Status.UNKNOWN, f"it cannot be seen: {err.message}", "ask who runs the server")
    hint = f"grant the role {check.seen_by} of runbook/roles/"
    return Finding(Status.UNKNOWN, f"it cannot be seen: {err.message}", hint, {"role": check.seen_by})


COLLMOD = "gives a plain index an expiry by collMod (MongoDB 5.1)"
FROZEN = "refuses writes by setUserWriteBlockMode (MongoDB 6.0)"
LAG = "keeps its pace by how far the members lag"
CHECKS = (
    Check(
        "server version",
        {"21-101": COLLMOD, "freeze": FROZEN, "validate": "asks how documents lie on shards (6.0.3)"},
        server.server_version,
    ),
    Check("feature version", {"21-101": COLLMOD, "freeze": FROZEN}, server.feature_version),
    Check("topology", {"21-101": "waits for a majority", "21-102": "writes in transactions"}, server.topology),
    Check("members", {"21-101": "waits for a majority with every command", "21-102": LAG}, server.members),
    Check("write concern", {"21-102": "reads what the product has written"}, server.write_concern),
    Check("privileges", {"21-101": "does nothing that its role does not allow"}, server.user),
    Check("freeze", {"21-101": "writes"}, server.freeze),
    Check("kit", {"21-101": "does what it says"}, runners.kit),
    Check("lease", {"21-101": "works alone", "21-102": "the same"}, runners.free, "lnmRead"),
    Check("ledger", {"21-101": "goes on over no other story than the kit's", "21-102": "the same"}, runners.story, "lnmRead"),
    Check("plan", {"21-101": "changes nothing that it does not understand"}, database.plan, "lnmRead"),
    Check("disk", {"21-101": "builds indexes"}, database.disk, "lnmRead"),
    Check("oplog", {"21-102": "writes as many entries as documents"}, server.oplog),
    Check("clock", {"21-102": "tells lag and age by both clocks", "watch": "the same"}, server.clock),
    Check("expiry monitor", {"21-101": "lets published events end"}, server.expiry_monitor),
    Check("operations", {"21-101": "changes collections, and waits for who uses them"}, server.operations),
    Check("TLS", {"21-101": "sends a password"}, server.tls),
)

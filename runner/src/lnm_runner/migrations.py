"""Loads migrations from a verified kit: `migrations/21-10x/migration.py`, its id, its digest and its plan.

A migration is a module with `ID` (the ledger's id), `SUMMARY` (a sentence) and `plan(database, settings) -> Plan`, read-only;
or, where its work is the runner's own, with `TRANSFORMATION`, the number of that work, in place of a plan. It is executed from
the bytes that were hashed, under an invented name that is in sys.modules before it runs (dataclasses look there); no bytecode
is written into the kit. **Migration digest** (decisions §3): SHA-256 of the lines of SHA256SUMS for the delivery's folder, its
README.md apart.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass

from lnm_runner.errors import InputError, NotFoundError, PlanError, RunnerError
from lnm_runner.history import Known
from lnm_runner.kit import Part, VerifiedKit
from lnm_runner.mongo import Database
from lnm_runner.options import Settings
from lnm_runner.planning import Plan

DELIVERY = re.compile(r"[0-9]{1,4}-[0-9]{1,4}")
OWN_ID = re.compile(r"[0-9]{8}_lnm_21_[0-9]+_[a-z0-9_]+")
"""Upstream sorts ids as text; ids of any other form are not ours (decisions §1, §12)."""

TRANSFORMATIONS = (1,)
"""The works of this runner: 1 is linkset correlation v1 over OSV 1.x, CSAF 2.0 and NVD 2.0 (docs/backfill.md)."""
WORKED_BY = "lnm backfill"


@dataclass(frozen=True)
class Migration:
    """A migration of a verified kit."""

    delivery: str
    """21-101"""
    id: str
    summary: str
    digest: str
    """`sha256:<hex>`"""
    plan: Callable[[Database, Settings], Plan]
    """Compares a database with what the migration wants. Read-only."""
    transformation: int | None = None
    """Which of the runner's own works it is, where it is one: what `lnm backfill` does."""


def deliveries(kit: VerifiedKit) -> dict[str, Part]:
    """What the manifest says of each delivery, in the order of their numbers; what is named otherwise is none."""
    named = [part for part in kit.manifest.deliveries if DELIVERY.fullmatch(part.id)]
    return {part.id: part for part in sorted(named, key=lambda part: tuple(map(int, part.id.split("-"))))}


def known(kit: VerifiedKit) -> list[Known]:
    """Every delivery of a kit, as the ledger's story is compared with it."""
    return [
        Known(name, part.migration if part.status == "ready" else None, digest(kit, name) if part.status == "ready" else None)
        for name, part in deliveries(kit).items()
    ]


def chosen(kit: VerifiedKit, delivery: str | None) -> list[Migration]:
    """The migration of one delivery, or of each that is ready.

    Raises: InputError, NotFoundError for a delivery that this kit does not hold; RunnerError where it cannot be loaded.
    """
    known = deliveries(kit)
    if delivery is None:
        return [load(kit, name) for name, part in known.items() if part.status == "ready"]
    if not DELIVERY.fullmatch(delivery):
        raise InputError("no delivery of that name", hint=f"one of {', '.join(known)}")
    if delivery not in known:
        raise NotFoundError(f"{delivery}: this kit knows no such delivery", hint=f"one of {', '.join(known)}")
    if known[delivery].status != "ready":
        raise NotFoundError(f"{delivery} is absent from this kit: {known[delivery].reason}", hint="wait for a later kit")
    return [load(kit, delivery)]


def digest(kit: VerifiedKit, delivery: str) -> str:
    """The migration digest."""
    lines = kit.lines(f"migrations/{delivery}")
    lines.pop(f"migrations/{delivery}/README.md", None)
    text = "".join(f"{sha256}  {name}\n" for name, sha256 in lines.items())
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def load(kit: VerifiedKit, delivery: str) -> Migration:
    """Loads one migration.

    Raises: PlanError where it is not what the manifest says, or does not run under this version of the runner.
    """
    name = f"migrations/{delivery}/migration.py"
    found = digest(kit, delivery)
    module = execute(kit.read(name), name, f"lnm_migration_{delivery.replace('-', '_')}_{found[-16:]}")
    identity, summary, plan, work = (getattr(module, part, None) for part in ("ID", "SUMMARY", "plan", "TRANSFORMATION"))
    if not isinstance(identity, str) or not isinstance(summary, str) or callable(plan) == isinstance(work, int):
        hint = "the kit is broken: ask who made it"
        raise PlanError(f"{name}: wanted ID, SUMMARY, and plan(database, settings) or TRANSFORMATION", hint=hint)
    if work is not None and work not in TRANSFORMATIONS:
        known = ", ".join(map(str, TRANSFORMATIONS))
        hint = "install the runner from runner/ of the same kit"
        raise PlanError(f"{name}: it is transformation {work}, this runner knows {known}", hint=hint)
    said = deliveries(kit)[delivery]
    signed = f"sha256:{(said.digest or '').removeprefix('sha256:')}"
    if not OWN_ID.fullmatch(identity) or (said.migration, signed) != (identity, found):
        raise PlanError(
            f"{name}: the manifest says {said.migration} with the digest {signed}, found {identity} with {found}",
            hint="the kit is broken: ask who made it",
        )
    return Migration(delivery, identity, summary, found, plan or by_itself, work)


def by_itself(_database: Database, _settings: Settings) -> Plan:
    """The plan of a migration whose work is the runner's own."""
    return Plan((), (f"{WORKED_BY} does it, and says what it would do without --execute",))


def execute(source: bytes, name: str, module_name: str) -> types.ModuleType:
    """Runs the text of a module.

    Raises: PlanError for whatever goes wrong in it.
    """
    spec = importlib.util.spec_from_loader(module_name, loader=None, origin=name)
    if spec is None:
        raise RunnerError(f"{name}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - signed, and hashed just now
    except Exception as err:
        del sys.modules[module_name]
        raise PlanError(
            f"{name}: does not run under this runner ({type(err).__name__}: {err})",
            hint="install the runner from runner/ of the same kit",
        ) from err
    return module

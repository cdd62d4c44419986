"""What a stage of the runbook is: a row with its words, its precondition, its effect and its way back. No stage is here.

What a stage leaves in the journal is JSON without floats, hosts, users, passwords, paths of this machine or documents: times in
whole milliseconds, sizes in bytes, hashes as `sha256:<hex>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from lnm_runner.kit import VerifiedKit
from lnm_runner.mongo import Server
from lnm_runner.options import Options

Evidence: TypeAlias = Mapping[str, Any]
"""JSON values: texts, whole numbers, truth values, None, lists and objects of these."""


def unsampled(_sample: Evidence) -> None:
    """Keeps no sample."""


@dataclass(frozen=True)
class Context:
    """What a stage works with."""

    options: Options
    kit: VerifiedKit
    server: Server
    """Connected; `server.database` is the product's."""
    folder: Path
    """The runbook's folder of this database, 0700: journal, backup, evidence, report."""
    done: Mapping[str, Evidence] = field(default_factory=dict)
    """`{stage: evidence}` of the stages that are done now, and were not taken back."""
    sample: Callable[[Evidence], None] = unsampled
    """Keeps `{lagMs?, documents?, total?, errors?, backlog?, oldestMs?}` with the time and the stage, for the report's charts."""
    plan: str = ""
    """Of the journal, `sha256:<hex>`."""


@dataclass(frozen=True)
class Done:
    """What a stage has done."""

    lines: Sequence[str]
    """In words."""
    evidence: Evidence


@dataclass(frozen=True)
class Stage:
    """A row of the runbook."""

    name: str
    does: str
    """One sentence: what it will do."""
    back: str
    """One sentence: how to go back."""
    check: Callable[[Context], Sequence[str]]
    """Proves the precondition and says what `run` would do; reads only.

    Raises: RunnerError where it must not begin.
    """
    run: Callable[[Context], Done]
    """Does it; after a kill at any moment, doing it again ends in the same state.

    Raises: RunnerError.
    """
    undo: str = ""
    """The stage that takes it back; empty where nothing is to be taken back."""
    window: int = 1
    """1: first window; 2: second window; 0: a way back, outside of any order."""
    delivery: str = ""
    """The delivery that it works; where that is absent from the kit, the stage says so and is passed over."""
    changes: bool = True
    """False: it only reads, and is done without --execute, too."""
    may_be_skipped: bool = False
    """True: it can be left out with a reason that is recorded."""

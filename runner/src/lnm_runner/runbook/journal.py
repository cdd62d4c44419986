"""journal.jsonl of a runbook: which stage was begun, done, left or passed over, in this order, as a chain of hashes (chain.py).

Beside the chain's own members a line has `stage`, `state`, `evidence` (a JSON object without floats) and `plan`. The first line
is `begun`: its stage is empty, and its evidence (`BEGUN_FORM`) says what the plan is about; `plan.digest` of it is the plan of
every line. `started` is written before the effect of a stage, and one of `done`, `failed`, `interrupted` and `refused` behind
it; a `started` without any was left by a runner that was killed. These have `durationMs` in their evidence.

Where a stage stands is told by its last line, unless that was taken back since: `OPENS`. `TRANSITIONS` says what may follow.
Nothing is read or written here, and there is no clock (book.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lnm_runner import chain
from lnm_runner.chain import ANY, HEX, Chain, has_form

SCHEMA: Final = "stellaops.lnm.runbook-journal/1"
LARGEST: Final = 16 << 20  # bytes; a line has about 500

BEGUN: Final = "begun"
OPEN: Final = "open"
"""Never begun, or taken back since; no line says so."""
STARTED: Final = "started"
DONE: Final = "done"
FAILED: Final = "failed"
INTERRUPTED: Final = "interrupted"
SKIPPED: Final = "skipped"
ABSENT: Final = "absent"
REFUSED: Final = "refused"
LIFTED: Final = "lifted"
"""Done, and over: the freeze after the unfreeze. It counts as done for what comes behind the unfreeze; no line says so."""

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    OPEN: frozenset({STARTED, SKIPPED, ABSENT}),  # begin it; leave it out with a reason; the kit does not hold its delivery
    STARTED: frozenset(
        {DONE, FAILED, INTERRUPTED, REFUSED, STARTED}
    ),  # it ended; or its runner was killed, and it is begun again
    FAILED: frozenset({STARTED, SKIPPED}),  # what was wrong was mended; or it is left out after all
    INTERRUPTED: frozenset({STARTED, SKIPPED}),  # the operator goes on with it; or leaves it out after all
    REFUSED: frozenset({STARTED}),  # what was in the way may be gone
    SKIPPED: frozenset({STARTED}),  # the operator thinks better of it
    LIFTED: frozenset({STARTED, SKIPPED}),  # another window begins
    DONE: frozenset(),  # a stage that is done is not done again; those of REPEATABLE are, and a freeze that somebody has lifted
    ABSENT: frozenset(),  # no stage of this kit
}
"""`{how a stage stands: what its next line may say}`."""

REPEATABLE: Final = frozenset({"preflight", "validate", "watch", "verify-cas"})
"""They only look, and may look again once they are done."""
MAY_BE_SKIPPED: Final = frozenset({"freeze", "enable-outbox", "unfreeze", "watch"})
SHORTEST_REASON: Final = 10
"""Characters of a reason, less those at its ends that are blank."""

UNENDED: Final = frozenset({STARTED, INTERRUPTED, FAILED})
"""Begun, and not come to an end: a way back that stands so may have left the database between two states."""
TAKES_BACK: Final[Mapping[str, tuple[str, ...]]] = {
    "rollback-21-102": ("backfill-21-102", "validate", "enable-outbox"),
    "restore": ("apply-21-101", "backfill-21-102", "validate", "enable-outbox"),
}
"""`{way back: what it takes back}`."""
OPENS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    **{(way, DONE): stages for way, stages in TAKES_BACK.items()},  # must be done again
    ("apply-21-101", STARTED): ("restore",),  # there is something to take back again
    ("backfill-21-102", STARTED): ("rollback-21-102", "restore"),
    ("validate", STARTED): ("rollback-21-102", "restore"),
    ("enable-outbox", STARTED): ("restore",),
    ("freeze", STARTED): ("backup", "prove-backup", "unfreeze", "watch"),  # another window: users have written since
    ("freeze", SKIPPED): ("backup", "prove-backup", "unfreeze", "watch"),
}
"""`{(stage, state of a line): the stages that are open from there on}`."""
LIFTS: Final[Mapping[tuple[str, str], str]] = {("unfreeze", DONE): "freeze"}
"""`{(stage, state of a line): the stage that is lifted}`, if it was done."""

SHA256: Final = rf"sha256:{HEX}"
BEGUN_FORM: Final[Mapping[str, Any]] = {
    "schema": SCHEMA.replace(".", r"\."),
    "nonce": r"[0-9a-f]{32}",
    "environment": "staging|production",
    "database": SHA256,
    "kit": {"version": ANY, "rootHash": SHA256, "trust": "dev|key|keyless"},
    "stages": [r"[a-z0-9-]+"],
    "absent": [r"[a-z0-9-]+"],
    "runner": ANY,
    "operator": ANY,
    "reason": ANY,
    "before": f"(?:{HEX})?",
    "rehearsal": f"(?:{HEX})?",
}
"""Of the evidence of the first line. `database` is the SHA-256 of its cluster and its name; `reason` says why a journal was begun
anew, and `before` is the head of the one that it follows; both are empty for the first. `rehearsal` is the SHA-256 of the
evidence that production began with."""
EVIDENCE: Final[Mapping[str, Mapping[str, Any]]] = {
    STARTED: {},
    ABSENT: {},
    DONE: {"durationMs": int},
    INTERRUPTED: {"durationMs": int},
    FAILED: {"durationMs": int, "exit": int, "type": r"\w+"},
    REFUSED: {"durationMs": int, "exit": int, "type": r"\w+", "why": ANY},
    SKIPPED: {"durationMs": int, "reason": ANY},
}
"""`{state: what its evidence must say}`; that of `done` says more, as each stage has it."""


@dataclass(frozen=True)
class Entry:
    """One line; `sha256` is its own, LF included."""

    at: str
    count: int
    evidence: Mapping[str, Any]
    plan: str
    previous: str
    stage: str
    state: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """The line."""
        return {name: value for name, value in vars(self).items() if name != "sha256"}


Journal: TypeAlias = Chain[Entry]


@dataclass(frozen=True)
class Standing:
    """Where a stage stands."""

    state: str
    """As in `TRANSITIONS`."""
    attempts: int = 0
    """How often it was begun, since it was last open."""
    evidence: Mapping[str, Any] | None = None
    """Of its last line; None where it is open."""
    at: str = ""
    """Of that line."""

    @property
    def is_through(self) -> bool:
        """Whether what comes behind it may begin."""
        return self.state in {DONE, SKIPPED, ABSENT, LIFTED}

    @property
    def duration_ms(self) -> int:
        """How long its last attempt took."""
        return int((self.evidence or {}).get("durationMs", 0))


NOT_BEGUN: Final = Standing(OPEN)


def standing(entries: Sequence[Entry]) -> dict[str, Standing]:
    """`{stage: where it stands}` of each stage that a line tells of or opens, by the lines in their order."""
    found: dict[str, Standing] = {}
    for entry in entries[1:]:
        known = found.get(entry.stage, NOT_BEGUN)
        is_anew = known.state in {OPEN, LIFTED}
        attempts = (0 if is_anew else known.attempts) + (entry.state == STARTED)
        found[entry.stage] = Standing(entry.state, attempts, entry.evidence, entry.at)
        for name in OPENS.get((entry.stage, entry.state), ()):
            found[name] = NOT_BEGUN
        lifted = LIFTS.get((entry.stage, entry.state))
        if lifted and (before := found.get(lifted, NOT_BEGUN)).state == DONE:
            found[lifted] = Standing(LIFTED, before.attempts, before.evidence, before.at)
    return found


def state_of(stage: str, entries: Sequence[Entry]) -> str:
    """Where one stage stands, looked for from the end: the same as `standing` says."""
    lifted = False
    for entry in reversed(entries):
        if entry.stage == stage:
            return LIFTED if lifted and entry.state == DONE else entry.state if entry.state != BEGUN else OPEN
        if stage in OPENS.get((entry.stage, entry.state), ()):
            return OPEN
        lifted = lifted or LIFTS.get((entry.stage, entry.state)) == stage
    return OPEN


def half_way_back(entries: Sequence[Entry]) -> str:
    """A way back that was begun and not ended; what a restore has put back is not half-way. Empty where there is none."""
    for entry in reversed(entries):
        if (entry.stage, entry.state) == ("restore", DONE):
            return ""
        if entry.stage in TAKES_BACK and state_of(entry.stage, entries) in UNENDED:
            return entry.stage
    return ""


def may_follow(stage: str, before: str, state: str) -> bool:
    """Whether a stage that stands so may have such a line."""
    return state in TRANSITIONS[before] or (before == DONE and state == STARTED and stage in {*REPEATABLE, "freeze"})


def is_right(value: Mapping[str, Any]) -> bool:
    """Whether the members of a line have their forms."""
    evidence, state = value["evidence"], value["state"]
    if not isinstance(evidence, dict) or not has_form(value["stage"], "[a-z0-9-]*") or not has_form(value["plan"], SHA256):
        return False
    if state == BEGUN:
        return value["stage"] == "" and fits(evidence, BEGUN_FORM)
    forms = EVIDENCE.get(state) if isinstance(state, str) else None
    if forms is None or not value["stage"] or not is_plain(evidence):
        return False
    names = set(evidence) >= set(forms) if state == DONE else set(evidence) == set(forms)
    return names and all(has_form(evidence[name], form) for name, form in forms.items())


def fits(found: Any, forms: Mapping[str, Any]) -> bool:
    """Whether an object has these members and no others, in these forms."""
    if not isinstance(found, dict) or set(found) != set(forms):
        return False
    return all(
        fits(found[name], form) if isinstance(form, Mapping) else has_form(found[name], form) for name, form in forms.items()
    )


def is_plain(found: Any) -> bool:
    """Whether a value holds texts, whole numbers, truth values, None, lists and objects of these alone."""
    if isinstance(found, dict):
        return all(isinstance(name, str) and is_plain(value) for name, value in found.items())
    if isinstance(found, list):
        return all(is_plain(value) for value in found)
    return found is None or isinstance(found, str | int)


def misplaced(entry: Entry, before: Sequence[Entry]) -> str:
    """Why an entry cannot follow these; empty where it can."""
    if (entry.state == BEGUN) != (not before):
        return f"a journal begins with «{BEGUN}», and has it nowhere else"
    return of_another_plan(entry, before[0]) or too_early(entry, before) if before else ""


def of_another_plan(entry: Entry, begun: Entry) -> str:
    """In what an entry contradicts the first line; empty where it does not."""
    if entry.plan != begun.plan:
        return "it is about another plan than the first line"
    if entry.stage not in begun.evidence["stages"]:
        return f"there is no stage {entry.stage}"
    if (entry.stage in begun.evidence["absent"]) != (entry.state == ABSENT):
        return f"{entry.stage} is {entry.state}, and the first line says otherwise of its delivery"
    return ""


def too_early(entry: Entry, before: Sequence[Entry]) -> str:
    """Why a stage that stands as these say cannot have this line; empty where it can."""
    stands = state_of(entry.stage, before)
    if not may_follow(entry.stage, stands, entry.state):
        return f"{entry.stage} was {stands}, and cannot be {entry.state} then"
    return refused_reason(entry.stage, entry.evidence["reason"], before) if entry.state == SKIPPED else ""


def refused_reason(stage: str, reason: str, before: Sequence[Entry]) -> str:
    """Why a stage cannot be skipped for this reason; empty where it can (attacks X5)."""
    if stage not in MAY_BE_SKIPPED:
        return f"{stage} may never be skipped; these may: {', '.join(sorted(MAY_BE_SKIPPED))}"
    if len(reason.strip()) < SHORTEST_REASON:
        return f"{stage}: the reason has fewer than {SHORTEST_REASON} characters"
    told = [entry for entry in before if entry.state in {SKIPPED, BEGUN} and is_same(entry.evidence["reason"], reason)]
    return f"{stage}: line {told[0].count} has used this reason before" if told else ""


def is_same(one: str, other: str) -> bool:
    """Whether two reasons are one, but for blanks and capitals."""
    return one.casefold().split() == other.casefold().split()


KIND: Final = chain.Kind(
    frozenset({"evidence", "plan", "stage", "state"}),
    is_right,
    lambda value, sha256: Entry(**value, sha256=sha256),
    misplaced,
)


def read(data: bytes) -> Journal:
    """The entries of a journal, up to the first line that is wrong."""
    return KIND.read(data)


def of_values(values: Sequence[Mapping[str, Any]]) -> Journal:
    """The same, of lines as JSON objects.

    Raises: ValueError for a value that JSON has no form for.
    """
    return KIND.read(b"".join(chain.rendered(value) for value in values))


def line(known: Journal, at: str, members: Mapping[str, Any]) -> bytes:
    """The next line; `members` are stage, state, evidence and plan."""
    return chain.line(known, at, members)

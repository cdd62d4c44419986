"""The tables of the report: each a title, a sentence, columns and rows of text. Pure.

A table is never longer than `MOST_ROWS`; its last line then tells how many more there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lnm_runner.report import gates, left, reading
from lnm_runner.report.gates import Gate
from lnm_runner.report.known import STAGES
from lnm_runner.report.reading import Json
from lnm_runner.report.words import UNKNOWN, amount, duration, moment, number, plain, several
from lnm_runner.validation.equations import ENDED, EQUATIONS

MOST_ROWS = 60
NOT_GONE = "not gone"
CODE, NUMBER, STATE = "code", "number", "state"
"""How a column is written: as an identifier, to the right, as a mark with the word in it."""


@dataclass(frozen=True)
class Table:
    """One table."""

    name: str
    """Its name in the page, and in links."""
    title: str
    lead: str
    """What it is about; empty where the title says it."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: Mapping[str, str]
    """`{column: kind}` of those that are no plain text."""


def table(name: str, title: str, columns: str, found: Sequence[Sequence[str]], lead: str = "", **kinds: str) -> Table:
    """A table; `columns` has their names, with `|` between; one of a kind is named with `_` for a blank."""
    names = tuple(columns.split("|"))
    rows = [tuple(row) for row in found[:MOST_ROWS]]
    if len(found) > MOST_ROWS:
        rows.append((f"and {number(len(found) - MOST_ROWS)} more", *[""] * (len(names) - 1)))
    return Table(name, title, lead, names, tuple(rows), {column.replace("_", " "): kind for column, kind in kinds.items()})


def made(predicate: Json, judged: Sequence[Gate]) -> Iterator[Table]:
    """Every table, in the order of the page; one that has nothing to say says so, or is left out."""
    yield table(
        "gates",
        "Gates",
        "gate|what must be so|verdict|what was found",
        [(gate.name, gate.says, gate.verdict.value, gate.found) for gate in judged],
        verdict=STATE,
    )
    yield table("what", "What, where and who", "fact|value", list(about(predicate)), value=CODE)
    yield table(
        "stages",
        "Stages",
        "stage|what it does|state|attempts|took|what it left",
        list(of_stages(predicate)),
        "In the order of the runbook; the state is that of the last attempt; attempts are counted since it was last taken back.",
        state=STATE,
        attempts=NUMBER,
        took=NUMBER,
    )
    yield table(
        "proofs",
        "The ways back, proven",
        "way back|the database before|the database afterwards|verdict",
        list(proofs(predicate)),
        "A fingerprint is a SHA-256 over every document, index and option; equal ones mean: nothing is left behind, or lost.",
        the_database_before=CODE,
        the_database_afterwards=CODE,
        verdict=STATE,
    )
    yield table(
        "backfill", "What the backfill made, and could not make", "count|how many", list(backfill(predicate)), how_many=NUMBER
    )
    found = list(checked(predicate))
    yield table("equations", "Equations", "equation|what must be so", found, equations_lead(predicate))
    yield from outlook(predicate)


def about(predicate: Json) -> Iterator[tuple[str, str]]:
    """Kit, environment, people, times."""
    kit = reading.object_at(predicate, "kit")
    server = reading.object_at(predicate, "server")
    yield "kit", f"concelier-lnm-{plain(kit.get('version'))}"
    yield "rootHash of the kit", plain(kit.get("rootHash"))
    yield "trust", plain(kit.get("trust"))
    yield "signed by", plain(kit.get("signer"))
    yield "environment", plain(predicate.get("environment"))
    yield "operator", plain(predicate.get("operator"))
    yield "runner", plain(predicate.get("runner"))
    members = number(reading.whole(server, "members"))
    yield "server", f"MongoDB {plain(server.get('version'))}, {plain(server.get('topology'))}, members: {members}"
    yield "begun", moment(predicate.get("begunAt"))
    yield "ended", moment(predicate.get("endedAt"))
    yield "plan", plain(predicate.get("plan"))
    yield (
        "journal",
        f"{number(sum(1 for _ in reading.rows(predicate, 'journal')))} lines, the last one is {plain(predicate.get('head'))}",
    )


def of_stages(predicate: Json) -> Iterator[tuple[str, ...]]:
    """The runbook's stages, those that were not begun among them, and behind them what else is told of."""
    told = {reading.text(row, "name"): row for row in reading.rows(predicate, "stages")}
    for name in [*STAGES, *(name for name in told if name not in STAGES)]:
        row, known = told.get(name, {}), STAGES.get(name)
        if known is not None and not known.window and not row:
            continue
        state = plain(row.get("state")) if row.get("state") else "not begun"
        yield (
            plain(name),
            known.does if known else UNKNOWN,
            state,
            number(reading.whole(row, "attempts") or 0),
            duration(reading.whole(row, "durationMs")) if reading.whole(row, "attempts") else "",
            left.words(name, state, reading.object_at(row, "evidence")),
        )


def proofs(predicate: Json) -> Iterator[tuple[str, ...]]:
    """Both fingerprints of each; in production a way back that nobody had to go is not judged."""
    is_asked = reading.text(predicate, "environment") != gates.PRODUCTION
    for stage in ("rollback-21-102", "restore"):
        before, after = (reading.text(predicate, "proofs", stage, name) for name in ("before", "after"))
        verdict = gates.proved(stage)(predicate)[0].value if is_asked or before or after else NOT_GONE
        yield stage, plain(before), plain(after), verdict
    if is_asked:
        refused, found = gates.refused_afterwards(predicate)
        yield "rollback-21-102, after events were published", "", found, refused.value


COUNTS = ("documents", "legacy", "observations", "linksets", "events", "tombstones", "late", "touched", "errors")
"""Of a backfill, in the order of the work."""
MEANING: Mapping[str, str] = {
    "documents": "raw documents of the inventory",
    "legacy": "merged documents of the inventory",
    "late": "came after the inventory, left to the next run",
    "touched": "changed by others meanwhile",
    "errors": "could not be backfilled",
}


def backfill(predicate: Json) -> Iterator[tuple[str, str]]:
    """Its counts, conflicts and errors."""
    found = gates.left(predicate, "backfill-21-102")
    for name in COUNTS:
        yield MEANING.get(name, name), number(reading.whole(found, name))
    for member, kind in (("errorCodes", "error"), ("conflicts", "linksets with the conflict")):
        for code, many in reading.counts(found, member).items():
            yield f"{kind} {plain(code)}", number(many)
        if found and reading.member(found, member) is None and not (kind == "error" and found.get("errors") == 0):
            yield f"{kind}, by kind", "see lnm-backfill-report.json"


def checked(predicate: Json) -> Iterator[tuple[str, str]]:
    """The equations, with what each says."""
    says = {ENDED[0]: ENDED[1], **{equation.name: equation.says for equation in EQUATIONS}}
    for name in reading.texts(gates.left(predicate, "validate"), "names"):
        yield plain(name), says.get(name, UNKNOWN)


def equations_lead(predicate: Json) -> str:
    """How many of them failed."""
    found = gates.left(predicate, "validate")
    if not found:
        return "They were not checked, or not all of them hold: see the stage validate."
    full = "every document was hashed" if found.get("full") is True else "a sample of the documents was hashed"
    return f"{gates.equations(predicate)[1]}; {full}."


RATES: tuple[tuple[str, str, Callable[[int | None], str]], ...] = (
    ("documentsPerSecond", "documents backfilled in a second", number),
    ("oplogBytesPerDocument", "oplog for each document", amount),
    ("storedBytesPerDocument", "disk for each document", amount),
    ("backupBytesPerSecond", "backup in a second", amount),
)
EXAMPLE = 1_000_000


def outlook(predicate: Json) -> Iterator[Table]:
    """Forecast, score, and what is absent."""
    rates = [(words, say(reading.whole(predicate, "forecast", name))) for name, words, say in RATES]
    lead = f"The rates of this rehearsal; {million(predicate)}. `lnm runbook forecast` reckons with the counts of a database."
    yield table("forecast", "Forecast for production", "rate|value", rates, lead, value=NUMBER)
    scored = list(score(reading.object_at(predicate, "score")))
    if scored:
        columns, lead = "what|forecast|it was|percent", "What the rehearsal had forecast, and what it was."
        yield table("score", "Score of the forecast", columns, scored, lead, forecast=NUMBER, it_was=NUMBER, percent=NUMBER)
    absent = list(absences(predicate))
    lead = "This kit does not hold them; nothing of them was done or rehearsed." if absent else "Nothing is absent."
    yield table("absent", "Absent deliveries", "delivery|stages", absent, lead)


def million(predicate: Json) -> str:
    """What they mean for a million documents."""
    rate = reading.whole(predicate, "forecast", "documentsPerSecond")
    oplog = reading.whole(predicate, "forecast", "oplogBytesPerDocument")
    stored = reading.whole(predicate, "forecast", "storedBytesPerDocument")
    took = duration(EXAMPLE * 1000 // rate) if rate and rate > 0 else UNKNOWN
    sizes = [amount(None if one is None else one * EXAMPLE) for one in (oplog, stored)]
    return f"a million documents would take {took}, {sizes[0]} of oplog and {sizes[1]} of disk"


def score(found: Json) -> Iterator[tuple[str, ...]]:
    """What was forecast beside what it was (evidence/forecast.py)."""
    if found:
        yield "documents", *beside(reading.object_at(found, "documents"), number)
        yield "without writes", *beside(reading.object_at(found, "windowMs"), duration)
    for row in reading.rows(found, "stages"):
        yield plain(row.get("stage")), *beside(row, duration)


def beside(row: Json, say: Callable[[int | None], str]) -> tuple[str, str, str]:
    """Both, and the one in percent of the other."""
    return say(reading.whole(row, "predicted")), say(reading.whole(row, "real")), number(reading.whole(row, "percent"))


def absences(predicate: Json) -> Iterator[tuple[str, str]]:
    """Each delivery that the kit is without, with the stages that are passed over for it."""
    found: dict[str, list[str]] = {}
    for name, row in STAGES.items():
        if gates.is_absent(predicate, name):
            found.setdefault(row.delivery, []).append(name)
    yield from ((delivery, several(names)) for delivery, names in found.items())

"""`lnm runbook evidence`, `report` and `receipt`: what is made of a journal, for those who were not there.

Each is made of what the journal says so far: whether that is enough is judged where evidence is used (evidence/judging.py), and
what is still to come is told here, too. Without --execute nothing is written: the report is printed as Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pymongo.errors import OperationFailure

from lnm_runner.backfill import runlog
from lnm_runner.commands import Result
from lnm_runner.driver_errors import UNAUTHORIZED
from lnm_runner.durations import in_words
from lnm_runner.errors import InputError, NotFoundError, RetryableError, StageError
from lnm_runner.evidence import derivation, forecast, keys, measuring, rules, signing, statement
from lnm_runner.evidence import receipt as receipts
from lnm_runner.evidence.statement import Facts
from lnm_runner.mongo import Server, Topology
from lnm_runner.options import Options
from lnm_runner.report import html, markdown
from lnm_runner.runbook import book, order, rehearsed, stages
from lnm_runner.runbook import call as calls
from lnm_runner.runbook.call import Call, command
from lnm_runner.runbook.journal import Entry

REPORTS: Final = {"report.html": html.render, "report.md": markdown.render}
LARGEST: Final = 64 << 10  # bytes of a file that may be a receipt
UNSIGNED: Final = "unsigned"
UNWRITTEN: Final = "Nothing was written; add --execute to do it."


def evidence(options: Options) -> Result:
    """Signed evidence, the report and the receipt: into the runbook's folder, or where --out says.

    Raises: RunnerError.
    """
    with calls.opened(options) as call:
        if not options.execute:
            entries = begun(call)
            stated = predicate(call, entries, UNSIGNED)
            return call.result("evidence", "planned", [*shown(stated), *rest(call, entries), UNWRITTEN])
        with book.opened(options.state_folder, call.name, "evidence") as kept:
            call.told.extend(kept.mended)
            entries = begun(call)
            stated = predicate(call, entries, signing.trust(options.environment))
            data = statement.of(stated, call.kit)  # judged before anything is written
            folder = place(call)
            told = signing.written(folder, data, options.environment)
            told += write_reports(call, folder, stated)
            told += write_receipt(call, folder, stated)
    lines = [*shown(stated), *rest(call, entries), *told, f"in {folder}"]
    return call.result("evidence", "written", lines, {"head": stated["head"], "folder": str(folder)})


def report(options: Options) -> Result:
    """The report of what there is so far: printed as Markdown, or written as HTML and as Markdown.

    Raises: RunnerError.
    """
    with calls.opened(options) as call:
        stated = predicate(call, begun(call), UNSIGNED)
        if not options.execute and options.runbook.out is None:
            text = markdown.render(stated, list(samples(call.folder))).decode()
            return call.result("report", "planned", [*text.splitlines(), UNWRITTEN])
        folder = place(call)
        return call.result("report", "written", [*write_reports(call, folder, stated), f"in {folder}"], {"folder": str(folder)})


def receipt(options: Options) -> Result:
    """The receipt of a journal; or, where a file is named, whether that is one, and by whom. The latter needs no server.

    Raises: RunnerError.
    """
    if options.files:
        return verified(options)
    with calls.opened(options) as call:
        entries = begun(call)
        stated = predicate(call, entries, UNSIGNED)
        if not options.execute:
            return call.result("receipt", "planned", [*receipts.said(stated), UNWRITTEN])
        folder = place(call)
        return call.result("receipt", "written", [*write_receipt(call, folder, stated), f"in {folder}"], {"folder": str(folder)})


def verified(options: Options) -> Result:
    """Whether a file is a receipt that one of the given keys has signed.

    Raises: InputError, NotFoundError, EvidenceError.
    """
    path = options.files[0]
    if not options.keys:
        raise InputError("no key was named that the receipt may be signed by", hint=f"lnm runbook receipt {path} --key KEY.pub")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file", hint="name a receipt.txt") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="name a receipt.txt") from err
    found = receipts.verify(data, options.keys)
    return Result({"receipt": found.as_json()}, found.lines())


def begun(call: Call) -> Sequence[Entry]:
    """The lines of the journal.

    Raises: StageError where there are none, or they are about another plan; StateError.
    """
    entries = call.look().journal.entries
    if not entries:
        raise StageError("there is no journal here yet", hint=f"first: {command(call.options, 'preflight')}")
    calls.require_plan(call, entries[0])
    return entries


def predicate(call: Call, entries: Sequence[Entry], trust: str) -> dict[str, Any]:
    """What is stated of a journal.

    Raises: RunnerError.
    """
    written = measuring.written(call.server.database)
    facts = Facts(trust, server_facts(call.server), written.oplog_bytes, written.stored_bytes, score(call, entries))
    return statement.predicate(entries, call.kit, facts)


def server_facts(server: Server) -> dict[str, Any]:
    """What kind of server it was; a router's members are its shards, 0 where this user may not see them."""
    hello = server.database.client.admin.command("hello")
    members = sum(len(hello.get(name, ())) for name in ("hosts", "passives", "arbiters"))
    if server.topology is Topology.ROUTER:
        try:
            members = server.database.client.config["shards"].count_documents({})
        except OperationFailure as err:
            if err.code != UNAUTHORIZED:
                raise
    return {"version": server.version, "topology": server.topology.value, "members": members}


def score(call: Call, entries: Sequence[Entry]) -> dict[str, Any] | None:
    """How far the forecast was off: of production alone."""
    rehearsal = rehearsed.at_the_time(call, entries[0])
    counts = rehearsed.counts(call.server.database) if rehearsal else None
    if rehearsal is None or counts is None:
        return None
    return forecast.score(forecast.of(rehearsal.predicate, counts), derivation.derived(entries)["stages"])


def shown(stated: Mapping[str, Any]) -> Iterator[str]:
    """What it shows, in words."""
    yield f"{stated['environment']}, {stated['begunAt']} to {stated['endedAt']}, by {stated['operator']}, head {stated['head']}"
    for row in stated["stages"]:
        yield f"  {row['name']:<18}  {row['state']:<8}  {in_words(row['durationMs']) if row['durationMs'] else ''}".rstrip()
    for name, proof in stated["proofs"].items():
        if isinstance(proof, Mapping):
            equal = "not gone" if proof["after"] is None else "equal" if proof["before"] == proof["after"] else "NOT EQUAL"
            yield f"  {name}: before and after it: {equal}"
        else:
            yield f"  {name}: {'yes' if proof else 'not tried'}"


def rest(call: Call, entries: Sequence[Entry]) -> list[str]:
    """What is still to come; and of a rehearsal that is at its end, for what production would refuse it."""
    following = order.following(entries)
    if following:
        return [f"not at its end: {order.next_line(entries, call.options)}"]
    if call.is_production:
        return []
    given = rules.Given(entries, derivation.derived(entries), stages.STAGES, call.wanted["absent"])
    return [f"production would refuse this: {found.message}" for found in rules.broken(given)]


def place(call: Call) -> Path:
    """The folder to write into, made where it is not there.

    Raises: RetryableError.
    """
    folder = call.options.runbook.out or call.folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise RetryableError(f"{folder}: {err.strerror}", hint="name another by --out FOLDER") from err
    return folder


def write_reports(call: Call, folder: Path, stated: Mapping[str, Any]) -> list[str]:
    """Writes the report in its two forms."""
    measured = list(samples(call.folder))
    for name, render in REPORTS.items():
        signing.replace(folder / name, render(stated, measured))
    return [f"{name}: written" for name in REPORTS]


def write_receipt(call: Call, folder: Path, stated: Mapping[str, Any]) -> list[str]:
    """Writes the receipt, where anything can be signed here."""
    if not keys.is_there():
        return [f"{receipts.FILE}: not written, as nothing can be signed here"]
    signing.replace(folder / receipts.FILE, receipts.render(stated, keys.signer(call.options.environment)))
    return [f"{receipts.FILE}: written"]


def samples(folder: Path) -> Iterator[Mapping[str, Any]]:
    """What was measured; a line that was torn is passed over."""
    return runlog.read(folder / book.SAMPLES)

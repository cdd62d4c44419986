"""`lnm runbook status`, `begin` and `forecast`: where the runbook stands, a journal anew, and what production will take."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lnm_runner.commands import Result
from lnm_runner.durations import in_words
from lnm_runner.errors import InputError, StateError
from lnm_runner.kit.held import told
from lnm_runner.options import Options
from lnm_runner.runbook import attempt, book, journal, order, rehearsed, site, stages
from lnm_runner.runbook import call as calls
from lnm_runner.runbook.call import Call, command
from lnm_runner.runbook.journal import NOT_BEGUN, Entry, Standing

KEPT: Final = "{}.kept-{}"
"""What a folder is called whose journal was replaced: its name, and when."""


def status(options: Options) -> Result:
    """Where each stage stands, and the next command. Read-only; a journal that is not as it was left is told, and exits 7.

    Raises: RunnerError.
    """
    with calls.opened(options) as call:
        entries = call.look().journal.entries
        if entries:
            calls.require_plan(call, entries[0])
        now = journal.standing(entries)
        call.told.extend(order.unended(entries, options))
        call.told.extend(site.leftover(call.server, now))
        following = order.following(entries)
        rows = [as_json(stage.name, now) for stage in stages.STAGES]
    lines = [f"{call.server.database.name}, {options.runbook.environment}, kit {call.kit.manifest.version}: {head(entries)}"]
    lines += [line(row) for row in rows]
    if following is not None:
        lines.append(f"{following.name}: {following.does}")
    lines.append(order.next_line(entries, options))
    data = {
        "database": call.server.database.name,
        "environment": options.runbook.environment,
        "plan": call.plan,
        "journal": len(entries),
        "head": f"sha256:{entries[-1].sha256}" if entries else None,
        "stages": rows,
        "next": following.name if following else None,
        "told": list(call.told),
    }
    return Result(data, [*call.told, *lines])


def head(entries: Sequence[Entry]) -> str:
    """The journal, in words."""
    if not entries:
        return "no journal yet"
    return (
        f"journal of {len(entries)} lines, begun {entries[0].at} by {entries[0].evidence['operator']}, head {entries[-1].sha256}"
    )


def as_json(name: str, now: Mapping[str, Standing]) -> dict[str, Any]:
    """Where a stage stands, for a program."""
    found = now.get(name, NOT_BEGUN)
    return {
        "name": name,
        "window": stages.named(name).window,
        "state": found.state,
        "attempts": found.attempts,
        "durationMs": found.duration_ms,
        "at": found.at or None,
    }


def line(row: Mapping[str, Any]) -> str:
    """The same, in words."""
    took = in_words(row["durationMs"]) if row["state"] in {journal.DONE, journal.LIFTED, journal.FAILED} else ""
    more = f"{row['attempts']} attempts" if row["attempts"] > 1 else ""
    way = "way back" if not row["window"] else ""
    return "  " + "  ".join(
        part for part in (f"{row['name']:<18}", f"{row['state']:<11}", row["at"] or "", took, more, way) if part
    )


def begin(options: Options) -> Result:
    """A journal anew: what was there is kept in a folder of another name, with its backup, evidence and samples.

    Raises: RunnerError.
    """
    reason = site.written("reason", options.runbook.reason)
    _ = site.operator(options)  # whatever would be refused later is refused before the old journal is put aside
    with calls.opened(options) as call:
        seen = book.look(options.state_folder, call.name)
        if seen.journal.whole and len(reason) < journal.SHORTEST_REASON:
            least = f"a sentence, {journal.SHORTEST_REASON} characters at least"
            raise InputError(
                "there is a journal here, and it is not begun anew without a reason",
                hint=f"{command(options, 'begin', '--reason', 'WHY')}: {least}",
            )
        rehearsed.require(call)
        site.require_environment(call.server, options)
        told_of = [f"  {line}" for line in (*book.defects(seen), *stays(seen.journal.entries))]
        there = f"a journal of {len(seen.journal.entries)} lines is there" if seen.journal.whole else "no journal is there"
        if not options.execute:
            said = [f"{there}; a new one would be begun, for {options.runbook.environment}", *told_of]
            return call.result("begin", "planned", [*said, "Nothing was written; add --execute to do it."])
        kept = put_aside(call) if seen.journal.whole or seen.torn or seen.head is not None else ""
        before = seen.journal.head if seen.journal.entries else ""
        with book.opened(options.state_folder, call.name, "begin") as made:
            if made.journal.entries:
                raise StateError(
                    "another command has meanwhile begun a journal here", hint=command(options, "status", execute=False)
                )
            attempt.begin(call, made, reason, before)
            attempt.tell_absent(call, made)
            last = order.next_line(made.journal.entries, options)
    lines = [f"{there}, and is kept in {kept}" if kept else there, *told_of, f"begun, for {options.runbook.environment}", last]
    return call.result("begin", journal.BEGUN, lines, {"kept": kept, "before": before})


def stays(entries: Sequence[Entry]) -> Iterator[str]:
    """What a journal that is put aside leaves in the database, which the one that is begun anew will not know of."""
    now = journal.standing(entries)
    made = [name for name in journal.TAKES_BACK["restore"] if now.get(name, NOT_BEGUN).state in {journal.DONE, *journal.UNENDED}]
    made = [name for name in made if stages.named(name).changes]
    if made:
        yield (
            f"what {', '.join(made)} has made stays in the database, and a backup made anew has it in it: whoever wants to go "
            "back behind that does so before, by the journal that is there: lnm runbook restore --execute"
        )


def put_aside(call: Call) -> str:
    """Gives the folder another name; returns that."""
    kept = KEPT.format(call.name, dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ"))
    with book.folder(call.options.state_folder, call.name, "begin"), told(f"{book.RUNBOOK}/{call.name}"):
        call.folder.rename(call.folder.parent / kept)
    return kept


def forecast(options: Options) -> Result:
    """What the rehearsal's rates say of production. Read-only.

    Raises: RunnerError.
    """
    if options.runbook.environment != "production":
        what = "a forecast is made for production, by the evidence of a rehearsal"
        raise InputError(what, hint="lnm runbook forecast --env production --evidence rehearsal-evidence.dsse.json")
    with calls.opened(options) as call:
        lines = rehearsed.forecast(call)
        return call.result("forecast", "planned", [*lines, "Nothing was written."])

"""The command `lnm`: parses, calls one command, prints, and exits. Nothing else in the runner prints or exits.

Only the standard library is imported here, and little of it: `lnm --help` must not wait for the driver. What argparse says of a
wrong argument is rephrased so that no value is repeated: it could be a secret that was meant for another option.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from lnm_runner.errors import CancelledError, InputError, RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lnm_runner.commands import Result
    from lnm_runner.options import Runbook

SCHEMA = "stellaops.lnm.output/1"
"""The form of --json: runner/lnm-output.schema.json in the kit."""

LAST_STREAM = 2  # standard error

LOOK = "lnm doctor says what is there, and prints the command that goes on"
DESCRIPTION = "Applies the Link-Not-Merge migrations of a verified offline kit to MongoDB. Nothing is changed without --execute."
EPILOG = """\
environment:
  CONCELIER_MONGO_URI            where MongoDB is, and as whom
  CONCELIER_MONGO_PASSWORD_FILE  a file with the password, so that it need not be in the URI
  CONCELIER_DB                   the database (default: concelier)
  LNM_TRUSTED_KEY                the public key that a kit must be signed by
  LNM_EVENTS_TTL_DAYS            how long published events are kept (default: 90; 0: for ever)
  LNM_STATE_DIR                  where the trust policy, work files and reports are kept (default: below XDG state)
  LNM_OPERATOR                   who is in charge, as the evidence of a runbook names them
  LNM_EVIDENCE_KEY               the private key that signs the evidence of a rehearsal
  LNM_OUTBOX_HOOK                a program of the site that switches its own publisher: called with enable or disable
  LNM_BACKUP_TOOL                lnm or mongodump (default: mongodump where it is on the PATH)
  CONCELIER_PROBE_URI            an ordinary user, for the write that a freeze must refuse (default: the user who freezes)
  CONCELIER_PROBE_PASSWORD_FILE  a file with that user's password
  LNM_LEASE_SECONDS              after so long another runner may take over from one that no longer answers (default: 30)

exit codes: 0 ok, 1 unexpected, 2 input or validation, 3 stopped half-way, 4 not found, 5 signature or statement,
  6 checksum or unsafe archive, 7 transparency log, trusted root or trust state, 8 version not monotonic,
  9 another runner is at work, 10 try again, 130 cancelled"""


class Parser(argparse.ArgumentParser):
    """argparse, but wrong usage is an error of ours, and it repeats no value."""

    def error(self, message: str) -> NoReturn:
        """Raises InputError.

        Raises: InputError, always.
        """
        raise InputError(without_values(message), hint=f"{self.prog} --help")


def without_values(message: str) -> str:
    """A message of argparse less the values that it quotes."""
    unknown = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
    if unknown:
        names = [word.split("=")[0] for word in unknown[1].split() if re.match(r"--[a-z][a-z-]*(=|$)", word)]
        return f"unknown options: {', '.join(names)}" if names else "too many arguments, or unknown options"
    wrong = re.match(
        r"(argument [^:]*): (invalid choice|invalid [a-z]+ value|expected (?:one|[0-9]+|at least one) arguments?)?", message
    )
    return f"{wrong[1]}: {wrong[2] or 'not understood'}" if wrong else message


def parser() -> Parser:
    """The command line."""
    common = Parser(add_help=False)
    # fmt: off
    common.add_argument("--mongo-uri", metavar="URI", help="where MongoDB is; without a password")
    common.add_argument("--db", metavar="NAME", help="the database (default: $CONCELIER_DB or concelier)")
    kit = Parser(add_help=False)
    kit.add_argument("--kit", metavar="FOLDER", type=Path, help="the unpacked kit")
    key = Parser(add_help=False)
    key.add_argument("--key", metavar="PUB", type=Path, action="append", help="a public key that a kit may be signed by")
    key.add_argument("--policy", metavar="FILE", type=Path, help="the trust policy (default: the one in $LNM_STATE_DIR, if any)")
    output = Parser(add_help=False)
    output.add_argument("--json", action="store_true", help="print one JSON object")

    top = Parser(prog="lnm", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)
    top.formatter_class = argparse.RawDescriptionHelpFormatter
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, summary: str, *parents: Parser, below: Any = commands) -> Parser:
        made: Parser = below.add_parser(name, help=summary, description=summary, parents=[*parents, output], allow_abbrev=False)
        return made

    command("status", "what was applied here, by whom, from which kit", common, kit, key)
    plan = command("plan", "what applying would do; read-only", common, kit, key)
    plan.add_argument("delivery", nargs="?", metavar="DELIVERY", help="21-101; without it, every delivery in the kit")
    preflight = command("preflight", "whether server and user are what a delivery needs; read-only", common, kit, key)
    preflight.add_argument("delivery", nargs="?", metavar="DELIVERY", help="21-101; without it, every delivery in the kit")
    apply = command("apply", "apply a delivery; without --execute only the plan is printed", common, kit, key)
    rollback = command("rollback", "take back what applying made; without --execute it is only said", common, kit, key)
    for changing in (apply, rollback):
        changing.add_argument("delivery", metavar="DELIVERY", help="21-101")
        changing.add_argument("--execute", action="store_true", help="do it")
        changing.add_argument("--resume", action="store_true", help="go on after a runner that is gone; see lnm doctor")
        changing.add_argument("--wait", metavar="SECONDS", type=int, default=0, help="wait so long for another runner to end")
        changing.add_argument("--accept-ttl-deletes", metavar="N", type=int, default=0, help="agree to lose so many expired rows")
    rollback.add_argument("--force", action="store_true", help="21-102: although events of it were published; needs a reason")
    rollback.add_argument("--force-reason", metavar="WHY", default="", help="why; it is kept with the run")
    of_the_backfill(command, common, kit, key)
    seed = command("seed-demo", "fill an empty database with advisories; without --execute it is only counted", common)
    seed.add_argument("files", nargs="*", metavar="FILE", type=Path, help="OSV advisories (*.ndjson.gz); or invented ones")
    seed.add_argument("--execute", action="store_true", help="do it")
    seed.add_argument("--tenants", metavar="N", type=int, default=2, help="for so many tenants (default: 2)")
    seed.add_argument("--documents", metavar="N", type=int, help="so many raw documents; the corpus is copied, or cut off")
    command("doctor", "what is wrong here, with evidence, and the command that goes on; read-only", common, kit, key)
    below = command("kit", "look at kits, and let them in")
    kits = below.add_subparsers(dest="kit_command", metavar="COMMAND", title="commands", required=True)
    verify = command("verify", "verify a kit, folder or tarball", key, below=kits)
    explain = command("explain", "verify a kit and tell in plain words what it is", key, below=kits)
    for looking in (verify, explain):
        looking.add_argument("kit", metavar="KIT", type=Path, help="the kit")
    of_the_trust(command, key, kits)
    of_the_runbook(command, common, kit, key)
    # fmt: on
    return top


def of_the_trust(command: Callable[..., Parser], key: Parser, kits: Any) -> None:
    """The commands that change the state folder: `lnm kit import`, `lnm trust`."""
    # fmt: off
    importing = command("import", "let a kit in and activate it; without --execute it is only verified", key, below=kits)
    importing.add_argument("kit", metavar="KIT", type=Path, help="the kit, KIT.tar.gz or an unpacked one")
    importing.add_argument("--execute", action="store_true", help="do it")
    importing.add_argument("--force-activate", action="store_true", help="although a newer one was active; needs a reason")
    importing.add_argument("--force-reason", metavar="WHY", default="", help="why; it is kept in the journal")
    below = command("trust", "the trust policy, and the journal of what was let in by it")
    trust = below.add_subparsers(dest="trust_command", metavar="COMMAND", title="commands", required=True)
    command("status", "policy, active kit, highest version, head of the journal; read-only", below=trust)
    install = command("install", "put the first trust policy in its place; without --execute it is only read", below=trust)
    rotate = command("rotate", "put a new policy in the place of the old one, signed by root keys of both", below=trust)
    for changing in (install, rotate):
        changing.add_argument("policy", metavar="POLICY", type=Path, help="the policy, a TOML file")
        changing.add_argument("--execute", action="store_true", help="do it")
    rotate.add_argument("--signature", metavar="SIG", type=Path, action="append", help="a detached signature of it, in base64")
    recover = command("recover", "begin a new journal where the old one cannot be believed any more", below=trust)
    recover.add_argument("--execute", action="store_true", help="do it")
    recover.add_argument("--force-reason", metavar="WHY", default="", help="why; it is kept in the journal")
    # fmt: on


def of_the_backfill(command: Callable[..., Parser], common: Parser, kit: Parser, key: Parser) -> None:
    """The commands of 21-102."""
    # fmt: off
    backfill = command("backfill", "21-102: make observations and linksets of what is stored", common, kit, key)
    backfill.add_argument("--execute", action="store_true", help="do it; without it, it is counted and forecast")
    backfill.add_argument("--resume", action="store_true", help="also where its entry in the ledger was lost; see lnm doctor")
    backfill.add_argument("--dry-run", action="store_true", help="write nothing, also beside --execute")
    with_pace(backfill)
    backfill.add_argument("--wait", metavar="SECONDS", type=int, default=0, help="wait so long for another runner to end")
    validate = command("validate", "whether what a backfill has left fits together; read-only", common, kit, key)
    validate.add_argument("--full", action="store_true", help="hash every document, not a sample of them")
    prove = command("prove", "prove a document, or all, against the report of a backfill; read-only", common)
    prove.add_argument("--id", metavar="ID", default="", help="the _id of what was written, or of a document of advisory_raw")
    prove.add_argument("--report", metavar="FILE", type=Path, help="the report (default: that of the state folder)")
    # fmt: on


def of_the_runbook(command: Callable[..., Parser], common: Parser, kit: Parser, key: Parser) -> None:
    """The runbook, and the outbox that it switches on."""
    # fmt: off
    book = command("runbook", "a stage of the runbook, or what came of it; without --execute it is only said", common, kit, key)
    book.add_argument("stage", metavar="STAGE", help="preflight, freeze, backup, prove-backup, apply-21-101, backfill-21-102, "
                      "validate, enable-outbox, unfreeze, watch; rollback-21-102, restore; or status, begin, evidence, report, "
                      "receipt, forecast")
    book.add_argument("file", nargs="?", metavar="FILE", type=Path, help="receipt: verify this one, with --key")
    book.add_argument("--execute", action="store_true", help="do it")
    book.add_argument("--env", metavar="ENV", default="staging", help="staging (default) or production")
    book.add_argument("--operator", metavar="NAME", default="", help="who is in charge (default: $LNM_OPERATOR)")
    book.add_argument("--evidence", metavar="FILE", type=Path, help="production: the evidence of its rehearsal")
    book.add_argument("--evidence-max-age", metavar="DAYS", type=int, help="production: it may be so old, or as the policy says")
    book.add_argument("--skip", action="store_true", help="leave the stage out; needs a reason")
    book.add_argument("--reason", metavar="WHY", default="", help="why a stage is skipped, or a journal begun anew")
    book.add_argument("--compress", metavar="HOW", default="gzip", help="of a backup: gzip (default), zstd or none")
    book.add_argument("--backup", metavar="FOLDER", type=Path, help="where the backup is (default: below $LNM_STATE_DIR)")
    book.add_argument("--calm", metavar="SECONDS", type=float, default=600, help="watch: nothing is wrong for so long (600)")
    book.add_argument("--timeout", metavar="SECONDS", type=float, default=0, help="watch: give up after so long (0: never)")
    book.add_argument("--out", metavar="FOLDER", type=Path, help="report, receipt: where it is written")
    book.add_argument("--full", action="store_true", help="validate: hash every document, not a sample of them")
    book.add_argument("--accept-ttl-deletes", metavar="N", type=int, default=0, help="apply: agree to lose so many expired rows")
    book.add_argument("--force", action="store_true", help="a way back: although events were published; needs a reason")
    book.add_argument("--force-reason", metavar="WHY", default="", help="why; it is kept")
    book.add_argument("--wait", metavar="SECONDS", type=int, default=0, help="wait so long for another runner to end")
    with_pace(book)
    below = command("outbox", "whether events are published, and a small publisher")
    boxes = below.add_subparsers(dest="outbox_command", metavar="COMMAND", title="commands", required=True)
    command("status", "how many events wait, and for how long; read-only", common, below=boxes)
    for name, summary in (("enable", "let events be published"), ("disable", "let no more events be published")):
        command(name, f"{summary}; without --execute it is only said", common, kit, key, below=boxes).add_argument(
            "--execute", action="store_true", help="do it")
    publish = command("publish", "publish what waits; without --execute it is only counted", common, below=boxes)
    publish.add_argument("--execute", action="store_true", help="do it")
    publish.add_argument("--publisher", metavar="KIND", default="stdout", help="stdout (default) or ndjson")
    publish.add_argument("--out", metavar="FILE", type=Path, help="ndjson: the file that events are added to")
    publish.add_argument("--follow", action="store_true", help="go on until it is stopped")
    # fmt: on


def with_pace(backfill: Parser) -> None:
    """The options of a backfill that say how fast, and how many may fail."""
    # fmt: off
    backfill.add_argument("--batch-size", metavar="N", type=int, default=500, help="documents of a batch (default: 500)")
    backfill.add_argument("--stop-on-error", action="store_true", help="stop after the batch in which a document fails")
    backfill.add_argument("--max-errors", metavar="N", type=int, help="stop once more than N documents have failed")
    backfill.add_argument("--max-lag", metavar="SECONDS", type=float, default=30, help="pause while a member is so late (30)")
    backfill.add_argument("--workers", metavar="N", type=int, default=1, help="processes that work side by side (default: 1)")
    # fmt: on


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        open_streams()
    except OSError as err:
        return failed(
            InputError(f"{os.devnull}: {err.strerror}", hint="mount /dev here: podman does, a bare chroot does not"),
            as_json=as_json,
        )
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:  # whoever starts it by nohup wants it to outlive the terminal
            signal.signal(name, signal.default_int_handler)
    try:
        return answer(arguments)
    except RunnerError as err:
        return failed(err, as_json=as_json)
    except KeyboardInterrupt:
        if as_json:
            return failed(CancelledError("cancelled", hint=LOOK), as_json=True)
        tell(f"cancelled\n  next: {LOOK}\n")
        return CancelledError.exit_code
    except Exception as err:  # noqa: BLE001 - its text may hold anything, so only its kind and place are told
        place = err.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "?"
        hint = "report this, with the command that you ran"
        return failed(RunnerError(f"unexpected: {type(err).__name__} in {where}", hint=hint), as_json=as_json)


def open_streams() -> None:
    """Opens to nowhere what is closed of the three standard streams, or a socket would take its number; any text can be printed.

    Raises: OSError where there is no nowhere.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= LAST_STREAM:
        pass
    os.close(handle)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def answer(arguments: Sequence[str]) -> int:
    """Runs one command and prints what it found.

    Raises: RunnerError.
    """
    top = parser()
    parsed = top.parse_args(arguments)
    if parsed.version:
        import importlib.metadata  # noqa: PLC0415 - it costs a third of `--help`

        say(f"lnm {importlib.metadata.version('lnm-runner')}")
        return 0
    if parsed.command is None:
        top.error("a command is wanted")
    result = run(parsed)
    head = {"schema": SCHEMA, "ok": result.exit_code == 0, "command": parsed.command, "exitCode": result.exit_code}
    if parsed.json or result.lines:
        say(rendered({**head, **result.data}) if parsed.json else "\n".join(result.lines))
    return result.exit_code


def run(parsed: argparse.Namespace) -> Result:
    """Imports and runs the module of a command."""
    from lnm_runner.options import Options  # noqa: PLC0415 - --help does not need it
    from lnm_runner.progress import Progress  # noqa: PLC0415 - the same

    given = vars(parsed)
    if given.get("accept_ttl_deletes", 0) < 0:
        raise InputError("--accept-ttl-deletes: wanted a number of documents", hint="lnm plan says how many")
    if given.get("wait", 0) < 0:
        raise InputError("--wait: wanted a number of seconds", hint="--wait 60")
    options = Options(
        mongo_uri=given.get("mongo_uri"),
        database=given.get("db"),
        kit=given.get("kit"),
        keys=tuple(given.get("key") or ()),
        policy=given.get("policy"),
        json=parsed.json,
        execute=given.get("execute", False) and not given.get("dry_run", False),
        resume=given.get("resume", False),
        accept_ttl_deletes=given.get("accept_ttl_deletes", 0),
        delivery=given.get("delivery"),
        subcommand=subcommand_of(given),
        signatures=tuple(given.get("signature") or ()),
        environment=dict(os.environ),
        progress=Progress() if parsed.json else Progress(tell, is_terminal=sys.stderr.isatty()),
        wait_s=given.get("wait", 0),
        batch_size=given.get("batch_size", 500),
        stop_on_error=given.get("stop_on_error", False),
        max_errors=given.get("max_errors"),
        force_reason=reason_of(given),
        identity=given.get("id") or "",
        is_full=given.get("full", False),
        report=given.get("report"),
        max_lag_s=given.get("max_lag", 30),
        workers=given.get("workers", 1),
        files=tuple(given.get("files") or filter(None, [given.get("file")])),
        tenants=given.get("tenants", 1),
        documents=given.get("documents"),
        runbook=runbook_of(given),
    )
    module = parsed.command.replace("-", "_")
    result: Result = importlib.import_module(f"lnm_runner.commands.{module}").run(options)
    return result


def subcommand_of(given: Mapping[str, Any]) -> str:
    """The word behind the command, where it is a command of its own."""
    return next((given[name] for name in ("kit_command", "trust_command", "outbox_command", "stage") if given.get(name)), "")


def runbook_of(given: Mapping[str, Any]) -> Runbook:
    """What the runbook and the outbox alone are asked.

    Raises: InputError.
    """
    from lnm_runner.options import Runbook  # noqa: PLC0415 - --help does not need it

    names = {
        "environment": "env", "evidence_max_age_days": "evidence_max_age", "calm_s": "calm", "timeout_s": "timeout",
        "follows": "follow",
    }  # fmt: skip
    alike = ("skip", "reason", "evidence", "operator", "compress", "backup", "publisher", "out")
    asked = {**names, **{name: name for name in alike}}
    return Runbook(**{name: given[option] for name, option in asked.items() if option in given})


def reason_of(given: Mapping[str, Any]) -> str:
    """Why something is forced; empty where it is not.

    Raises: InputError where one of the two is missing.
    """
    reason = str(given.get("force_reason") or "").strip()
    flag = next((name for name in ("force", "force_activate") if name in given), "")
    if flag and bool(given[flag]) != bool(reason):
        option = f"--{flag.replace('_', '-')}"
        raise InputError(f"{option} and --force-reason go together", hint=f"{option} --force-reason WHY")
    return reason


def failed(err: RunnerError, *, as_json: bool) -> int:
    """Prints an error and those that were found with it; returns its exit code."""
    if as_json:
        others = [other.as_json() for other in err.others]
        with contextlib.suppress(RunnerError):
            say(rendered({"schema": SCHEMA, "ok": False, "exitCode": err.exit_code, "error": err.as_json(), "others": others}))
        return err.exit_code
    for found in (err, *err.others):
        tell(f"error: {found.message}\n")
        if found.hint:
            tell(f"  next: {found.hint}\n")
    return err.exit_code


def rendered(data: Mapping[str, Any]) -> str:
    """One JSON object; dates in UTC, ids as text."""
    return json.dumps(data, ensure_ascii=False, indent=2, default=lambda value: getattr(value, "isoformat", value.__str__)())


def say(text: str) -> None:
    """Prints a result; where nobody reads any more, the exit code still tells what became of the database.

    Raises: RunnerError where it cannot be written.
    """
    try:
        print(text, flush=True)
    except OSError as err:
        silence(sys.stdout)
        if not isinstance(err, BrokenPipeError):
            why = f"the result cannot be written to standard output: {err.strerror}"
            raise RunnerError(why, hint="what was to be done is done: lnm status") from err


def tell(text: str) -> None:
    """Prints progress or an error, with its line end; a terminal that has gone away stops nothing."""
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Sends to nowhere what is still in a stream, so that Python does not fail over it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())

"""`python -m scripts.staging`: a whole rehearsal of the runbook, on a server of its own or on an operator's staging.

Without CONCELIER_MONGO_URI: a replica set with users is started, filled, rehearsed on, and removed. With it: that database
(CONCELIER_DB) is rehearsed on, as the user whom it names, and nothing is started, filled or removed but by the stages themselves;
without --execute only the plans are printed. A database that has been in production is refused.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from pymongo.errors import OperationFailure, PyMongoError

from scripts import holder
from scripts.errors import KitError
from scripts.staging import embedded, environment, own
from scripts.staging.rehearsal import here

OUT, OWN = environment.WORK / "rehearsal", environment.WORK / "own"
"""What an embedded rehearsal leaves, which the next one removes; and what those of one's own leave, by their database."""
CANCELLED, RETRYABLE = 130, 10
DOCUMENTS = 5000


def main(argv: list[str]) -> int:
    """Entry point; returns the exit code."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:
            signal.signal(name, signal.default_int_handler)
    options = parse(argv)
    try:
        return rehearse(options)
    except KitError as err:
        print(f"error: {err}", file=sys.stderr)
        return err.exit_code
    except PyMongoError as err:  # its text may name more than it should
        code = (err.details or {}).get("codeName") if isinstance(err, OperationFailure) else None
        print(f"error: MongoDB: {code or type(err).__name__} [exit {RETRYABLE}]", file=sys.stderr)
        return RETRYABLE
    except KeyboardInterrupt:
        print(f"cancelled [exit {CANCELLED}]", file=sys.stderr)
        return CANCELLED


def parse(argv: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m scripts.staging", description="Rehearses the runbook.", allow_abbrev=False)
    parser.add_argument("--execute", action="store_true", help="with CONCELIER_MONGO_URI: do it; without, plans are printed")
    parser.add_argument(
        "--documents", type=int, default=DOCUMENTS, metavar="N", help="raw documents of the own server (%(default)s)"
    )
    parser.add_argument("--calm", type=int, default=5, metavar="SECONDS", help="how long the watch wants it calm (%(default)s)")
    return parser.parse_args(argv)


def rehearse(options: argparse.Namespace) -> int:
    """One rehearsal.

    Raises: KitError, PyMongoError.
    """
    began = time.monotonic()
    environment.WORK.mkdir(parents=True, exist_ok=True)
    holder.take(environment.WORK / "lock")
    kit = environment.built(os.environ)
    environment.verify(kit)
    program = environment.install(kit, environment.ENVIRONMENT)
    say(f"kit   {here(kit.folder.absolute())}, verified; rootHash {kit.root_hash}")
    if os.environ.get("CONCELIER_MONGO_URI"):
        out = OWN / own.database_name(os.environ)
        own.rehearse(kit, program, out, say, calm_s=options.calm, executes=options.execute)
        if not options.execute:
            return 0
    else:
        out = OUT
        shutil.rmtree(out, ignore_errors=True)
        embedded.rehearse(kit, program, out, say, documents=options.documents, calm_s=options.calm)
    conclude(out, time.monotonic() - began)
    return 0


def conclude(out: Path, seconds: float) -> None:
    """Says what was left, and how long it took."""
    say("")
    for path in sorted(path for path in out.iterdir() if path.is_file()):
        say(f"left  {here(path.absolute())} ({path.stat().st_size:,} bytes)")
    say(f"staging: passed, {seconds:.0f} s")


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

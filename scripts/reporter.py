"""What a build says: a line for each thing that is made and why, and at the end what there is, where, and what to do next.

doit tells its reporter when a run begins and when a task is done, so a run also takes the tree and keeps its state here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from doit import Globals
from doit.reporter import ConsoleReporter

from scripts import fresh, keys, state
from scripts.artefact import WORK, take_tree

MOST_REASONS = 2  # on one line; `doit bundle -v2` and `doit info TASK` have all of them
IMAGE_WORK = WORK / "image"
STOPS = (signal.SIGTERM, signal.SIGHUP)


class BuildReporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
    """doit's reporter for this build: silent on what is fresh, plain on what fails."""

    desc = "one line for each artefact that is made, and a summary"
    summary_of: Path | None = None
    """The unpacked kit; set by dodo.py."""

    def initialize(self, tasks: dict[str, Any], selected_tasks: list[str]) -> None:
        """Takes the tree for this run and counts what there is to do.

        Raises: InvalidTask where another build has the tree.
        """
        self.tasks, self.selected = tasks, selected_tasks
        self.total = sum(1 for task in tasks.values() if task.actions)
        self.seen = self.made = 0
        self.most = None if any(talkative(tasks[name]) for name in selected_tasks) else MOST_REASONS
        end_in_words()
        take_tree()
        state.watch(Globals.dep_manager)

    def write(self, text: str) -> None:
        """Writes a line at once; a reader that has gone away does not stop the build."""
        try:
            self.outstream.write(text)
            self.outstream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.outstream.fileno())

    def execute_task(self, task: Any) -> None:
        """An artefact is made, for these reasons."""
        if task.actions:
            self.seen += 1
            self.made += 1
            self.write(f"[{self.seen:3}/{self.total}] {task.name}{because(fresh.reasons(task, self.tasks), self.most)}\n")

    def add_success(self, task: Any) -> None:  # noqa: ARG002 - all that is not saved is
        """An artefact is made and remembered."""
        state.save(Globals.dep_manager)

    def skip_uptodate(self, task: Any) -> None:
        """An artefact is fresh."""
        if task.actions:
            self.seen += 1

    def _write_failure(self, result: dict[str, Any], write_exception: bool = True) -> None:  # noqa: FBT001, FBT002 - doit's signature
        """A failure is its message and the task to repeat, never a traceback of ours."""
        if write_exception:
            message = result["exception"].get_msg().strip()
            sys.stderr.write(f"\nfailed: {result['task'].name}\n  {message}\n")

    def complete_run(self) -> None:
        """The last words; a run that broke off has none but its error."""
        if self.runtime_errors:
            sys.stderr.write("\n".join(self.runtime_errors) + "\n")
        if self.failures or self.runtime_errors or sys.exc_info()[0]:
            return
        self.write(f"{self.made} made, {self.seen - self.made} fresh\n")
        if "bundle" in self.selected and self.summary_of is not None:
            self.write(summary(self.summary_of))


def talkative(task: Any) -> bool:
    """True for a task that was asked for with -v2."""
    task.init_options()
    return bool(task.options.get("verbosity", 0) > 1)


def because(reasons: list[str], most: int | None) -> str:
    """The reasons as the end of a line, at most so many of them."""
    shown = reasons[:most]
    more = [f"and {len(reasons) - len(shown)} more"] if len(reasons) > len(shown) else []
    return f"  ({'; '.join([*shown, *more])})" if reasons else ""


def end_in_words() -> None:
    """A build that is told to stop says so and shows no traceback."""
    for number in STOPS:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    sys.excepthook = interrupted


def interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's last words on an error that nobody caught."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("interrupted; no target is half written\n  next: the same command again [exit 130]\n")
    else:
        traceback.print_exception(kind, error, trace)


def relocked() -> str:
    """A line where the base of an image is not what was locked, at each build until it is locked again."""
    found = [
        item for path in sorted(IMAGE_WORK.glob("*/base.json")) for item in json.loads(path.read_bytes()).get("relocked", [])
    ]
    names = ", ".join(sorted({item["package"] for item in found}))
    return f"warning      the image is not made of what is locked: {names} (nox -s lock, or LNM_LOCKED=1)\n" if found else ""


def summary(kit: Path) -> str:
    """What was built, where, by which key, and what to run next."""
    predicate = json.loads((kit / "manifest.json").read_bytes())["predicate"]
    fingerprint = keys.fingerprint((kit.parent / "signing-key.pub").read_bytes())
    tarball = kit.parent / f"lnm-offline-kit-{predicate['version']}.tar.gz"
    ready = [row["id"] for row in predicate["deliveries"] if row["status"] == "ready"]
    absent = [row["id"] for row in [*predicate["deliveries"], *predicate["parts"]] if row["status"] != "ready"]
    shipped = [row for row in predicate["parts"] if (kit / "images" / row["id"]).is_dir()]
    images = [f"image        {row['id']} {row['digest']}\n" for row in shipped]
    source = predicate["source"]
    return (
        f"\nkit          {tarball} ({tarball.stat().st_size / 1e6:.1f} MB)\n"
        f"unpacked     {kit}/\n"
        f"rootHash     {predicate['rootHash']}\n"
        f"deliveries   ready: {', '.join(ready)}; absent: {', '.join(absent)}\n"
        f"{''.join(images)}"
        f"{relocked()}"
        f"source       {source['commit'] or 'no commit'}, {source['state']}; channel {predicate['channel']}\n"
        f"trust        {predicate['trust']}, key sha256:{fingerprint}\n"
        f"next         python3 {kit.parent}/verify_kit.py --key {kit.parent}/signing-key.pub {tarball}\n"
        f"             .venv/bin/nox -s verify\n"
    )

"""What a build says: one line for each thing that is made, and at the end what there is, where, and what to do next."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from doit.reporter import ConsoleReporter

from scripts import keys


class BuildReporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
    """doit's reporter for this build: silent on what is fresh, plain on what fails."""

    desc = "one line for each artefact that is made, and a summary"
    summary_of: Path | None = None
    """The unpacked kit; set by dodo.py."""

    def initialize(self, tasks: dict[str, Any], selected_tasks: list[str]) -> None:
        """Counts what there is to do."""
        self.total = sum(1 for task in tasks.values() if task.actions)
        self.seen = self.made = 0
        self.selected = selected_tasks

    def execute_task(self, task: Any) -> None:
        """An artefact is made."""
        if task.actions:
            self.seen += 1
            self.made += 1
            self.write(f"[{self.seen:3}/{self.total}] {task.name}\n")
            self.outstream.flush()

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


def summary(kit: Path) -> str:
    """What was built, where, by which key, and what to run next."""
    predicate = json.loads((kit / "manifest.json").read_bytes())["predicate"]
    fingerprint = keys.fingerprint((kit.parent / "signing-key.pub").read_bytes())
    tarball = kit.parent / f"lnm-offline-kit-{predicate['version']}.tar.gz"
    ready = [row["id"] for row in predicate["deliveries"] if row["status"] == "ready"]
    absent = [row["id"] for row in [*predicate["deliveries"], *predicate["parts"]] if row["status"] != "ready"]
    source = predicate["source"]
    return (
        f"\nkit          {tarball} ({tarball.stat().st_size / 1e6:.1f} MB)\n"
        f"unpacked     {kit}/\n"
        f"rootHash     {predicate['rootHash']}\n"
        f"deliveries   ready: {', '.join(ready)}; absent: {', '.join(absent)}\n"
        f"source       {source['commit'] or 'no commit'}, {source['state']}; channel {predicate['channel']}\n"
        f"trust        {predicate['trust']}, key sha256:{fingerprint}\n"
        f"next         python3 {kit.parent}/verify_kit.py --key {kit.parent}/signing-key.pub {tarball}\n"
        f"             .venv/bin/nox -s verify\n"
    )

"""Does a step of the runbook in a process of its own, which something strikes right before one of its changing commands.

`python -m tests.runner.struck freeze|unfreeze|publish NUMBER kill|lift`: `kill`, it is killed; `lift`, somebody else lifts the write
block (as LIFTER_URI). NUMBER counts the commands that change the freeze, or an outbox, from 1. Prints what came of it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from lnm_runner import freeze, mongo
from lnm_runner.errors import RunnerError
from lnm_runner.options import Options, Runbook
from lnm_runner.outbox import backlog, publisher
from pymongo import MongoClient, monitoring

CHANGED = {
    "freeze": {("update", "lnm_settings"), ("delete", "lnm_settings"), ("setUserWriteBlockMode", "1")},
    "publish": {("update", name) for name in backlog.OUTBOXES},
}
CHANGED["unfreeze"] = CHANGED["freeze"]


class Watcher(monitoring.CommandListener):
    """Sees each command before it is sent."""

    def __init__(self, word: str, number: int, what: str) -> None:
        self.changed, self.left, self.what = CHANGED[word], number, what

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Strikes."""
        if (event.command_name, str(event.command.get(event.command_name))) not in self.changed:
            return
        self.left -= 1
        if self.left == 0 and self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left == 0:
            with MongoClient[dict[str, Any]](os.environ["LIFTER_URI"]) as client:
                client.admin.command({"setUserWriteBlockMode": 1, "global": False})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing."""


def main(word: str, number: int, what: str) -> int:
    """Does it; its exit code."""
    monitoring.register(Watcher(word, number, what))
    out = os.environ.get("OUT")
    runbook = Runbook(publisher="ndjson" if out else "stdout", out=Path(out) if out else None)
    options = Options(environment=dict(os.environ), runbook=runbook)
    try:
        with mongo.connect(options) as server:
            if word == "freeze":
                freeze.freeze(server, options, plan=os.environ["PLAN"], reason="window of the tests")
            elif word == "unfreeze":
                freeze.unfreeze(server, options, plan=os.environ["PLAN"])
            else:
                publisher.publish(server, options)
    except RunnerError as err:
        print(f"{type(err).__name__}: {err.message}\n{err.hint}")
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

"""Freezes or unfreezes in a process of its own, which something happens to right before one of its changing commands.

`python -m tests.runner.freezing freeze|unfreeze NUMBER kill|lift`: `kill`, it is killed; `lift`, somebody else lifts the block
(as LIFTER_URI). NUMBER counts the commands that change something, from 1; 0: nothing happens. Prints what came of it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from lnm_runner import freeze, mongo
from lnm_runner.errors import RunnerError
from lnm_runner.options import Options
from pymongo import MongoClient, monitoring

CHANGING = {"update", "delete", "setUserWriteBlockMode"}


class Watcher(monitoring.CommandListener):
    """Sees each command before it is sent."""

    def __init__(self, number: int, what: str) -> None:
        self.left, self.what = number, what

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Lets it happen."""
        self.left -= event.command_name in CHANGING
        if self.left != 0 or event.command_name not in CHANGING:
            return
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self.left = -1
        with MongoClient[dict[str, Any]](os.environ["LIFTER_URI"]) as client:
            client.admin.command({"setUserWriteBlockMode": 1, "global": False})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing."""


def main(word: str, number: int, what: str) -> int:
    """Runs it; its exit code."""
    monitoring.register(Watcher(number, what))
    options = Options(environment=dict(os.environ))
    try:
        with mongo.connect(options) as server:
            if word == freeze.STAGE:
                freeze.freeze(server, options, plan=os.environ["PLAN"], reason="window of the tests")
            else:
                freeze.unfreeze(server, options, plan=os.environ["PLAN"])
    except RunnerError as err:
        print(f"{type(err).__name__}: {err.message}\n{err.hint}")
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

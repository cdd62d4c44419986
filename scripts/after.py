"""Order where nothing is read: a row of the table that waits for another one, and is not made when that one fails."""

from __future__ import annotations

from typing import Any

from scripts.fresh import Check


class After(Check):
    """Among the `uptodate` of a row: doit runs the named task first. The row is no less fresh for it."""

    def __init__(self, task: str) -> None:
        """Takes the task's whole name, `group:label`."""
        super().__init__(lambda _task, _values: ())
        self.task = task

    def configure_task(self, task: Any) -> None:
        """What doit calls once it has read the table (`doit.task.Task`)."""
        task.task_dep.append(self.task)

"""Runs tasks in this process, one after the other, as the builtin map does."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

from weekly_cli.errors import WeeklyError
from weekly_cli.run.engines import Cause, Failed, RunTask
from weekly_cli.run.task import Outcome, Task


class InProcess:
    """An engine without a pool."""

    workers = 1
    cluster = None

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run the tasks in order."""
        for task in tasks:
            try:
                yield run(task)
            except WeeklyError:
                raise
            except Exception as error:  # noqa: BLE001 - the caller decides what a task's exception means
                yield Failed(task, Cause.RAISED, f"{type(error).__name__}: {error}", traceback.format_exc())

    def resize(self, workers: int) -> None:
        """Do nothing: there is only this process."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

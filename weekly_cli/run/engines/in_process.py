"""Tasks in this process, one after the other: the builtin map."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

from weekly_cli.errors import WeeklyError
from weekly_cli.run.engines import Cause, Failed, RunTask
from weekly_cli.run.task import Outcome, Task


class InProcess:
    """An engine without a pool."""

    workers = 1

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run the tasks in order."""
        for task in tasks:
            try:
                yield run(task)
            except WeeklyError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a task raises is the caller's to judge
                yield Failed(task, Cause.RAISED, f"{type(error).__name__}: {error}", traceback.format_exc())

    def resize(self, workers: int) -> None:
        """There is one process, this one."""

    def close(self) -> None:
        """Nothing is held."""

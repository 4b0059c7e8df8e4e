"""Engines: the same `run_tasks(tasks) -> iterator of outcomes`, in this process or on a pool.

An engine never decides what a failure means: a task that did not end well comes back as `Failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from weekly_cli.run.task import Outcome, Task

RunTask: TypeAlias = "Callable[[Task], Outcome]"


class Cause(Enum):
    """Why a task has no outcome."""

    #: It raised an exception: nothing but the task itself can be the reason.
    RAISED = "raised"
    #: It had begun when a worker process died, which may have been its own.
    DIED = "died"
    #: The same, and the system killed a process for lack of memory.
    NO_MEMORY = "no memory"
    #: It took too long, and its worker was killed for it.
    TOO_LONG = "too long"
    #: It is not to blame: it had not begun when a worker died, or its worker was ended with another one.
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Failed:
    """A task without an outcome.

    Attributes
    ----------
    reason : str
        One line for the report.
    details : str
        The traceback, where there is one.
    """

    task: Task
    cause: Cause
    reason: str
    details: str = ""


class Engine(Protocol):
    """Where tasks run."""

    workers: int

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run `run` on every task and yield what came of each, in any order."""
        ...

    def resize(self, workers: int) -> None:
        """Run on so many workers from now on, where there are any."""
        ...

    def close(self) -> None:
        """Free what the engine holds; kill what still runs."""
        ...

"""Engines: the same `run_tasks(tasks) -> iterator of outcomes`, in this process, on a pool or on a cluster.

An engine never decides what a failure means: a task that does not succeed is returned as `Failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from weekly_cli.dataset.each import Each
    from weekly_cli.run.task import Outcome, Task

RunTask: TypeAlias = "Callable[[Task], Outcome]"


class Cause(Enum):
    """Why a task has no outcome."""

    #: It raised an exception: only the task itself can be the reason.
    RAISED = "raised"
    #: It had begun when a worker process died, possibly its own.
    DIED = "died"
    #: The same, and the system killed a process for lack of memory.
    NO_MEMORY = "no memory"
    #: It took too long, so its worker was killed.
    TOO_LONG = "too long"
    #: It did not cause the failure: it had not begun when a worker died, or its worker was ended along with another.
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
    deaths : int
        How many workers died, if that is the cause.
    """

    task: Task
    cause: Cause
    reason: str
    details: str = ""
    deaths: int = 1


class Engine(Protocol):
    """Where tasks run."""

    workers: int

    @property
    def cluster(self) -> ClusterEngine | None:
        """The engine itself, if its workers may be on other machines."""
        ...

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Call `run` on every task and yield the results, in any order."""
        ...

    def resize(self, workers: int) -> None:
        """Use this many workers from now on, if the engine has workers."""
        ...

    def close(self) -> None:
        """Release the engine's resources; kill tasks that are still running."""
        ...


class ClusterEngine(Engine, Protocol):
    """An engine whose workers may be on other machines: they scan and partition the input, too."""

    @property
    def each(self) -> Each:
        """What calls functions on the workers."""
        ...

    def check_reach(self, input: str, mark: str) -> None:
        """Refuse a cluster one of whose workers reaches no input file, or does not see what is written beside `mark`.

        Raises
        ------
        ClusterError
        """
        ...

"""Engines: the same `run_tasks(tasks) -> iterator of outcomes`, in this process or on a pool.

An engine never decides what a failure means: a task that did not end well comes back as `Failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from weekly_cli.worker import Outcome, Task

RunTask: TypeAlias = "Callable[[Task], Outcome]"


@dataclass(frozen=True)
class Failed:
    """A task without an outcome.

    Attributes
    ----------
    reason : str
        One line: the error, or that the worker died.
    details : str
        The traceback, where there is one.
    alone : bool
        Whether nothing but this task can have caused it; a dead worker makes all tasks in flight suspects.
    """

    task: Task
    reason: str
    details: str
    alone: bool


class Engine(Protocol):
    """Where tasks run."""

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run `run` on every task and yield what came of each, in any order."""
        ...

    def close(self) -> None:
        """Free what the engine holds; kill what still runs."""
        ...

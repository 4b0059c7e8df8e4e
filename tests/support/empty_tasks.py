"""Tasks that do nothing, with which an engine's own costs are measured."""

from __future__ import annotations

from dataclasses import dataclass

from weekly_cli.run.task import Outcome


@dataclass(frozen=True)
class EmptyTask:
    """A task that carries some bytes and does nothing."""

    number: int
    load: bytes = b""
    part: str = "empty.parquet"


def done(task: EmptyTask) -> Outcome:
    """Do nothing."""
    return Outcome(task.number)

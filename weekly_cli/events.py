"""What a run tells its listeners; silence is `ignore`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A stage has done `rows` of `total_rows` rows, and `symbols` of `total_symbols` symbols where it knows them."""

    stage: str
    rows: int
    total_rows: int
    symbols: int = 0
    total_symbols: int = 0


@dataclass(frozen=True)
class StageEnded:
    """A stage has ended after `seconds`; `what` says in a few words what came of it."""

    stage: str
    seconds: float
    what: str


@dataclass(frozen=True)
class RunWarning:
    """Something went wrong that the run goes on from; `what` says it in a sentence."""

    what: str


Event = Progress | StageEnded | RunWarning
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""

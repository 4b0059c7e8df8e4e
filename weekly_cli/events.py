"""The events that a run sends to its listeners; `ignore` is the listener that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A stage has processed `rows` of `total_rows` rows, and `symbols` of `total_symbols` symbols if it knows them."""

    stage: str
    rows: int
    total_rows: int
    symbols: int = 0
    total_symbols: int = 0


@dataclass(frozen=True)
class StageStarted:
    """A stage has begun."""

    stage: str


@dataclass(frozen=True)
class StageEnded:
    """A stage has ended after `seconds`; `what` describes the result in a few words."""

    stage: str
    seconds: float
    what: str


@dataclass(frozen=True)
class RunWarning:
    """A problem that does not stop the run; `what` describes it in a sentence."""

    what: str


Event = StageStarted | Progress | StageEnded | RunWarning
Listener = Callable[[Event], None]


def all_of(*listeners: Listener) -> Listener:
    """Return a listener that passes each event on to all of these."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def ignore(event: Event) -> None:
    """Ignore an event."""

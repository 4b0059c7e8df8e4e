"""The clock of a run: how long each stage takes, what is told of it, and what went wrong on the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pyarrow as pa

from weekly_cli.events import Event, Listener, Progress, RunWarning, StageEnded


class Stages:
    """Times stages and tells a listener.

    Attributes
    ----------
    seconds : dict
        Wall seconds by stage.
    warnings : list of str
        What went wrong that the run went on from.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def tell(self, event: Event) -> None:
        """Tell the listener; remember warnings for the report."""
        if isinstance(event, RunWarning):
            self.warnings.append(event.what)
        self._listener(event)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time a stage; what its body puts into the list is told when it ends."""
        started_at = time.perf_counter()
        summary: list[str] = []
        yield summary
        pa.default_memory_pool().release_unused()  # what this process keeps is a debt to the budget of the workers
        self.seconds[name] = time.perf_counter() - started_at
        self.tell(StageEnded(name, self.seconds[name], "".join(summary)))

    def progress(self, stage: str, rows: int, total: int, symbols: int = 0, total_symbols: int = 0) -> None:
        """Tell how far a stage is."""
        self.tell(Progress(stage, rows, total, symbols, total_symbols))

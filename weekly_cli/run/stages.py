"""Stage timing: how long each stage of a run takes, the events that it sends, and the warnings of the run."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator

import pyarrow as pa

from weekly_cli.events import Event, Listener, Progress, RunWarning, StageEnded, StageStarted


class Stages:
    """Times stages and notifies a listener.

    Attributes
    ----------
    seconds : dict
        Wall seconds by stage.
    began : dict
        When each stage began, by `time.monotonic`.
    started_at, started : float, str
        When the run began, by `time.monotonic` and by the wall clock.
    warnings : list of str
        Problems that did not stop the run.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.started_at = time.monotonic()
        self.started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.seconds: dict[str, float] = {}
        self.began: dict[str, float] = {}
        self.warnings: list[str] = []

    def tell(self, event: Event) -> None:
        """Notify the listener; keep warnings for the report."""
        if isinstance(event, RunWarning):
            self.warnings.append(event.what)
        self._listener(event)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time a stage; the texts that its body appends to the list are reported when it ends."""
        self.began[name] = started_at = time.monotonic()
        self.tell(StageStarted(name))
        summary: list[str] = []
        yield summary
        pa.default_memory_pool().release_unused()  # memory that this process keeps comes out of the workers' budget
        self.seconds[name] = time.monotonic() - started_at
        self.tell(StageEnded(name, self.seconds[name], "".join(summary)))

    def progress(self, stage: str, rows: int, total: int, symbols: int = 0, total_symbols: int = 0) -> None:
        """Report a stage's progress."""
        self.tell(Progress(stage, rows, total, symbols, total_symbols))

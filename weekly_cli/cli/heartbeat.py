"""A sign of life in long stages: what a run is doing, how far it is, and for how long it has been running."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from weekly_cli.events import Event, Listener, Progress, StageStarted

#: Rare enough for a log of a night, often enough for who watches it.
INTERVAL_SECONDS = 60.0


@contextlib.contextmanager
def heartbeat(say: Callable[[str], None]) -> Iterator[Listener]:
    """Yield a listener; as long as the context lasts, `say` gets a line each minute, from a thread of its own."""
    beats = _Beats(say)
    thread = threading.Thread(target=beats.run, args=(INTERVAL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield beats
    finally:
        beats.done.set()
        thread.join()


class _Beats:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._latest: StageStarted | Progress | None = None
        self._started_at = time.monotonic()
        self.done = threading.Event()

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted | Progress):
            self._latest = event

    def run(self, interval_seconds: float) -> None:
        while not self.done.wait(interval_seconds):
            if self._latest is not None:
                self._say(beat(self._latest, time.monotonic() - self._started_at))


def beat(event: StageStarted | Progress, elapsed_seconds: float) -> str:
    """Return the line.

    >>> beat(Progress("fan out", 1_200_000, 9_600_000, 500, 4_000), 125.3)
    'fan out: 1,200,000 of 9,600,000 rows (12%), 500 of 4,000 symbols, 2 min 5 s since the start'
    """
    words = []
    if isinstance(event, Progress):
        share = f" ({event.rows / event.total_rows:.0%})" if event.total_rows else ""
        words.append(f"{event.rows:,} of {event.total_rows:,} rows{share}")
        words += [f"{event.symbols:,} of {event.total_symbols:,} symbols"] if event.total_symbols else []
    return f"{event.stage}: {', '.join([*words, f'{duration(elapsed_seconds)} since the start'])}"


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(12.4), duration(125), duration(7260)
    ('12 s', '2 min 5 s', '2 h 1 min')
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

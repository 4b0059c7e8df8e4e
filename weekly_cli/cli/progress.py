"""How a run goes, on stderr: live bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from weekly_cli.events import Event, Listener, Progress, StageEnded, Trouble
from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


#: How long, in all, a pipe that nobody reads may keep a run waiting.
_PATIENCE_SECONDS = 1.0
#: A pipe that is ready takes this much without waiting.
_WRITE_BYTES = 1024


class Bystander:
    """stderr: whether somebody reads it, or can, makes no difference to a run.

    Text that a full pipe, a closed one or a terminal that has gone does not take is dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._patience_seconds = _PATIENCE_SECONDS
        self.encoding = stream.encoding

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return its file descriptor."""
        return self._stream.fileno()

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, text: str) -> int:
        """Write what can be written, and return the length of the text."""
        with contextlib.suppress(OSError):
            self._stream.flush()
            if self.isatty() or os.name != "posix" or not _has_descriptor(self._stream):
                self._stream.write(text)
                self._stream.flush()
            else:
                self._write(text.encode(self.encoding or "utf-8", "backslashreplace"))
        return len(text)

    def _write(self, data: bytes) -> None:
        while data:
            began = time.monotonic()
            _, ready, _ = select.select([], [self.fileno()], [], max(0.0, self._patience_seconds))
            self._patience_seconds -= time.monotonic() - began
            if not ready:
                return
            data = data[os.write(self.fileno(), data[:_WRITE_BYTES]) :]


def _has_descriptor(stream: TextIO) -> bool:
    try:
        return stream.fileno() >= 0
    except OSError:  # made up, such as a test's
        return False


@contextlib.contextmanager
def listener(console: Console) -> Iterator[Listener]:
    """Yield a listener that shows progress on `console` as it can."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as LiveBars

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    with LiveBars(*columns, console=console, transient=True) as bars:
        yield _Live(bars)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: Event) -> None:
        if isinstance(event, Trouble):
            self._console.print(f"trouble: {printable(event.what)}", soft_wrap=True)
        if isinstance(event, StageEnded):
            self._console.print(f"{event.stage}: {printable(event.what)} ({event.seconds:.2f} s)", soft_wrap=True)


class _Live:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Trouble):
            self._bars.console.print(f"trouble: {printable(event.what)}", overflow="fold")
            return
        if isinstance(event, StageEnded):
            if event.stage in self._tasks:
                self._bars.remove_task(self._tasks.pop(event.stage))
            self._bars.console.print(
                f"{event.stage:<9} {event.seconds:6.2f} s  {printable(event.what)}", overflow="fold"
            )
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.total_rows, counts="")
        task = self._tasks[event.stage]
        self._bars.update(task, completed=event.rows, total=event.total_rows, counts=_counts(event))


def _counts(event: Progress) -> str:
    rows = f"{event.rows:,} rows"
    return f"{rows}, {event.symbols:,} symbols" if event.total_symbols else rows

"""The progress of a run, on stderr: live bars on a terminal, elsewhere a line per stage and, in long ones, a minute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from weekly_cli.cli.heartbeat import heartbeat
from weekly_cli.events import Event, Listener, Progress, RunWarning, StageEnded, StageStarted, all_of
from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@contextlib.contextmanager
def listener(console: Console) -> Iterator[Listener]:
    """Yield a listener that shows progress on `console`, live if it is a terminal."""
    if not console.is_terminal:
        lines = _Lines(console)
        with heartbeat(lines.say) as beats:
            yield all_of(lines, beats)
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

    def say(self, line: str) -> None:
        self._console.print(printable(line), soft_wrap=True)

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunWarning):
            self.say(f"warning: {event.what}")
        if isinstance(event, StageEnded):
            self.say(f"{event.stage}: {event.what} ({event.seconds:.2f} s)")


class _Live:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunWarning):
            self._bars.console.print(f"warning: {printable(event.what)}", overflow="fold")
            return
        if isinstance(event, StageEnded):
            if event.stage in self._tasks:
                self._bars.remove_task(self._tasks.pop(event.stage))
            self._bars.console.print(
                f"{event.stage:<9} {event.seconds:6.2f} s  {printable(event.what)}", overflow="fold"
            )
            return
        if isinstance(event, StageStarted):
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.total_rows, counts="")
        task = self._tasks[event.stage]
        self._bars.update(task, completed=event.rows, total=event.total_rows, counts=_counts(event))


def _counts(event: Progress) -> str:
    rows = f"{event.rows:,} rows"
    return f"{rows}, {event.symbols:,} symbols" if event.total_symbols else rows

"""How a run goes, on stderr: live bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from weekly_cli.events import Event, Listener, Progress, StageEnded

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def listener(console: Console) -> Iterator[Listener]:
    """Yield a listener that shows progress on `console` as it can."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield _Live(bars)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageEnded):
            self._console.print(
                f"{event.stage}: {event.what} ({event.seconds:.2f} s)",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )


class _Live:
    def __init__(self, bars: object) -> None:
        self._bars = bars
        self._tasks: dict[str, object] = {}

    def __call__(self, event: Event) -> None:
        bars = self._bars
        if isinstance(event, StageEnded):
            if event.stage in self._tasks:
                bars.remove_task(self._tasks.pop(event.stage))  # type: ignore[attr-defined]
            bars.console.print(  # type: ignore[attr-defined]
                f"{event.stage:<9} {event.seconds:6.2f} s  {event.what}",
                markup=False,
                highlight=False,
                overflow="fold",
            )
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = bars.add_task(event.stage, total=event.total_rows, counts="")  # type: ignore[attr-defined]
        bars.update(  # type: ignore[attr-defined]
            self._tasks[event.stage], completed=event.rows, total=event.total_rows, counts=_counts(event)
        )


def _counts(event: Progress) -> str:
    rows = f"{event.rows:,} rows"
    return f"{rows}, {event.symbols:,} symbols" if event.total_symbols else rows

"""What the views share: a grid of named lines, and the words for sizes, files and findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import Finding
from weekly_cli.names import printable
from weekly_cli.run.resources import THREADS_OF

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table

_MIB = 2**20


def grid(lines: Iterable[tuple[str, str]]) -> Table:
    """Return lines with their names in front, at most as wide as the terminal; empty ones are left out."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        if value:
            table.add_row(name, printable(value))
    return table


def table_of(rows: pa.Table) -> Table:
    """Return some rows of an output under their columns' names; what is too wide is cut."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows.column_names:
        is_number = isinstance(rows.column(name)[0].as_py(), int | float)
        table.add_column(printable(name), justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis")
    for row in rows.to_pylist():
        table.add_row(*(printable(_value(value)) for value in row.values()))
    return table


def _value(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def finding_lines(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [("finding", one.line) for one in findings]


def dates(first: str | None, last: str | None, sessions_a_week: float) -> str:
    """Return the first and the last date and the mean number of sessions."""
    return f"{first} to {last}, {sessions_a_week:.1f} sessions a week"


def _few(paths: Sequence[str]) -> str:
    more = len(paths) - 3
    return ", ".join(paths[:3]) + (f" and {more:,} more" if more > 0 else "")


def not_read(skipped: Sequence[Skipped]) -> str:
    """Return the files that are not read by reason, with examples."""
    by_reason: dict[str, list[str]] = {}
    for skip in skipped:
        by_reason.setdefault(skip.reason, []).append(skip.path)
    return "; ".join(f"{_few(paths)}: {reason}" for reason, paths in by_reason.items())


def of_cluster(worker_limits: Iterable[tuple[str, int]]) -> str:
    """Return what a cluster has for tasks, if the limits on the number of workers are a cluster's.

    >>> of_cluster([("--jobs -1", 4), ("threads of 2 workers at tcp://10.0.0.1:8786", 4)])
    '4 threads of 2 workers at tcp://10.0.0.1:8786'
    """
    return next((f"{limit:,} {name}" for name, limit in worker_limits if name.startswith(THREADS_OF)), "")


def mib(size: int) -> str:
    """Return a size in MiB.

    >>> mib(1572864)
    '1.5 MiB'
    """
    return f"{size / _MIB:,.1f} MiB" if size < 100 * _MIB else f"{size / _MIB:,.0f} MiB"

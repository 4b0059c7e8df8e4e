"""The report of a build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weekly_cli.cli.views.layout import dates, finding_lines, grid, mib, not_read
from weekly_cli.dataset.schema import roles_in_words
from weekly_cli.run.repeats import differences
from weekly_cli.run.report import Report
from weekly_cli.run.task import SHORT_HISTORY_BARS

if TYPE_CHECKING:
    from rich.console import RenderableType

_FAILURES_SHOWN = 3
#: What each count of a report's `quality` counts.
QUALITY_WORDS = {
    "unusable_close": "rows without a usable close",
    "unusable_open": "unusable opens",
    "unusable_high": "unusable highs",
    "unusable_low": "unusable lows",
    "unusable_volume": "unusable volumes",
    "high_below_low": "rows with high < low",
    "close_outside_range": "closes outside of low to high",
    "weeks_without_bar": "weeks without a bar inside of histories",
    "short_histories": f"histories of less than {SHORT_HISTORY_BARS} bars",
}


def render(report: Report) -> RenderableType:
    """Return the report as a table at most 80 columns wide."""
    return grid(_lines(report))


def failures(report: Report) -> str:
    """Return a sentence about the symbols that failed."""
    first = "; ".join(f"{symbol}: {reason}" for symbol, reason in report.rejected[:_FAILURES_SHOWN])
    more = len(report.rejected) - _FAILURES_SHOWN
    return f"left out of {report.output}: {first}{f' and {more:,} more' if more > 0 else ''}"


def _lines(report: Report) -> Sequence[tuple[str, str]]:
    seconds = report.seconds
    stages = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items() if name != "total")
    inside = ", ".join(f"{name} {value:.2f}" for name, value in report.worker_seconds.items())
    peak = report.peak_bytes
    memory = f"parent {mib(peak['parent'])}"
    memory += f", largest worker {mib(peak['largest_worker'])}" if peak["largest_worker"] else ""
    flaws = [f"{count:,} {QUALITY_WORDS[name]}" for name, count in report.quality.items() if count]
    bytes_moved = f"read {mib(report.bytes_read)}, written {mib(report.bytes_written)}"
    bytes_moved += f", saved by narrower types {mib(report.bytes_saved)}"
    return [
        ("rows", _rows(report)),
        ("roles", roles_in_words(report.roles)),
        ("dates", dates(report.first_date, report.last_date, report.sessions_a_week) if report.first_date else ""),
        ("read as", "; ".join(report.notes)),
        ("columns", f"{report.columns}, of which {report.features} are weekly features"),
        ("seconds", f"{seconds['total']:.2f}: {stages}"),
        ("in tasks", inside),
        ("rate", f"{report.rows_per_second:,.0f} rows/s, {report.symbols_per_second:,.0f} symbols/s"),
        ("strategy", f"{report.strategy}: {report.strategy_reason}"),
        ("fragments", report.partition_reason),
        ("pool", f"{report.workers} of {report.tasks:,} tasks at a time, limited by {report.workers_reason}"),
        ("CPU use", f"{report.cpu_use:.0%} of the fan-out's wall time x workers"),
        ("memory", f"{memory}, all together {mib(peak['all'])} of {mib(report.budget_bytes)}"),
        ("bytes", bytes_moved),
        ("quality", "; ".join(flaws) or "nothing unusual"),
        *finding_lines(report.findings),
        ("not read", not_read(report.skipped)),
        ("dropped", "; ".join(dropped_lines(report))),
        ("intraday", intraday_line(report)),
        ("warnings", "; ".join(report.warnings)),
        ("failed", "; ".join(f"{symbol}: {reason}" for symbol, reason in report.rejected)),
        ("output", report.output),
    ]  # fmt: skip


def _rows(report: Report) -> str:
    if report.table == "weekly":
        more = report.weeks - report.rows
        rest = f"; {more:,} bars are of weeks that are not over, or outside the dates asked for" if more else ""
        return f"{report.rows:,} weekly rows of {report.symbols:,} symbols, of {report.daily_rows:,} daily rows{rest}"
    return f"{report.rows:,} daily rows of {report.symbols:,} symbols, {report.weeks:,} weekly bars"


def dropped_lines(report: Report) -> Sequence[str]:
    """Return which input rows are not in the output, or not in the bars."""
    return [
        f"{count:,} {what}"
        for count, what in (
            (report.bad_rows_dropped, "rows without a key"),
            (report.padding_left_out, "rows of padding, out of the bars"),
            (report.duplicates_dropped, "repeated rows" + _differences(report)),
        )
        if count
    ]


def intraday_line(report: Report) -> str:
    """Return what became of several moments of a session; empty if there were none."""
    rows, sessions = report.intraday_rows, report.intraday_sessions
    return f"{rows:,} rows at several moments of a session became {sessions:,} daily rows" if rows else ""


def _differences(report: Report) -> str:
    identical, differing = report.duplicates_identical, report.duplicates_differing
    return f" ({differences(identical, differing)})" if identical or differing else ""

"""The report of a build."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from weekly_cli.cli.views.layout import dates, finding_lines, grid, mib, not_read, of_cluster, table_of
from weekly_cli.compute.bars import SHORT_HISTORY_BARS
from weekly_cli.dataset.schema import roles_in_words
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.names import LABEL_PREFIX
from weekly_cli.run.repeats import differences
from weekly_cli.run.report import Report

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import RenderableType

_FAILURES_SHOWN = 3
_FLAWS_SHOWN = 3
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


def render(report: Report, preview: pa.Table | None = None, *, verbose: bool = False) -> RenderableType:
    """Return the report, at most 80 columns wide and, for a usual run, 18 lines long: with its stages, one screen.

    Parameters
    ----------
    report : Report
    preview : pa.Table or None
        Some rows and columns of the output.
    verbose : bool
        Whether to show how the work was done, too.
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [grid(_lines(report, verbose=verbose))]
    if preview is not None and preview.num_rows:
        parts += [Text(), table_of(preview), Text()]
    code = f"import weekly_cli; weekly_cli.read({report.output!r})"
    command = " ".join(["weekly-cli verify", shlex.quote(report.output), *_connection(report)])
    return Group(*parts, grid([("in Python", code), ("next", command)]))


def _connection(report: Report) -> Iterator[str]:
    """Yield the flags by which the run was told how object stores are reached."""
    for name in CONNECTION:
        given = report.settings.get(name)
        if given is not None and given.source.startswith("--"):
            yield given.source
            if given.value is not True:
                yield shlex.quote(str(given.value))


#: Columns that a preview shows first, those of them that are there.
_PREVIEWED = ("w_week_end", "w_close", "w_ret", "w_rsi_14", "w_vol_12")
_MOST_PREVIEWED = 4


def previewed(roles: Mapping[str, str], features: Sequence[str]) -> list[str]:
    """Return which columns of an output a preview shows."""
    keys = [roles[role] for role in ("symbol", "date", "close") if role in roles]
    first = [name for name in _PREVIEWED if name in features]
    return list(dict.fromkeys([*keys, *[*first, *features][:_MOST_PREVIEWED]]))


def failures(report: Report) -> str:
    """Return a sentence about the symbols that failed."""
    first = "; ".join(f"{symbol}: {reason}" for symbol, reason in report.rejected[:_FAILURES_SHOWN])
    more = len(report.rejected) - _FAILURES_SHOWN
    return f"left out of {report.output}: {first}{f' and {more:,} more' if more > 0 else ''}"


def _lines(report: Report, *, verbose: bool) -> Sequence[tuple[str, str]]:
    seconds = report.seconds
    span = dates(report.first_date, report.last_date, report.sessions_a_week) if report.first_date else "no rows"
    stages = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items() if name != "total")
    labels = f", {_labels(report)} look ahead" if _labels(report) else ""
    written = f"{report.columns} columns, {report.features} of them features{labels}, {mib(report.bytes_written)}"
    return [
        ("in", f"{_input(report)}: {span}"),
        ("roles", roles_in_words(report.roles)),
        ("read as", "; ".join(report.notes)),
        ("not read", not_read(report.skipped)),
        ("out", f"{report.output}: {_rows(report)}, {written}"),
        ("dropped", "; ".join(dropped_lines(report))),
        ("intraday", intraday_line(report)),
        ("quality", _quality(report, verbose=verbose)),
        *finding_lines(report.findings),
        ("warnings", "; ".join(report.warnings)),
        ("failed", "; ".join(f"{symbol}: {reason}" for symbol, reason in report.rejected)),
        ("cluster", _cluster(report)),
        ("time", f"{seconds['total']:.2f} s: {stages}"),
        *(_internals(report) if verbose else ()),
    ]


def _cluster(report: Report) -> str:
    """Return where the tasks ran, if it was a Dask cluster."""
    given = report.settings.get("engine")
    if given is None or given.value != "dask" or report.strategy == "direct":
        return ""
    there = of_cluster(report.worker_limits.items())
    return f"{there}, {report.workers:,} tasks at a time" if there else f"{report.workers:,} workers on this machine"


def _labels(report: Report) -> str:
    given = report.settings.get("label")
    return ", ".join(f"{LABEL_PREFIX}{name}" for name in given.value) if given is not None else ""


def _input(report: Report) -> str:
    given = report.settings["input"].value
    names = [given] if isinstance(given, str) else given
    return names[0] + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")


def _internals(report: Report) -> Sequence[tuple[str, str]]:
    peak = report.peak_bytes
    memory = f"parent {mib(peak['parent'])}"
    memory += f", largest worker {mib(peak['largest_worker'])}" if peak["largest_worker"] else ""
    bytes_moved = f"read {mib(report.bytes_read)}, written {mib(report.bytes_written)}"
    return [
        ("in tasks", ", ".join(f"{name} {value:.2f} s" for name, value in report.worker_seconds.items())),
        ("rate", f"{report.rows_per_second:,.0f} rows/s, {report.symbols_per_second:,.0f} symbols/s"),
        ("strategy", f"{report.strategy}: {report.strategy_reason}"),
        ("fragments", report.partition_reason),
        ("pool", f"{report.workers} of {report.tasks:,} tasks at a time, limited by {report.workers_reason}"),
        ("CPU use", f"{report.cpu_use:.0%} of the fan-out's wall time x workers"),
        ("memory", f"{memory}, all together {mib(peak['all'])} of {mib(report.budget_bytes)}"),
        ("bytes", f"{bytes_moved}, saved by narrower types {mib(report.bytes_saved)}"),
    ]


def _quality(report: Report, *, verbose: bool) -> str:
    """Return the most frequent flaws, or all of them."""
    flaws = sorted(((count, name) for name, count in report.quality.items() if count), reverse=True)
    shown = flaws if verbose else flaws[:_FLAWS_SHOWN]
    more = len(flaws) - len(shown)
    words = "; ".join(f"{count:,} {QUALITY_WORDS[name]}" for count, name in shown)
    return (words or "nothing unusual") + (f"; {more} more kinds with --verbose" if more else "")


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

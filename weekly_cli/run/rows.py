"""The daily rows of a task: read, sorted, and one for each session of a symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import empty_table, from_numpy, positions
from weekly_cli.compute.bars import Bars, Ints, run_starts
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.running import RunningBars
from weekly_cli.dataset import source
from weekly_cli.dataset.source import Chunk, Piece
from weekly_cli.run.intraday import day_bars
from weekly_cli.run.partition import read_fragments
from weekly_cli.run.repeats import NO_REPEATS, Repeats, facts_of, find_repeated

if TYPE_CHECKING:
    from weekly_cli.run.task import Job, Task

#: Input row groups with at least this many rows, and at most this many times the rows of an output row group, are
#: copied where possible.
LEAST_COPIED_ROWS = 32 * 1024
_MOST_COPIED_GROUPS = 4


@dataclass(frozen=True)
class TaskRows:
    """Daily rows sorted by (code, day), each pair once; `table` has the input columns without the symbol.

    `running` are their running bars, if these are needed; `copyable_row_groups` are input row groups that these rows
    contain unchanged, by their first row.
    """

    codes: Ints
    days: Ints
    table: pa.Table
    repeats: Repeats = NO_REPEATS
    running: RunningBars | None = None
    copyable_row_groups: Mapping[int, Piece] = field(default_factory=dict)


def sorted_rows(task: Task, columns: Sequence[str] | None = None) -> TaskRows:
    """Return the rows of a task, with some of the input's columns, the date among them; None: all."""
    schema = task.job.schema
    if task.fragments is not None:
        chunks: list[Chunk] = list(read_fragments(task.fragments, schema, task.planned_codes, columns))
    else:
        alone = pa.cpu_count() > 1  # a worker has one thread
        until = task.job.last_day_read
        read = None if columns is None else [schema.roles["symbol"], *columns]
        chunks = list(source.chunks(task.pieces or (), schema, task.symbols, read, use_threads=alone, last_day=until))
    codes = np.concatenate([np.empty(0, np.int32), *(chunk.codes for chunk in chunks)]).astype(np.int64)
    days = np.concatenate([np.empty(0, np.int32), *(chunk.days for chunk in chunks)]).astype(np.int64)
    names = [name for name in columns or schema.arrow.names if name != schema.roles["symbol"]]
    empty = empty_table(pa.schema([(name, schema.working_type(name)) for name in names]))
    table = pa.concat_tables([chunk.table for chunk in chunks]).unify_dictionaries() if chunks else empty
    order = sort_order(codes, days)
    if order is not None:
        codes, days, table = codes[order], days[order], table.take(from_numpy(order))
        return _one_a_session(task, codes, days, table)
    rows = _one_a_session(task, codes, days, table)
    return rows if rows.repeats else replace(rows, copyable_row_groups=_copyable_row_groups(task, len(codes)))


def _copyable_row_groups(task: Task, n_rows: int) -> dict[int, Piece]:
    """Return the input's row groups that may be copied, by their first row; all rows must be in input order."""
    pieces = task.pieces or ()
    if task.job.low_memory or task.job.schema.rewritten or sum(piece.stop - piece.start for piece in pieces) != n_rows:
        return {}
    most = _MOST_COPIED_GROUPS * task.job.row_group_rows
    copyable, first = {}, 0
    for piece in pieces:
        complete = piece.stop - piece.start == piece.rows_in_group and not piece.keys
        if complete and LEAST_COPIED_ROWS <= piece.rows_in_group <= most:
            copyable[first] = piece
        first += piece.stop - piece.start
    return copyable


def sort_order(codes: Ints, days: Ints) -> Ints | None:
    """Return the stable order by (code, day), None if the rows already have it."""
    if _in_order(codes, days):
        return None
    n_codes = int(codes.max()) + 1
    # 16-bit numbers are radix-sorted. Most input is in date order within a symbol.
    order = np.argsort(codes.astype(np.uint16) if n_codes <= 2**16 else codes, kind="stable")
    if _in_order(codes[order], days[order]):
        return order
    return np.lexsort((days, codes))


def _in_order(codes: Ints, days: Ints) -> bool:
    ahead = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (days[1:] >= days[:-1]))
    return bool(ahead.all())


def _one_a_session(task: Task, codes: Ints, days: Ints, table: pa.Table) -> TaskRows:
    """Return sorted rows with each (code, day) once, as the settings say; all of them if they refuse repeated ones."""
    job, date = task.job, task.job.schema.roles["date"]
    repeated = find_repeated(codes, days, table.column(date), task.job.schema.dates)
    if repeated is None:
        return TaskRows(codes, days, table)
    repeats = facts_of(repeated, np.array(task.planned_codes)[codes], days, table, date)
    if job.refuses(repeats):
        return TaskRows(codes, days, table, repeats)
    once = repeated.with_moments_once(job.on_duplicates)
    kept = np.ones(len(codes), bool)
    kept[once.rows] = kept[repeated.rows] = False
    kept[once.one_a_session(job.on_duplicates)] = True
    rows = np.flatnonzero(kept)
    codes, days = codes[rows], days[rows]
    if job.on_intraday == "aggregate":
        bars = day_bars(table.take(from_numpy(once.rows)), run_starts(once.sessions), job.schema.roles, job.price)
        rows[np.isin(rows, once.rows)] = table.num_rows + np.arange(bars.num_rows)
        table = pa.concat_tables([table, bars]).unify_dictionaries()
    return TaskRows(codes, days, table.take(from_numpy(rows)), repeats)


def a_row_a_bar(bars: Bars, week: SymbolClocks, job: Job, repeats: Repeats) -> TaskRows:
    """Return one row for each bar, on the first day that may see it, which is then the newest bar that the row sees.

    A bar counts once its week is over: the data reach its last day, or the last session that lets a bar be seen,
    whichever symbol has a row there. What a week has so far would be another bar tomorrow.
    """
    days = np.maximum(week.first_day_seen(bars.codes, bars.periods), bars.last_days)
    is_over = days + week.lead_days - 1 <= job.last_day
    keep = is_over & _inside(days, job)
    return TaskRows(bars.codes[keep], days[keep], pa.table({}), repeats)


def within_window(rows: TaskRows, job: Job) -> TaskRows:
    """Return the rows between `--start` and `--end`."""
    if job.start_day is None and job.end_day is None:
        return rows
    keep = _inside(rows.days, job)
    return TaskRows(
        rows.codes[keep],
        rows.days[keep],
        rows.table.take(positions(keep)),
        rows.repeats,
        None if rows.running is None else rows.running.of(keep),
    )


def _inside(days: Ints, job: Job) -> NDArray[np.bool_]:
    keep = np.ones(len(days), bool)
    if job.start_day is not None:
        keep &= days >= job.start_day
    if job.end_day is not None:
        keep &= days <= job.end_day
    return keep

"""Puts weekly values, and those of other clocks, on daily rows, without look-ahead.

A row sees the last bar of its symbol whose period is not newer than the newest one that its day may see. Rows that see
the same bar of every clock are adjacent (a span), so a column is gathered once per span and repeated over its rows,
directly into the buffer that is written. Labels are placed in the same way, from the first bar that the rows of a span
do not see yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Bars, Floats, Ints, run_starts
from weekly_cli.compute.columns import (
    BarColumn,
    BarGroup,
    BarGroups,
    BenchmarkBars,
    Recipe,
    as_written,
    bar_keys,
    columns_of,
    labels_of,
)
from weekly_cli.compute.panel import symbol_groups
from weekly_cli.compute.running import RunningBars, value_of_rows


@dataclass(frozen=True)
class SpanColumn:
    """A column's value for every span of rows, and the spans in which it is missing (None: in none).

    With `of_rows` a span is a row. `lengths` are the rows of its own spans, if they are not those of its row group.
    """

    name: str
    kind: pa.DataType
    values: NDArray[np.generic]
    missing: NDArray[np.bool_] | None
    of_rows: bool = False
    lengths: Ints | None = None

    def repeated(self, lengths: Ints) -> pa.Array:
        """Return a value for each row of spans with `lengths` rows, unless it has its own."""
        lengths = lengths if self.lengths is None else self.lengths
        if self.of_rows:
            return from_numpy(self.values, self.kind, None if self.missing is None else ~self.missing)
        valid = None if self.missing is None else np.repeat(~self.missing, lengths)
        return from_numpy(np.repeat(self.values, lengths), self.kind, valid)


@dataclass(frozen=True)
class SeenBars:
    """The bars of a block that its spans see, and the columns of those bars.

    Span i sees bar `bars[i]` of the block, or none if that is -1.
    """

    bars: Ints
    columns: tuple[BarColumn, ...]


@dataclass(frozen=True)
class Block:
    """The columns of a contiguous range of symbols, ready to be repeated over their daily rows.

    Rows `first` to `stop` belong to the block. Span i begins at row `starts[i]`; `seen` are the bars of one clock after
    the other. The columns `of_rows` have a value for each row. The labels are `unseen`: of the first weekly bars that
    the spans do not see yet.
    """

    first: int
    stop: int
    starts: Ints
    symbol_starts: Ints
    seen: tuple[SeenBars, ...]
    of_rows: tuple[BarColumn, ...] = ()
    unseen: tuple[SeenBars, ...] = ()

    def spans(self, first: int, stop: int) -> tuple[Ints, Iterator[SpanColumn]]:
        """Return the lengths of the spans in the rows from `first` to `stop`, and the columns' values for them.

        Each bound is the start of a symbol or inside of one.
        """
        begin = int(np.searchsorted(self.starts, first, "right")) - 1
        end = int(np.searchsorted(self.starts, stop, "left"))
        bounds = np.append(self.starts[begin:end], stop)
        bounds[0] = first
        lengths, rows = np.diff(bounds), slice(first - self.first, stop - self.first)
        seen, unseen = (
            chain.from_iterable(self._columns(one, slice(begin, end), lengths) for one in some)
            for some in (self.seen, self.unseen)
        )
        return lengths, chain(seen, _row_columns(self.of_rows, rows), unseen)

    def _columns(self, one: SeenBars, spans: slice, lengths: Ints) -> Iterator[SpanColumn]:
        """Yield the values of some spans: of several clocks, each has longer ones of its own.

        A month's value is so written once, and not once for each of its weeks.
        """
        bars = one.bars[spans]
        if len(self.seen) == 1:
            return _span_columns(one.columns, bars, None)
        starts = run_starts(bars)
        return _span_columns(one.columns, bars[starts], np.add.reduceat(lengths, starts))

    def arrays(self) -> list[pa.Array]:
        """Return the columns with a value for each row of the block."""
        lengths, columns = self.spans(self.first, self.stop)
        return [column.repeated(lengths) for column in columns]


def _span_columns(columns: Iterable[BarColumn], bars: Ints, lengths: Ints | None) -> Iterator[SpanColumn]:
    """Yield the values of spans that have these bars, -1: none; `lengths` are their own rows."""
    nothing = bars < 0 if (bars < 0).any() else None
    for column in columns:
        missing = nothing
        if column.missing is not None:
            missing = column.missing[bars] if nothing is None else column.missing[bars] | nothing
            missing = missing if missing.any() else None
        # A span without a bar has the last bar's value under its null.
        values = column.values[bars] if len(column.values) else np.zeros(len(bars), column.values.dtype)
        yield SpanColumn(column.name, column.kind, values, missing, lengths=lengths)


def _row_columns(columns: Iterable[BarColumn], rows: slice) -> Iterator[SpanColumn]:
    """Yield the values of rows."""
    for column in columns:
        missing = None if column.missing is None else column.missing[rows]
        missing = missing if missing is not None and missing.any() else None
        yield SpanColumn(column.name, column.kind, column.values[rows], missing, of_rows=True)


def blocks(
    bars: Mapping[str, Bars],
    codes: Ints,
    days: Ints,
    n_symbols: int,
    recipe: Recipe,
    benchmarks: BenchmarkBars,
    running: RunningBars | None = None,
) -> Iterator[Block]:
    """Compute the columns of the daily rows, one contiguous range of symbols after the other.

    Parameters
    ----------
    bars : mapping of clock to Bars
        By the name of its period, at least the week's: of all symbols, sorted by (code, period).
    codes, days : int64[rows]
        The daily rows that are written, sorted.
    n_symbols : int
    recipe : Recipe
    benchmarks : BenchmarkBars
    running : RunningBars, optional
        Those of the daily rows, where a feature is `of_rows`.
    """
    row_starts = np.searchsorted(codes, np.arange(n_symbols + 1))
    groups = [BarGroups(clock, bars[clock.every], n_symbols) for clock in recipe.used]
    for first, stop in symbol_groups(np.bincount(bars["week"].codes, minlength=n_symbols)):
        rows = slice(int(row_starts[first]), int(row_starts[stop]))
        if rows.start == rows.stop:
            continue
        of_block = [of_clock.of_symbols(first, stop) for of_clock in groups]
        newest = [_newest_seen(group, codes[rows], days[rows]) for group in of_block]
        starts = run_starts(codes[rows], *newest)
        spans = codes[rows][starts]
        seen: list[SeenBars] = []
        of_rows: list[BarColumn] = []
        unseen: list[SeenBars] = []
        for group, periods in zip(of_block, newest, strict=True):
            at = np.searchsorted(group.keys, bar_keys(spans, periods[starts]), "right") - 1
            columns, of_bars = columns_of(group, recipe, benchmarks)
            seen.append(SeenBars(_of_same_symbol(at, group.codes, spans), tuple(columns)))
            if group.clock.every == "week" and running is not None:
                of_rows = list(_of_rows(group, (codes[rows], days[rows]), running.of(rows), of_bars, recipe))
            if group.clock.every == "week" and recipe.labels is not None:
                unseen.append(SeenBars(_next_bars(at, group.codes, spans), tuple(labels_of(group, recipe))))
        bounds = row_starts[first : stop + 1]
        yield Block(rows.start, rows.stop, starts + rows.start, bounds, tuple(seen), tuple(of_rows), tuple(unseen))


def _newest_seen(group: BarGroup, codes: Ints, days: Ints) -> Ints:
    """Return the newest period whose bar each row may see.

    A calendar may take a period for complete though its bar has a row of a later day: rows before that do not see it.
    """
    newest = group.clock.newest_seen(codes, days)
    if group.clock.has_sessions:
        complete = group.clock.first_day_seen(group.codes, group.periods)
        last = group.bars.last_days[group.place]
        late = np.flatnonzero(last > complete)
        keys = bar_keys(codes, days)
        first, stop = (np.searchsorted(keys, bar_keys(group.codes[late], bound[late])) for bound in (complete, last))
        change = np.bincount(first, minlength=len(days) + 1) - np.bincount(stop, minlength=len(days) + 1)
        newest -= np.cumsum(change)[: len(days)]
    return newest


def _of_rows(
    group: BarGroup, rows: tuple[Ints, Ints], running: RunningBars, of_bars: Mapping[str, Floats], recipe: Recipe
) -> Iterator[BarColumn]:
    """Yield the columns of rows, whose codes and days are `rows`; `of_bars` are their inputs of weekly bars."""
    codes, days = rows
    before = np.searchsorted(group.keys, bar_keys(codes, group.clock.period(codes, days)), "left") - 1
    before = _of_same_symbol(before, group.codes, codes)
    for feature in recipe.features:
        if feature.of_rows:
            yield as_written(feature, value_of_rows(feature, running, of_bars, before), recipe)


def _of_same_symbol(at: Ints, codes_of_bars: Ints, codes: Ints) -> Ints:
    """Return the positions `at` of bars that are of the same symbols, -1 for others."""
    if not len(codes_of_bars):
        return np.full(len(at), -1)
    return np.where((at >= 0) & (codes_of_bars[at] == codes), at, -1)


def _next_bars(at: Ints, codes_of_bars: Ints, codes: Ints) -> Ints:
    """Return the bars after the positions `at` if they are of the same symbols, else -1."""
    unseen = np.append(codes_of_bars, -1)[at + 1]
    return np.where(unseen == codes, at + 1, -1)

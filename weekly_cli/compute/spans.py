"""Puts weekly values on daily rows, without look-ahead.

A row sees the last bar of its symbol whose week is not newer than the newest week that its day may see. Rows that see
the same bar are adjacent (a span), so a column is gathered once per span and repeated over its rows, directly into the
buffer that is written. Labels are placed in the same way, from the first bar that the rows of a span do not see yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, numpy_type
from weekly_cli.compute.bars import Bars, Floats, Ints, run_starts
from weekly_cli.compute.clocks import Clock
from weekly_cli.compute.features import Feature, Step, evaluate
from weekly_cli.compute.kernels import Panel
from weekly_cli.compute.labels import Label, Labels, forward_return
from weekly_cli.compute.panel import PanelShape, symbol_groups
from weekly_cli.compute.running import RunningBars, inputs_of_rows, value_of_rows
from weekly_cli.names import PREFIX, written_name

_KEY_PERIODS = 2**32


@dataclass(frozen=True)
class Recipe:
    """Which columns to compute, and with which conventions."""

    features: tuple[Feature, ...]
    steps: Mapping[str, Step]
    clock: Clock
    dtype: str
    prefix: str = PREFIX
    date_type: str = "date"
    labels: Labels | None = None

    @property
    def added(self) -> tuple[Feature | Label, ...]:
        """What is added, in output order: the features, then the labels."""
        return (*self.features, *(self.labels.wanted if self.labels is not None else ()))

    @property
    def has_rows(self) -> bool:
        """Whether a feature belongs to daily rows."""
        return any(feature.of_rows for feature in self.features)

    @property
    def columns(self) -> list[pa.Field]:
        """The columns that are written, with their names and types."""
        return [
            pa.field(written_name(column.name, self.prefix), arrow_type(column, self.dtype, self.date_type))
            for column in self.added
        ]


@dataclass(frozen=True)
class BenchmarkBars:
    """The benchmarks' weekly closes, and which benchmark each symbol of a task is compared with.

    Attributes
    ----------
    keys : int64[bars of all benchmarks]
        Ascending keys of (benchmark, period), computed by `bar_keys`.
    close : float64[bars of all benchmarks]
    compared : mapping of benchmark name to int64[symbols]
        The number of each symbol's benchmark; -1: none.
    """

    keys: Ints
    close: NDArray[np.float64]
    compared: Mapping[str, Ints]

    def closes(self, name: str, codes: Ints, period: Ints) -> NDArray[np.float64]:
        """Return the close of each bar's benchmark in the bar's own period, NaN where there is none."""
        result = np.full(len(codes), np.nan)
        if len(self.keys):
            wanted = bar_keys(self.compared[name][codes], period)
            at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            matches = self.keys[at] == wanted
            result[matches] = self.close[at[matches]]
        return result


def bar_keys(codes: Ints, period: Ints) -> Ints:
    """Return one ascending number for each (code, period)."""
    return codes * _KEY_PERIODS + period


@dataclass(frozen=True)
class SpanColumn:
    """A column's value for every span of rows, and the spans in which it is missing (None: in none).

    With `of_rows` a span is a row.
    """

    name: str
    kind: pa.DataType
    values: NDArray[np.generic]
    missing: NDArray[np.bool_] | None
    of_rows: bool = False

    def repeated(self, lengths: Ints) -> pa.Array:
        """Return a value for each row of spans with `lengths` rows."""
        if self.of_rows:
            return from_numpy(self.values, self.kind, None if self.missing is None else ~self.missing)
        valid = None if self.missing is None else np.repeat(~self.missing, lengths)
        return from_numpy(np.repeat(self.values, lengths), self.kind, valid)


@dataclass(frozen=True)
class BarColumn:
    """A column's value for every bar of a block, or every row, and which values are missing (None: none)."""

    name: str
    kind: pa.DataType
    values: NDArray[np.generic]
    missing: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Block:
    """The columns of a contiguous range of symbols, ready to be repeated over their daily rows.

    Rows `first` to `stop` belong to the block. Span i begins at row `starts[i]` and sees bar `bars[i]` of the block, or
    none if that is -1; the first bar that it does not see yet, which the labels are of, is `unseen[i]`. The columns
    `of_rows` have a value for each row.
    """

    first: int
    stop: int
    starts: Ints
    bars: Ints
    symbol_starts: Ints
    columns: tuple[BarColumn, ...]
    of_rows: tuple[BarColumn, ...] = ()
    unseen: Ints | None = None
    labels: tuple[BarColumn, ...] = ()

    def spans(self, first: int, stop: int) -> tuple[Ints, Iterator[SpanColumn]]:
        """Return the lengths of the spans in the rows from `first` to `stop`, and the columns' values for them.

        Each bound is the start of a symbol or inside of one.
        """
        begin = int(np.searchsorted(self.starts, first, "right")) - 1
        end = int(np.searchsorted(self.starts, stop, "left"))
        bounds = np.append(self.starts[begin:end], stop)
        bounds[0] = first
        rows = slice(first - self.first, stop - self.first)
        columns = chain(_span_columns(self.columns, self.bars[begin:end]), _row_columns(self.of_rows, rows))
        if self.unseen is not None:
            columns = chain(columns, _span_columns(self.labels, self.unseen[begin:end]))
        return np.diff(bounds), columns

    def arrays(self) -> list[pa.Array]:
        """Return the columns with a value for each row of the block."""
        lengths, columns = self.spans(self.first, self.stop)
        return [column.repeated(lengths) for column in columns]


def _span_columns(columns: Iterable[BarColumn], bars: Ints) -> Iterator[SpanColumn]:
    """Yield the values of spans that have these bars, -1: none."""
    nothing = bars < 0 if (bars < 0).any() else None
    for column in columns:
        missing = nothing
        if column.missing is not None:
            missing = column.missing[bars] if nothing is None else column.missing[bars] | nothing
            missing = missing if missing.any() else None
        # A span without a bar has the last bar's value under its null.
        values = column.values[bars] if len(column.values) else np.zeros(len(bars), column.values.dtype)
        yield SpanColumn(column.name, column.kind, values, missing)


def _row_columns(columns: Iterable[BarColumn], rows: slice) -> Iterator[SpanColumn]:
    """Yield the values of rows."""
    for column in columns:
        missing = None if column.missing is None else column.missing[rows]
        missing = missing if missing is not None and missing.any() else None
        yield SpanColumn(column.name, column.kind, column.values[rows], missing, of_rows=True)


def blocks(
    bars: Bars,
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
    bars : Bars
        Of all symbols, sorted by (code, period).
    codes, days : int64[rows]
        The daily rows that are written, sorted.
    n_symbols : int
    recipe : Recipe
    benchmarks : BenchmarkBars
    running : RunningBars, optional
        Those of the daily rows, where a feature is `of_rows`.
    """
    symbol_bounds = np.arange(n_symbols + 1)
    row_starts, bar_starts = np.searchsorted(codes, symbol_bounds), np.searchsorted(bars.codes, symbol_bounds)
    for first, stop in symbol_groups(np.diff(bar_starts)):
        rows = slice(int(row_starts[first]), int(row_starts[stop]))
        bar = slice(int(bar_starts[first]), int(bar_starts[stop]))
        if rows.start == rows.stop:
            continue
        newest = recipe.clock.newest_seen(days[rows])
        starts = run_starts(codes[rows], newest)
        wanted = bar_keys(codes[rows][starts], newest[starts])
        keys = bar_keys(bars.codes[bar], bars.periods[bar])
        at = np.searchsorted(keys, wanted, "right") - 1
        per_symbol = np.diff(bar_starts)[first:stop]
        columns, of_bars = _columns(bars, bar, per_symbol, recipe, benchmarks)
        of_rows: list[BarColumn] = []
        if running is not None:
            before = np.searchsorted(keys, bar_keys(codes[rows], recipe.clock.period(days[rows])), "left") - 1
            before = _of_same_symbol(before, bars.codes[bar], codes[rows])
            of_rows = [
                _column(feature, value_of_rows(feature, running.of(rows), of_bars, before), recipe)
                for feature in recipe.features
                if feature.of_rows
            ]
        yield Block(
            first=rows.start,
            stop=rows.stop,
            starts=starts + rows.start,
            bars=_of_same_symbol(at, bars.codes[bar], codes[rows][starts]),
            symbol_starts=row_starts[first : stop + 1],
            columns=tuple(columns),
            of_rows=tuple(of_rows),
            unseen=None if recipe.labels is None else _next_bars(at, bars.codes[bar], codes[rows][starts]),
            labels=tuple(_labels(bars, bar, keys, per_symbol, recipe)),
        )


def _of_same_symbol(at: Ints, codes_of_bars: Ints, codes: Ints) -> Ints:
    """Return the positions `at` of bars that are of the same symbols, -1 for others."""
    if not len(codes_of_bars):
        return np.full(len(at), -1)
    return np.where((at >= 0) & (codes_of_bars[at] == codes), at, -1)


def _next_bars(at: Ints, codes_of_bars: Ints, codes: Ints) -> Ints:
    """Return the bars after the positions `at` if they are of the same symbols, else -1."""
    unseen = np.append(codes_of_bars, -1)[at + 1]
    return np.where(unseen == codes, at + 1, -1)


def _labels(bars: Bars, bar: slice, keys: Ints, bars_per_symbol: Ints, recipe: Recipe) -> Iterator[BarColumn]:
    if recipe.labels is not None:
        for label in recipe.labels.wanted:
            close, newest = bars.close[bar], recipe.labels.newest
            values = forward_return(keys, bars.periods[bar], close, bars_per_symbol, label.n_weeks, newest)
            yield as_stored(label, values, recipe.dtype)


def _columns(
    bars: Bars, bar: slice, bars_per_symbol: Ints, recipe: Recipe, benchmarks: BenchmarkBars
) -> tuple[list[BarColumn], dict[str, Floats]]:
    """Return the columns of bars, and what else features of rows take of bars, float64[bars] by name."""
    features = [feature for feature in recipe.features if not feature.of_rows]
    others = inputs_of_rows(recipe.features)
    if bar.start == bar.stop:
        return [_column(feature, np.empty(0), recipe) for feature in features], dict.fromkeys(others, np.empty(0))
    shape = PanelShape(bars_per_symbol)
    given = bar_panels(bars, bar, shape, recipe.clock, benchmarks)
    with np.errstate(all="ignore"):  # undefined values are NaN, and NaN is null
        values = evaluate([*(feature.name for feature in features), *others], recipe.steps, given)
        columns = [_column(feature, shape.ragged(next(values)), recipe) for feature in features]
        return columns, {name: shape.ragged(panel) for name, panel in zip(others, values, strict=True)}


def bar_panels(
    bars: Bars, bar: slice, shape: PanelShape, clock: Clock, benchmarks: BenchmarkBars
) -> Callable[[str], Panel]:
    """Return what gives the inputs of all steps by name: the panels of some symbols' bars, and of their benchmarks."""
    period = bars.periods[bar]
    facts = {name: getattr(bars, name)[bar] for name in ("days", "open", "high", "low", "close", "volume")}
    facts |= {"week_end": clock.end(period), "bar_number": shape.bar_number}
    facts["visible_from"] = clock.first_day_seen(period)

    def given(name: str) -> Panel:
        benchmark = name.removeprefix("benchmark:")
        return shape.panel(facts[name] if benchmark == name else benchmarks.closes(benchmark, bars.codes[bar], period))

    return given


def _column(feature: Feature, values: NDArray[np.float64], recipe: Recipe) -> BarColumn:
    """Return a feature's column as it is written: with its name and type in the output."""
    column = as_stored(feature, values, recipe.dtype)
    kind = arrow_type(feature, recipe.dtype, recipe.date_type)
    if kind != column.kind:
        column = replace(column, kind=kind, values=column.values.astype(np.int64) * _DAY_MICROSECONDS)
    return replace(column, name=written_name(column.name, recipe.prefix))


def as_stored(feature: Feature | Label, values: NDArray[np.float64], dtype: str) -> BarColumn:
    """Return values in their stored type; those that are not finite, or not finite in that type, are missing."""
    kind = arrow_type(feature, dtype)
    numpy_kind = numpy_type(kind)
    cast = values.astype(numpy_kind) if np.issubdtype(numpy_kind, np.floating) else values
    missing = ~np.isfinite(cast)
    any_missing = bool(missing.any())
    if any_missing:
        cast[missing] = 0
    return BarColumn(feature.name, kind, cast.astype(numpy_kind, copy=False), missing if any_missing else None)


_ARROW_TYPES = {"float64": pa.float64(), "int32": pa.int32(), "int16": pa.int16(), "date32": pa.date32()}


_DAY_MICROSECONDS = 24 * 3600 * 10**6


def arrow_type(feature: Feature | Label, dtype: str, date_type: str = "date") -> pa.DataType:
    """Return the type of a feature's or a label's column."""
    if date_type == "timestamp" and feature.stored == "date32":
        return pa.timestamp("us")  # as pandas reads dates of texts by default, and Spark timestamps
    if feature.stored == "estimate":
        return pa.float64() if dtype == "float64" else pa.float32()
    return _ARROW_TYPES[feature.stored]

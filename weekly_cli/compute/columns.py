"""The columns of bars: which to compute, from what, and how they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import numpy_type
from weekly_cli.compute.bars import Bars, Floats, Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features import Feature, Step, evaluate
from weekly_cli.compute.features.cross import GIVEN
from weekly_cli.compute.kernels import Panel
from weekly_cli.compute.labels import Label, Labels, forward_return
from weekly_cli.compute.panel import PanelShape
from weekly_cli.compute.running import inputs_of_rows
from weekly_cli.names import PERIODS, PREFIX, written_name

_KEY_PERIODS = 2**32


@dataclass(frozen=True)
class Recipe:
    """Which columns to compute, and with which conventions.

    Attributes
    ----------
    clocks : tuple of SymbolClocks
        The week, whose bars the labels belong to, and further ones.
    """

    features: tuple[Feature, ...]
    steps: Mapping[str, Step]
    clocks: tuple[SymbolClocks, ...]
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
    def used(self) -> tuple[SymbolClocks, ...]:
        """The clocks that have a column."""
        having = {feature.every for feature in self.features} | ({"week"} if self.labels is not None else set())
        return tuple(clock for clock in self.clocks if clock.every in having)

    @property
    def columns(self) -> list[pa.Field]:
        """The columns that are written, with their names and types."""
        return [
            pa.field(written_name(column.name, self.prefix), arrow_type(column, self.dtype, self.date_type))
            for column in self.added
        ]


#: Ascending keys of bars, and the bars' closes.
KeyedCloses = tuple[Ints, NDArray[np.float64]]
_NO_CLOSES: KeyedCloses = np.empty(0, np.int64), np.empty(0)


@dataclass(frozen=True)
class PlacedBars:
    """Where the bars of some symbols stand among those of all symbols, of one clock.

    Attributes
    ----------
    keys : int64[bars]
        Ascending keys of (symbol of the task, period), computed by `bar_keys`.
    columns : mapping of name to float[bars]
        NaN: a bar has no place.
    """

    keys: Ints
    columns: Mapping[str, NDArray[np.floating]]

    def renumbered(self, numbers: Ints) -> PlacedBars:
        """Return the places of some symbols' bars; `numbers` has each symbol's new number, ascending, or -1."""
        old = (self.keys + _KEY_PERIODS // 2) // _KEY_PERIODS  # periods before 1970 are negative
        codes = numbers[old]
        own = codes >= 0
        keys = bar_keys(codes[own], (self.keys - old * _KEY_PERIODS)[own])
        return PlacedBars(keys, {name: column[own] for name, column in self.columns.items()})

    def of_symbols(self, first: int, stop: int) -> PlacedBars:
        """Return the places of the bars of the symbols from `first` to `stop`, which are numbered from 0 on."""
        bounds = np.array([first, stop]) * _KEY_PERIODS - _KEY_PERIODS // 2
        rows = slice(*np.searchsorted(self.keys, bounds).tolist())
        columns = {name: column[rows] for name, column in self.columns.items()}
        return PlacedBars(self.keys[rows] - first * _KEY_PERIODS, columns)

    def of_bars(self, name: str, keys: Ints) -> NDArray[np.floating]:
        """Return the places of bars by their keys.

        Raises
        ------
        RuntimeError
            If a bar is not there: it was not a bar when the places were computed.
        """
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        if not len(self.keys) or (self.keys[at] != keys).any():
            raise RuntimeError(f"{name}: a bar has no place among those of all symbols")
        return self.columns[name][at]


@dataclass(frozen=True)
class BenchmarkBars:
    """What other symbols' bars tell: the benchmarks' closes by clock, which one each symbol is compared with, places.

    Attributes
    ----------
    closes : mapping of clock to (int64[bars of all benchmarks], float64[bars of all benchmarks])
        By the name of its period: ascending keys of (benchmark, period), computed by `bar_keys`, and the closes.
    compared : mapping of benchmark name to int64[symbols]
        The number of each symbol's benchmark; -1: none.
    placed : mapping of clock to PlacedBars
        Where the symbols' bars stand among those of all symbols.
    """

    closes: Mapping[str, KeyedCloses]
    compared: Mapping[str, Ints]
    placed: Mapping[str, PlacedBars] = field(default_factory=dict)

    def of_bars(self, every: str, name: str, codes: Ints, period: Ints) -> NDArray[np.float64]:
        """Return the close of each bar's benchmark in the bar's own period, NaN where there is none."""
        result = np.full(len(codes), np.nan)
        keys, close = self.closes.get(every, _NO_CLOSES)
        if len(keys):
            wanted = bar_keys(self.compared[name][codes], period)
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            matches = keys[at] == wanted
            result[matches] = close[at[matches]]
        return result


def bar_keys(codes: Ints, period: Ints) -> Ints:
    """Return one ascending number for each (code, period)."""
    return codes * _KEY_PERIODS + period


@dataclass(frozen=True)
class BarColumn:
    """A column's value for every bar of a block, or every row, and which values are missing (None: none)."""

    name: str
    kind: pa.DataType
    values: NDArray[np.generic]
    missing: NDArray[np.bool_] | None


@dataclass(frozen=True)
class BarGroup:
    """The bars of one clock that a contiguous range of symbols has: those at `place` among all."""

    clock: SymbolClocks
    bars: Bars
    place: slice
    per_symbol: Ints

    @property
    def codes(self) -> Ints:
        """The symbol of each."""
        return self.bars.codes[self.place]

    @property
    def periods(self) -> Ints:
        """The period of each."""
        return self.bars.periods[self.place]

    @cached_property
    def keys(self) -> Ints:
        """What `bar_keys` gives for each."""
        return bar_keys(self.codes, self.periods)

    @property
    def first_days_seen(self) -> Ints:
        """The first day on which each may be seen: never before the last of its rows, whatever a calendar says."""
        return np.maximum(self.clock.first_day_seen(self.codes, self.periods), self.bars.last_days[self.place])

    def fact(self, name: str) -> NDArray[np.generic]:
        """Return an attribute of `Bars` for each."""
        values: NDArray[np.generic] = getattr(self.bars, name)[self.place]
        return values


class BarGroups:
    """The bars of one clock of all symbols of a task, for ranges of them."""

    def __init__(self, clock: SymbolClocks, bars: Bars, n_symbols: int) -> None:
        self._clock, self._bars = clock, bars
        self._starts = np.searchsorted(bars.codes, np.arange(n_symbols + 1))

    def of_symbols(self, first: int, stop: int) -> BarGroup:
        """Return the bars of the symbols from `first` to `stop`."""
        place = slice(int(self._starts[first]), int(self._starts[stop]))
        return BarGroup(self._clock, self._bars, place, np.diff(self._starts[first : stop + 1]))


def columns_of(group: BarGroup, recipe: Recipe, benchmarks: BenchmarkBars) -> tuple[list[BarColumn], dict[str, Floats]]:
    """Return the columns of bars that the recipe has for their clock, and what else features of rows take of them.

    The latter only of weekly bars: float64[bars] by name.
    """
    of_clock = [feature for feature in recipe.features if feature.every == group.clock.every]
    features = [feature for feature in of_clock if not feature.of_rows]
    others = inputs_of_rows(of_clock)
    if not len(group.codes):
        return [as_written(feature, np.empty(0), recipe) for feature in features], dict.fromkeys(others, np.empty(0))
    shape = PanelShape(group.per_symbol)
    given = bar_panels(group, shape, benchmarks)
    with np.errstate(all="ignore"):  # undefined values are NaN, and NaN is null
        values = evaluate([*(feature.name for feature in features), *others], recipe.steps, given)
        columns = [as_written(feature, shape.ragged(next(values)), recipe) for feature in features]
        return columns, {name: shape.ragged(panel) for name, panel in zip(others, values, strict=True)}


def labels_of(group: BarGroup, recipe: Recipe) -> Iterator[BarColumn]:
    """Yield the labels of some weekly bars."""
    if recipe.labels is not None:
        close = group.bars.close[group.place]
        newest = group.clock.newest_over(group.codes, recipe.labels.last_day)
        for label in recipe.labels.wanted:
            values = forward_return(group.keys, group.periods, close, group.per_symbol, label.n_weeks, newest)
            yield as_stored(label, values, recipe.dtype)


def bar_panels(group: BarGroup, shape: PanelShape, benchmarks: BenchmarkBars) -> Callable[[str], Panel]:
    """Return what gives the inputs of all steps by name: the panels of some bars, and of their benchmarks."""
    clock, period = group.clock, group.periods
    facts = {name: group.fact(name) for name in ("days", "open", "high", "low", "close", "volume")}
    facts |= {PERIODS[clock.every].end: clock.end(group.codes, period), "bar_number": shape.bar_number}
    facts["visible_from"] = group.first_days_seen

    def given(name: str) -> Panel:
        if name.startswith("benchmark:"):
            benchmark = name.removeprefix("benchmark:")
            return shape.panel(benchmarks.of_bars(clock.every, benchmark, group.codes, period))
        if name.startswith(GIVEN):
            return shape.panel(benchmarks.placed[clock.every].of_bars(name.removeprefix(GIVEN), group.keys))
        return shape.panel(facts[name])

    return given


def as_written(feature: Feature, values: NDArray[np.float64], recipe: Recipe) -> BarColumn:
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

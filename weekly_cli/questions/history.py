"""One symbol's history in a finished output: its daily rows, the bars they make, and the values of its features' steps.

Everything comes from the output's own pass-through columns, by the functions that a build uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import text_array
from weekly_cli.compute.bars import Bars, Floats, Ints, bars_by_clock, closes_by_clock, columns_as_used
from weekly_cli.compute.clocks import Clock, SymbolClocks
from weekly_cli.compute.columns import BarGroup, BenchmarkBars, as_stored, bar_panels
from weekly_cli.compute.features import Feature, Step
from weekly_cli.compute.panel import PanelShape
from weekly_cli.compute.treatment import Treatment, treated
from weekly_cli.dataset.as_of import path_of
from weekly_cli.dataset.as_of_table import age_column
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.schema import prices
from weekly_cli.errors import InputRefused, UsageError, WeeklyError
from weekly_cli.names import PRICE_ROLES, benchmark_name, did_you_mean, of_label
from weekly_cli.questions.built import Built, history_of
from weekly_cli.questions.clocks import clocks_of
from weekly_cli.questions.sectors import sectors_of_output
from weekly_cli.questions.workings import Evaluated, needed_steps
from weekly_cli.run.benchmark_file import keyed_closes
from weekly_cli.run.plugins import refusal
from weekly_cli.run.wanted import wanted_by

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class DailyRows:
    """A symbol's daily rows in date order, and the bars that they make.

    Attributes
    ----------
    days : int64[rows]
    table : pa.Table
        The columns that were asked for.
    raw, used : mapping of role to float64[rows]
        Prices and volume as the output has them, and as bars take them: with the settings of the build.
    unusable : mapping of role to bool[rows]
    padding : bool[rows]
        Rows that `--drop-padding` leaves out.
    bars : mapping of clock to Bars
        By the name of its period, at least the week's.
    clocks : tuple of SymbolClocks
        Those of the bars, of this one symbol.
    """

    days: Ints
    table: pa.Table
    raw: Mapping[str, Floats]
    used: Mapping[str, Floats]
    unusable: Mapping[str, Bools]
    padding: Bools
    bars: Mapping[str, Bars]
    clocks: tuple[SymbolClocks, ...]


def daily_rows(
    built: Built, symbol: str, columns: Sequence[str] = (), others: tuple[SymbolClocks, ...] | None = None
) -> DailyRows:
    """Read a symbol's rows and make its bars, or, with clocks of `others`, those with which these are compared.

    Raises
    ------
    UsageError
        If the output has no such symbol.
    InputRefused
        If it lacks the column from which its bars were made.
    """
    config = built.config
    roles = {role: name for role, name in built.roles.items() if role in (*PRICE_ROLES, "volume")}
    left_out = built.record.get("roles_left_out", [])
    missing = left_out or [name for name in [built.record["price"]] if name not in built.schema.names]
    if missing:
        raise InputRefused(
            f"{built.name} has no column {missing[0]}, of which its bars were made; build it with that in --columns-out"
        )
    needed = [built.roles["date"], *roles.values(), *([] if config.price is None else [config.price]), *columns]
    table = history_of(built, symbol, list(dict.fromkeys(needed)))
    days = session_days(table.column(built.roles["date"]), built.dates)[0].astype(np.int64)
    codes = np.zeros(len(days), np.int64)
    raw = {role: prices(table.column(name)) for role, name in roles.items()}
    treatment = Treatment(config.negative_prices, config.drop_padding, config.adjust_volume)
    adjusted = None if config.price is None else prices(table.column(config.price))
    treated_raw, treated_adjusted, _ = treated(codes, raw, adjusted, treatment)
    used = columns_as_used(treated_raw, treated_adjusted)
    clocks = clocks_of(built, text_array([symbol]), days) if others is None else others
    of_others = None if others is None else closes_by_clock(codes, days, used, others)[0]
    bars = of_others or bars_by_clock(codes, days, used, clocks)
    nowhere = np.zeros(len(days), bool)
    flags = {role: nowhere if flag is None else flag for role, flag in used.unusable.items()}
    padding = np.isnan(treated_raw["close"]) & ~np.isnan(raw["close"])
    return DailyRows(days, table, raw, used.columns, flags, padding, bars, clocks)


@dataclass(frozen=True)
class History:
    """A symbol of an output, and how its features come out of its rows.

    Attributes
    ----------
    built : Built
    symbol : str
    rows : DailyRows
        With all weekly columns of the output.
    """

    built: Built
    symbol: str
    rows: DailyRows

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """Every step that the output may be made of."""
        return self.built.catalogue.steps

    @cached_property
    def peers(self) -> Mapping[str, Peer]:
        """With whom the symbol is compared, by what replaces `{b}`."""
        return {name: _peer(self, name) for name in self.built.record["benchmarks"]}

    def evaluated(self, clock: Clock, features: Sequence[str], n_older: int) -> Evaluated:
        """Return the values of features of one clock, and of all that they are made of, at its bars of these rows.

        `n_older` bars are from before them.
        """
        return self.evaluated_on(clock, self.rows.bars[clock.every], features, n_older, self.steps)

    def evaluated_on(
        self, clock: Clock, bars: Bars, features: Sequence[str], n_older: int, steps: Mapping[str, Step]
    ) -> Evaluated:
        """Return the same of other bars, as other steps have it."""
        n_bars = np.array([len(bars.periods)])
        shape = PanelShape(n_bars)
        needed = list(dict.fromkeys(each for name in features for each in needed_steps(name, steps)))
        used = [name.removeprefix("benchmark:") for name in needed if name.startswith("benchmark:")]
        benchmarks = _benchmark_bars({name: self.peers[name] for name in used})
        given = bar_panels(
            BarGroup(SymbolClocks((clock,)), bars, slice(0, len(bars.periods)), n_bars), shape, benchmarks
        )
        older = {"bar_number": float(n_older)}
        return Evaluated(needed, steps, lambda name: given(name) + older.get(name, 0.0))

    def as_stored(self, feature: Feature, value: float) -> float:
        """Return a value as its column stores it; NaN: null."""
        column = as_stored(feature, np.array([value]), self.built.config.dtype)
        return float(column.values[0]) if column.missing is None else np.nan


@dataclass(frozen=True)
class Peer:
    """The symbol that a comparison takes, and its bars.

    Attributes
    ----------
    trouble : str
        Why there are no bars.
    is_none : bool
        There is no symbol to compare with: the columns are null.
    """

    symbol: str | None = None
    bars: Mapping[str, Bars] | None = None
    trouble: str = ""
    is_none: bool = False


def _peer(found: History, name: str) -> Peer:
    built, symbol = found.built, found.symbol
    compared = next((each for each in built.config.benchmark if benchmark_name(each) == name), None)
    if compared is None:
        try:
            of_output = sectors_of_output(built, built.config, text_array([symbol]), only=symbol)
            sector_map = wanted_by(built.config, of_output).sector_map
        except WeeklyError as error:
            return Peer(trouble=f"the symbol to compare with is not known: {error}")
        listed = (
            []
            if sector_map is None
            else sector_map.filter(pc.is_in(sector_map["symbol"], text_array([symbol]))).to_pylist()
        )
        compared = listed[0].get(name) if listed else None
        if compared is None:
            return Peer(trouble=f"the sector map has no {name} for {symbol}, so its columns are null", is_none=True)
    try:
        return Peer(compared, daily_rows(built, compared, others=found.rows.clocks).bars)
    except UsageError:
        return Peer(
            compared, trouble=f"{built.name} has no rows of {compared}, the symbol that {symbol} is compared with"
        )


def _benchmark_bars(peers: Mapping[str, Peer]) -> BenchmarkBars:
    numbers = {name: -1 if peer.bars is None else number for number, (name, peer) in enumerate(peers.items())}
    bars = [(np.array([numbers[name]]), peer.bars) for name, peer in peers.items() if peer.bars is not None]
    return BenchmarkBars(keyed_closes(bars), {name: np.array([number]) for name, number in numbers.items()})


def history(built: Built, symbol: str) -> History:
    """Read a symbol's rows, with all weekly columns.

    Raises
    ------
    UsageError
        If the output has no such symbol.
    InputRefused
        If it has no daily rows, or lacks the column from which its bars were made.
    """
    if built.config.rows != "daily":
        raise InputRefused(
            f"{built.name} has a row a week, and not the daily rows of which bars are made; build without --rows weekly"
        )
    ages = [age_column(path_of(spec)) for spec in built.config.join]
    columns = [*(built.column_of(name) for name in built.features), *(age for age in ages if age in built.schema.names)]
    return History(built, symbol, daily_rows(built, symbol, columns))


def feature_of(built: Built, name: str, steps: Mapping[str, Step]) -> Feature:
    """Return a weekly column of an output.

    Raises
    ------
    UsageError
        If the output has no such column.
    """
    names = {built.column_of(feature): feature for feature in built.features}
    own = names.get(name, name)
    feature = steps.get(own)
    if own in built.of_plugins:
        raise refusal("--feature", name, built.record)
    if own not in built.features or not isinstance(feature, Feature):
        hint = of_label(name) or did_you_mean(name, names)
        raise UsageError(f"--feature {name}: {built.name} has no such column that build added{hint}")
    return feature

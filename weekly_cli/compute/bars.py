"""Builds bars of weeks, months or quarters from daily rows.

In rows sorted by (symbol, date) a period is a run of rows with equal symbol and period number, so every price of a bar
is one `reduceat` over the starts of the runs. Nearly every row is usable: all rows are reduced as they are, and the few
bars that contain an unusable row are computed again from their usable values.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.clocks import SymbolClocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: A history shorter than the longest window, a year, leaves at least one column empty.
SHORT_HISTORY_BARS = 52


@dataclass(frozen=True)
class Bars:
    """Bars of one clock, sorted by (code, period): codes, periods and days are int64[bars], the prices float64[bars].

    `days` counts the usable daily rows of a bar, and `last_days` are the days of the last of them; `volume` is NaN
    throughout if the input has no volume.
    """

    codes: Ints
    periods: Ints
    days: Ints
    last_days: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


@dataclass(frozen=True)
class UsedColumns:
    """Prices and volume of daily rows as bars use them, float64[rows] by role, whatever the clock.

    Attributes
    ----------
    columns : mapping of role to float64[rows]
    unusable : mapping of role to bool[rows] or None
        Where each is unusable; None: nowhere.
    """

    columns: Mapping[str, Floats]
    unusable: Mapping[str, NDArray[np.bool_] | None]

    @cached_property
    def any_unusable(self) -> NDArray[np.bool_] | None:
        """The rows in which any column is unusable, bool[rows]; None: none."""
        return functools.reduce(_either, self.unusable.values())

    def where(self, rows: slice | NDArray[np.bool_]) -> UsedColumns:
        """Return those of some rows."""
        return UsedColumns(
            {role: column[rows] for role, column in self.columns.items()},
            {role: None if flag is None else flag[rows] for role, flag in self.unusable.items()},
        )

    def of_rows(self, rows: Ints) -> tuple[dict[str, Floats], dict[str, NDArray[np.bool_]]]:
        """Return the columns of some rows, and where they are unusable."""
        flags = self.unusable.items()
        return (
            {role: column[rows] for role, column in self.columns.items()},
            {role: np.zeros(len(rows), bool) if flag is None else flag[rows] for role, flag in flags},
        )


@dataclass(frozen=True)
class Quality:
    """Counts of anomalies in the daily rows; none of them is an error.

    `unusable_close` rows contribute nothing; the other prices are counted in the rows whose close is usable.
    """

    unusable_close: int = 0
    unusable_open: int = 0
    unusable_high: int = 0
    unusable_low: int = 0
    unusable_volume: int = 0
    high_below_low: int = 0
    close_outside_range: int = 0
    weeks_without_bar: int = 0
    short_histories: int = 0

    def __add__(self, other: Quality) -> Quality:
        names = (entry.name for entry in fields(self))
        return Quality(**{name: getattr(self, name) + getattr(other, name) for name in names})


@np.errstate(all="ignore")  # an overflowing product is unusable, and is counted
def columns_as_used(raw: Mapping[str, Floats], adjusted: Floats | None) -> UsedColumns:
    """Return the columns that the bars of every clock use, and where each is unusable.

    Parameters
    ----------
    raw : mapping of role to float64[rows]
        The prices and the volume that the input has, NaN where null; at least `close`.
    adjusted : float64[rows], optional
        An adjusted close: it becomes the close, and open, high and low are scaled with it. A row is then usable only
        if both closes are.
    """
    columns = dict(raw)
    if adjusted is not None:
        factor = adjusted / raw["close"]
        columns |= {role: raw[role] * factor for role in ("open", "high", "low") if role in raw}
        columns["close"] = adjusted
    bad = {role: unusable_values(column, role) for role, column in columns.items()}
    if adjusted is not None:
        bad["close"] = _either(bad["close"], unusable_values(raw["close"], "close"))
    return UsedColumns(columns, bad)


@np.errstate(all="ignore")  # a sum that overflows is stored as null
def bars_of(codes: Ints, days: Ints, used: UsedColumns, clock: SymbolClocks) -> Bars:
    """Return the bars of the usable rows.

    A bar has the first open, the highest high, the lowest low, the last close and the summed volume of its rows. A bar
    without a usable open, high or low takes the first, the highest or the lowest of its closes instead.

    Parameters
    ----------
    codes, days : int64[rows]
        Position of the row's symbol in the task, and days since 1970-01-01: sorted by both, each pair once.
    used : UsedColumns
        Of these rows.
    clock : SymbolClocks
    """
    period = clock.period(codes, days)
    starts = run_starts(codes, period)
    bars = {"codes": codes[starts], "periods": period[starts], **_reduced(days, used.columns, starts)}
    if used.any_unusable is None:
        return Bars(**bars)
    affected = np.logical_or.reduceat(used.any_unusable, starts)
    rows = np.flatnonzero(np.repeat(affected, bars["days"]))
    number = np.searchsorted(starts, rows, "right") - 1
    recomputed, new_values = _of_usable_rows(number, days[rows], *used.of_rows(rows))
    for name, values in new_values.items():
        bars[name][recomputed] = values
    affected[recomputed] = False
    return Bars(**{name: values[~affected] for name, values in bars.items()})


def bars_by_clock(codes: Ints, days: Ints, used: UsedColumns, clocks: Iterable[SymbolClocks]) -> dict[str, Bars]:
    """Return the bars of each clock, by the name of its period."""
    return {clock.every: bars_of(codes, days, used, clock) for clock in clocks}


def closes_by_clock(
    codes: Ints, days: Ints, used: UsedColumns, clocks: Sequence[SymbolClocks]
) -> list[dict[str, Bars]]:
    """Return bars with which symbols that have other clocks are compared: for each of the distinct clocks, by period.

    Only their closes are valid. Each is the newest one in the period by the day on which the clock takes it for
    complete: no later one is known when a symbol with this clock first sees its own bar.
    """
    result: list[dict[str, Bars]] = [{} for _ in clocks[0].distinct]
    for of_period in clocks:
        for bars, clock in zip(result, of_period.distinct, strict=True):
            known = days < clock.first_day_seen(clock.period(days)) + clock.lead_days
            here = slice(None) if known.all() else known
            bars[clock.every] = bars_of(codes[here], days[here], used.where(here), SymbolClocks((clock,)))
    return result


@np.errstate(all="ignore")
def quality_of(used: UsedColumns) -> Quality:
    """Return the counts of anomalies in the rows."""
    outside, below = crossed(used.columns)
    quality = Quality()
    if used.any_unusable is not None:
        rows = np.flatnonzero(used.any_unusable)
        outside[rows] = below[rows] = False
        columns, flags = used.of_rows(rows)
        usable = ~flags["close"]
        counts = {f"unusable_{role}": int(flag[usable].sum()) for role, flag in flags.items() if role != "close"}
        counts["unusable_close"] = len(usable) - int(usable.sum())
        others = crossed({role: np.where(flags[role], np.nan, column)[usable] for role, column in columns.items()})
        quality = _crossed_counts(*others) + Quality(**counts)
    return quality + _crossed_counts(outside, below)


def quality_of_histories(bars: Bars, n_symbols: int) -> Quality:
    """Count the weeks without a bar inside of histories, and the histories of less than a year."""
    per_symbol = np.bincount(bars.codes, minlength=n_symbols)
    gaps = bars.periods[1:] - bars.periods[:-1] - 1
    inside = bars.codes[1:] == bars.codes[:-1]
    return Quality(
        weeks_without_bar=int(gaps[inside].sum()),
        short_histories=int((per_symbol < SHORT_HISTORY_BARS).sum()),
    )


def _crossed_counts(outside: NDArray[np.bool_], below: NDArray[np.bool_]) -> Quality:
    return Quality(high_below_low=int(below.sum()), close_outside_range=int(outside.sum()))


def _reduced(days: Ints, columns: Mapping[str, Floats], starts: Ints) -> dict[str, NDArray[Any]]:
    """Return the days and prices of the bars that begin at `starts`."""
    close = columns["close"]
    ends = np.append(starts[1:], len(close))[: len(starts)]
    return {
        "days": ends - starts,
        "last_days": days[ends - 1],
        "open": columns.get("open", close)[starts],
        "high": np.maximum.reduceat(columns.get("high", close), starts),
        "low": np.minimum.reduceat(columns.get("low", close), starts),
        "close": close[ends - 1],
        "volume": np.add.reduceat(columns["volume"], starts) if "volume" in columns else np.full(len(starts), np.nan),
    }


def _of_usable_rows(
    number: Ints, days: Ints, columns: Mapping[str, Floats], bad: Mapping[str, NDArray[np.bool_]]
) -> tuple[Ints, dict[str, NDArray[Any]]]:
    """Return the numbers of the bars with a usable row, and their days and prices."""
    usable = ~bad["close"]
    number = number[usable]
    starts = run_starts(number)
    columns = {role: np.where(bad[role], np.nan, column)[usable] for role, column in columns.items()}
    return number[starts], _reduced(days[usable], _filled(columns, starts), starts)


def _filled(columns: Mapping[str, Floats], starts: Ints) -> dict[str, Floats]:
    """Return columns without NaN that reduce to the same as the usable values, or to the closes if none is usable."""
    filled, close = dict(columns), columns["close"]
    n_rows = len(close)
    lengths = np.diff(starts, append=n_rows)
    for role, least in (("high", -np.inf), ("low", np.inf)):
        if role in columns:
            bad = np.isnan(columns[role])
            none = np.repeat(np.logical_and.reduceat(bad, starts), lengths)
            filled[role] = np.where(bad, np.where(none, close, least), columns[role])
    if "open" in columns:
        rows = np.where(np.isnan(columns["open"]), n_rows, np.arange(n_rows))
        first = np.minimum.reduceat(rows, starts)
        filled["open"] = np.array(close)
        has_open = first < n_rows
        filled["open"][starts[has_open]] = columns["open"][first[has_open]]
    if "volume" in columns:
        filled["volume"] = np.nan_to_num(columns["volume"], nan=0.0)
    return filled


def crossed(columns: Mapping[str, Floats]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which closes are outside of their day's range, and which highs are below the low."""
    close, high, low = columns["close"], columns.get("high"), columns.get("low")
    outside, below = np.zeros(len(close), bool), np.zeros(len(close), bool)
    if high is not None:
        outside |= close > high
    if low is not None:
        outside |= close < low
    if high is not None and low is not None:
        below = high < low
    return outside, below


def unusable_values(x: Floats, role: str) -> NDArray[np.bool_] | None:
    """Tell which prices are NaN, infinite, zero or negative, or which volumes NaN, infinite or negative; None: none.

    Nearly always none is, and two passes for the extremes are enough to see that.
    """
    least, most = x.min(initial=np.inf), x.max(initial=-np.inf)
    if (least >= 0.0 if role == "volume" else least > 0.0) and most < np.inf:
        return None
    return ~(((x >= 0.0) if role == "volume" else (x > 0.0)) & (x < np.inf))


def usable_values(x: Floats, role: str) -> NDArray[np.bool_]:
    """Tell which prices, or volumes, may contribute to a bar."""
    unusable = unusable_values(x, role)
    return np.ones(len(x), bool) if unusable is None else ~unusable


def _either(a: NDArray[np.bool_] | None, b: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return (b if a is None else a) if a is None or b is None else a | b


def run_starts(*keys: NDArray[np.generic]) -> Ints:
    """Return the positions at which runs of rows with equal keys begin, for rows grouped by the keys."""
    rows = len(keys[0])
    changed = np.zeros(rows, bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)

"""Daily rows to weekly bars.

On rows sorted by (symbol, date) a week is a run of rows with equal symbol and week number, so every price of a
bar is one `reduceat` over the starts of the runs. Rows whose close is not usable are taken out before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from weekly_cli import weeks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DailyRows:
    """Daily rows sorted by (code, day), each pair once; the prices are NaN where not usable.

    Attributes
    ----------
    codes : int64[rows]
        Position of the row's symbol in the task.
    days : int64[rows]
        Days since 1970-01-01.
    open, high, low, close, volume : float64[rows] or None
        As the bars use them: adjusted if a price column was named. None: the input has no such column.
    """

    codes: Ints
    days: Ints
    open: Floats | None
    high: Floats | None
    low: Floats | None
    close: Floats
    volume: Floats | None


@dataclass(frozen=True)
class WeeklyBars:
    """Weekly bars sorted by (code, week): codes, weeks and days are int64[bars], the prices float64[bars].

    `days` counts the usable daily rows of a bar; `volume` is NaN throughout if the input has no volume.
    """

    codes: Ints
    weeks: Ints
    days: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


@dataclass(frozen=True)
class Quality:
    """Counts of what is odd in the daily rows; none of it is an error.

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


@np.errstate(all="ignore")  # a product that overflows is not usable, and is counted
def usable_rows(
    codes: Ints, days: Ints, raw: Mapping[str, Floats], adjusted: Floats | None
) -> tuple[DailyRows, Quality]:
    """Return the rows as the bars use them, and what is odd in them.

    Parameters
    ----------
    codes, days : int64[rows]
    raw : mapping of role to float64[rows]
        The prices and the volume that the input has, NaN where null; `close` at least.
    adjusted : float64[rows], optional
        An adjusted close: it becomes the close, and open, high and low are scaled with it. A row then needs both
        closes to be usable.
    """
    close, bad_close, factor = raw["close"], _unusable(raw["close"], "close"), None
    if adjusted is not None:
        bad_close = _either(bad_close, _unusable(adjusted, "close"))
        close, factor = adjusted, adjusted / _where_not(bad_close, raw["close"], 1.0)
    clean = {"close": _where_not(bad_close, close, np.nan)}
    counts = {"unusable_close": 0 if bad_close is None else int(bad_close.sum())}
    for role in raw.keys() - {"close"}:
        column = raw[role] if role == "volume" or factor is None else raw[role] * factor
        bad = _unusable(column, role)
        clean[role] = _where_not(_either(bad, bad_close), column, np.nan)
        counts[f"unusable_{role}"] = 0 if bad is None else int((bad if bad_close is None else bad & ~bad_close).sum())
    high, low = clean.get("high"), clean.get("low")
    outside = np.zeros(len(codes), bool)
    if high is not None:
        outside |= clean["close"] > high
    if low is not None:
        outside |= clean["close"] < low
    if high is not None and low is not None:
        counts["high_below_low"] = int((high < low).sum())
    rows = DailyRows(
        codes, days, clean.get("open"), clean.get("high"), clean.get("low"), clean["close"], clean.get("volume")
    )
    return rows, Quality(**counts, close_outside_range=int(outside.sum()))


def _unusable(x: Floats, role: str) -> NDArray[np.bool_] | None:
    """Tell which prices are NaN, infinite, zero or negative, which volumes NaN, infinite or negative; None: none.

    Nearly always none is, which the extremes tell in two passes: `usable_rows` takes 0.45 of its time with that.
    """
    least, most = x.min(initial=np.inf), x.max(initial=-np.inf)
    if (least >= 0.0 if role == "volume" else least > 0.0) and most < np.inf:
        return None
    return ~(((x >= 0.0) if role == "volume" else (x > 0.0)) & (x < np.inf))


def _either(a: NDArray[np.bool_] | None, b: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return (b if a is None else a) if a is None or b is None else a | b


def _where_not(bad: NDArray[np.bool_] | None, x: Floats, otherwise: float) -> Floats:
    return x if bad is None else np.where(bad, otherwise, x)


def run_starts(*keys: NDArray[np.generic]) -> Ints:
    """Return the positions where a run of rows with equal keys begins, for rows grouped by the keys."""
    rows = len(keys[0])
    changed = np.zeros(rows, bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


@np.errstate(all="ignore")  # a sum that overflows is stored as null
def weekly_bars(rows: DailyRows, anchor: str) -> WeeklyBars:
    """Return the weekly bars of the usable rows: first open, highest high, lowest low, last close, summed volume.

    A bar that has no usable open, high or low takes the first, the highest or the lowest of its closes instead.
    """
    usable = ~np.isnan(rows.close)
    if usable.all():
        kept = rows
    else:
        columns = (rows.codes, rows.days, rows.open, rows.high, rows.low, rows.close, rows.volume)
        kept = DailyRows(*(None if column is None else column[usable] for column in columns))  # type: ignore[arg-type]
    week = weeks.week_number(kept.days, anchor)
    starts = run_starts(kept.codes, week)
    ends = np.append(starts[1:], len(week))
    if len(starts) == 0:
        none = np.empty(0)
        return WeeklyBars(starts, starts, starts, none, none, none, none, none)
    return WeeklyBars(
        codes=kept.codes[starts],
        weeks=week[starts],
        days=ends - starts,
        open=_first_usable(kept.open, kept.close, starts),
        high=_reduced(np.maximum, kept.high, kept.close, starts),
        low=_reduced(np.minimum, kept.low, kept.close, starts),
        close=kept.close[ends - 1],
        volume=_summed(kept.volume, starts),
    )


def _first_usable(price: Floats | None, close: Floats, starts: Ints) -> Floats:
    if price is None:
        return close[starts]
    first = price[starts]
    odd = np.flatnonzero(np.isnan(first))
    if len(odd):
        rows, begins = _rows_of(odd, starts, len(price))
        positions = np.where(np.isnan(price[rows]), len(price), rows)
        found = np.minimum.reduceat(positions, begins)
        first[odd] = np.where(found < len(price), price[np.minimum(found, len(price) - 1)], close[starts[odd]])
    return first


def _reduced(extreme: np.ufunc, price: Floats | None, close: Floats, starts: Ints) -> Floats:
    if price is None:
        return extreme.reduceat(close, starts)
    reduced = extreme.reduceat(price, starts)
    odd = np.flatnonzero(np.isnan(reduced))
    if len(odd):
        rows, begins = _rows_of(odd, starts, len(price))
        ignoring = np.fmax if extreme is np.maximum else np.fmin
        found = ignoring.reduceat(price[rows], begins)
        reduced[odd] = np.where(np.isnan(found), extreme.reduceat(close[rows], begins), found)
    return reduced


def _summed(volume: Floats | None, starts: Ints) -> Floats:
    if volume is None:
        return np.full(len(starts), np.nan)
    total = np.add.reduceat(volume, starts)
    odd = np.flatnonzero(np.isnan(total))
    if len(odd):
        rows, begins = _rows_of(odd, starts, len(volume))
        total[odd] = np.add.reduceat(np.nan_to_num(volume[rows], nan=0.0), begins)
    return total


def _rows_of(odd: Ints, starts: Ints, n_rows: int) -> tuple[Ints, Ints]:
    """Return the rows of a few bars, and where each begins in them.

    A reduction that ignores NaN takes three times as long, so the bars that came out NaN are reduced again alone.
    """
    lengths = np.append(starts[1:], n_rows)[odd] - starts[odd]
    begins = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) + np.repeat(starts[odd] - begins, lengths), begins

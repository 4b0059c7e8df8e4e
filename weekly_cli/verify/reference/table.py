"""The complete build in plain pandas, one symbol at a time. Never optimized: the tool must equal it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from weekly_cli.verify.reference.columns import FORMULAS, PREFIX_OF, every_of
from weekly_cli.verify.reference.formulas import Formula, is_relative, relative_name

#: The last day of a bar, as the columns of its clock name it.
END_OF = {
    "week": "w_week_end",
    "2W": "w2_week_end",
    "4W": "w4_week_end",
    "month": "m_month_end",
    "quarter": "q_quarter_end",
}


@dataclass(frozen=True, eq=False)
class Market:
    """What a week is to a symbol: its last day, and the sessions of its exchange, of which the last day is known."""

    week: str = "W-FRI"
    sessions: pd.DatetimeIndex | None = None
    covered_to: pd.Timestamp | None = None


def complete_on(ends: pd.DatetimeIndex, every: str, market: Market) -> pd.DatetimeIndex:
    """Return the last session of the periods with these last days, or that day where a calendar tells of no session."""
    if market.sessions is None:
        return ends
    sessions = market.sessions.to_series()
    last = sessions.groupby(period_end(sessions, every, market.week).to_numpy()).max()
    last = last[last.index <= market.covered_to]
    return pd.DatetimeIndex(last.reindex(ends).fillna(ends.to_series())).as_unit("us")


def first_seen(daily: pd.DataFrame, market: Market, price: str | None, every: str, available: str) -> pd.DatetimeIndex:
    """Return the first day on which each bar of one symbol may be seen: not before the last of its usable rows."""
    rows = usable_rows(daily, market.week, price)
    dates = session_date(daily["date"])
    last = dates[rows["close"].notna()].groupby(period_end(dates, every, market.week)).max()
    ends = pd.DatetimeIndex(last.index).as_unit("us")
    if available == "next-week":
        return ends + pd.Timedelta(days=1)
    return pd.DatetimeIndex(np.maximum(complete_on(ends, every, market), last.to_numpy())).as_unit("us")


def known_closes(daily: pd.DataFrame, market: Market, price: str | None, every: str, available: str) -> pd.Series[Any]:
    """Return the closes that a symbol of `market` compares itself with: none of a day after its own period is over."""
    dates = session_date(daily["date"])
    ends = pd.DatetimeIndex(period_end(dates, every, market.week)).as_unit("us")
    until = ends if available == "next-week" else complete_on(ends, every, market)
    return period_bars(daily[dates.to_numpy() <= until], market.week, price, every)["close"]


def usable(x: pd.Series[Any], at_least: float | None = None) -> pd.Series[Any]:
    """Return float64 with NaN where a price (> 0) or, with `at_least`, a volume (>= 0) is not usable."""
    values = pd.Series(x.to_numpy(dtype=np.float64, na_value=np.nan), index=x.index)
    in_range = values > 0 if at_least is None else values >= at_least
    return values.where(np.isfinite(values) & in_range)


def session_date(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Return the calendar day in the column's own time zone."""
    return pd.to_datetime(dates).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")


def usable_rows(daily: pd.DataFrame, week: str, price: str | None) -> pd.DataFrame:
    """Return open, high, low, close and volume of daily rows, NaN where unusable, float64; and their `week_end`."""
    nothing = pd.Series(np.nan, index=daily.index)
    raw_close = usable(daily["close"])
    close = raw_close if price is None else usable(daily[price]).where(raw_close.notna())
    rows = pd.DataFrame({"close": close})
    for name in ("open", "high", "low"):
        raw = usable(daily[name]) if name in daily else nothing
        rows[name] = raw if price is None else usable(raw * (close / raw_close))
    rows["volume"] = usable(daily["volume"], at_least=0) if "volume" in daily else nothing
    rows["week_end"] = period_end(session_date(daily["date"]), "week", week)
    return rows


def period_end(dates: pd.Series[Any], every: str, week: str) -> pd.Series[Any]:
    """Return the last day of the week, two or four weeks, month or quarter of each day.

    Two or four weeks are counted from the week of Monday, 1969-12-29.
    """
    periods = dates.dt.to_period({"month": "M", "quarter": "Q"}.get(every, week))
    ends: pd.Series[Any] = periods.dt.end_time.dt.normalize()
    if every not in ("2W", "4W"):
        return ends
    n_weeks, first = int(every[0]), pd.Period("1969-12-29", freq=week).end_time.normalize()
    begun = ((ends - first).dt.days // 7) // n_weeks
    last: pd.Series[Any] = first + pd.to_timedelta(7 * ((begun + 1) * n_weeks - 1), unit="D")
    return last


def period_bars(daily: pd.DataFrame, week: str, price: str | None, every: str = "week") -> pd.DataFrame:
    """Return the bars of one symbol from its rows in date order; the index is the last day of each.

    open, high, low, close, volume, days: float64[bars].
    """
    rows = usable_rows(daily, week, price)
    rows["end"] = period_end(session_date(daily["date"]), every, week)
    periods = rows[rows["close"].notna()].groupby("end")  # a row whose close is not usable contributes nothing
    bars = pd.DataFrame(
        {
            # groupby's first, max and min skip NaN: the first usable open, not the open of the first row
            "open": periods["open"].first().fillna(periods["close"].first()),
            "high": periods["high"].max().fillna(periods["close"].max()),
            "low": periods["low"].min().fillna(periods["close"].min()),
            "close": periods["close"].last(),
            "volume": periods["volume"].sum() if "volume" in daily else np.nan,
            "days": periods["close"].count(),
        },
        dtype=np.float64,
    )
    bars.index = pd.DatetimeIndex(bars.index).as_unit("us")
    return bars


def as_meant(
    daily: pd.DataFrame, price: str | None, negative_prices: str, drop_padding: bool, adjust_volume: bool
) -> pd.DataFrame:
    """Return one symbol's rows, in date order, with the prices that the settings of these names mean."""
    rows = daily.copy()
    names = [name for name in ("open", "high", "low", "close") if name in rows]
    for name in [*names, *([price] if price is not None else [])]:
        values = pd.Series(rows[name].to_numpy(dtype=np.float64, na_value=np.nan), index=rows.index)
        rows[name] = values.abs() if negative_prices == "absolute" else values
    traded = usable(rows["volume"], at_least=0) > 0 if "volume" in rows else pd.Series(True, index=rows.index)
    if adjust_volume and price is not None and "volume" in rows:
        rows["volume"] = usable(rows["volume"], at_least=0) * (rows["close"] / rows[price])
    if drop_padding:
        prices = pd.DataFrame({name: usable(rows[name]) for name in names})
        counts = prices["close"].notna() & (True if price is None else usable(rows[price]).notna())
        now = prices[counts]
        before = now.shift(1)
        same = now.eq(before) | now.eq(now["close"], axis=0) | now.isna()
        same["close"] = now["close"].eq(before["close"])
        padding = same.all(axis=1).reindex(rows.index, fill_value=False) & ~traded
        rows["close"] = rows["close"].where(~padding)
    return rows


def columns_of_bars(
    bars: pd.DataFrame, benchmarks: Mapping[str, pd.Series[Any]], formulas: Mapping[str, Formula], every: str
) -> pd.DataFrame:
    """Return all columns of one symbol and one clock, a row a bar; `benchmarks`: name {b} -> its closes by last day."""
    p = PREFIX_OF[every]
    out: dict[str, Any] = {END_OF[every]: bars.index, f"{p}_bars": None, f"{p}_days": bars["days"].to_numpy()}
    formulas = {name: formula for name, formula in formulas.items() if every_of(name) == every}
    with np.errstate(all="ignore"):
        out |= {name: formula(bars) for name, formula in formulas.items() if not is_relative(name)}
        for b, closes in benchmarks.items():
            both = bars.assign(bench=closes.reindex(bars.index))
            out |= {relative_name(key, b): formula(both) for key, formula in formulas.items() if is_relative(key)}
    return pd.DataFrame(out, index=range(len(bars)))


def reference_table(
    df: pd.DataFrame,
    *,
    peers: pd.DataFrame,
    market_of: Callable[[Any], Market] = lambda _: Market(),
    available: str = "next-week",
    price: str | None = None,
    window: tuple[str | None, str | None] = (None, None),
    formulas: Mapping[str, Formula] = FORMULAS,
    last_day: np.datetime64 | None = None,
    every: Sequence[str] = ("week",),
) -> pd.DataFrame:
    """Return daily rows with every column of some clocks, sorted by (symbol, date).

    With `last_day`, return the weekly bars themselves that are over by then: a row for each, whose date is the first
    day on which it may be seen, with the first of its symbol's daily rows beside it.

    Parameters
    ----------
    df : pandas.DataFrame
        Columns symbol, date, close, and any of open, high, low, volume.
    peers : pandas.DataFrame
        The symbol to compare with, missing if there is none: one row per symbol (the index), one column per name {b}.
    market_of : callable
        Returns what a week is to a symbol.
    window : tuple of str or None
        First and last date of the output; the bars are computed from all rows.
    every : sequence of str
        The clocks, in the order of their columns.

    Returns
    -------
    pandas.DataFrame
        A last day is datetime64[us] with NaT, every other computed column float64 with NaN for null.

    Raises
    ------
    ValueError
        If a row has no symbol or no date.
    """
    if df[["symbol", "date"]].isna().any(axis=None):
        raise ValueError("a symbol or a date is missing")
    names = [name.encode() if isinstance(name, str) else name for name in df["symbol"]]
    keys = list(zip(names, pd.to_datetime(df["date"]), strict=True))
    daily = df.iloc[sorted(range(len(df)), key=keys.__getitem__)].reset_index(drop=True)

    compared: dict[Any, dict[str, Any]] = {symbol: dict(row) for symbol, row in peers.iterrows()}
    rows_of = dict(list(daily.groupby("symbol", sort=False, observed=True)))
    markets = {symbol: market_of(symbol) for symbol in rows_of}
    tables = {
        one: _tables(rows_of, daily.iloc[:0], compared, peers, (markets, price, available), formulas, one)
        for one in every
    }
    seen_of = {
        (one, symbol): first_seen(rows, markets[symbol], price, one, available)
        for one in every
        for symbol, rows in rows_of.items()
    }
    if last_day is not None:
        owners = [daily.iloc[:0]]
        for symbol, rows in rows_of.items():
            seen = seen_of["week", symbol]
            over = seen[seen <= last_day + np.timedelta64(1 if available == "next-week" else 0, "D")]
            owners.append(rows.iloc[np.zeros(len(over), int)].assign(date=over.to_numpy()))
        daily = pd.concat(owners, ignore_index=True)
        rows_of = dict(list(daily.groupby("symbol", sort=False, observed=True)))
    pieces = []
    for one in every:
        found = [tables[one][None]]  # without rows: it provides the columns if the dataset is empty
        for symbol, rows in rows_of.items():
            table = tables[one][symbol]
            at = seen_of[one, symbol].searchsorted(session_date(rows["date"]), side="right") - 1  # -1: none yet
            found.append(table.reindex(at))
        pieces.append(pd.concat(found, ignore_index=True))
    out = pd.concat([daily, *pieces], axis=1)

    dates = session_date(out["date"])
    start, end = window
    keep = (dates >= (start or dates.min())) & (dates <= (end or dates.max()))
    return out[keep].reset_index(drop=True)


def _tables(
    rows_of: Mapping[Any, pd.DataFrame],
    no_rows: pd.DataFrame,
    compared: Mapping[Any, Mapping[str, Any]],
    peers: pd.DataFrame,
    settings: tuple[Mapping[Any, Market], str | None, str],
    formulas: Mapping[str, Formula],
    every: str,
) -> dict[Any, pd.DataFrame]:
    """Return the columns of each symbol's bars by clock, and under None those of no bars."""
    markets, price, available = settings
    bars_of = {symbol: period_bars(rows, markets[symbol].week, price, every) for symbol, rows in rows_of.items()}
    no_bars = period_bars(no_rows, "W-FRI", price, every)
    known: dict[Any, pd.Series[Any]] = {}
    tables = {None: columns_of_bars(no_bars, {str(b): no_bars["close"] for b in peers}, formulas, every)}
    for symbol, bars in bars_of.items():
        market, closes = markets[symbol], {}
        for b, peer in compared[symbol].items():
            key = peer, market.week, id(market.sessions)
            if peer in rows_of and key not in known:
                known[key] = known_closes(rows_of[peer], market, price, every, available)
            closes[b] = known.get(key, no_bars["close"])
        tables[symbol] = columns_of_bars(bars, closes, formulas, every)
    return tables

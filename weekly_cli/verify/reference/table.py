"""The complete build in plain pandas, one symbol at a time. Never optimized: the tool must equal it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from weekly_cli.verify.reference.columns import FORMULAS
from weekly_cli.verify.reference.formulas import Formula, is_relative, relative_name


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
    rows["week_end"] = session_date(daily["date"]).dt.to_period(week).dt.end_time.dt.normalize()
    return rows


def weekly_bars(daily: pd.DataFrame, week: str, price: str | None) -> pd.DataFrame:
    """Return the bars of one symbol from its rows in date order; the index is week_end.

    open, high, low, close, volume, days: float64[bars].
    """
    rows = usable_rows(daily, week, price)
    weeks = rows[rows["close"].notna()].groupby("week_end")  # a row whose close is not usable contributes nothing
    bars = pd.DataFrame(
        {
            # groupby's first, max and min skip NaN: the first usable open, not the open of the first row
            "open": weeks["open"].first().fillna(weeks["close"].first()),
            "high": weeks["high"].max().fillna(weeks["close"].max()),
            "low": weeks["low"].min().fillna(weeks["close"].min()),
            "close": weeks["close"].last(),
            "volume": weeks["volume"].sum() if "volume" in daily else np.nan,
            "days": weeks["close"].count(),
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


def weekly_columns(
    bars: pd.DataFrame, benchmarks: Mapping[str, pd.Series[Any]], formulas: Mapping[str, Formula]
) -> pd.DataFrame:
    """Return all weekly columns of one symbol, one row per bar; `benchmarks`: name {b} -> its closes by week_end."""
    out: dict[str, Any] = {"w_week_end": bars.index, "w_bars": None, "w_days": bars["days"].to_numpy()}
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
    week: str = "W-FRI",
    available: str = "next-week",
    price: str | None = None,
    start: str | None = None,
    end: str | None = None,
    formulas: Mapping[str, Formula] = FORMULAS,
    last_day: np.datetime64 | None = None,
) -> pd.DataFrame:
    """Return daily rows with every weekly column, sorted by (symbol, date).

    With `last_day`, return the bars themselves that are over by then: a row for each, whose date is the first day on
    which it may be seen, with the first of its symbol's daily rows beside it.

    Parameters
    ----------
    df : pandas.DataFrame
        Columns symbol, date, close, and any of open, high, low, volume.
    peers : pandas.DataFrame
        The symbol to compare with, missing if there is none: one row per symbol (the index), one column per name {b}.
    start, end : str, optional
        First and last date of the output; the bars are computed from all rows.

    Returns
    -------
    pandas.DataFrame
        `w_week_end` is datetime64[us] with NaT, every other weekly column float64 with NaN for null.

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

    rows_of = dict(list(daily.groupby("symbol", sort=False, observed=True)))
    bars_of = {symbol: weekly_bars(rows, week, price) for symbol, rows in rows_of.items()}
    compared: dict[Any, dict[str, Any]] = {symbol: dict(row) for symbol, row in peers.iterrows()}
    no_bars = weekly_bars(daily.iloc[:0], week, price)
    # the first piece has no rows: it provides the columns if the dataset is empty
    pieces = [weekly_columns(no_bars, {str(b): no_bars["close"] for b in peers}, formulas)]
    owners = [daily.iloc[:0]]
    for symbol, rows in rows_of.items():
        closes = {b: bars_of.get(peer, no_bars)["close"] for b, peer in compared[symbol].items()}
        table = weekly_columns(bars_of[symbol], closes, formulas)
        available_from = table["w_week_end"] + pd.Timedelta(days=1 if available == "next-week" else 0)
        if last_day is None:
            seen = available_from.searchsorted(session_date(rows["date"]), side="right") - 1  # -1: none yet
            pieces.append(table.reindex(seen))
        else:
            over = table[table["w_week_end"] <= last_day]
            owners.append(rows.iloc[np.zeros(len(over), int)].assign(date=available_from[over.index].to_numpy()))
            pieces.append(over)
    if last_day is not None:
        daily = pd.concat(owners, ignore_index=True)
    out = pd.concat([daily, pd.concat(pieces, ignore_index=True)], axis=1)

    dates = session_date(out["date"])
    keep = (dates >= (start or dates.min())) & (dates <= (end or dates.max()))
    return out[keep].reset_index(drop=True)

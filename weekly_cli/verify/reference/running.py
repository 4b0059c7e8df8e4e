"""The week to date in plain Python, row by row; nothing is shared with the build."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

_NAMES = ("open", "high", "low", "close", "volume", "days", "ret", "rsi_14", "sma_20")
_RSI, _SMA = 14, 20
Averages = list[tuple[float, float]]


def running_columns(rows: pd.DataFrame, closes: pd.Series[Any], available: str) -> pd.DataFrame:
    """Return the `wtd_` columns of one symbol, a row for each of its daily rows.

    Parameters
    ----------
    rows : pandas.DataFrame
        Its daily rows in date order: `week_end`, and open, high, low, close, volume with NaN where unusable, float64.
    closes : pandas.Series
        The closes of its weekly bars by their last day.
    available : {"next-week", "week-end"}
    """
    ends, own = rows["week_end"].tolist(), {name: rows[name].tolist() for name in _NAMES[:5]}
    before, averages = closes.tolist(), _averages(closes.tolist())
    has_volume = bool(rows["volume"].notna().any())
    found = []
    for number, week_end in enumerate(ends):
        stop = number + 1 if available == "week-end" else number
        begin = stop
        while begin > 0 and ends[begin - 1] == week_end:
            begin -= 1
        known = [row for row in range(begin, stop) if not np.isnan(own["close"][row])]
        finished = int(closes.index.searchsorted(week_end, side="left"))
        bar = {name: [own[name][row] for row in known] for name in own}
        found.append(_row(bar, before[:finished], averages, has_volume=has_volume) if known else [np.nan] * len(_NAMES))
    return pd.DataFrame(found, columns=[f"wtd_{name}" for name in _NAMES], dtype=np.float64)


def _row(bar: Mapping[str, list[float]], before: list[float], averages: Averages, *, has_volume: bool) -> list[float]:
    """Return the columns of a row from the usable rows of its week so far, and the closes of the bars before."""
    closes = bar["close"]
    opens, highs, lows, volumes = (
        [value for value in bar[name] if not np.isnan(value)] for name in ("open", "high", "low", "volume")
    )
    return [
        opens[0] if opens else closes[0],
        max(highs or closes),
        min(lows or closes),
        closes[-1],
        sum(volumes) if has_volume else np.nan,
        len(closes),
        float(np.log(closes[-1] / before[-1])) if before else np.nan,
        _rsi(before, closes[-1], averages),
        (sum(before[1 - _SMA :]) + closes[-1]) / _SMA if len(before) >= _SMA - 1 else np.nan,
    ]


def _averages(closes: list[float]) -> Averages:
    """Return Wilder's averages of gains and losses after each close; before there are enough of them, their sums."""
    found = [(0.0, 0.0)]
    for number, (last, close) in enumerate(pairwise(closes), start=1):
        found.append(_with_change(found[-1], close - last, number))
    return found


def _with_change(averages: tuple[float, float], change: float, number: int) -> tuple[float, float]:
    moves = (max(change, 0.0), max(-change, 0.0))
    if number < _RSI:
        return averages[0] + moves[0], averages[1] + moves[1]
    if number == _RSI:
        return (averages[0] + moves[0]) / _RSI, (averages[1] + moves[1]) / _RSI
    return (averages[0] * (_RSI - 1) + moves[0]) / _RSI, (averages[1] * (_RSI - 1) + moves[1]) / _RSI


def _rsi(before: list[float], close: float, averages: Averages) -> float:
    if len(before) < _RSI:
        return np.nan
    gain, loss = _with_change(averages[len(before) - 1], close - before[-1], len(before))
    return 100.0 * gain / (gain + loss) if gain + loss > 0 else np.nan
